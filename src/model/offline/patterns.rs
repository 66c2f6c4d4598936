//! Recognises questions about things called by name: "who directed X", "is X longer than Y".
//!
//! Owns a table of sentence patterns and the matcher for them. A pattern is a line of literal words (`a|b` alternatives, `?`
//! optional), classes of the lexicon in braces, and holes `{x}`, `{y}` that take any words: names may be made of words that
//! mean something elsewhere. Classes come from the catalog; the literals are English function words.

use super::{
    lexicon::{Function, Lexicon, Meaning},
    plan::{Fact, Name, Plan, Selection},
    words::Token,
};
use crate::sql::catalog::vocabulary::Vocabulary;

/// What a pattern's captures add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Credits,
    Facts,
    Year,
    Compare,
    CompareYear { high: bool },
    ComparePeople,
    Exists,
    Credited,
    CreditedSwapped,
    HasValue,
    About,
    Person,
}

use Shape as S;

/// Patterns in the order they are tried. Those marked `~` begin or end with a hole that any phrase would fill, and take only
/// names that cannot be read otherwise.
const PATTERNS: &[(&str, Shape)] = &[
    ("is|was {x} {more} than {y}", S::Compare),
    ("is|was|are {x} {measurenoun} {more} than {y}", S::Compare),
    ("did|was|is {x} {event} before {y}", S::CompareYear { high: false }),
    ("did|was|is {x} {event} after|later than? {y}", S::CompareYear { high: true }),
    ("did|was|is {x} {event} earlier than {y}", S::CompareYear { high: false }),
    ("which|what|who is|was|are the? {more} {kind}? {x} or {y}", S::Compare),
    ("which|what {kind} is|was the? {more} {x} or {y}", S::Compare),
    ("which|what {kind}? of {x} and|or {y} is|was the? {more}", S::Compare),
    ("which|what {kind}? is|was the? {superlative} {x} or {y}", S::Compare),
    ("{x} or {y} which|what one? {kind}? is|was the? {more}", S::Compare),
    ("which|what {kind}? has|had a|the? {most} {measure} {x} or {y}", S::Compare),
    ("{x} or {y} which|what one? has|had a|the? {most} {measure}", S::Compare),
    ("does|did|has {x} have? a? {most} {measure} than {y}", S::Compare),
    ("has|did|does|have {x} {verb} more {kind} than {y}", S::ComparePeople),
    ("who|which {role}? has|have|did? {verb} the? more|most {kind} {x} or {y}", S::ComparePeople),
    ("compare the? {measure}? of|for? {x} and|with|to|against|vs|versus {y}", S::Compare),
    ("compare {x} {y}", S::Compare),
    ("what is|s|'s? the difference between {x} and {y}", S::Compare),
    ("{x} vs|versus {y} {measure}?", S::Compare),
    ("{x} compared to|with {y}", S::Compare),
    ("is|are|was there a|any|an? {kind} {called} {x}", S::Exists),
    ("is|are|was there a|any|an? {kind} with the name|title {x}", S::Exists),
    ("do|have you have|know|got? the|a|any? {kind}? {called} {x}", S::Exists),
    ("do you have {x}", S::Exists),
    ("does|do the|a? {kind}? {called}? {x} exist", S::Exists),
    ("is|are {x} in|on the|your? data|database|lake|dataset|list|catalog|catalogue|collection", S::Exists),
    ("did|has|does {x} {verb} {y}", S::Credited),
    ("is|was {y} {before} {x}", S::CreditedSwapped),
    ("is|was {x} the|a|an? {role} of|in {y}", S::Credited),
    ("is|was {x} in {y}", S::Credited),
    ("is|was|are {x} a|an|really? {value} {kind}?", S::HasValue),
    ("who {verb} {x}", S::Credits),
    ("what|which {role|people} {verb} {x}", S::Credits),
    ("who is|was|were|are|'s? the? {role} of|in|for|behind {x}", S::Credits),
    ("who is|was|were|are {x} {passive}", S::Credits),
    ("by whom was|were|is {x} {verb}", S::Credits),
    ("who was {x} {verb} by", S::Credits),
    ("who is|was|were|are|'s? in {x}", S::Credits),
    ("what|who is|was|are|were|'s? the? name|names? of? the? {role} of|in|for {x}", S::Credits),
    ("list? the? {role} of|in|from|for {x}", S::Credits),
    ("~ {x} 's {role}", S::Credits),
    ("~ who is|was|are|'s? {x} 's {role}", S::Credits),
    ("~ {x} {role}", S::Credits),
    ("when was|were|is {x} {fact}", S::Person),
    ("when did|does {x} {fact}", S::Person),
    ("what|which year was|is|did {x} {fact}", S::Person),
    ("in what|which year was|did {x} {fact}", S::Person),
    ("what|when is|was|'s? {x} 's? {fact}", S::Person),
    ("{fact} of {x}", S::Person),
    ("is {x} still? alive|dead", S::Person),
    ("when was|were|did|is|does {x} first? {event}", S::Year),
    ("in? what|which year was|were|did|is|does {x} first? {event}?", S::Year),
    ("{x} {event} when|date|year", S::Year),
    ("what|which year is|was {x} from", S::Year),
    ("from? what|which year is|was {x}", S::Year),
    ("when is|was {x} from?", S::Year),
    ("{ask} is|was|were|did|does {x} {last}?", S::Facts),
    ("{ask} a|the? {kind} is|was {x}", S::Facts),
    ("{ask} {x}", S::Facts),
    ("how many|much {unit|measure} is|was|are|does|did|has|have {x} {last}?", S::Facts),
    ("what|which {measure|dim} does|did|has|have|had|is|was|did? {x} have|get|got|receive|belong? to? {bound}?", S::Facts),
    ("what|which|what's? is|was|'s|s? the|a? {measure|dim} of|for {x}", S::Facts),
    ("what is|was|'s? {x} 's {measure|dim}", S::Facts),
    ("what is|was {x} {bound}", S::Facts),
    ("how is|was|well|high|highly? is|was? {x} {bound}", S::Facts),
    ("is|was|are {x} a|any? {superlative} {kind}?", S::Facts),
    ("what kind|type|sort of {kind} is|was {x}", S::HasValue),
    ("the? {measure|dim} of|for {x}", S::Facts),
    ("~ {x} 's {measure|dim}", S::Facts),
    ("~ {x} {measure|dim}", S::Facts),
    ("tell? me? more? about {x}", S::About),
    ("what do|can you know|tell|say me? about {x}", S::About),
    ("info|information|details|facts|data|anything about|on|for {x}", S::About),
    ("describe|lookup {x}", S::About),
    ("look up {x}", S::About),
    ("who is|was|were|'s? {x}", S::Person),
    ("~ show|find|get me? {x}", S::About),
    ("~ what is|was|'s? {x}", S::About),
    ("~ {x}", S::About),
];

