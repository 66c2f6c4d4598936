//! The Function App at the root of the repository against the code: the host finds the executable, its triggers reach our routes and
//! our queues, and no route shadows another.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use asklake::{http::worker::BINDING, queue};
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn json(file: &str) -> Value {
    let text = std::fs::read_to_string(Path::new(ROOT).join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The trigger of every function, by the name of its folder.
fn triggers() -> BTreeMap<String, Value> {
    let folders = std::fs::read_dir(ROOT).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.join("function.json").exists());
    let trigger = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let others = std::fs::read_dir(&path).unwrap().count() - 1;
        assert_eq!(others, 0, "{name} holds a function.json and nothing else");
        let bindings = json(&format!("{name}/function.json"))["bindings"].as_array().unwrap().clone();
        let is_trigger = |binding: &&Value| binding["type"].as_str().unwrap().ends_with("Trigger");
        let triggers: Vec<&Value> = bindings.iter().filter(is_trigger).collect();
        assert_eq!(triggers.len(), 1, "{name}");
        // Any further binding of an HTTP function would switch it from HTTP to the JSON envelope.
        let others: Vec<&Value> = bindings.iter().filter(|binding| !is_trigger(binding)).collect();
        match triggers[0]["type"].as_str().unwrap() {
            "httpTrigger" => assert!(matches!(others[..], [out] if out["type"] == "http" && out["direction"] == "out"), "{name}"),
            _ => assert!(others.is_empty(), "{name}"),
        }
        (name, triggers[0].clone())
    };
    folders.map(trigger).collect()
}

/// A route template: literal segments before parameters before a catch-all, as ASP.NET Core orders them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal,
    Parameter,
    CatchAll,
}

/// How the template matches the path, for comparison with others that do; `None` when it does not.
fn precedence(template: &str, path: &str) -> Option<Vec<Segment>> {
    let mut segments = path.split('/');
    let mut found = vec![];
    for part in template.split('/') {
        if part.starts_with("{*") {
            found.push(Segment::CatchAll);
            return Some(found);
        }
        let segment = segments.next().filter(|segment| !segment.is_empty())?;
        if part.starts_with('{') {
            found.push(Segment::Parameter);
        } else if part.eq_ignore_ascii_case(segment) {
            found.push(Segment::Literal);
        } else {
            return None;
        }
    }
    segments.next().is_none().then_some(found)
}

/// The function that the host calls for a request, by the names of the folders.
fn function_for(method: &str, path: &str) -> Option<String> {
    let path = path.strip_prefix("/api/")?;
    let takes = |trigger: &Value| trigger["methods"].as_array().unwrap().iter().any(|taken| taken == method);
    let candidates = triggers().into_iter().filter(|(_, trigger)| trigger["type"] == "httpTrigger" && takes(trigger));
    let matching = candidates.filter_map(|(name, trigger)| Some((precedence(trigger["route"].as_str().unwrap(), path)?, name)));
    matching.min().map(|(_, name)| name)
}

#[test]
fn the_host_starts_the_custom_handler_that_make_func_builds() {
    let host = json("host.json");
    assert_eq!(host["version"], "2.0");
    let handler = &host["customHandler"];
    assert_eq!(handler["description"]["arguments"], serde_json::json!(["functions"]));
    assert_eq!(handler["enableForwardingHttpRequest"], true);
    assert_eq!(handler["enableProxyingHttpRequest"], true);
    assert!(handler.get("http").is_none() && host.get("configurationProfile").is_none(), "they cannot be combined with function.json");
    let executable = handler["description"]["defaultExecutablePath"].as_str().unwrap();
    let makefile = std::fs::read_to_string(Path::new(ROOT).join("Makefile")).unwrap();
    assert!(makefile.contains(executable), "make func puts the binary at {executable}");
    assert_eq!(host["extensions"]["http"]["routePrefix"], "api");
    let bundle = &host["extensionBundle"];
    assert_eq!(bundle["id"], "Microsoft.Azure.Functions.ExtensionBundle");
    assert_eq!(bundle["version"], "[4.*, 5.0.0)");
}

#[test]
fn the_queues_are_tuned_so_that_nothing_waits_long_and_nothing_spins() {
    let host = json("host.json");
    let queues = &host["extensions"]["queues"];
    assert_eq!(queues["messageEncoding"], "base64", "as the sender encodes");
    assert_eq!(queues["maxPollingInterval"], "00:00:01");
    assert_eq!(queues["visibilityTimeout"], "00:00:05", "the default of 0 would spin on a failure");
    assert_eq!(queues["maxDequeueCount"], 5);
    assert!(queues["batchSize"].as_u64().unwrap() <= 32, "the host's limit");
    let times = asklake::runtime::functions::Times::read(Path::new(ROOT)).unwrap();
    assert_eq!(times, asklake::runtime::functions::Times::within(std::time::Duration::from_secs(300)));
}

