//! What words mean: the catalog's vocabulary together with English function words.
//!
//! Owns the table of phrases and the cutting of tokens into items by the longest known phrase. The only words written here
//! are function words of English; everything about a lake comes from its catalog.

use std::collections::HashMap;

use crate::sql::catalog::vocabulary::Vocabulary;

use super::words::{self, Token};

/// What a phrase may mean. Numbers are indexes into the vocabulary's lists.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning {
    Kind(usize),
    Measure(usize),
    High(usize),
    Low(usize),
    More(usize),
    Less(usize),
    Bound(usize),
    Ask(usize),
    Unit(usize, f64),
    Dim(usize),
    Value(usize, usize),
    Combination(usize, usize),
    Role(usize),
    Verb(usize),
    Before(usize),
    Passive(usize),
    People,
    Fact(usize),
    NameNoun,
    Event,
    Decade(i64),
    Absent(usize),
    Function(Function),
}

/// English function words, by what they do in a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Filler,
    Who,
    Which,
    When,
    HowMany,
    Average,
    Sum,
    Max,
    Min,
    Top,
    Bottom,
    Most,
    Least,
    By,
    Per,
    In,
    Since,
    Before,
    After,
    Until,
    To,
    Between,
    And,
    Or,
    Not,
    With,
    Than,
    Above,
    AtLeast,
    Below,
    AtMost,
    Exactly,
    OrMore,
    OrLess,
    Called,
    Containing,
    Sort,
    Ascending,
    Descending,
    First,
    Only,
    Owner,
    Common,
    DecadeNoun,
    Start,
    Higher,
    Lower,
}

use Function as F;

