//! Properties of the state machine over random lives of a conversation.

use std::time::Duration;

use asklake::conversation::{
    Answer, AnswerBasis, Budgets, Conversation, ConversationId, Decision, Effect, ErrorCode, JobStatus, NewConversation, Outcome, Phase,
    PublicJobStatus, QueryDecision, ResultSummary, Review, RunId, Stage, Timestamp, Transition, apply, effect,
};
use proptest::prelude::*;

fn conversation() -> Conversation {
    let new = NewConversation {
        id: ConversationId::random(),
        question: "how many?".into(),
        owner: None,
        user_id: None,
        device_id: None,
        language: None,
        request_digest: None,
    };
    Conversation::start(new, Timestamp::from_unix_millis(1_700_000_000_000))
}

/// What happens at a step of a life: how the effect ends, and how much time passes before.
#[derive(Clone, Debug)]
struct Event {
    kind: u8,
    queries: usize,
    seconds: u64,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let seconds = prop_oneof![20 => 0_u64..30, 1 => 1000_u64..3000];
    prop::collection::vec((0_u8..14, 0_usize..4, seconds).prop_map(|(kind, queries, seconds)| Event { kind, queries, seconds }), 1..60)
}

fn reply(decision: Decision) -> Outcome {
    Outcome::ModelReplied { decision, review: Review::default(), model: "test".into(), prompt_tokens: 1, completion_tokens: 1, model_ms: 1 }
}

fn answer() -> Outcome {
    let (assumptions, suggested_questions) = (vec![], vec![]);
    reply(Decision::Answer(Answer { text: "42".into(), basis: AnswerBasis::Data, assumptions, suggested_questions }))
}

/// An answer that no row supports.
fn unsupported() -> Outcome {
    let Outcome::ModelReplied { decision, model, prompt_tokens, completion_tokens, model_ms, .. } = answer() else { unreachable!() };
    let review = Review { objections: vec!["42 is not in the rows.".into()], unverified: vec!["42".into()], ..Review::default() };
    Outcome::ModelReplied { decision, review, model, prompt_tokens, completion_tokens, model_ms }
}

fn queries(count: usize) -> Outcome {
    // Every call has the same id: the machine must tell them apart.
    let query = QueryDecision { call_id: "call".into(), sql_query: "SELECT 1".into(), lookup: None, reasoning: "because".into() };
    reply(Decision::Query(vec![query; count]))
}

fn unavailable(retry_after: Option<Duration>) -> Outcome {
    Outcome::Unavailable { code: ErrorCode::WarehouseUnavailable, detail: "down".into(), retry_after }
}

fn phase(event: &Event) -> Phase {
    [Phase::Queued, Phase::Starting, Phase::Executing][event.queries % 3]
}

/// The outcome of `effect` that `event` picks.
fn outcome(effect: &Effect, event: &Event) -> Outcome {
    match (effect, event.kind) {
        (Effect::Expire { .. }, _) => Outcome::Ended { code: ErrorCode::DeadlineExceeded, detail: "late".into() },
        (_, 0) => unavailable(None),
        (_, 1) => unavailable(Some(Duration::from_secs(600))),
        (Effect::AskModel { .. }, 2..=4) => answer(),
        (Effect::AskModel { .. }, 5..=6) => unsupported(),
        (Effect::AskModel { .. }, 7) => {
            Outcome::ModelUnusable { detail: "nonsense".into(), prompt_tokens: 1, completion_tokens: 1, model_ms: 1 }
        }
        (Effect::AskModel { .. }, _) => queries(1 + event.queries),
        (Effect::Launch { job }, 2..=4) => Outcome::QueryRefused { job: *job, reason: "no".into() },
        (Effect::Launch { job }, 5) if *job > 0 => Outcome::QueryRepeated { job: *job, of: *job - 1 },
        (Effect::Launch { job }, _) => Outcome::QueryLaunched {
            job: *job,
            run_id: RunId::Number(7),
            sql_query: "SELECT 1 LIMIT 2".into(),
            limit_source: None,
            run_page_url: None,
            phase: phase(event),
        },
        (Effect::Poll { job, .. }, 2..=3) => Outcome::QueryFailed { job: *job, error: "no such column".into() },
        (Effect::Poll { job, .. }, 4) => Outcome::QueryLost { job: *job },
        (Effect::Poll { job, .. }, 5..=7) => Outcome::QueryRunning { job: *job, phase: phase(event) },
        (Effect::Poll { job, .. }, _) => {
            Outcome::QuerySucceeded { job: *job, summary: ResultSummary { row_count: 1, truncated: false, limit_source: None } }
        }
    }
}

