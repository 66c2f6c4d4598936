//! The known questions of the catalog that are most like a question: examples for a model.
//!
//! Owns what likeness of questions is. Questions are compared by what they ask for, not by whom they name: the planner's words become
//! the thing they stand for ("flick" is a film, "sci fi" a genre), names, years and numbers become their class, and the tokens are
//! ranked by BM25 (Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009). Among the best, one that asks nothing but what
//! one already chosen asks gives way to another. Languages for which the catalog has no words are compared by the words they share.

use std::collections::{HashMap, HashSet};

use super::{
    catalog::{Catalog, vocabulary::Vocabulary},
    words::{Word, stem, words},
};

/// Saturation; the usual value.
const K1: f64 = 1.2;
/// How much questions are held back that ask for more besides; the usual value.
const B: f64 = 0.75;
/// How much of its score a question loses that asks the same as one already chosen.
const SAME: f64 = 0.35;
/// What the score of an unanswerable question is worth where nothing was asked that the lake does not hold.
const ANSWERABLE: f64 = 0.4;
/// What the score of an unanswerable question is worth that lacks the very thing that is asked for.
const LACKING: f64 = 1.2;
/// Token for what the lake does not hold.
const ABSENT: &str = "<absent>";
/// How the token for one such thing begins.
const ABSENT_OF: &str = "<absent ";

/// A known question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Index of a verified query.
    Query(usize),
    /// Index of an unanswerable question.
    Unanswerable(usize),
}

/// The known questions of a catalog, ready to be compared with.
#[derive(Clone, Debug)]
pub struct Index {
    lexicon: Lexicon,
    questions: Vec<Question>,
    /// In how many questions a token is.
    frequency: HashMap<String, usize>,
    /// Mean number of tokens of a question.
    length: f64,
}

#[derive(Clone, Debug)]
struct Question {
    known: Known,
    tokens: Vec<String>,
}

impl Index {
    /// The verified queries and unanswerable questions of `catalog`.
    #[must_use]
    pub fn new(catalog: &Catalog) -> Self {
        let lexicon = catalog.planner.as_ref().map(Lexicon::new).unwrap_or_default();
        let queries = catalog.queries.iter().enumerate().map(|(at, query)| (Known::Query(at), catalog.fill(&query.question)));
        let others = catalog.unanswerable.iter().enumerate().map(|(at, other)| (Known::Unanswerable(at), catalog.fill(&other.question)));
        let mut questions: Vec<Question> =
            queries.chain(others).map(|(known, text)| Question { known, tokens: lexicon.tokens(&text) }).collect();
        for question in &mut questions {
            // What is missing need not stand in the question: "Where can I watch it?" names no place.
            if let Some(other) = match question.known {
                Known::Unanswerable(at) => catalog.unanswerable.get(at),
                Known::Query(_) => None,
            } {
                question.tokens.extend([ABSENT.to_owned(), absent(&other.missing)]);
            }
        }
        let mut frequency: HashMap<String, usize> = HashMap::new();
        for question in &questions {
            for token in question.tokens.iter().collect::<HashSet<_>>() {
                *frequency.entry(token.clone()).or_default() += 1;
            }
        }
        let tokens: usize = questions.iter().map(|question| question.tokens.len()).sum();
        let length = tokens as f64 / questions.len().max(1) as f64;
        Self { lexicon, questions, frequency, length }
    }

    /// At most `k` known questions that have something in common with `question`, the most similar first; equals in the
    /// catalog's order.
    #[must_use]
    pub fn nearest(&self, question: &str, k: usize) -> Vec<Known> {
        let asked = self.lexicon.tokens(question);
        let mut left: Vec<(f64, &Question)> =
            self.questions.iter().map(|known| (self.score(&asked, known), known)).filter(|(score, _)| *score > 0.0).collect();
        let mut chosen: Vec<&Question> = Vec::new();
        while chosen.len() < k && !left.is_empty() {
            let worth = |(score, question): &(f64, &Question)| {
                let same = chosen.iter().map(|chosen| shared(&chosen.tokens, &question.tokens)).fold(0.0, f64::max);
                score * SAME.mul_add(-same * same, 1.0)
            };
            let mut best = (0, f64::MIN);
            for (at, candidate) in left.iter().enumerate() {
                let worth = worth(candidate);
                if worth > best.1 {
                    best = (at, worth);
                }
            }
            chosen.push(left.remove(best.0).1);
        }
        chosen.into_iter().map(|question| question.known).collect()
    }

