//! A recording of what model and warehouse were asked and replied: one JSON line per request.
//!
//! Shared by the recorded model and the recorded warehouse, whose requests and replies are JSON to it. Keeps count of what was heard,
//! from whom and how long it took when it was live. Holds no address and no key: none is handed to it.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whose requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Port {
    /// The model's.
    Model,
    /// The warehouse's.
    Warehouse,
}

/// Who replied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The live one.
    Live,
    /// The recording.
    Recording,
    /// Nobody: it is not recorded, and the live one may not be asked.
    Nobody,
}

/// A request that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    port: Port,
    about: String,
    /// Who replied.
    pub source: Source,
    /// How long the live one took, in milliseconds.
    pub ms: u64,
}

/// A line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    port: Port,
    /// Digest of the request.
    key: String,
    /// What the request is about, for people: a question or a statement.
    about: String,
    ms: u64,
    reply: Value,
}

/// A recording that is played, made, or both; or neither, when it only counts.
#[derive(Debug, Default)]
pub struct Tape {
    known: HashMap<(Port, String), Line>,
    is_offline: bool,
    to: Option<Mutex<Writing>>,
    heard: Mutex<Vec<Heard>>,
}

#[derive(Debug)]
struct Writing {
    file: File,
    written: HashSet<(Port, String)>,
    fault: Option<io::Error>,
}

/// What a tape is for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The recording to play.
    pub replay: Option<PathBuf>,
    /// The recording to make. The one that is played is extended; any other file is made anew, with all that was heard.
    pub record: Option<PathBuf>,
    /// Whether requests that are not recorded are errors instead of going to the live one.
    pub is_offline: bool,
}

impl Tape {
    /// Reads the recording to play, and opens the one to make.
    ///
    /// # Errors
    /// When a file cannot be read or made, with its name.
    pub fn open(options: &Options) -> io::Result<Self> {
        let Options { replay, record, is_offline } = options;
        let known = replay.as_deref().map(read).transpose()?.unwrap_or_default();
        let to = record.as_deref().map(|file| Writing::open(file, replay.as_deref(), &known)).transpose()?;
        Ok(Self { known, is_offline: *is_offline, to: to.map(Mutex::new), heard: Mutex::default() })
    }

    /// The recorded reply to the request `key` and how long it took; `None` when it is not recorded.
    pub fn find(&self, port: Port, key: &str) -> Option<(Value, u64)> {
        self.known.get(&(port, key.to_owned())).map(|line| (line.reply.clone(), line.ms))
    }

    /// Whether only the recording may reply.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.is_offline
    }

    /// Notes that the recording replied.
    pub fn replayed(&self, port: Port, key: &str, about: &str) {
        let Some(line) = self.known.get(&(port, key.to_owned())) else { return };
        self.write(line);
        self.hear(port, about, Source::Recording, line.ms);
    }

    /// Notes that nobody replied.
    pub fn missing(&self, port: Port, about: &str) {
        self.hear(port, about, Source::Nobody, 0);
    }

    /// Notes that the live one took `ms` milliseconds to reply; what is no reply to keep is not recorded.
    pub fn live(&self, port: Port, key: &str, about: &str, ms: u64, reply: Option<&impl Serialize>) {
        if let Some(Ok(reply)) = reply.map(serde_json::to_value) {
            self.write(&Line { port, key: key.to_owned(), about: about.to_owned(), ms, reply });
        }
        self.hear(port, about, Source::Live, ms);
    }

    /// The requests that were made about `about`, oldest first.
    #[must_use]
    pub fn heard(&self, port: Port, about: &str) -> Vec<Heard> {
        lock(&self.heard).iter().filter(|heard| heard.port == port && heard.about == about).cloned().collect()
    }

    /// Whether all that was heard is in the file.
    ///
    /// # Errors
    /// The first one of writing.
    pub fn finish(&self) -> io::Result<()> {
        let fault = self.to.as_ref().and_then(|to| lock(to).fault.take());
        fault.map_or(Ok(()), Err)
    }

    fn hear(&self, port: Port, about: &str, source: Source, ms: u64) {
        lock(&self.heard).push(Heard { port, about: about.to_owned(), source, ms });
    }

    fn write(&self, line: &Line) {
        let Some(to) = &self.to else { return };
        let mut to = lock(to);
        if to.written.insert((line.port, line.key.clone())) {
            let written = serde_json::to_string(line).map_err(io::Error::other).and_then(|json| writeln!(to.file, "{json}"));
            to.fault = to.fault.take().or(written.err());
        }
    }
}

impl Writing {
    fn open(file: &Path, replayed: Option<&Path>, known: &HashMap<(Port, String), Line>) -> io::Result<Self> {
        let is_same = replayed.is_some_and(|replayed| fs::canonicalize(replayed).ok() == fs::canonicalize(file).ok());
        let opened = if is_same { OpenOptions::new().append(true).open(file) } else { File::create(file) };
        let written = if is_same { known.keys().cloned().collect() } else { HashSet::new() };
        Ok(Self { file: opened.map_err(|error| named(file, &error))?, written, fault: None })
    }
}

fn read(file: &Path) -> io::Result<HashMap<(Port, String), Line>> {
    let text = fs::read_to_string(file).map_err(|error| named(file, &error))?;
    let mut known = HashMap::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty()) {
        let line: Line = serde_json::from_str(line).map_err(|error| named(file, &format!("line {number}: {error}")))?;
        known.insert((line.port, line.key.clone()), line);
    }
    Ok(known)
}

fn named(file: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("the recording {}: {error}", file.display()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_recorded_is_played_and_extended() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tape.jsonl");
        let options = |replay: bool| Options { replay: replay.then(|| file.clone()), record: Some(file.clone()), is_offline: false };
        let first = Tape::open(&options(false)).unwrap();
        first.live(Port::Model, "a", "one?", 7, Some(&json!("one")));
        first.live(Port::Model, "b", "two?", 7, None::<&Value>);
        first.finish().unwrap();
        let second = Tape::open(&options(true)).unwrap();
        assert_eq!(second.find(Port::Model, "a"), Some((json!("one"), 7)));
        assert_eq!((second.find(Port::Model, "b"), second.find(Port::Warehouse, "a")), (None, None));
        second.replayed(Port::Model, "a", "one?");
        second.live(Port::Model, "b", "two?", 8, Some(&json!("two")));
        let sources: Vec<Source> = second.heard(Port::Model, "one?").iter().map(|heard| heard.source).collect();
        assert_eq!(sources, [Source::Recording]);
        let third = Tape::open(&Options { replay: Some(file.clone()), ..Options::default() }).unwrap();
        assert_eq!(third.find(Port::Model, "b"), Some((json!("two"), 8)));
        assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 2);
    }

    #[test]
    fn a_broken_recording_is_told_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tape.jsonl");
        fs::write(&file, "{\"port\":\"model\",\"key\":\"a\",\"about\":\"\",\"ms\":1,\"reply\":null}\n{\n").unwrap();
        let error = Tape::open(&Options { replay: Some(file), ..Options::default() }).unwrap_err();
        assert!(error.to_string().contains("tape.jsonl: line 2: "), "{error}");
    }
}
