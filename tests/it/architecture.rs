//! The dependency sentences of `src/lib.rs`, held against every path in `src/` that begins with `crate`, `super` or `asklake`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What each module at the top may know of the others. `main` → `runtime` → `http` → `service` → {`conversation`, `sql`, ports}.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("main", &["app", "cli", "config", "eval", "import", "runtime", "service", "tape", "telemetry"]),
    ("cli", &["app", "auth", "config", "conversation", "eval", "import", "service"]),
    // The one that puts all together; the server it is put into is above it.
    (
        "app",
        &[
            "auth",
            "azure",
            "cache",
            "config",
            "conversation",
            "eval",
            "http",
            "limit",
            "model",
            "queue",
            "redis",
            "runtime",
            "service",
            "sql",
            "sqlite",
            "store",
            "tape",
            "warehouse",
        ],
    ),
    ("eval", &["conversation", "service", "sql", "tape", "warehouse"]),
    ("runtime", &["app", "http", "queue", "service"]),
    ("http", &["auth", "conversation", "limit", "queue", "service", "store", "telemetry"]),
    ("service", &["cache", "conversation", "limit", "model", "queue", "sql", "store", "telemetry", "warehouse"]),
    ("model", &["conversation", "sql", "tape"]),
    ("cache", &["breaker", "conversation", "redis"]),
    ("limit", &["breaker", "conversation", "redis", "sqlite", "store"]),
    ("queue", &["azure", "conversation", "sqlite"]),
    ("store", &["conversation", "sqlite"]),
    ("warehouse", &["azure", "conversation", "sql", "tape"]),
    ("sql", &["conversation"]),
    ("auth", &["conversation"]),
    ("conversation", &[]),
    ("azure", &[]),
    ("breaker", &[]),
    ("redis", &[]),
    ("sqlite", &["conversation"]),
    ("tape", &[]),
    ("import", &[]),
    ("config", &[]),
    ("telemetry", &["azure", "config", "conversation"]),
];

/// The adapters, and what the embedded ones and those of Azure share.
const ADAPTERS: &[&str] = &[
    "azure",
    "cache::memory",
    "cache::redis",
    "limit::cosmos",
    "limit::redis",
    "limit::sqlite",
    "model::offline",
    "model::openai",
    "model::recorded",
    "queue::azure",
    "queue::sqlite",
    "redis",
    "store::cosmos",
    "store::sqlite",
    "warehouse::databricks",
    "warehouse::flight",
    "warehouse::recorded",
    "warehouse::sail",
    "sqlite",
];

/// Which adapters an adapter may know besides itself, and which one who is none may.
const ADAPTER_MAY_KNOW: &[(&str, &str)] = &[
    ("cache::redis", "redis"),
    ("limit::cosmos", "store::cosmos"),
    ("limit::redis", "redis"),
    ("limit::sqlite", "sqlite"),
    ("queue::azure", "azure"),
    ("queue::sqlite", "sqlite"),
    ("store::sqlite", "sqlite"),
    ("telemetry::insights", "azure"),
    ("warehouse::databricks", "azure"),
    ("warehouse::databricks", "warehouse::flight"),
    ("warehouse::sail", "warehouse::flight"),
];

/// A file of `src/`.
struct Source {
    path: PathBuf,
    /// Its module, such as `warehouse::flight::client`.
    module: String,
    /// Its code without comments and without its unit tests.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut folders = vec![root.to_owned()];
    let mut sources = vec![];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let module = path.strip_prefix(root).unwrap().with_extension("");
                let parts = module.iter().map(|part| part.to_str().unwrap()).filter(|part| !matches!(*part, "mod" | "lib"));
                sources.push(Source {
                    module: parts.collect::<Vec<_>>().join("::"),
                    code: code(&fs::read_to_string(&path).unwrap()),
                    path,
                });
            }
        }
    }
    sources
}

fn code(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]").next().unwrap_or_default();
    let without_comment =
        |line: &str| if line.trim_start().starts_with("//") { String::new() } else { line.split(" // ").next().unwrap().to_owned() };
    code.lines().map(without_comment).collect::<Vec<_>>().join("\n")
}

