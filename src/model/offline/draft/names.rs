//! Names within a question: people, and words of a name.
//!
//! Owns the constructs that take words which mean nothing by themselves. Each needs a place that licenses a name: a word that
//! introduces it, a verb or a possessive after it, a noun right behind it.

use super::{
    super::{
        lexicon::{Function as F, Item, Meaning},
        plan::{Name, Person},
    },
    Reader, before, kind, name_noun, role, verb,
};

impl Reader<'_> {
    /// The name that begins at item `at`, and how many items it takes.
    pub(super) fn name(&self, at: usize) -> Option<(Name, usize)> {
        let first = self.item(at)?;
        let token = self.tokens.get(first.from)?;
        let name = |text: String| Name { text, year: None, strict: false };
        if token.quoted {
            return Some((name(self.text(first.from, first.to)), 1));
        }
        let capital = |item: &Item| self.mixed_case && self.tokens.get(item.from).is_some_and(|token| token.capital);
        let nameable =
            |item: &Item| item.unknown() && self.tokens.get(item.from).is_some_and(|token| !token.quoted && !token.norm.starts_with('\''));
        if !nameable(first) {
            return None;
        }
        let mut end = at + 1;
        while self.item(end).is_some_and(|item| nameable(item) || capital(item) || self.absorbed_kind(end)) {
            end += 1;
        }
        let last = self.items.get(end - 1)?;
        Some((name(self.text(first.from, last.to)), end - at))
    }

    /// Whether the noun at `at` can only be a part of a name: a noun for another kind stood before it.
    pub(super) fn absorbed_kind(&self, at: usize) -> bool {
        self.find(at, kind).is_some_and(|index| self.draft.noun && !self.draft.selection.kinds.contains(&index))
    }

    /// `"star" in the title`, `containing the word star`, `called star`.
    pub(super) fn name_words(&mut self, at: usize) -> usize {
        let mut next = at;
        let mut introduced = false;
        if self.item(at).is_some_and(|item| item.find(name_noun).is_some()) && self.is(at + 1, F::Containing) {
            next = at + 1;
        }
        while self.is(next, F::Containing) || self.is(next, F::Called) || (self.is(next, F::With) || self.is(next, F::Start)) && next == at
        {
            introduced |= self.is(next, F::Containing) || self.is(next, F::Called);
            next = self.skip_filler(next + 1);
        }
        let Some(first) = self.item(next) else { return 0 };
        let Some((end, taken)) = self.in_the_name(first.from) else {
            let quoted = self.tokens.get(first.from).is_some_and(|token| token.quoted);
            let length = self.name(next).map_or(0, |(_, length)| length);
            if introduced && (quoted || length > 0) {
                let last = self.items.get(next + length.max(1) - 1).map_or(first.to, |item| item.to);
                self.draft.selection.name_words.push(self.text(first.from, last));
                return next + length.max(1) - at;
            }
            return 0;
        };
        if next == at && !self.tokens.get(first.from).is_some_and(|token| token.quoted) && !first.unknown() {
            return 0;
        }
        self.draft.selection.name_words.push(self.text(first.from, end));
        taken - at
    }

    /// Where `in the title` begins after token `from`, and the item after it. Works on tokens: a phrase may end in that `in`.
    pub(super) fn in_the_name(&self, from: usize) -> Option<(usize, usize)> {
        let word =
            |at: usize, words: &[&str]| self.tokens.get(at).is_some_and(|token| !token.quoted && words.contains(&token.norm.as_str()));
        (from + 1..self.tokens.len().min(from + 7)).filter(|at| word(*at, &["in"])).find_map(|at| {
            let noun = at + 1 + usize::from(word(at + 1, &["the", "its", "their", "a"]));
            let item = self.items.iter().position(|item| item.from == noun && item.find(name_noun).is_some())?;
            Some((at, item + 1))
        })
    }

    /// `directed by X and Y`, `starring X`, `by X`, `did X direct`, `not by X`.
    pub(super) fn people_named(&mut self, at: usize) -> usize {
        let not = self.is(at, F::Not);
        let from = if not { self.skip_filler(at + 1) } else { at };
        // "written and directed by X".
        let also = self.find(from, verb).filter(|_| !not && self.is(from + 1, F::And) && self.find(from + 2, before).is_some());
        let from = if also.is_some() { from + 2 } else { from };
        let before = self.find(from, before);
        let loose = self.is(from, F::In) || self.is(from, F::By);
        if self.words.people.is_some() && (before.is_some() || loose) {
            let mut next = self.skip_filler(from + 1);
            // "by director X", "with actor X".
            let role_noun = self.find(next, role).filter(|_| self.name(next + 1).is_some());
            next += usize::from(role_noun.is_some());
            let (role, mut taken) = (role_noun.or(before), 0);
            while let Some((name, length)) = self.name(next) {
                let roles = also.map(Some).into_iter().chain([role]);
                self.draft.selection.people.extend(roles.map(|role| Person { name: name.clone(), role, not }));
                taken = next + length - at;
                next += length;
                let joined = self.is(next, F::And);
                if !joined || self.name(self.skip_filler(next + 1)).is_none() {
                    break;
                }
                next = self.skip_filler(next + 1);
            }
            if taken > 0 {
                // "films of X's", "the rating of X's films".
                let owner = usize::from(self.is(from + (taken - (from - at)), F::Owner));
                let taken = taken + owner;
                return taken;
            }
        }
        self.name_and_verb(at)
    }

    /// `did X direct`, `has X starred in`.
    pub(super) fn name_and_verb(&mut self, at: usize) -> usize {
        let Some((name, length)) = self.name(at) else { return 0 };
        let after = self.skip_filler(at + length);
        // "which films is X in".
        if self.is(after, F::In) && after + 1 == self.items.len() && self.words.people.is_some() && self.draft.noun {
            self.draft.selection.people.push(Person { name, role: None, not: false });
            return after + 1 - at;
        }
        let Some(role) = self.find(after, verb) else { return 0 };
        if self.is(after, F::Filler) {
            return 0;
        }
        let mut end = after + 1;
        let mut roles = vec![role];
        // "did X write and direct".
        while let Some(role) = self.find(end + 1, verb).filter(|_| self.is(end, F::And)) {
            roles.push(role);
            end += 2;
        }
        self.draft.selection.people.extend(roles.into_iter().map(|role| Person { name: name.clone(), role: Some(role), not: false }));
        self.draft.noun = true;
        self.draft.plural = true;
        // "direct in", "starred in": a preposition that belongs to the verb.
        end - at
    }

    /// `X's best films`.
    pub(super) fn owner(&mut self, at: usize) -> usize {
        let Some((name, length)) = self.name(at) else { return 0 };
        if !self.is(at + length, F::Owner) || self.words.people.is_none() {
            return 0;
        }
        self.draft.selection.people.push(Person { name, role: None, not: false });
        length + 1
    }

    /// `Spielberg films`: a name right before a noun.
    pub(super) fn name_before_noun(&mut self, at: usize) -> usize {
        let Some((name, length)) = self.name(at).filter(|_| self.words.people.is_some()) else { return 0 };
        let next = at + length;
        let noun = self.find(next, |meaning| match meaning {
            Meaning::Kind(_) | Meaning::Value(..) | Meaning::Combination(..) | Meaning::High(_) | Meaning::Low(_) => Some(()),
            _ => None,
        });
        if noun.is_none() || length > 3 {
            return 0;
        }
        self.draft.guessed_names = true;
        self.draft.selection.people.push(Person { name: Name { strict: true, ..name }, role: None, not: false });
        length
    }
}
