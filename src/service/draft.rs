//! What a model is writing in this process, for whoever wants to read along.
//!
//! Provisional and bounded: nothing of it is stored, a reader that is slow is given the rest at once, and one that comes late the
//! whole. It ends with the call of the model; what counts is what is committed then.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{Service, changes::Topic};
use crate::{
    conversation::{Conversation, Revision},
    model::{Part, Piece},
};

/// Bytes of one part that are kept; what goes beyond is only seen in the reply.
const MAX_BYTES: usize = 64 << 10;
/// The least time between two pieces for one reader.
const PAUSE: Duration = Duration::from_millis(50);
/// The order in which the parts are told.
const ORDER: [Part; 3] = [Part::Reasoning, Part::Sql, Part::Answer];

/// What is written so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Counts the calls of the model: of two at once for the same conversation, the one that began last is shown.
    call: u64,
    /// The conversation that the call under way is made for, if there is one.
    under_way: Option<(u32, Revision)>,
    parts: [Written; Part::ALL.len()],
}

/// One part.
#[derive(Debug, Default)]
struct Written {
    text: String,
    /// How often it began anew.
    began: u64,
    is_full: bool,
}

impl Written {
    fn begin(&mut self) {
        // Where there was nothing before, it is no other beginning.
        self.began += u64::from(!self.text.is_empty());
        self.text.clear();
        self.is_full = false;
    }
}

impl Draft {
    fn begin(&mut self, conversation: &Conversation) -> u64 {
        self.call += 1;
        self.under_way = Some((conversation.turn, conversation.revision));
        self.parts.iter_mut().for_each(Written::begin);
        self.call
    }

    fn end(&mut self, call: u64) -> bool {
        let is_last = self.call == call;
        if is_last {
            self.under_way = None;
            self.parts.iter_mut().for_each(Written::begin);
        }
        is_last
    }

    fn write(&mut self, call: u64, piece: Piece<'_>) -> bool {
        let Some(written) = self.parts.get_mut(piece.part as usize).filter(|_| self.call == call) else { return false };
        if piece.is_anew {
            written.begin();
        }
        written.is_full |= written.text.len() + piece.text.len() > MAX_BYTES;
        if !written.is_full {
            written.text.push_str(piece.text);
        }
        piece.is_anew || !piece.text.is_empty()
    }
}

/// Writes what the model says in one call. Dropped, it ends the draft.
pub(super) struct Pen {
    topic: Arc<Topic>,
    call: u64,
}

impl Pen {
    pub(super) fn write(&self, piece: Piece<'_>) {
        self.topic.draft.send_if_modified(|draft| draft.write(self.call, piece));
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        self.topic.draft.send_if_modified(|draft| draft.end(self.call));
    }
}

impl Service {
    /// Begins a draft for the reply to `conversation`.
    pub(super) fn pen(&self, conversation: &Conversation) -> Pen {
        let topic = self.changes.topic(conversation.id);
        let mut call = 0;
        topic.draft.send_modify(|draft| call = draft.begin(conversation));
        Pen { topic, call }
    }
}

/// A piece of what the model writes, as one reader is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftPiece {
    /// The turn it is written in.
    pub turn: u32,
    /// Of what it is a part.
    pub part: Part,
    /// Whether it replaces what the reader was told of this part, instead of following it.
    pub is_anew: bool,
    /// The text; empty when what was told before no longer counts.
    pub text: String,
}

/// How far one reader has read.
#[derive(Debug)]
pub(super) struct Reader {
    draft: watch::Receiver<Draft>,
    /// Of each part: which beginning of it, and how many bytes.
    read: [Option<(u64, usize)>; Part::ALL.len()],
    not_before: Instant,
    has_more: bool,
}

impl Reader {
    pub(super) fn new(topic: &Topic) -> Self {
        Self { draft: topic.draft.subscribe(), read: [None; Part::ALL.len()], not_before: Instant::now(), has_more: true }
    }