    fn score(&self, asked: &[String], known: &Question) -> f64 {
        let count = self.questions.len() as f64;
        let held_back = B.mul_add(known.tokens.len() as f64 / self.length.max(1.0), 1.0 - B);
        let of_token = |token: &String| {
            // A word said twice in one question asks for nothing more than said once.
            let there = if known.tokens.contains(token) { 1.0 } else { 0.0 };
            let frequency = self.frequency.get(token).copied().unwrap_or_default() as f64;
            let rare = (1.0 + (count - frequency + 0.5) / (frequency + 0.5)).ln();
            rare * there * (K1 + 1.0) / K1.mul_add(held_back, there)
        };
        let unique: HashSet<&String> = asked.iter().collect();
        let mut parts: Vec<f64> = unique.into_iter().map(of_token).collect();
        // Sums of the same numbers in another order may differ in their last digit, and so could the order of equals.
        parts.sort_by(f64::total_cmp);
        let score: f64 = parts.into_iter().sum();
        let lacks = |token: &&String| token.starts_with(ABSENT_OF);
        match known.known {
            Known::Query(_) => score,
            Known::Unanswerable(_) if !asked.iter().any(|token| token == ABSENT) => score * ANSWERABLE,
            Known::Unanswerable(_) if asked.iter().filter(lacks).any(|token| known.tokens.contains(token)) => score * LACKING,
            Known::Unanswerable(_) => score,
        }
    }
}

/// Token for one of the things that the lake does not hold.
fn absent(label: &str) -> String {
    format!("{ABSENT_OF}{}>", label.trim())
}

/// The share of tokens that two questions have in common.
fn shared(a: &[String], b: &[String]) -> f64 {
    let (a, b): (HashSet<&String>, HashSet<&String>) = (a.iter().collect(), b.iter().collect());
    let all = a.union(&b).count();
    if all == 0 { 0.0 } else { a.intersection(&b).count() as f64 / all as f64 }
}

/// Words that say nothing of what is asked.
const EMPTY: &[&str] = &[
    "a", "all", "an", "and", "are", "at", "be", "can", "did", "do", "does", "find", "for", "get", "give", "had", "has", "have", "i", "in",
    "is", "it", "its", "list", "me", "my", "of", "on", "or", "please", "s", "show", "tell", "that", "the", "their", "there", "they",
    "this", "to", "was", "we", "were", "what", "which", "you", "your",
];

/// Ways to ask for the same kind of result, whatever the lake is about. Longer ones first where one begins another.
const SHAPES: &[(&str, &[&str])] = &[
    ("<all of one>", &["tell me about", "tell me more about", "information about", "details of", "facts about"]),
    ("<count>", &["how many", "number of", "count of", "count", "total number of", "how often"]),
    ("<average>", &["on average", "average", "mean", "avg"]),
    ("<median>", &["median", "typical"]),
    ("<total>", &["in total", "total", "altogether", "sum", "sum of", "combined"]),
    ("<share>", &["what percentage", "percentage", "percent", "share", "fraction", "proportion"]),
    ("<each>", &["of each", "in each", "for each", "each", "per", "every", "by", "grouped by", "broken down by"]),
    ("<high>", &["top"]),
    ("<most>", &["the most", "most"]),
    ("<more>", &["more than", "over", "above", "at least", "or more", "greater than", "exceeding"]),
    ("<less>", &["less than", "fewer than", "under", "below", "at most", "or less"]),
    ("<since>", &["since", "after", "from"]),
    ("<before>", &["before", "until", "up to"]),
    ("<both>", &["both", "together", "as well as"]),
    ("<change>", &["over time", "trend", "change", "year to year", "year over year", "grow", "growth"]),
    ("<without>", &["without", "no", "never", "not", "missing"]),
    ("<than>", &["than", "compared", "versus", "vs"]),
    ("<same>", &["same", "identical"]),
];

/// Words that stand before a person's name in the catalog and before much else besides.
const PREPOSITIONS: &[&str] = &["by", "for", "from", "in", "of", "with"];

/// Number words.
const NUMBERS: &[&str] = &[
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "fifteen", "twenty", "thirty",
    "forty", "fifty", "hundred", "thousand", "million",
];