const FUNCTIONS: &[(Function, &[&str])] = &[
    (
        F::Filler,
        &[
            "a",
            "an",
            "the",
            "please",
            "can",
            "could",
            "would",
            "will",
            "you",
            "i",
            "me",
            "my",
            "we",
            "us",
            "it",
            "its",
            "they",
            "their",
            "them",
            "is",
            "are",
            "was",
            "were",
            "be",
            "been",
            "being",
            "do",
            "does",
            "did",
            "have",
            "has",
            "had",
            "there",
            "that",
            "those",
            "these",
            "this",
            "tell",
            "show",
            "give",
            "list",
            "find",
            "get",
            "display",
            "name",
            "fetch",
            "return",
            "what",
            "whats",
            "what's",
            "want",
            "to know",
            "would like",
            "like to see",
            "like to know",
            "know",
            "need",
            "see",
            "all",
            "any",
            "some",
            "also",
            "overall",
            "hi",
            "hello",
            "hey",
            "thanks",
            "thank you",
            "exist",
            "exists",
            "existing",
            "different",
            "list of",
            "kind of",
            "so",
            "well",
            "how about",
            "what about",
            "one",
            "ones",
            "let",
            "let's",
            "whose",
            "got",
            "available",
            "possible",
            "altogether",
            "in total",
            "listed",
            "recommend",
            "suggest",
            "kinds of",
            "types of",
            "as",
            "which are",
            "who are",
            "for me",
            "search",
            "search for",
            "look for",
            "looking for",
            "i'm",
            "i'd",
            "like",
            "everything",
            "anything",
        ],
    ),
    (F::Who, &["who", "whom", "who's", "by whom"]),
    (F::Which, &["which", "which of"]),
    (F::When, &["when"]),
    (F::HowMany, &["how many", "number of", "count of", "count", "how much", "total number of", "total count of", "amount of"]),
    (F::Average, &["average", "mean", "avg", "on average", "averaged", "typical"]),
    (F::Sum, &["sum", "sum of", "total", "combined", "sum up", "in sum"]),
    (F::Max, &["maximum", "max"]),
    (F::Min, &["minimum", "min"]),
    (F::Top, &["top"]),
    (F::Bottom, &["bottom"]),
    (F::Most, &["most", "highest", "largest", "best", "greatest", "biggest", "high"]),
    (F::Least, &["fewest", "least", "lowest", "smallest", "worst", "low"]),
    (F::By, &["by"]),
    (
        F::Per,
        &[
            "per",
            "for each",
            "each",
            "in each",
            "every",
            "for every",
            "in every",
            "of each",
            "grouped by",
            "group by",
            "broken down by",
            "split by",
            "for all",
            "across",
        ],
    ),
    (F::In, &["in", "from", "of", "during", "within", "for", "on", "at", "out of", "among", "between the"]),
    (F::Since, &["since", "starting in", "starting from", "beginning in", "from after"]),
    (F::Before, &["before", "prior to", "earlier than", "older than"]),
    (F::After, &["after", "later than", "newer than", "more recent than"]),
    (F::Until, &["until", "till", "through", "up until"]),
    (F::To, &["to"]),
    (F::Between, &["between"]),
    (F::And, &["and", "as well as", "plus"]),
    (F::Or, &["or", "either"]),
    (
        F::Not,
        &[
            "not",
            "without",
            "except",
            "excluding",
            "non",
            "but not",
            "no",
            "other than",
            "aren't",
            "are not",
            "is not",
            "isn't",
            "that are not",
        ],
    ),
    (F::With, &["with", "having", "that have", "which have", "with a", "with an", "that has", "which has", "who have", "who has"]),
    (F::Than, &["than"]),
    (F::Above, &["above", "over", "more than", "greater than", "higher than", "better than", "exceeding", "bigger than", "longer than"]),
    (F::AtLeast, &["at least", "minimum of", "a minimum of", "no less than", "not less than", "no fewer than"]),
    (F::Below, &["below", "under", "less than", "lower than", "fewer than", "smaller than", "worse than", "shorter than"]),
    (F::AtMost, &["at most", "up to", "no more than", "not more than", "maximum of", "a maximum of", "no longer than"]),
    (F::Exactly, &["exactly", "equal to", "equals", "precisely"]),
    (
        F::OrMore,
        &[
            "or more",
            "or higher",
            "or above",
            "or later",
            "and up",
            "and above",
            "onwards",
            "onward",
            "and later",
            "or newer",
            "or longer",
            "or better",
            "and higher",
            "or over",
            "and onwards",
            "on",
        ],
    ),
    (F::OrLess, &["or less", "or lower", "or earlier", "or below", "or fewer", "or shorter", "and below", "and earlier", "or under"]),
    (F::Called, &["called", "named", "titled", "entitled"]),
    (
        F::Containing,
        &[
            "containing",
            "contains",
            "contain",
            "that contain",
            "which contain",
            "including",
            "includes",
            "include",
            "has the word",
            "have the word",
            "with the word",
            "containing the word",
            "contains the word",
            "contain the word",
            "including the word",
            "the word",
            "word",
        ],
    ),
    (
        F::Sort,
        &[
            "sorted by",
            "ordered by",
            "ranked by",
            "order by",
            "sort by",
            "rank by",
            "in order of",
            "sorted on",
            "according to",
            "in terms of",
            "judged by",
            "based on",
        ],
    ),
    (F::Ascending, &["ascending", "asc", "increasing"]),
    (F::Descending, &["descending", "desc", "decreasing"]),
    (F::First, &["first"]),
    (F::Only, &["only", "just"]),
    (F::Owner, &["'s"]),
    (F::Common, &["common", "frequent", "often", "commonly", "frequently"]),
    (F::DecadeNoun, &["decade", "decades"]),
    (F::Higher, &["higher", "greater", "more", "larger"]),
    (F::Lower, &["lower", "fewer", "less"]),
    (F::Start, &["start", "starting", "begin", "beginning", "start with", "starts with", "starting with"]),
];

/// What a phrase means, and whether it was a plural.
#[derive(Clone, Debug, Default)]
struct Entry {
    meanings: Vec<Meaning>,
    plural: bool,
}

/// The table of phrases.
#[derive(Clone, Debug, Default)]
pub(super) struct Lexicon {
    phrases: HashMap<Vec<String>, Entry>,
    longest: usize,
    /// Single words of which a typo may be corrected.
    correctable: Vec<String>,
}