/// What a pattern took from the question.
#[derive(Clone, Debug, Default)]
struct Captures {
    x: Option<(usize, usize)>,
    y: Option<(usize, usize)>,
    meanings: Vec<Vec<Meaning>>,
    last: String,
}

/// The plan of the first pattern that fits all of `tokens`.
pub(super) fn plan(question: &str, words: &Vocabulary, lexicon: &Lexicon, tokens: &[Token]) -> Option<Plan> {
    let matcher = Matcher { question, words, lexicon, tokens };
    PATTERNS.iter().find_map(|(pattern, shape)| {
        let (weak, pattern) = pattern.strip_prefix("~ ").map_or((false, *pattern), |rest| (true, rest));
        let elements: Vec<&str> = pattern.split(' ').collect();
        let captures = matcher.run(&elements, 0, Captures::default(), weak)?;
        matcher.build(*shape, &captures)
    })
}

struct Matcher<'a> {
    question: &'a str,
    words: &'a Vocabulary,
    lexicon: &'a Lexicon,
    tokens: &'a [Token],
}

impl Matcher<'_> {
    fn run(&self, elements: &[&str], at: usize, captures: Captures, weak: bool) -> Option<Captures> {
        let Some((element, rest)) = elements.split_first() else {
            return (at == self.tokens.len()).then_some(captures);
        };
        let (element, optional) = element.strip_suffix('?').map_or((*element, false), |element| (element, true));
        let taken = match element.strip_prefix('{').and_then(|class| class.strip_suffix('}')) {
            Some(hole @ ("x" | "y")) => self.fill(hole, rest, at, &captures, weak),
            Some(class) => self.class(class, rest, at, &captures, weak),
            None => {
                let token = self.tokens.get(at).filter(|token| !token.quoted && element.split('|').any(|word| word == token.norm));
                token.and_then(|_| self.run(rest, at + 1, captures.clone(), weak))
            }
        };
        taken.or_else(|| if optional { self.run(rest, at, captures, weak) } else { None })
    }

    /// The shortest span from `at` on that lets the rest fit.
    fn fill(&self, hole: &str, rest: &[&str], at: usize, captures: &Captures, weak: bool) -> Option<Captures> {
        (at + 1..=self.tokens.len()).find_map(|end| {
            if !self.may_be_name(at, end, weak) {
                return None;
            }
            let mut captures = captures.clone();
            let slot = if hole == "x" { &mut captures.x } else { &mut captures.y };
            *slot = Some((at, end));
            self.run(rest, end, captures, weak)
        })
    }

    /// The longest phrase of a class from `at` on that lets the rest fit.
    fn class(&self, class: &str, rest: &[&str], at: usize, captures: &Captures, weak: bool) -> Option<Captures> {
        (at + 1..=self.tokens.len().min(at + 5)).rev().find_map(|end| {
            let tokens = self.tokens.get(at..end)?;
            let fitting: Vec<Meaning> = self.lexicon.meanings(tokens).iter().filter(|meaning| class.split('|').any(|class| belongs(meaning, class))).copied().collect();
            let literal = class == "last" && matches!(tokens, [token] if matches!(token.norm.as_str(), "run" | "last" | "take" | "go" | "have" | "long" | "get" | "got"));
            if fitting.is_empty() && !literal {
                return None;
            }
            let mut captures = captures.clone();
            captures.meanings.push(fitting);
            captures.last = class.to_owned();
            self.run(rest, end, captures, weak)
        })
    }

    /// Whether tokens `from..to` may be a name. A weak hole takes only quoted words, and words of which the first is unknown
    /// or a capital within a question in mixed case.
    fn may_be_name(&self, from: usize, to: usize, weak: bool) -> bool {
        let Some(span) = self.tokens.get(from..to) else { return false };
        let separator = |token: &Token| !token.quoted && matches!(token.norm.as_str(), "'s" | "$" | "%");
        if span.first().is_none_or(separator) || span.len() > 14 {
            return false;
        }
        // "more money": every word is known, and one is of what the lake does not hold.
        let meanings = |token: &Token| self.lexicon.meanings(std::slice::from_ref(token));
        let lower_and_known = span.iter().all(|token| !token.quoted && !token.capital && !meanings(token).is_empty());
        if lower_and_known && span.iter().any(|token| meanings(token).iter().any(|meaning| matches!(meaning, Meaning::Absent(_)))) {
            return false;
        }
        if !weak || span.iter().any(|token| token.quoted) {
            return true;
        }
        let known = |token: &Token| !self.lexicon.meanings(std::slice::from_ref(token)).is_empty();
        let lower = span.iter().filter(|token| !token.capital && token.norm.chars().all(char::is_alphabetic));
        let small = |token: &Token| {
            self.lexicon.meanings(std::slice::from_ref(token)).iter().any(|meaning| {
                matches!(
                    meaning,
                    Meaning::Function(
                        Function::Filler | Function::Only | Function::In | Function::And | Function::To | Function::With | Function::By
                    )
                )
            })
        };
        let meaningless =
            |token: &Token| !known(token) && token.norm.chars().all(char::is_alphabetic) && self.lexicon.corrected(&token.norm).is_none();
        let article = |token: &Token| matches!(token.norm.as_str(), "the" | "a" | "an" | "of" | "and" | "in");
        if span.len() <= 4 && span.iter().all(|token| meaningless(token) || article(token)) && span.iter().any(meaningless) {
            return true;
        }
        // Every lower-case word is a small word, and some word is more than that.
        lower.into_iter().all(small) && span.iter().any(|token| token.capital && (!known(token) || span.len() > 1))
    }

    fn name(&self, span: Option<(usize, usize)>) -> Option<Name> {
        let (mut from, mut to) = span?;
        // "the film X", "film X", "X the film", "the 1975 film X".
        let is_kind = |token: &Token| {
            !token.quoted && self.lexicon.meanings(std::slice::from_ref(token)).iter().any(|meaning| matches!(meaning, Meaning::Kind(_)))
        };
        let word = |at: usize, word: &str| self.tokens.get(at).is_some_and(|token| token.norm == word);
        let mut year = None;
        let year_of =
            |at: usize| self.tokens.get(at).and_then(|token| token.norm.parse::<i64>().ok()).filter(|year| (1850..=2100).contains(year));
        if to - from > 2 && (word(to - 2, "from") || word(to - 2, "of")) && year_of(to - 1).is_some() {
            year = year_of(to - 1);
            to -= 2;
        } else if to - from > 1 && self.tokens.get(to - 1).is_some_and(|token| token.bracketed) && year_of(to - 1).is_some() {
            year = year_of(to - 1);
            to -= 1;
        } else if to - from > 2 && word(from, "the") && year_of(from + 1).is_some() {
            year = year_of(from + 1);
            from += 2;
        }
        let lead = usize::from(to - from > 2 && word(from, "the"));
        if to - from > 1 + lead && self.tokens.get(from + lead).is_some_and(is_kind) {
            from += lead + 1;
            from += usize::from(to - from > 1 && (word(from, "called") || word(from, "named") || word(from, "titled")));
        } else if to - from > 2 && word(to - 2, "the") && self.tokens.get(to - 1).is_some_and(is_kind) {
            to -= 2;
        } else if to - from > 1
            && self.tokens.get(to - 1).is_some_and(is_kind)
            && self.tokens.get(from).is_some_and(|token| token.quoted || year.is_some())
        {
            to -= 1;
        }
        let span = self.tokens.get(from..to)?;
        let (start, end) = (span.first()?.start, span.last()?.end);
        let text = self.question.get(start..end)?.trim().to_owned();
        let ordinary = |token: &Token| {
            self.lexicon.meanings(std::slice::from_ref(token)).iter().any(|meaning| {
                !matches!(meaning, Meaning::Function(Function::Filler | Function::Only | Function::In | Function::And | Function::To))
            })
        };
        let strict = span.iter().any(|token| !token.quoted && !token.capital && ordinary(token));
        Some(Name { text, year, strict })
    }

    fn build(&self, shape: Shape, captures: &Captures) -> Option<Plan> {
        let meanings = || captures.meanings.iter().flatten();
        let role = meanings().find_map(|meaning| match meaning {
            Meaning::Role(role) | Meaning::Verb(role) | Meaning::Before(role) | Meaning::Passive(role) => Some(*role),
            _ => None,
        });
        let measure = meanings().find_map(|meaning| match meaning {
            Meaning::Measure(index) | Meaning::Ask(index) | Meaning::Unit(index, _) | Meaning::Bound(index) => Some(*index),
            _ => None,
        });
        let ordered = meanings().find_map(|meaning| match meaning {
            Meaning::More(index) | Meaning::High(index) => Some((*index, true)),
            Meaning::Less(index) | Meaning::Low(index) => Some((*index, false)),
            _ => None,
        });
        let most = meanings().find_map(|meaning| match meaning {
            Meaning::Function(Function::Most | Function::Higher) => Some(true),
            Meaning::Function(Function::Least | Function::Lower) => Some(false),
            _ => None,
        });
        let dim = meanings().find_map(|meaning| if let Meaning::Dim(index) = meaning { Some(*index) } else { None });
        let year = self.words.measures.iter().position(|measure| measure.year);
        let x = self.name(captures.x)?;
        Some(match shape {
            S::Credits => Plan::Credits { name: x, role },
            S::Facts => {
                let measure = measure.or(ordered.map(|(index, _)| index));
                Plan::Facts { name: x, facts: vec![measure.map(Fact::Measure).or(dim.map(Fact::Dim))?] }
            }
            S::Year => Plan::Facts { name: x, facts: vec![Fact::Measure(year?)] },
            S::Compare => {
                let by = ordered.or_else(|| measure.map(|measure| (measure, most.unwrap_or(true))));
                Plan::Compare { names: [x, self.name(captures.y)?], by }
            }
            S::CompareYear { high } => Plan::Compare { names: [x, self.name(captures.y)?], by: Some((year?, high)) },
            S::ComparePeople => {
                let kinds = meanings().find_map(|meaning| if let Meaning::Kind(index) = meaning { Some(*index) } else { None });
                let selection = Selection { kinds: kinds.into_iter().collect(), ..Selection::default() };
                Plan::ComparePeople { names: [x, self.name(captures.y)?], role: role?, selection }
            }
            S::Exists => Plan::Exists { name: x },
            S::Credited | S::CreditedSwapped => Plan::Credited { person: x, entity: self.name(captures.y)?, role },
            S::HasValue => self.has_value(x, captures)?,
            S::About => Plan::About { name: x },
            S::Person => {
                let fact = meanings().find_map(|meaning| if let Meaning::Fact(index) = meaning { Some(*index) } else { None });
                self.words.people.as_ref()?;
                Plan::Person { name: x, fact }
            }
        })
    }

    /// "is X a comedy", or without a value "what kind of film is X".
    fn has_value(&self, name: Name, captures: &Captures) -> Option<Plan> {
        let meanings = || captures.meanings.iter().flatten();
        let value = meanings().find_map(|meaning| match meaning {
            Meaning::Value(dim, value) => Some((*dim, vec![*value])),
            Meaning::Combination(dim, index) => {
                let dimension = self.words.dimensions.get(*dim)?;
                let all = &dimension.combinations.get(*index)?.all;
                Some((*dim, all.iter().filter_map(|value| dimension.values.iter().position(|known| known.value == *value)).collect()))
            }
            _ => None,
        });
        match value {
            Some((dim, values)) => Some(Plan::HasValue { name, dim, values }),
            None if self.words.dimensions.is_empty() => None,
            None => Some(Plan::Facts { name, facts: vec![Fact::Dim(0)] }),
        }
    }
}