/// Which words stand for what.
#[derive(Clone, Debug, Default)]
struct Lexicon {
    /// Phrases by their stems, with the tokens they become.
    phrases: HashMap<Vec<String>, Vec<String>>,
    /// Words of the longest phrase.
    longest: usize,
}

impl Lexicon {
    fn new(vocabulary: &Vocabulary) -> Self {
        let mut lexicon = Self::default();
        // The first meaning of a phrase stays: the narrow ones come first.
        for dimension in &vocabulary.dimensions {
            let value = format!("<{}>", dimension.name);
            let values = dimension.values.iter().flat_map(|value| value.words.iter().chain([&value.value]));
            lexicon.add(values.chain(dimension.combinations.iter().flat_map(|both| &both.words)), &[&value]);
            lexicon.add(dimension.nouns.iter().chain([&dimension.plural]), &[&format!("<{}s>", dimension.name)]);
        }
        for kind in &vocabulary.entity.kinds {
            lexicon.add(kind.nouns.iter().chain([&kind.plural]), &["<kind>", &format!("<kind {}>", kind.plural)]);
        }
        for measure in &vocabulary.measures {
            let name = format!("<{}>", measure.name);
            for (words, of_measure, aspect, either) in [
                (&measure.high, "high", "<high>", "<ranking>"),
                (&measure.low, "low", "<low>", "<ranking>"),
                (&measure.more, "more", "<more>", "<comparison>"),
                (&measure.less, "less", "<less>", "<comparison>"),
                (&measure.asks, "ask", "<ask>", "<one>"),
            ] {
                lexicon.add(words, &[&name, &format!("<{} {of_measure}>", measure.name), aspect, either]);
            }
            if measure.default {
                lexicon.add(&["top".to_owned()], &[&name, &format!("<{} high>", measure.name), "<high>", "<ranking>"]);
            }
            lexicon.add(&measure.nouns, &[&name]);
            lexicon.add(&measure.before_bound, &[&name]);
            lexicon.add(measure.units.iter().flat_map(|unit| &unit.words), &[&name, "<unit>"]);
        }
        // What is made is no less an event than somebody's part.
        lexicon.add(&vocabulary.entity.events, &["<event>"]);
        if let Some(people) = &vocabulary.people {
            for role in &people.roles {
                let name = format!("<role {}>", role.name);
                lexicon.add(role.nouns.iter().chain([&role.plural]), &["<role>", "<role noun>", &name]);
                lexicon.add(
                    role.verbs.iter().chain(role.before_name.iter().filter(|words| !PREPOSITIONS.contains(&words.as_str()))),
                    &["<role>", "<role verb>", &name],
                );
            }
            for fact in &people.facts {
                lexicon.add(&fact.words, &["<fact>", &format!("<fact {}>", fact.label)]);
            }
            lexicon.add(people.nouns.iter().chain([&people.plural]), &["<person>"]);
        }
        lexicon.add(&vocabulary.entity.name_nouns, &["<name noun>"]);
        lexicon.add(vocabulary.decades.iter().flat_map(|decade| &decade.words), &["<decade>"]);
        for lacking in &vocabulary.absent {
            lexicon.add(&lacking.words, &[ABSENT, &absent(&lacking.label)]);
        }
        lexicon
    }