impl Source {
    fn top(&self) -> &str {
        self.module.split("::").next().unwrap()
    }

    /// The adapter that the file is part of.
    fn adapter(&self) -> Option<&'static str> {
        ADAPTERS.iter().copied().find(|adapter| is_within(&self.module, adapter))
    }

    /// Whether the code names this, other than in a text such as a filter of log lines.
    fn names(&self, name: &str) -> bool {
        self.code.match_indices(name).any(|(at, _)| !self.code[..at].ends_with(['"', ',']))
    }

    /// Every path of this crate that the code names, from the crate's root.
    fn paths(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (root, base) in [("crate::", ""), ("asklake::", ""), ("super::", parent(&self.module))] {
            let mut read_to = 0;
            for (at, _) in self.code.match_indices(root) {
                let is_start =
                    !self.code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':' || before == '"');
                if is_start && at >= read_to {
                    let mut rest = &self.code[at + root.len()..];
                    expand(base, &mut rest, &mut found);
                    read_to = self.code.len() - rest.len();
                }
            }
        }
        found
    }
}

fn parent(module: &str) -> &str {
    module.rsplit_once("::").map_or("", |(parent, _)| parent)
}

fn is_within(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Reads a path, or a tree of them in braces, from the beginning of `rest` and adds each below `base`.
fn expand(base: &str, rest: &mut &str, found: &mut BTreeSet<String>) {
    if let Some(inner) = rest.strip_prefix('{') {
        *rest = inner;
        loop {
            *rest = rest.trim_start_matches([',', ' ', '\n']);
            if let Some(after) = rest.strip_prefix('}') {
                *rest = after;
                return;
            }
            expand(base, rest, found);
        }
    }
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    assert!(end > 0 || after.starts_with('*'), "not a path: {:.60}", after);
    let path = match (base, name) {
        (_, "" | "self") => base.to_owned(),
        (_, "super") => parent(base).to_owned(),
        ("", name) => name.to_owned(),
        (base, name) => format!("{base}::{name}"),
    };
    *rest = after.strip_prefix('*').unwrap_or(after);
    match rest.strip_prefix("::") {
        // A generic argument or a further segment in braces or plain.
        Some(further) if !further.starts_with('<') => {
            *rest = further;
            expand(&path, rest, found);
        }
        _ => {
            if let Some(named) = rest.strip_prefix(" as ") {
                *rest = named.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
            }
            // A glob of the root, in a module within a file, brings what the file itself names.
            if !path.is_empty() {
                found.insert(path);
            }
        }
    }
}

#[test]
fn paths_are_read_from_trees_of_uses() {
    let code = "use crate::{\n    a,\n    b::{self, c::D as E, super_f},\n};\nuse super::{super::g::*, h};\nfn f() -> crate::i::J { mycrate::k() }";
    let source = Source { path: PathBuf::new(), module: "x::y::z".into(), code: code.into() };
    let expected = ["a", "b", "b::c::D", "b::super_f", "i::J", "x::g", "x::y::h"];
    assert_eq!(source.paths(), expected.map(str::to_owned).into());
}

#[test]
fn dependencies_point_one_way() {
    let mut wrong = vec![];
    for source in sources().iter().filter(|source| !source.module.is_empty()) {
        let (_, allowed) =
            MAY_KNOW.iter().find(|(module, _)| *module == source.top()).unwrap_or_else(|| panic!("{} has no rule", source.top()));
        let is_wrong = |path: &String| path.split("::").next().is_none_or(|top| top != source.top() && !allowed.contains(&top));
        wrong.extend(source.paths().into_iter().filter(is_wrong).map(|path| format!("{} must not know {path}", source.path.display())));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_app_names_a_concrete_adapter_and_adapters_do_not_know_each_other() {
    let mut named_by_app = BTreeSet::new();
    for source in sources() {
        for path in source.paths() {
            let Some(adapter) = ADAPTERS.iter().copied().find(|adapter| is_within(&path, adapter)) else { continue };
            if source.module == "app" {
                named_by_app.insert(adapter);
                continue;
            }
            let own = source.adapter().unwrap_or(&source.module);
            let is_allowed = own == adapter || ADAPTER_MAY_KNOW.contains(&(own, adapter));
            assert!(is_allowed, "{} must not know {path}", source.path.display());
        }
    }
    assert_eq!(named_by_app, ADAPTERS.iter().copied().collect(), "every adapter has its place in app.rs");
}

#[test]
fn adapters_know_the_catalog_but_not_the_guard() {
    const OF_MODELS: [&str; 3] = ["sql::prompt", "sql::lookup", "sql::sources"];
    for source in sources().iter().filter(|source| source.adapter().is_some()) {
        for path in source.paths().into_iter().filter(|path| is_within(path, "sql")) {
            let is_catalog = is_within(&path, "sql::Catalog") || is_within(&path, "sql::catalog");
            let is_of_a_model = source.top() == "model" && OF_MODELS.iter().any(|known| is_within(&path, known));
            assert!(is_catalog || is_of_a_model, "{} must not know {path}", source.path.display());
        }
    }
}

#[test]
fn ports_know_only_the_conversation() {
    for source in
        sources().iter().filter(|source| ["cache", "limit", "model", "queue", "store", "warehouse"].contains(&source.module.as_str()))
    {
        for path in source.paths() {
            let is_known = is_within(&path, "conversation") || is_within(&path, &source.module);
            assert!(is_known, "the port {} must not know {path}", source.path.display());
        }
    }
}

#[test]
fn only_http_knows_status_codes_and_only_the_warehouse_and_http_servers_their_protocols() {
    let rules: &[(&str, &[&str])] = &[
        ("StatusCode", &["http"]),
        ("warp::", &["http", "runtime", "telemetry"]),
        ("arrow_flight::", &["warehouse"]),
        ("tonic::", &["warehouse"]),
        ("azure_data_cosmos::", &["store"]),
        ("opentelemetry::", &["store", "telemetry"]),
        ("rusqlite::", &["limit", "sqlite", "store", "queue"]),
        ("azure_core::", &["azure", "model", "queue", "store", "telemetry", "warehouse"]),
        ("azure_identity::", &["azure"]),
        ("azure_storage_queue::", &["queue"]),
        ("jsonwebtoken::", &["auth"]),
        ("aws_lc_rs::", &["auth", "cache", "warehouse"]),
        ("reqwest::", &["auth", "cli", "model", "telemetry", "warehouse"]),
        ("std::env::var", &["config", "cli", "warehouse"]),
    ];
    let sources = sources();
    for (name, modules) in rules {
        let knowing: Vec<&Source> = sources.iter().filter(|source| source.names(name)).collect();
        assert!(!knowing.is_empty(), "{name} is a rule about nothing");
        for source in knowing {
            assert!(modules.contains(&source.top()), "{} must not know {name}", source.path.display());
        }
    }
}

#[test]
fn the_conversation_has_no_clock_and_no_io() {
    for source in sources().iter().filter(|source| source.top() == "conversation") {
        for name in ["async ", "tokio", "Timestamp::now", "SystemTime", "Instant", "std::fs", "std::env", "std::net", "tracing"] {
            assert!(!source.code.contains(name), "{} must not know {name}", source.path.display());
        }
    }
}

/// `cargo build --workspace` would unify features, so only this package's own are looked at.
#[cfg(feature = "azure")]
#[test]
fn the_emulator_within_the_sdk_is_no_part_of_asklake() {
    let features = |package: &str| {
        let tree = std::process::Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--offline", "--package", package, "--edges", "normal,features", "--prefix", "none"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        String::from_utf8(tree.stdout).unwrap()
    };
    let internal = "__internal_in_memory_emulator";
    assert!(features("cosmos-emulator").contains(internal), "a rule about nothing");
    assert!(!features("asklake").contains(internal));
}
