//! A Function App as the host reads it: `host.json`, and `function.json` in the folders beside it.
//!
//! Owns routes and settings. What it does not know of is an error here, so that no setting is silently without effect.

use std::{fs, path::Path, time::Duration};

use serde_json::Value;

/// What the files say.
#[derive(Clone, Debug)]
pub struct FunctionApp {
    /// `customHandler.description.defaultExecutablePath`, relative to the root.
    pub executable: String,
    /// `customHandler.description.arguments`.
    pub arguments: Vec<String>,
    /// `customHandler.enableForwardingHttpRequest`.
    pub forwarding: bool,
    /// `customHandler.enableProxyingHttpRequest`.
    pub proxying: bool,
    /// `functionTimeout`.
    pub function_timeout: Duration,
    /// `extensions.queues`.
    pub queues: Queues,
    /// One per folder with a `function.json`.
    pub functions: Vec<Function>,
}

/// `extensions.queues`.
#[derive(Clone, Copy, Debug)]
pub struct Queues {
    /// Messages fetched at once.
    pub batch_size: usize,
    /// Messages being worked on at which the next batch is fetched.
    pub new_batch_threshold: usize,
    /// Deliveries after which a message is poisoned.
    pub max_dequeue_count: u32,
    /// The longest pause between two fetches of an empty queue.
    pub max_polling_interval: Duration,
    /// How long a message stays invisible after a failure.
    pub visibility_timeout: Duration,
}

/// A function.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its folder.
    pub name: String,
    /// What calls it.
    pub trigger: Trigger,
}

/// What calls a function.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// A request.
    Http {
        /// Below `/api`.
        route: Route,
        /// In capitals; none for all.
        methods: Vec<String>,
    },
    /// A message.
    Queue {
        /// The queue's name.
        queue: String,
        /// The binding's name: the field of `Data`.
        binding: String,
    },
}

impl FunctionApp {
    /// Reads the folder of a Function App.
    pub fn read(root: &Path) -> Self {
        let host = read_json(&root.join("host.json"));
        let handler = &host["customHandler"];
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("host.json: {value} is not a text")).to_owned();
        assert!(handler.get("http").is_none(), "host.json: customHandler.http cannot be combined with function.json files");
        Self {
            executable: text(&handler["description"]["defaultExecutablePath"]),
            arguments: handler["description"]["arguments"].as_array().map(|all| all.iter().map(text).collect()).unwrap_or_default(),
            forwarding: handler["enableForwardingHttpRequest"].as_bool().unwrap_or(false),
            proxying: handler["enableProxyingHttpRequest"].as_bool().unwrap_or(false),
            function_timeout: host["functionTimeout"].as_str().map_or(Duration::from_secs(300), timespan),
            queues: Queues::read(&host["extensions"]["queues"]),
            functions: functions(root),
        }
    }

    /// The function that answers `method` on `path` (from `/`), as the host chooses it: literal segments before parameters
    /// before wildcards. `None` where the host itself answers 404.
    pub fn http_function(&self, method: &str, path: &str) -> Option<&Function> {
        let rest = path.strip_prefix("/api")?;
        let segments: Vec<&str> = rest.split('/').filter(|segment| !segment.is_empty()).collect();
        let matching = self.functions.iter().filter_map(|function| match &function.trigger {
            Trigger::Http { route, methods } => {
                let is_allowed = methods.is_empty() || methods.iter().any(|allowed| allowed == method);
                (is_allowed && route.matches(&segments)).then(|| (route.rank(), function))
            }
            Trigger::Queue { .. } => None,
        });
        matching.min_by(|(left, _), (right, _)| left.cmp(right)).map(|(_, function)| function)
    }
}

impl Queues {
    fn read(queues: &Value) -> Self {
        if let Some(encoding) = queues["messageEncoding"].as_str() {
            assert_eq!(encoding, "base64", "host.json: the emulator has no other message encoding");
        }
        let number = |name: &str, default: u64| queues[name].as_u64().unwrap_or(default);
        let batch_size = number("batchSize", 16);
        assert!((1..=32).contains(&batch_size), "host.json: batchSize is at most 32");
        let polling = queues["maxPollingInterval"].as_str().map_or(Duration::from_secs(60), timespan);
        assert!(polling >= Duration::from_millis(100), "host.json: maxPollingInterval is at least 100 ms");
        Self {
            batch_size: usize::try_from(batch_size).unwrap(),
            new_batch_threshold: usize::try_from(number("newBatchThreshold", batch_size / 2)).unwrap(),
            max_dequeue_count: u32::try_from(number("maxDequeueCount", 5)).unwrap(),
            max_polling_interval: polling,
            visibility_timeout: queues["visibilityTimeout"].as_str().map_or(Duration::ZERO, timespan),
        }
    }
}