    fn add<'a>(&mut self, phrases: impl IntoIterator<Item = &'a String>, tokens: &[&str]) {
        for phrase in phrases {
            let stems: Vec<String> = words(phrase).iter().map(|word| stem(&word.folded)).collect();
            self.longest = self.longest.max(stems.len());
            self.phrases.entry(stems).or_insert_with(|| tokens.iter().map(|&token| token.to_owned()).collect());
        }
    }

    /// What a question asks for, in order.
    fn tokens(&self, question: &str) -> Vec<String> {
        let words = words(question);
        let stems: Vec<String> = words.iter().map(|word| stem(&word.folded)).collect();
        let mut tokens: Vec<String> = Vec::new();
        let mut at = 0;
        while let (Some(word), Some(stem)) = (words.get(at), stems.get(at)) {
            if let Some(length) = self.name(&words, &stems, at) {
                tokens.push("<name>".to_owned());
                at += length;
            } else if let Some((length, meaning)) = self.phrase(&stems, at) {
                tokens.extend(meaning.iter().cloned());
                at += length;
            } else if let Some((length, shape)) = shape(&words, at) {
                tokens.push(shape.to_owned());
                at += length;
            } else {
                tokens.extend(class(word).map(str::to_owned).or_else(|| (!EMPTY.contains(&word.folded.as_str())).then(|| stem.clone())));
                at += 1;
            }
        }
        tokens
    }

    /// How many words from here are a phrase, and what it stands for; the longest one.
    fn phrase(&self, stems: &[String], at: usize) -> Option<(usize, &[String])> {
        (1..=self.longest).rev().find_map(|length| {
            let meaning = self.phrases.get(stems.get(at..at + length)?)?;
            Some((length, meaning.as_slice()))
        })
    }

    /// How many words from here are a name: a text in quotes, or a run of capitals that is not the beginning of the question.
    fn name(&self, words: &[Word], stems: &[String], at: usize) -> Option<usize> {
        let quoted = words.iter().skip(at).take_while(|word| word.quoted).count();
        if quoted > 0 {
            return Some(quoted);
        }
        let is_part = |at: usize| words.get(at).is_some_and(|word| word.capital);
        if at == 0 || !is_part(at) {
            return None;
        }
        let mut end = at;
        while is_part(end)
            || (is_part(end + 1)
                && words.get(end).is_some_and(|word| matches!(word.folded.as_str(), "of" | "the" | "and" | "de" | "von" | "van")))
        {
            // Two names with "and" between them are two.
            if words.get(end).is_some_and(|word| word.folded == "and") {
                break;
            }
            end += 1;
        }
        // A word of the catalog that is written with a capital: "TV series", "Sci-Fi films", "IMDb".
        let known = self.phrase(stems, at).is_some_and(|(length, _)| length >= end - at);
        (!known).then_some(end - at)
    }
}

/// How many words from here ask for a kind of result, and for which.
fn shape(words: &[Word], at: usize) -> Option<(usize, &'static str)> {
    let says = |phrase: &str| {
        let length = phrase.split(' ').count();
        let there = words.get(at..at + length)?;
        there.iter().zip(phrase.split(' ')).all(|(word, wanted)| word.folded == wanted).then_some(length)
    };
    let found = SHAPES.iter().flat_map(|(shape, phrases)| phrases.iter().filter_map(move |phrase| Some((says(phrase)?, *shape))));
    found.max_by_key(|(length, _)| *length)
}

/// The class of a number, year or decade.
fn class(word: &Word) -> Option<&'static str> {
    let text = word.folded.as_str();
    let digits = text.strip_suffix('s').unwrap_or(text);
    let is_number = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_digit())
            && text.chars().all(|letter| letter.is_ascii_digit() || matches!(letter, ',' | '.'))
    };
    if digits.len() < text.len() && is_number(digits) {
        return Some("<decade>");
    }
    if text.len() == 4 && text.parse::<u32>().is_ok_and(|year| (1500..2200).contains(&year)) {
        return Some("<year value>");
    }
    (is_number(text) || NUMBERS.contains(&text)).then_some("<number>")
}

#[cfg(test)]
mod tests {
    use super::{Index, Known};
    use crate::sql::Catalog;

    /// A question, and the verified query that must be among the first three for it.
    const LIKE: &[(&str, &str)] = &[
        ("What are the 5 best rated flicks?", "What are the top 10 rated films?"),
        ("top 20 movies", "What are the top 10 rated films?"),
        ("Best sci fi movies of the 1990s", "Which horror films of the 1980s are best?"),
        ("worst westerns of the 70s", "Which horror films of the 1980s are best?"),
        ("How many thrillers were released in 2003?", "How many comedies came out in 1994?"),
        ("number of dramas made in 1977", "How many comedies came out in 1994?"),
        ("mean score per category", "What is the average rating of films by genre?"),
        ("Average rating for each genre", "What is the average rating of films by genre?"),
        ("movies per decade", "How many films were made in each decade?"),
        ("How many movies came out every decade?", "How many films were made in each decade?"),
        ("Who directed Blade Runner?", "Who directed Jaws?"),
        ("who was the director of The Last Emperor", "Who directed Jaws?"),
        ("Who wrote Chinatown?", "Who directed Jaws?"),
        ("What did Sofia Coppola direct?", "What did Steven Spielberg direct?"),
        ("Which movies did Akira Kurosawa direct?", "What did Steven Spielberg direct?"),
        ("films directed by Jane Campion", "What did Steven Spielberg direct?"),
        ("Which filmmaker made the most movies?", "Which directors made the most films?"),
        ("directors with the most films", "Which directors made the most films?"),
        ("What is the runtime of Lawrence of Arabia?", "How long is Titanic?"),
        ("how long is \"the seventh seal\"", "How long is Titanic?"),
        ("movies that run longer than 150 minutes", "Which films are longer than three hours?"),
        ("Which movies last more than 4 hours?", "Which films are longer than three hours?"),
        ("Is Heat rated better than Ronin?", "Is Alien rated higher than Jaws?"),
        ("Which is rated lower, Gandhi or Reds?", "Is Alien rated higher than Jaws?"),
        ("movies with \"night\" in their title", "Which films have star in the title?"),
    ];

