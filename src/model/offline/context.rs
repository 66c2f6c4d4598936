//! Tells a question that goes on from the one before it, which the planner does not remember.
//!
//! Owns the signs of it: how it opens, the words that stand for something said before, and what it leaves out.

use super::{
    draft::Draft,
    lexicon::{Item, Lexicon, Meaning},
    plan::Plan,
    words::Token,
};

/// How a question opens that goes on from another.
const OPENINGS: [&[&str]; 4] = [&["and"], &["only"], &["what", "about"], &["how", "about"]];
/// What stands for something said before.
const PRONOUNS: [&str; 10] = ["it", "them", "they", "those", "these", "he", "him", "she", "her", "his"];
/// What does so where the question has no noun of its own for it.
const OWNERS: [&str; 2] = ["their", "its"];
/// What does so at the end of a question.
const LAST: [&str; 3] = ["that", "this", "ones"];
/// What makes a sentence of a question.
const VERBS: [&str; 22] = [
    "is", "are", "was", "were", "do", "does", "did", "has", "have", "had", "can", "show", "give", "list", "find", "tell", "get", "name",
    "what's", "who's", "want", "see",
];

/// Whether `tokens` say by themselves that they go on from another question.
pub(super) fn goes_on(tokens: &[Token], lexicon: &Lexicon) -> bool {
    let says = |at: usize, word: &str| tokens.get(at).is_some_and(|token| !token.quoted && token.norm == word);
    let opens = |phrase: &&[&str]| phrase.iter().enumerate().all(|(at, word)| says(at, word));
    // Before a word that means nothing, or with a capital letter, it is a part of a name.
    let items = lexicon.items(tokens);
    let is_named = |at: usize| items.iter().any(|item| item.from == at && item.unknown());
    let stands_for = |(at, token): (usize, &Token)| {
        let word = token.norm.as_str();
        let pronoun = PRONOUNS.contains(&word) || (at + 1 == tokens.len() && LAST.contains(&word));
        pronoun && !token.quoted && (!token.capital || at == 0) && !is_named(at + 1)
    };
    OPENINGS.iter().any(opens) || tokens.iter().enumerate().any(stands_for)
}

/// Whether what `plan` is about is left to another question: it only narrows down or orders.
pub(super) fn is_fragment(plan: &Plan, draft: &Draft, tokens: &[Token], items: &[Item]) -> bool {
    if draft.noun || !draft.selection.people.is_empty() || !draft.selection.name_words.is_empty() {
        return false;
    }
    let event = items.iter().any(|item| item.meanings.contains(&Meaning::Event));
    let says = |words: &[&str]| tokens.iter().any(|token| words.contains(&token.norm.as_str()));
    let verb = event || says(&VERBS);
    match plan {
        Plan::Count(_) => true,
        Plan::List(_) | Plan::Aggregate { .. } if says(&OWNERS) => true,
        Plan::List(_) if draft.orders.is_empty() && draft.top.is_none() => !event,
        Plan::List(_) | Plan::Aggregate { .. } => !verb,
        _ => false,
    }
}