/// One or more tokens that mean something together, or one that means nothing known.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Tokens `from..to`.
    pub(super) from: usize,
    pub(super) to: usize,
    /// Empty when unknown.
    pub(super) meanings: Vec<Meaning>,
    /// The number it reads as.
    pub(super) number: Option<f64>,
    /// Whether it is a noun in the plural.
    pub(super) plural: bool,
}

impl Item {
    /// Whether it has the function `wanted`.
    pub(super) fn is(&self, wanted: Function) -> bool {
        self.meanings.contains(&Meaning::Function(wanted))
    }

    /// The first meaning that `pick` accepts.
    pub(super) fn find<T>(&self, pick: impl FnMut(&Meaning) -> Option<T>) -> Option<T> {
        self.meanings.iter().find_map(pick)
    }

    /// Whether nothing is known of it: no meaning and no number.
    pub(super) fn unknown(&self) -> bool {
        self.meanings.is_empty() && self.number.is_none()
    }
}

impl Lexicon {
    /// The table for one vocabulary.
    pub(super) fn new(vocabulary: &Vocabulary) -> Self {
        let mut lexicon = Self { phrases: HashMap::new(), longest: 1, correctable: Vec::new() };
        for (function, phrases) in FUNCTIONS {
            lexicon.words(phrases, Meaning::Function(*function));
        }
        lexicon.entity(vocabulary);
        lexicon.measures(vocabulary);
        lexicon.dimensions(vocabulary);
        lexicon.people(vocabulary);
        for (index, absent) in vocabulary.absent.iter().enumerate() {
            lexicon.nouns(&absent.words, Meaning::Absent(index));
        }
        for decade in &vocabulary.decades {
            lexicon.words(&decade.words, Meaning::Decade(decade.from));
        }
        lexicon.words(&vocabulary.skip, Meaning::Function(F::Filler));
        lexicon.correctable = lexicon.phrases.keys().flatten().filter(|word| word.chars().count() >= 5).cloned().collect();
        lexicon.correctable.sort();
        lexicon.correctable.dedup();
        lexicon
    }

    fn entity(&mut self, vocabulary: &Vocabulary) {
        let entity = &vocabulary.entity;
        for (index, kind) in entity.kinds.iter().enumerate() {
            self.nouns(&kind.nouns, Meaning::Kind(index));
        }
        self.nouns(&entity.name_nouns, Meaning::NameNoun);
        self.words(&entity.events, Meaning::Event);
    }

    fn measures(&mut self, vocabulary: &Vocabulary) {
        for (index, measure) in vocabulary.measures.iter().enumerate() {
            self.nouns(&measure.nouns, Meaning::Measure(index));
            self.words(&measure.high, Meaning::High(index));
            self.words(&measure.low, Meaning::Low(index));
            self.words(&measure.more, Meaning::More(index));
            self.words(&measure.less, Meaning::Less(index));
            self.words(&measure.before_bound, Meaning::Bound(index));
            self.words(&measure.asks, Meaning::Ask(index));
            for unit in &measure.units {
                self.nouns(&unit.words, Meaning::Unit(index, unit.factor));
            }
        }
    }

    fn dimensions(&mut self, vocabulary: &Vocabulary) {
        for (index, dimension) in vocabulary.dimensions.iter().enumerate() {
            self.nouns(&dimension.nouns, Meaning::Dim(index));
            for (at, value) in dimension.values.iter().enumerate() {
                self.nouns(&value.words, Meaning::Value(index, at));
                self.nouns(std::slice::from_ref(&value.value), Meaning::Value(index, at));
            }
            for (at, combination) in dimension.combinations.iter().enumerate() {
                self.nouns(&combination.words, Meaning::Combination(index, at));
            }
        }
    }

    fn people(&mut self, vocabulary: &Vocabulary) {
        let Some(people) = &vocabulary.people else { return };
        self.nouns(&people.nouns, Meaning::People);
        for (index, fact) in people.facts.iter().enumerate() {
            self.words(&fact.words, Meaning::Fact(index));
        }
        for (index, role) in people.roles.iter().enumerate() {
            self.nouns(&role.nouns, Meaning::Role(index));
            self.words(&role.verbs, Meaning::Verb(index));
            self.words(&role.before_name, Meaning::Before(index));
            self.words(role.passive.as_slice(), Meaning::Passive(index));
        }
    }