#[test]
fn queue_triggers_read_the_queues_that_wakes_are_sent_to() {
    let triggers = triggers();
    let queues: Vec<(&str, &str)> = (triggers.iter().filter(|(_, trigger)| trigger["type"] == "queueTrigger"))
        .map(|(name, trigger)| {
            assert_eq!(trigger["name"], BINDING, "{name}");
            assert_eq!(trigger["connection"], "AzureWebJobsStorage", "{name}");
            (name.as_str(), trigger["queueName"].as_str().unwrap())
        })
        .collect();
    assert_eq!(queues, [("poison", queue::POISON_NAME), ("worker", queue::NAME)]);
    assert_eq!(queue::POISON_NAME, format!("{}-poison", queue::NAME), "as the host names it");
}

#[test]
fn every_route_of_the_document_has_its_function_and_the_catch_all_shadows_none() {
    let document = json("docs/openapi.json");
    let named = triggers();
    for (path, operations) in document["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/api/")) {
        let example = path.replace("{id}", "0b9d7c2e-5a41-4f3e-8f0a-3c1d2e4f5a6b").replace("{n}", "1");
        let own = path.rsplit('/').next().filter(|last| named.contains_key(*last) && path.starts_with("/api/chat/")).unwrap_or("api");
        for method in operations.as_object().unwrap().keys().map(String::as_str).chain(["options"]) {
            assert_eq!(function_for(method, &example).as_deref(), Some(own), "{method} {example}");
        }
        // What we refuse is refused by us, with a problem, and not by the host.
        assert!(function_for("delete", &example).is_some(), "{example}");
    }
    let wildcards = named.values().filter(|trigger| trigger["route"].as_str().is_some_and(|route| route.contains('*'))).count();
    assert_eq!(wildcards, 1);
}

#[test]
fn the_routes_of_named_functions_take_the_methods_that_they_have_and_no_others() {
    let document = json("docs/openapi.json");
    for (name, trigger) in triggers().iter().filter(|(name, trigger)| trigger["type"] == "httpTrigger" && *name != "api") {
        assert_eq!(trigger["authLevel"], "anonymous", "{name}: asklake itself says who may");
        let path = format!("/api/{}", trigger["route"].as_str().unwrap());
        let operations = document["paths"][&path].as_object().unwrap_or_else(|| panic!("{path} is not in the document"));
        let mut expected: Vec<&str> = operations.keys().map(String::as_str).collect();
        expected.extend(operations.contains_key("get").then_some("head").into_iter().chain(["options"]));
        let mut methods: Vec<&str> = trigger["methods"].as_array().unwrap().iter().map(|method| method.as_str().unwrap()).collect();
        expected.sort_unstable();
        expected.dedup();
        methods.sort_unstable();
        assert_eq!(methods, expected, "{name}");
    }
}

#[test]
fn the_local_settings_are_azurite_and_nothing_secret() {
    let settings = json("local.settings.json");
    assert_eq!(settings["IsEncrypted"], false);
    let values = settings["Values"].as_object().unwrap();
    assert_eq!(values["FUNCTIONS_WORKER_RUNTIME"], "custom");
    assert_eq!(values["AzureWebJobsStorage"], "UseDevelopmentStorage=true");
    let config = asklake::config::Config::from_lookup(|name| values.get(name).map(|value| value.as_str().unwrap().to_owned())).unwrap();
    assert_eq!(config.store, asklake::config::Store::Embedded);
    assert!(matches!(config.queue, asklake::config::Queue::ConnectionString(_)));
    assert!(!values.keys().any(|name| name.contains("KEY") || name.contains("TOKEN")));
}

#[test]
fn what_is_published_is_the_function_app_and_no_source() {
    let ignore = std::fs::read_to_string(Path::new(ROOT).join(".funcignore")).unwrap();
    let ignored: Vec<&str> = ignore.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let is_ignored = |name: &str| {
        ignored.iter().any(|pattern| match pattern.trim_start_matches('/').split_once('*') {
            Some((start, end)) => name.starts_with(start) && name.ends_with(end),
            None => pattern.trim_start_matches('/') == name,
        })
    };
    // What lies about on somebody's disk is no concern of this test.
    let listed = std::process::Command::new("git").args(["ls-files"]).current_dir(ROOT).output().unwrap();
    let files = String::from_utf8(listed.stdout).unwrap();
    let roots: BTreeSet<&str> = files.lines().filter_map(|file| file.split('/').next()).collect();
    let published: Vec<&str> = roots.into_iter().filter(|name| !is_ignored(name)).collect();
    assert_eq!(published, ["api", "host.json", "messages", "poison", "start", "status", "worker"]);
    assert!(!is_ignored("bin"), "the executable is published");
}