    /// The next piece for a reader who knows `known`, if there is one and its time has come. What was written for an older revision
    /// is void.
    pub(super) fn next(&mut self, known: Revision) -> Option<DraftPiece> {
        if self.not_before > Instant::now() {
            return None;
        }
        let Self { draft, read, not_before, has_more } = self;
        let draft = draft.borrow_and_update();
        *has_more = false;
        let (turn, _) = draft.under_way.filter(|(_, revision)| *revision >= known)?;
        let mut unread = ORDER.into_iter().filter_map(|part| Some((part, draft.parts.get(part as usize)?, read.get(part as usize)?)));
        let (part, written, seen) = unread.find(|(_, written, seen)| written.is_news(**seen))?;
        let is_anew = seen.is_none_or(|(began, _)| began != written.began);
        let from = seen.filter(|_| !is_anew).map_or(0, |(_, bytes)| bytes);
        let piece = DraftPiece { turn, part, is_anew, text: written.text.get(from..).unwrap_or_default().to_owned() };
        let now_seen = Some((written.began, written.text.len()));
        *has_more = true;
        *not_before = Instant::now() + PAUSE;
        if let Some(seen) = read.get_mut(part as usize) {
            *seen = now_seen;
        }
        Some(piece)
    }

    /// Resolves when [`Reader::next`] is worth a try.
    pub(super) async fn changed(&mut self) {
        sleep_until(self.not_before).await;
        if !self.has_more {
            // The topic, and with it the sender, is held by whoever reads along.
            let _ = self.draft.changed().await;
        }
    }
}

impl Written {
    fn is_news(&self, seen: Option<(u64, usize)>) -> bool {
        match seen {
            None => !self.text.is_empty(),
            // A part that began anew and has no text yet is news to whoever was told some.
            Some((began, bytes)) if began != self.began => bytes > 0 || !self.text.is_empty(),
            Some((_, bytes)) => self.text.len() > bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        conversation::{NewConversation, Timestamp},
        service::changes::Changes,
    };

    fn conversation(revision: u64) -> Conversation {
        let new = NewConversation {
            id: "0b9d7c2e-5a41-4f3e-8f0a-3c1d2e4f5a6b".parse().expect("an id"),
            question: "What can I ask?".into(),
            owner: None,
            user_id: None,
            device_id: None,
            language: None,
            request_digest: None,
        };
        Conversation { revision: Revision(revision), ..Conversation::start(new, Timestamp::from_unix_millis(0)) }
    }

    fn pen(topic: &Arc<Topic>, revision: u64) -> Pen {
        let mut call = 0;
        topic.draft.send_modify(|draft| call = draft.begin(&conversation(revision)));
        Pen { topic: Arc::clone(topic), call }
    }

    fn topic() -> Arc<Topic> {
        Changes::default().topic(conversation(1).id)
    }

    fn piece(part: Part, is_anew: bool, text: &str) -> Piece<'_> {
        Piece { part, is_anew, text }
    }

    /// All that there is for the reader, without waiting.
    fn all(reader: &mut Reader, known: u64) -> Vec<(Part, bool, String)> {
        let next = || {
            reader.not_before = Instant::now();
            reader.next(Revision(known))
        };
        std::iter::from_fn(next).map(|piece| (piece.part, piece.is_anew, piece.text)).collect()
    }

    #[test]
    fn a_late_reader_is_given_the_whole_and_then_what_follows() {
        let topic = topic();
        let pen = pen(&topic, 3);
        pen.write(piece(Part::Answer, true, ""));
        pen.write(piece(Part::Answer, false, "There "));
        pen.write(piece(Part::Answer, false, "are"));
        let mut reader = Reader::new(&topic);
        assert_eq!(all(&mut reader, 3), [(Part::Answer, true, "There are".into())]);
        pen.write(piece(Part::Answer, false, " two."));
        pen.write(piece(Part::Sql, true, "SELECT"));
        assert_eq!(all(&mut reader, 3), [(Part::Sql, true, "SELECT".into()), (Part::Answer, false, " two.".into())]);
        assert_eq!(all(&mut reader, 3), []);
    }