    fn nouns(&mut self, nouns: &[String], meaning: Meaning) {
        for noun in nouns {
            self.add(words::normal_words(noun), meaning, false);
            self.add(words::normal_words(&words::plural(noun)), meaning, true);
        }
    }

    fn words(&mut self, phrases: &[impl AsRef<str>], meaning: Meaning) {
        for phrase in phrases {
            // The tokenizer cuts the possessive off a word; on its own it would not be one.
            let words = if phrase.as_ref() == "'s" { vec!["'s".to_owned()] } else { words::normal_words(phrase.as_ref()) };
            self.add(words, meaning, false);
        }
    }

    fn add(&mut self, phrase: Vec<String>, meaning: Meaning, plural: bool) {
        self.longest = self.longest.max(phrase.len());
        let entry = self.phrases.entry(phrase).or_default();
        if !entry.meanings.contains(&meaning) {
            entry.meanings.push(meaning);
        }
        // What is a singular anywhere ("series") counts as one only if it is never listed as such first.
        entry.plural |= plural;
    }

    /// Cuts tokens into items, each the longest known phrase from where it begins.
    pub(super) fn items(&self, tokens: &[Token]) -> Vec<Item> {
        let mut items = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let item = self.item(tokens, at);
            at = item.to;
            items.push(item);
        }
        items
    }

    fn item(&self, tokens: &[Token], from: usize) -> Item {
        let number = tokens.get(from..).and_then(words::number);
        let decade = tokens.get(from).filter(|token| !token.quoted).and_then(|token| words::decade(&token.norm));
        let entry = self.longest_phrase(tokens, from);
        let known = entry.map_or(0, |(_, length)| length);
        if let Some(first) = decade {
            return Item { from, to: from + 1, meanings: vec![Meaning::Decade(first)], number: None, plural: false };
        }
        match (number, entry) {
            (Some((value, taken)), _) if taken >= known => {
                Item { from, to: from + taken, meanings: Vec::new(), number: Some(value), plural: false }
            }
            (_, Some((entry, length))) => {
                Item { from, to: from + length, meanings: entry.meanings.clone(), number: None, plural: entry.plural }
            }
            _ => Item { from, to: from + 1, meanings: Vec::new(), number: None, plural: false },
        }
    }

    fn longest_phrase(&self, tokens: &[Token], from: usize) -> Option<(&Entry, usize)> {
        let available = tokens.get(from..)?.iter().take(self.longest).take_while(|token| !token.quoted).count();
        (1..=available).rev().find_map(|length| {
            let words: Vec<String> = tokens.get(from..from + length)?.iter().map(|token| token.norm.clone()).collect();
            self.phrases.get(&words).map(|entry| (entry, length))
        })
    }

    /// The meanings of exactly these tokens, and whether they are a plural.
    pub(super) fn meanings(&self, tokens: &[Token]) -> &[Meaning] {
        let words: Vec<String> = tokens.iter().filter(|token| !token.quoted).map(|token| token.norm.clone()).collect();
        if words.len() != tokens.len() {
            return &[];
        }
        self.phrases.get(&words).map_or(&[], |entry| &entry.meanings)
    }

    /// The one known word that `word` is a typo of: one letter off, two from eight letters on, and no other as near.
    pub(super) fn corrected(&self, word: &str) -> Option<&str> {
        let length = word.chars().count();
        if length < 5 || word.chars().any(|letter| !letter.is_alphabetic()) {
            return None;
        }
        let bound = if length >= 8 { 2 } else { 1 };
        let mut near: Vec<(usize, &str)> = self
            .correctable
            .iter()
            .filter(|known| known.chars().next() == word.chars().next())
            .map(|known| (strsim::damerau_levenshtein(known, word), known.as_str()))
            .filter(|(distance, _)| (1..=bound).contains(distance))
            .collect();
        near.sort_unstable();
        match near.as_slice() {
            [(_, only)] => Some(only),
            [(first, best), (second, _), ..] if first < second => Some(best),
            _ => None,
        }
    }
}