fn belongs(meaning: &Meaning, class: &str) -> bool {
    match class {
        "kind" => matches!(meaning, Meaning::Kind(_)),
        "measure" => matches!(meaning, Meaning::Measure(_) | Meaning::Unit(..)),
        "measurenoun" => matches!(meaning, Meaning::Measure(_) | Meaning::Bound(_)),
        "unit" => matches!(meaning, Meaning::Unit(..)),
        "ask" => matches!(meaning, Meaning::Ask(_)),
        "bound" => matches!(meaning, Meaning::Bound(_)),
        "more" => matches!(meaning, Meaning::More(_) | Meaning::Less(_)),
        "superlative" => matches!(meaning, Meaning::High(_) | Meaning::Low(_)),
        "most" => {
            matches!(meaning, Meaning::Function(Function::Most | Function::Least | Function::Higher | Function::Lower))
                || matches!(meaning, Meaning::More(_) | Meaning::Less(_))
        }
        "dim" => matches!(meaning, Meaning::Dim(_)),
        "value" => matches!(meaning, Meaning::Value(..) | Meaning::Combination(..)),
        "role" => matches!(meaning, Meaning::Role(_)),
        "people" => matches!(meaning, Meaning::People),
        "verb" => matches!(meaning, Meaning::Verb(_)),
        "before" => matches!(meaning, Meaning::Before(_)),
        "passive" => matches!(meaning, Meaning::Passive(_)),
        "event" => matches!(meaning, Meaning::Event),
        "fact" => matches!(meaning, Meaning::Fact(_)),
        "called" => matches!(meaning, Meaning::Function(Function::Called)),
        _ => false,
    }
}