/// Lives through `events`, handing every transition with what was before it to `check`; returns the last state.
fn live(events: &[Event], budgets: &Budgets, mut check: impl FnMut(&Conversation, &Transition)) -> (Conversation, Timestamp) {
    let mut current = conversation();
    let mut now = current.created_at;
    for event in events {
        now = now.plus(Duration::from_secs(event.seconds));
        let Some(next) = effect(&current, budgets, now) else { break };
        let transition = apply(current.clone(), outcome(&next, event), budgets, now).expect("a running turn takes every outcome");
        check(&current, &transition);
        current = transition.conversation;
    }
    (current, now)
}

proptest! {
    #[test]
    fn every_commit_raises_the_revision_by_one_and_wakes_unless_the_turn_ended(events in events()) {
        live(&events, &Budgets::default(), |before, after| {
            assert_eq!(after.conversation.revision, before.revision.next());
            assert_eq!(after.wake.is_none(), after.conversation.stage.is_terminal());
            assert_eq!(after.conversation.wake_at.is_some(), after.wake.is_some());
            assert!(after.wake.is_none_or(|delay| delay <= Duration::from_secs(60)), "a wake is never far away: {:?}", after.wake);
        });
    }

    #[test]
    fn progress_never_goes_back_and_only_an_answer_reaches_100(events in events()) {
        live(&events, &Budgets::default(), |before, after| {
            assert!(after.conversation.progress().percentage >= before.progress().percentage);
            assert_eq!(after.conversation.progress().percentage == 100, after.conversation.stage == Stage::Completed);
        });
    }

    #[test]
    fn budgets_are_kept(events in events()) {
        let budgets = Budgets::default();
        live(&events, &budgets, |_, after| {
            let spent = &after.conversation.spent;
            assert!(spent.queries <= budgets.queries && spent.model_calls <= budgets.model_calls && spent.repairs <= budgets.repairs && spent.rewrites <= budgets.rewrites);
            assert!(spent.failures <= budgets.failures + 1);
            assert!(after.conversation.databricks_jobs.len() <= budgets.queries as usize);
            assert!(after.conversation.databricks_jobs.iter().all(|job| job.lost <= budgets.relaunches + 1));
        });
    }

    #[test]
    fn no_unsupported_answer_goes_out_unmarked(events in events()) {
        let (last, _) = live(&events, &Budgets::default(), |_, after| {
            let draft = after.conversation.draft.as_ref();
            assert!(draft.is_none_or(|_| !after.conversation.stage.is_terminal() || after.conversation.stage == Stage::Failed));
        });
        let answer = last.final_answer.unwrap_or_default();
        prop_assert_eq!(answer.contains("Not found in the rows: 42"), !last.unverified.is_empty());
    }

    #[test]
    fn an_ended_turn_stays_ended_whatever_happens(events in events(), late in events()) {
        let budgets = Budgets::default();
        let (last, now) = live(&events, &budgets, |_, _| {});
        let end = Outcome::Ended { code: ErrorCode::Canceled, detail: "Canceled".into() };
        let ended = apply(last.clone(), end, &budgets, now).map_or(last, |transition| transition.conversation);
        prop_assert!(ended.stage.is_terminal());
        prop_assert_eq!(effect(&ended, &budgets, now), None);
        for event in &late {
            let poll = Effect::Poll { job: 0, run: RunId::Number(7), phase: Phase::Executing };
            for effect in [Effect::AskModel { queries_left: 1 }, Effect::Launch { job: 0 }, poll] {
                prop_assert_eq!(apply(ended.clone(), outcome(&effect, event), &budgets, now), None);
            }
        }
    }

    #[test]
    fn a_running_turn_has_one_next_effect_and_an_ended_one_no_open_query(events in events()) {
        live(&events, &Budgets::default(), |_, after| {
            let conversation = &after.conversation;
            let running = conversation.databricks_jobs.iter().filter(|job| job.status == JobStatus::Running).count();
            assert!(running <= 1);
            if conversation.stage.is_terminal() {
                assert!(conversation.databricks_jobs.iter().all(|job| job.status.is_over()));
                assert_eq!(conversation.final_answer.is_some(), conversation.stage == Stage::Completed);
                assert_eq!(conversation.error.is_some(), conversation.stage != Stage::Completed);
            }
            let mut ids: Vec<_> = conversation.databricks_jobs.iter().map(|job| job.call_id.clone()).collect();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), conversation.databricks_jobs.len(), "call ids are unique");
        });
    }

    #[test]
    fn a_query_is_shown_as_running_when_it_executes_and_its_phase_ends_with_it(events in events()) {
        live(&events, &Budgets::default(), |_, after| {
            for job in &after.conversation.databricks_jobs {
                assert_eq!(job.phase.is_some(), job.status == JobStatus::Running, "{job:?}");
                assert_eq!(job.public_status() == PublicJobStatus::Running, job.phase == Some(Phase::Executing), "{job:?}");
                if let Some(phase) = job.phase {
                    assert_eq!(job.executing_since.is_some(), phase == Phase::Executing, "{job:?}");
                }
            }
        });
    }

    #[test]
    fn every_life_ends_within_the_deadline(events in events()) {
        let budgets = Budgets::default();
        let (last, now) = live(&events, &budgets, |_, _| {});
        let late = now.plus(budgets.turn);
        let next = effect(&last, &budgets, late);
        let expires = next.is_none_or(|next| matches!(next, Effect::Expire { .. }));
        prop_assert!(expires);
    }
}

