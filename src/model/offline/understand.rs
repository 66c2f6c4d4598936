//! From a question to a plan, or to what was not understood.
//!
//! Owns the order of attempts: word by word, then by sentence pattern, then both again with typos corrected. A question of
//! which any content word is not understood gives no plan.

use crate::sql::catalog::vocabulary::Vocabulary;

use super::{
    context,
    draft::{self, Draft},
    finish,
    lexicon::{Function, Lexicon, Meaning},
    patterns,
    plan::Plan,
    words::{self, Token},
};

/// A word taken for a typo, as written and as read.
pub(super) type Typo = (String, String);

/// What became of a question.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Understood {
    /// It asks for this; words that were taken for typos, as (written, read).
    Plan(Box<Plan>, Vec<Typo>),
    /// It asks for what the lake does not hold: indexes of the vocabulary's list.
    Absent(Vec<usize>),
    /// These parts of it mean nothing here; empty when every word is known but not their combination.
    Not(Vec<String>),
    /// Most of its words are unknown: it may be in another language than English.
    Foreign,
    /// It only greets or asks for help.
    Help,
    /// It goes on from another question of its conversation.
    FollowUp,
}

/// What `question` asks for; `later` when others were asked before it.
pub(super) fn understand(question: &str, words: &Vocabulary, lexicon: &Lexicon, later: bool) -> Understood {
    let letters = || question.chars().filter(|letter| letter.is_alphabetic());
    // Beyond the Latin blocks: another script.
    if letters().filter(|letter| *letter > '\u{24f}').count() * 2 > letters().count() {
        return Understood::Foreign;
    }
    let tokens = words::tokens(question);
    let help = |token: &Token| {
        matches!(
            token.norm.as_str(),
            "help"
                | "hello"
                | "hi"
                | "hey"
                | "what"
                | "can"
                | "you"
                | "do"
                | "i"
                | "me"
                | "ask"
                | "how"
                | "does"
                | "this"
                | "work"
                | "about"
        )
    };
    if !tokens.is_empty() && tokens.len() <= 7 && tokens.iter().all(help) {
        return Understood::Help;
    }
    if later && context::goes_on(&tokens, lexicon) {
        return Understood::FollowUp;
    }
    let tokens = without_courtesy(&tokens);
    if tokens.is_empty() {
        return Understood::Not(Vec::new());
    }
    let items = lexicon.items(tokens);
    let draft = draft::read(question, words, tokens, &items);
    let direct = finish::plan(&draft, words);
    if later && direct.as_ref().is_some_and(|plan| context::is_fragment(plan, &draft, tokens, &items)) {
        return Understood::FollowUp;
    }
    let pattern = patterns::plan(question, words, lexicon, tokens);
    match (direct.as_ref(), pattern) {
        (Some(_), Some(plan)) if prefers_pattern(&draft, &plan) => return Understood::Plan(Box::new(plan), Vec::new()),
        (Some(plan), _) if !draft.guessed_names => return Understood::Plan(Box::new(plan.clone()), Vec::new()),
        (None, Some(plan)) => return Understood::Plan(Box::new(plan), Vec::new()),
        _ => {}
    }
    if let Some((tokens, typos)) = corrected(tokens, lexicon, &draft) {
        let draft = draft::read(question, words, &tokens, &lexicon.items(&tokens));
        let plan = finish::plan(&draft, words).or_else(|| patterns::plan(question, words, lexicon, &tokens));
        if let Some(plan) = plan {
            return Understood::Plan(Box::new(plan), typos);
        }
    }
    if let Some(plan) = direct {
        return Understood::Plan(Box::new(plan), Vec::new());
    }
    not_understood(question, lexicon, tokens, draft)
}

/// Whether a sentence pattern says more than the words one by one: where a name alone made a query phrase of it.
fn prefers_pattern(draft: &Draft, pattern: &Plan) -> bool {
    let names_only = !draft.selection.people.is_empty() && draft.selection.kinds.is_empty() && draft.selection.values.is_empty();
    match pattern {
        Plan::Exists { .. } => !draft.selection.name_words.is_empty(),
        Plan::Credits { .. } | Plan::Facts { .. } | Plan::Person { .. } => {
            names_only && (draft.guessed_names || draft.orders.is_empty()) && draft.most.is_none()
        }
        Plan::Credited { .. } | Plan::Compare { .. } => names_only || draft.guessed_names,
        _ => false,
    }
}