    #[test]
    fn another_try_replaces_what_was_told_also_while_it_has_no_text() {
        let topic = topic();
        let pen = pen(&topic, 3);
        let mut reader = Reader::new(&topic);
        pen.write(piece(Part::Answer, false, "One"));
        assert_eq!(all(&mut reader, 3).len(), 1);
        pen.write(piece(Part::Answer, true, ""));
        assert_eq!(all(&mut reader, 3), [(Part::Answer, true, String::new())]);
        pen.write(piece(Part::Answer, true, "Two"));
        assert_eq!(all(&mut reader, 3), [(Part::Answer, false, "Two".into())]);
    }

    #[test]
    fn what_was_written_for_an_older_revision_or_has_ended_is_void() {
        let topic = topic();
        let first = pen(&topic, 3);
        let mut reader = Reader::new(&topic);
        first.write(piece(Part::Answer, false, "One"));
        assert_eq!(all(&mut reader, 4), []);
        assert_eq!(all(&mut reader, 3).len(), 1);
        let second = pen(&topic, 5);
        first.write(piece(Part::Answer, false, "not shown"));
        drop(first);
        second.write(piece(Part::Answer, false, "Two"));
        assert_eq!(all(&mut reader, 5), [(Part::Answer, true, "Two".into())]);
        drop(second);
        assert_eq!(all(&mut Reader::new(&topic), 5), []);
    }

    #[test]
    fn a_part_that_is_too_long_is_cut_and_keeps_its_order() {
        let topic = topic();
        let pen = pen(&topic, 3);
        let mut reader = Reader::new(&topic);
        let long = "x".repeat(MAX_BYTES - 1);
        for text in [&long, "yy", "z"] {
            pen.write(piece(Part::Answer, false, text));
        }
        assert_eq!(all(&mut reader, 3), [(Part::Answer, true, long)]);
    }

    #[tokio::test]
    async fn a_reader_is_told_no_more_than_one_piece_at_a_time() {
        let topic = topic();
        let pen = pen(&topic, 3);
        let mut reader = Reader::new(&topic);
        pen.write(piece(Part::Sql, false, "SELECT"));
        pen.write(piece(Part::Reasoning, false, "why"));
        let mut told = Vec::new();
        for _ in 0..2 {
            reader.changed().await;
            told.extend(reader.next(Revision(3)));
            assert_eq!(reader.next(Revision(3)), None, "its time has not come");
        }
        assert_eq!(told.iter().map(|piece| piece.text.as_str()).collect::<Vec<_>>(), ["why", "SELECT"]);
    }

    proptest! {
        #[test]
        fn however_often_a_reader_looks_it_shows_what_is_written(steps in prop::collection::vec((0..3_usize, any::<bool>(), "[a-z]{0,3}", any::<bool>()), 0..40)) {
            let topic = topic();
            let pen = pen(&topic, 3);
            let mut reader = Reader::new(&topic);
            let (mut written, mut shown) = ([const { String::new() }; 3], [const { String::new() }; 3]);
            let show = |reader: &mut Reader, shown: &mut [String; 3]| {
                for (part, is_anew, text) in all(reader, 3) {
                    if is_anew {
                        shown[part as usize].clear();
                    }
                    shown[part as usize].push_str(&text);
                }
            };
            for (part, is_anew, text, looks) in steps {
                if is_anew {
                    written[part].clear();
                }
                written[part].push_str(&text);
                pen.write(piece(Part::ALL[part], is_anew, &text));
                if looks {
                    show(&mut reader, &mut shown);
                }
            }
            show(&mut reader, &mut shown);
            prop_assert_eq!(written, shown);
        }
    }
}