#[test]
fn a_failed_query_is_repaired_twice_and_then_ends_the_turn() {
    let budgets = Budgets::default();
    let mut current = conversation();
    let now = current.created_at;
    for repair in 0..=2 {
        for outcome in [queries(1), Outcome::QueryRefused { job: repair, reason: format!("refusal {repair}") }] {
            current = apply(current, outcome, &budgets, now).expect("still running").conversation;
        }
    }
    assert_eq!(current.stage, Stage::Failed);
    assert_eq!(current.error.as_deref(), Some("The query failed and 2 repairs did not help: refusal 2"));
    assert_eq!(current.error_detail.expect("a detail").code, ErrorCode::QueryFailed);
}

#[test]
fn published_progress_follows_the_stages_of_a_one_query_turn() {
    let budgets = Budgets::default();
    let mut current = conversation();
    let now = current.created_at;
    let mut seen = vec![current.progress()];
    let launched = launch(Phase::Executing);
    let succeeded = Outcome::QuerySucceeded { job: 0, summary: ResultSummary { row_count: 1, truncated: false, limit_source: None } };
    for outcome in [queries(1), launched, succeeded, answer()] {
        current = apply(current, outcome, &budgets, now).expect("still running").conversation;
        seen.push(current.progress());
    }
    insta::assert_snapshot!(seen.iter().map(|p| format!("{:>3} {}", p.percentage, p.current_step)).collect::<Vec<_>>().join("\n"), @r"
     10 Analyzing the question...
     35 Generating Spark SQL: submitting the query...
     40 Executing Spark SQL (0/1 queries completed)...
     90 Processing results...
    100 Completed
    ");
}

fn launch(phase: Phase) -> Outcome {
    Outcome::QueryLaunched { job: 0, run_id: RunId::Number(7), sql_query: "SELECT 1".into(), limit_source: None, run_page_url: None, phase }
}

/// A conversation with one launched query in `phase`.
fn launched(phase: Phase) -> Conversation {
    let now = conversation().created_at;
    let budgets = Budgets::default();
    let decided = apply(conversation(), queries(1), &budgets, now).expect("decided").conversation;
    apply(decided, launch(phase), &budgets, now).expect("launched").conversation
}

#[test]
fn what_a_query_waits_for_is_shown_and_a_change_of_it_is_polled_on_at_once() {
    let before = launched(Phase::Queued);
    let percentage = before.progress().percentage;
    assert_eq!(before.progress().current_step, "Executing Spark SQL (0/1 queries completed): queued in the warehouse...");
    assert_eq!(before.databricks_jobs[0].public_status(), PublicJobStatus::Pending);
    let now = before.updated_at.plus(Duration::from_secs(5));
    assert!(matches!(effect(&before, &Budgets::default(), now), Some(Effect::Poll { phase: Phase::Queued, .. })));
    let live =
        |before: &Conversation, phase| apply(before.clone(), Outcome::QueryRunning { job: 0, phase }, &Budgets::default(), now).unwrap();

    let same = live(&before, Phase::Queued);
    assert_eq!((same.wake, same.conversation.spent.polls), (Some(Duration::from_secs(1)), 1));
    let starting = live(&same.conversation, Phase::Starting);
    assert_eq!((starting.wake, starting.conversation.spent.polls), (Some(Duration::ZERO), 0));
    let starting = starting.conversation;
    assert_eq!(starting.progress().current_step, "Executing Spark SQL (0/1 queries completed): waiting for the warehouse to start...");
    assert_eq!(starting.databricks_jobs[0].executing_since, None);
    let executing = live(&starting, Phase::Executing).conversation;
    assert_eq!(executing.progress().current_step, "Executing Spark SQL (0/1 queries completed)...");
    assert_eq!(executing.databricks_jobs[0].public_status(), PublicJobStatus::Running);
    assert_eq!(executing.databricks_jobs[0].executing_since, Some(now));
    assert_eq!(executing.progress().percentage, percentage);
}

#[test]
fn a_job_that_was_stored_without_a_phase_executes() {
    let mut stored = serde_json::to_value(launched(Phase::Queued)).unwrap();
    stored["databricks_jobs"][0].as_object_mut().unwrap().remove("phase").expect("a phase is stored");
    let conversation: Conversation = serde_json::from_value(stored).unwrap();
    assert_eq!(conversation.databricks_jobs[0].public_status(), PublicJobStatus::Running);
    assert_eq!(conversation.progress().current_step, "Executing Spark SQL (0/1 queries completed)...");
}