/// The tokens without "please", "can you tell me" and the like around the question.
fn without_courtesy(mut tokens: &[Token]) -> &[Token] {
    const OPENINGS: [&[&str]; 22] = [
        &["please"],
        &["hi"],
        &["hey"],
        &["hello"],
        &["thanks"],
        &["ok"],
        &["okay"],
        &["so"],
        &["and"],
        &["well"],
        &["can", "you"],
        &["could", "you"],
        &["would", "you"],
        &["will", "you"],
        &["do", "you", "know"],
        &["i", "want", "to", "know"],
        &["i", "would", "like", "to", "know"],
        &["i'd", "like", "to", "know"],
        &["i", "wonder"],
        &["let", "me", "know"],
        &["just"],
        &["i", "am", "curious"],
    ];
    const CLOSINGS: [&[&str]; 5] = [&["please"], &["thanks"], &["thank", "you"], &["by", "the", "way"], &["for", "me"]];
    let says = |tokens: &[Token], phrase: &[&str]| {
        tokens.len() == phrase.len() && tokens.iter().zip(phrase).all(|(token, word)| !token.quoted && token.norm == *word)
    };
    loop {
        let before = tokens.len();
        for phrase in OPENINGS {
            if tokens.len() > phrase.len() && says(tokens.get(..phrase.len()).unwrap_or_default(), phrase) {
                tokens = tokens.get(phrase.len()..).unwrap_or_default();
            }
        }
        for phrase in CLOSINGS {
            let cut = tokens.len().saturating_sub(phrase.len());
            if cut > 0 && says(tokens.get(cut..).unwrap_or_default(), phrase) {
                tokens = tokens.get(..cut).unwrap_or_default();
            }
        }
        let tell_me = says(tokens.get(..2).unwrap_or_default(), &["tell", "me"]);
        let more = tokens.get(2).is_some_and(|token| matches!(token.norm.as_str(), "about" | "more"));
        if tell_me && !more && tokens.len() > 2 {
            tokens = tokens.get(2..).unwrap_or_default();
        }
        if tokens.len() == before {
            return tokens;
        }
    }
}

/// The tokens with those unknown words corrected that are near one known word; none when there is nothing to correct.
fn corrected(tokens: &[Token], lexicon: &Lexicon, draft: &Draft) -> Option<(Vec<Token>, Vec<Typo>)> {
    let mut typos = Vec::new();
    let items = lexicon.items(tokens);
    let unknown = |at: usize| items.iter().any(|item| item.from == at && item.unknown());
    let fixed: Vec<Token> = tokens
        .iter()
        .enumerate()
        .map(|(at, token)| {
            let known = token.quoted || !unknown(at);
            match lexicon.corrected(&token.norm).filter(|_| !known) {
                Some(word) => {
                    typos.push((token.norm.clone(), word.to_owned()));
                    Token { norm: word.to_owned(), ..token.clone() }
                }
                None => token.clone(),
            }
        })
        .collect();
    let worth_it = !draft.unknown.is_empty() || draft.guessed_names || !draft.absent.is_empty();
    (worth_it && !typos.is_empty()).then_some((fixed, typos))
}

fn not_understood(question: &str, lexicon: &Lexicon, tokens: &[Token], draft: Draft) -> Understood {
    let items = lexicon.items(tokens);
    let known = items.iter().filter(|item| !item.unknown()).count();
    let function = items
        .iter()
        .filter(|item| item.meanings.iter().any(|meaning| matches!(meaning, Meaning::Function(function) if *function != Function::Owner)))
        .count();
    if items.len() >= 3 && known * 5 <= items.len() * 2 && function * 4 <= items.len() {
        return Understood::Foreign;
    }
    if !draft.absent.is_empty() {
        let mut absent = draft.absent;
        absent.dedup();
        return Understood::Absent(absent);
    }
    let text = |(from, to): &(usize, usize)| {
        let start = tokens.get(*from).map_or(0, |token| token.start);
        let end = tokens.get(to.saturating_sub(1)).map_or(start, |token| token.end);
        question.get(start..end).unwrap_or_default().to_owned()
    };
    let mut parts: Vec<String> = draft.unknown.iter().map(text).filter(|part| part.chars().any(char::is_alphanumeric)).collect();
    parts.dedup();
    // A name is not what stands in the way where something else does.
    let lower = |part: &String| part.chars().next().is_some_and(char::is_lowercase);
    if parts.iter().any(lower) {
        parts.retain(lower);
    }
    Understood::Not(parts)
}
