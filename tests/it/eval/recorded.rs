//! Model and warehouse behind a tape: what was asked before is not asked again.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use asklake::{
    conversation::Phase,
    model::{self, Entry, Model, Request, recorded::Recorded as RecordedModel},
    tape::{Options, Port, Source, Tape},
    warehouse::{self, RunState, Statement, Warehouse, recorded::Recorded as RecordedWarehouse},
};

use crate::support::scripted::{SQL, ScriptedModel, ScriptedWarehouse, answer};

fn request(question: &str) -> Request {
    Request { language: None, transcript: vec![Entry::Question(question.into())], queries_left: 6 }
}

fn tape(file: &Path, replay: bool, record: bool, is_offline: bool) -> Arc<Tape> {
    let file = |is_used: bool| is_used.then(|| file.to_owned());
    Arc::new(Tape::open(&Options { replay: file(replay), record: file(record), is_offline }).unwrap())
}

#[tokio::test]
async fn a_model_is_asked_once_for_what_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tape.jsonl");
    let live = Arc::new(ScriptedModel::querying(1, Duration::ZERO));
    let model = |tape: &Arc<Tape>| RecordedModel::new(live.clone(), Arc::clone(tape));
    let first = model(&tape(&file, false, true, false)).reply(&request("Which films?"), &asklake::model::unheard).await.unwrap();
    let played = tape(&file, true, false, true);
    let again = model(&played).reply(&request("Which films?"), &asklake::model::unheard).await.unwrap();
    assert_eq!((again, live.calls.load(Ordering::SeqCst)), (first, 1));
    let new = model(&played).reply(&request("Which people?"), &asklake::model::unheard).await;
    assert!(matches!(new, Err(model::Error::Misconfigured(told)) if told.contains("not recorded")));
    let sources = |question| played.heard(Port::Model, question).iter().map(|heard| heard.source).collect::<Vec<_>>();
    assert_eq!((sources("Which films?"), sources("Which people?")), (vec![Source::Recording], vec![Source::Nobody]));
    // Not offline, what is new goes to the live one.
    model(&tape(&file, true, false, false)).reply(&request("Which people?"), &asklake::model::unheard).await.unwrap();
    assert_eq!(live.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_refusal_is_recorded_and_a_failure_that_may_pass_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tape.jsonl");
    let live = Arc::new(ScriptedModel::new(Duration::ZERO, |request, _| match &request.transcript[..] {
        [Entry::Question(text)] if text == "refuse" => Err(model::Error::Refused("no".into())),
        [Entry::Question(text)] if text == "busy" => Err(model::Error::Unavailable { detail: "busy".into(), retry_after: None }),
        _ => Ok(answer("yes")),
    }));
    let recording = RecordedModel::new(live.clone(), tape(&file, false, true, false));
    for question in ["refuse", "busy"] {
        recording.reply(&request(question), &asklake::model::unheard).await.unwrap_err();
    }
    let played = RecordedModel::new(live, tape(&file, true, false, true));
    assert!(matches!(played.reply(&request("refuse"), &asklake::model::unheard).await, Err(model::Error::Refused(told)) if told == "no"));
    assert!(matches!(played.reply(&request("busy"), &asklake::model::unheard).await, Err(model::Error::Misconfigured(_))));
}

#[tokio::test]
async fn a_statement_runs_once_whoever_launches_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tape.jsonl");
    let live = Arc::new(ScriptedWarehouse::new(Duration::ZERO));
    let warehouse = |tape: Arc<Tape>| RecordedWarehouse::new(live.clone(), tape);
    let recording = warehouse(tape(&file, false, true, false));
    let run = recording.launch(&Statement::new("one", SQL, 10)).await.unwrap();
    let state = recording.poll(&run.id, Phase::Executing, Duration::from_secs(10)).await.unwrap();
    assert_eq!(state, RunState::Succeeded(ScriptedWarehouse::rows()));
    let playing = warehouse(tape(&file, true, false, true));
    let run = playing.launch(&Statement::new("two", SQL, 10)).await.unwrap();
    assert_eq!(playing.poll(&run.id, Phase::Executing, Duration::ZERO).await.unwrap(), state);
    assert_eq!(live.launches.lock().unwrap().len(), 1);
    for other in [Statement::new("three", SQL, 11), Statement::new("three", SQL.to_lowercase(), 10)] {
        assert!(matches!(playing.launch(&other).await, Err(warehouse::Error::Misconfigured(told)) if told.contains("not recorded")));
    }
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(!kept.contains(&run.id.to_string()) && !kept.contains("\"one\""), "no name of a run is kept: {kept}");
}