fn functions(root: &Path) -> Vec<Function> {
    let folders = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut functions: Vec<Function> = folders
        .filter(|folder| folder.join("function.json").is_file())
        .map(|folder| {
            let file = folder.join("function.json");
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            Function { trigger: Trigger::read(&read_json(&file), &file), name }
        })
        .collect();
    functions.sort_by(|left, right| left.name.cmp(&right.name));
    functions
}

impl Trigger {
    fn read(json: &Value, file: &Path) -> Self {
        let bindings = json["bindings"].as_array().unwrap_or_else(|| panic!("{} has no bindings", file.display()));
        let of_type = |name: &str| bindings.iter().find(|binding| binding["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case(name)));
        let text = |binding: &Value, name: &str| {
            binding[name].as_str().unwrap_or_else(|| panic!("{}: a binding without {name}", file.display())).to_owned()
        };
        if let Some(trigger) = of_type("queueTrigger") {
            return Self::Queue { queue: text(trigger, "queueName"), binding: text(trigger, "name") };
        }
        let trigger = of_type("httpTrigger").unwrap_or_else(|| panic!("{}: the emulator knows no such trigger", file.display()));
        // Anything else silently switches the function to the JSON envelope.
        assert!(bindings.len() == 2 && of_type("http").is_some(), "{}: one httpTrigger and one http out, no more", file.display());
        assert_eq!(trigger["authLevel"], "anonymous", "{}: the emulator has no function keys", file.display());
        let methods = trigger["methods"].as_array().into_iter().flatten().map(|method| method.as_str().unwrap().to_uppercase()).collect();
        Self::Http { route: Route::parse(trigger["route"].as_str().unwrap_or_default()), methods }
    }
}

/// A route template.
#[derive(Clone, Debug)]
pub struct Route(Vec<Segment>);

#[derive(Clone, Debug)]
enum Segment {
    Literal(String),
    Parameter { constraint: Option<String> },
    CatchAll,
}

impl Route {
    /// Reads a template such as `chat/{id:guid}/status` or `{*rest}`.
    pub fn parse(template: &str) -> Self {
        let segment = |text: &str| match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            None => Segment::Literal(text.to_owned()),
            Some(name) if name.starts_with('*') => Segment::CatchAll,
            Some(name) => Segment::Parameter { constraint: name.split_once(':').map(|(_, constraint)| constraint.to_owned()) },
        };
        Self(template.split('/').filter(|text| !text.is_empty()).map(segment).collect())
    }

    fn matches(&self, path: &[&str]) -> bool {
        for (at, segment) in self.0.iter().enumerate() {
            let Some(text) = path.get(at) else { return matches!(segment, Segment::CatchAll) };
            let is_match = match segment {
                Segment::Literal(literal) => literal.eq_ignore_ascii_case(text),
                Segment::Parameter { constraint } => constraint.as_deref().is_none_or(|constraint| satisfies(constraint, text)),
                Segment::CatchAll => return true,
            };
            if !is_match {
                return false;
            }
        }
        self.0.len() == path.len()
    }

    /// Smaller is tried first.
    fn rank(&self) -> Vec<u8> {
        let rank = |segment: &Segment| match segment {
            Segment::Literal(_) => 0,
            Segment::Parameter { constraint: Some(_) } => 1,
            Segment::Parameter { constraint: None } => 2,
            Segment::CatchAll => 3,
        };
        self.0.iter().map(rank).collect()
    }
}

fn satisfies(constraint: &str, text: &str) -> bool {
    match constraint {
        "guid" => text.parse::<uuid::Uuid>().is_ok(),
        "int" => text.parse::<i32>().is_ok(),
        other => panic!("the emulator does not know the route constraint {other}"),
    }
}

/// `hh:mm:ss` with a fraction of a second.
fn timespan(text: &str) -> Duration {
    let parts: Vec<f64> = text.split(':').map(|part| part.parse().unwrap_or_else(|_| panic!("{text} is not hh:mm:ss"))).collect();
    let [hours, minutes, seconds] = parts[..] else { panic!("{text} is not hh:mm:ss") };
    Duration::from_secs_f64(hours * 3600.0 + minutes * 60.0 + seconds)
}

fn read_json(file: &Path) -> Value {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
