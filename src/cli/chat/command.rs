//! What a line of a session means: a question, or a command that begins with `/`.
//!
//! Owns the table of commands, from which the help is written too. Performs none.

/// A line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Ask(String),
    Fresh(String),
    Sql(Option<usize>),
    Rows(Option<usize>),
    Csv { file: String, number: Option<usize>, overwrites: bool },
    Stop,
    New,
    History(Option<usize>),
    Help,
    Quit,
}

/// Name, arguments, and what it does.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("/sql", "[N]", "the statement of query N, else of the last one"),
    ("/rows", "[N]", "the rows of query N, else of the last one that has any"),
    ("/csv", "FILE [N] [--overwrite]", "write those rows to a file"),
    ("/stop", "", "stop the question that is being worked on, as Ctrl-C does"),
    ("/fresh", "QUESTION", "ask it in a new conversation, and have its answer made anew"),
    ("/new", "", "begin a new conversation with the next question"),
    ("/history", "[N]", "list the conversations begun here; open number N of the list"),
    ("/help", "", "this list"),
    ("/quit", "", "leave, as Ctrl-D does"),
];

/// How alike a command must be to be suggested, from 0 to 1.
const ALIKE: f64 = 0.5;

/// Reads a line; none if it is empty.
///
/// # Errors
/// A sentence for the user, when it is no command there is or its arguments are none of it.
pub(super) fn parse(line: &str) -> Result<Option<Command>, String> {
    let line = line.trim();
    if line.is_empty() {
        return Ok(None);
    }
    if !line.starts_with('/') {
        return Ok(Some(Command::Ask(line.to_owned())));
    }
    let (name, arguments) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let arguments = arguments.trim();
    let command = match name {
        "/sql" => Command::Sql(number(name, arguments)?),
        "/rows" => Command::Rows(number(name, arguments)?),
        "/csv" => csv(arguments)?,
        "/fresh" if arguments.is_empty() => return Err("write the question after it: /fresh QUESTION".into()),
        "/fresh" => Command::Fresh(arguments.to_owned()),
        "/history" => Command::History(number(name, arguments)?),
        "/stop" => none(name, arguments, Command::Stop)?,
        "/new" => none(name, arguments, Command::New)?,
        "/help" => none(name, arguments, Command::Help)?,
        "/quit" | "/exit" => none(name, arguments, Command::Quit)?,
        _ => return Err(unknown(name)),
    };
    Ok(Some(command))
}

/// The table for a person.
pub(super) fn help() -> String {
    let usage = |name: &str, arguments: &str| format!("{name} {arguments}").trim_end().to_owned();
    let width = COMMANDS.iter().map(|(name, arguments, _)| usage(name, arguments).len()).max().unwrap_or_default();
    let lines = COMMANDS.iter().map(|(name, arguments, what)| format!("  {:width$}  {what}\n", usage(name, arguments)));
    format!("A line is a question, and the next one may refer to its answer. Or:\n{}", lines.collect::<String>())
}

fn number(name: &str, arguments: &str) -> Result<Option<usize>, String> {
    if arguments.is_empty() {
        return Ok(None);
    }
    match arguments.parse() {
        Ok(number) if number > 0 => Ok(Some(number)),
        _ => Err(format!("{name} takes a number from 1 on, not `{arguments}`")),
    }
}

fn none(name: &str, arguments: &str, command: Command) -> Result<Command, String> {
    if arguments.is_empty() { Ok(command) } else { Err(format!("{name} takes no argument, but there is `{arguments}`")) }
}

/// The file may have spaces in its name: it is what is left of the number and the switch at the end.
fn csv(arguments: &str) -> Result<Command, String> {
    const OVERWRITE: &str = "--overwrite";
    let bare = arguments.strip_suffix(OVERWRITE).filter(|rest| rest.is_empty() || rest.ends_with(' '));
    let (rest, overwrites) = (bare.unwrap_or(arguments).trim_end(), bare.is_some());
    let last = rest.rsplit_once(' ').and_then(|(file, last)| Some((file.trim_end(), last.parse::<usize>().ok()?)));
    let (file, number) = match last {
        Some((_, 0)) => return Err("queries count from 1".into()),
        Some((file, number)) => (file, Some(number)),
        None => (rest, None),
    };
    if file.is_empty() {
        return Err("name the file to write: /csv FILE [N] [--overwrite]".into());
    }
    Ok(Command::Csv { file: file.to_owned(), number, overwrites })
}

fn unknown(name: &str) -> String {
    let likeness = |candidate: &&str| strsim::normalized_damerau_levenshtein(name, candidate);
    let names = COMMANDS.iter().map(|(name, ..)| *name);
    let nearest = names.max_by(|left, right| likeness(left).total_cmp(&likeness(right))).filter(|nearest| likeness(nearest) >= ALIKE);
    match nearest {
        Some(nearest) => format!("there is no command {name}; did you mean {nearest}?"),
        None => format!("there is no command {name}; /help lists those there are"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_questions_or_commands() {
        let csv = |file: &str, number, overwrites| Command::Csv { file: file.into(), number, overwrites };
        let lines = [
            ("  how many? ", Command::Ask("how many?".into())),
            ("/sql", Command::Sql(None)),
            ("/sql 2", Command::Sql(Some(2))),
            ("/rows   3 ", Command::Rows(Some(3))),
            ("/csv out.csv", csv("out.csv", None, false)),
            ("/csv my rows.csv 2", csv("my rows.csv", Some(2), false)),
            ("/csv my rows.csv 2 --overwrite", csv("my rows.csv", Some(2), true)),
            ("/csv 7", csv("7", None, false)),
            ("/csv a --overwrite", csv("a", None, true)),
            ("/fresh  how many? ", Command::Fresh("how many?".into())),
            ("/history 1", Command::History(Some(1))),
            ("/exit", Command::Quit),
        ];
        for (line, command) in lines {
            assert_eq!(parse(line), Ok(Some(command)), "{line}");
        }
        assert_eq!(parse(" \t"), Ok(None));
    }

    #[test]
    fn what_is_no_command_is_told_with_the_nearest() {
        let errors = [
            ("/sqll", "did you mean /sql?"),
            ("/histor", "did you mean /history?"),
            ("/xyzzyxyzzy", "/help lists"),
            ("/", "/help lists"),
            ("/rows many", "takes a number from 1 on, not `many`"),
            ("/sql 0", "takes a number from 1 on"),
            ("/fresh ", "write the question after it"),
            ("/csv", "name the file"),
            ("/csv --overwrite", "name the file"),
            ("/csv a 0", "count from 1"),
            ("/new now", "takes no argument"),
        ];
        for (line, part) in errors {
            let error = parse(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn the_help_has_every_command() {
        assert!(COMMANDS.iter().all(|(name, ..)| help().contains(name) && parse(&format!("{name} x")) != Err(unknown(name))));
    }
}