    fn nearest(catalog: &Catalog, question: &str, k: usize) -> Vec<String> {
        let text = |known: Known| match known {
            Known::Query(at) => catalog.queries[at].question.clone(),
            Known::Unanswerable(at) => catalog.unanswerable[at].question.clone(),
        };
        Index::new(catalog).nearest(question, k).into_iter().map(text).collect()
    }

    #[test]
    fn questions_find_the_verified_query_of_their_shape() {
        let catalog = Catalog::embedded().unwrap();
        let mut faults = String::new();
        for (question, expected) in LIKE {
            let found = nearest(&catalog, question, 3);
            if !found.iter().any(|found| found == expected) {
                faults.push_str(&format!("{question}: {found:?}, not {expected:?}\n"));
            }
        }
        assert!(faults.is_empty(), "{faults}");
    }

    #[test]
    fn every_verified_query_is_nearest_to_itself() {
        let catalog = Catalog::embedded().unwrap();
        for query in &catalog.queries {
            assert_eq!(nearest(&catalog, &query.question, 1).first(), Some(&query.question));
        }
    }

    #[test]
    fn names_do_not_count_their_shape_does() {
        let catalog = Catalog::embedded().unwrap();
        for question in ["Who directed Vertigo?", "Who directed The Thin Red Line?", "Who directed \"Up\"?"] {
            assert_eq!(nearest(&catalog, question, 3), nearest(&catalog, "Who directed Jaws?", 3), "{question}");
        }
    }

    #[test]
    fn what_the_lake_does_not_hold_is_nearest_to_what_it_does_not_hold() {
        let catalog = Catalog::embedded().unwrap();
        let index = Index::new(&catalog);
        for question in ["How much did Avatar gross?", "Which actor won the most academy awards?", "Is Heat on Netflix?"] {
            assert!(index.nearest(question, 3).iter().any(|known| matches!(known, Known::Unanswerable(_))), "{question}");
        }
        for (question, _) in LIKE {
            assert!(index.nearest(question, 3).iter().all(|known| matches!(known, Known::Query(_))), "{question}");
        }
    }

    #[test]
    fn two_questions_of_one_shape_do_not_both_take_a_place() {
        let catalog: Catalog = serde_json::from_value(serde_json::json!({
            "name": "x", "tables": [],
            "queries": [
                {"question": "Which town is big?", "sql": "SELECT 1"},
                {"question": "Which town is big", "sql": "SELECT 2"},
                {"question": "Which town is big and far?", "sql": "SELECT 3"},
                {"question": "Who lives there?", "sql": "SELECT 4"},
            ],
        }))
        .unwrap();
        let index = Index::new(&catalog);
        assert_eq!(index.nearest("Which town is big?", 2), [Known::Query(0), Known::Query(2)]);
        assert_eq!(index.nearest("quux", 2), []);
    }

    #[test]
    fn other_languages_are_compared_by_the_words_they_share() {
        let catalog: Catalog = serde_json::from_value(serde_json::json!({
            "name": "x", "tables": [],
            "queries": [
                {"question": "Welche Städte haben die meisten Einwohner?", "sql": "SELECT 1"},
                {"question": "どの町が一番大きいですか", "sql": "SELECT 2"},
                {"question": "Combien de villes y a-t-il ?", "sql": "SELECT 3"},
            ],
        }))
        .unwrap();
        let index = Index::new(&catalog);
        assert_eq!(index.nearest("Wie viele Einwohner haben die STADTE im Norden?", 1), [Known::Query(0)]);
        assert_eq!(index.nearest("combien de villes", 1), [Known::Query(2)]);
    }
}
