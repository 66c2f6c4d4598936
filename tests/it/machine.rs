//! Properties of the state machine over random lives of a conversation.

use std::time::Duration;

use asklake::conversation::{
    Answer, AnswerBasis, Budgets, Cancellation, Conversation, ConversationId, Decision, Declined, Effect, ErrorCode, FollowUp, JobStatus,
    NewConversation, Outcome, Phase, PublicJobStatus, PublicStatus, QueryDecision, Rating, RequestKey, ResultSummary, Review, RunId, Stage,
    Timestamp, Transition, apply, cancel, effect, follow_up, rate,
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
    Outcome::ModelReplied { decision, review: Box::default(), model: "test".into(), prompt_tokens: 1, completion_tokens: 1, model_ms: 1 }
}

fn answer() -> Outcome {
    let (assumptions, suggested_questions) = (vec![], vec![]);
    reply(Decision::Answer(Answer { text: "42".into(), basis: AnswerBasis::Data, assumptions, suggested_questions }))
}

/// An answer that no row supports.
fn unsupported() -> Outcome {
    let Outcome::ModelReplied { decision, model, prompt_tokens, completion_tokens, model_ms, .. } = answer() else { unreachable!() };
    let review = Review { objections: vec!["42 is not in the rows.".into()], unverified: vec!["42".into()], ..Review::default() };
    Outcome::ModelReplied { decision, review: Box::new(review), model, prompt_tokens, completion_tokens, model_ms }
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
        (Effect::Cancel { .. }, kind) => Outcome::Cancellation(
            [Cancellation::Unconfirmed, Cancellation::Confirmed, Cancellation::TooLate, Cancellation::Unknown][usize::from(kind) % 4],
        ),
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
        (Effect::Poll { job, .. }, 4) if event.queries.is_multiple_of(2) => Outcome::QueryTurnedAway { job: *job, detail: "full".into() },
        (Effect::Poll { job, .. }, 4) => Outcome::QueryLost { job: *job },
        (Effect::Poll { job, .. }, 5..=7) => Outcome::QueryRunning { job: *job, phase: phase(event) },
        (Effect::Poll { job, .. }, _) => Outcome::QuerySucceeded { job: *job, summary: one_row() },
    }
}

/// Lives through `events`, handing every transition with what was before it to `check`; returns the last state.
fn live(events: &[Event], budgets: &Budgets, check: impl FnMut(&Conversation, &Transition)) -> (Conversation, Timestamp) {
    let first = conversation();
    let now = first.created_at;
    live_on(first, now, events, budgets, check)
}

/// [`live`] from `current` on.
fn live_on(
    mut current: Conversation,
    mut now: Timestamp,
    events: &[Event],
    budgets: &Budgets,
    mut check: impl FnMut(&Conversation, &Transition),
) -> (Conversation, Timestamp) {
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

    #[test]
    fn a_turn_that_is_canceled_at_any_time_ends_as_canceled_within_its_bounds(events in events(), at in 0_usize..12, late in events()) {
        let budgets = Budgets::default();
        let (before, now) = live(&events[..at.min(events.len())], &budgets, |_, _| {});
        let Some(Transition { conversation: mut current, wake }) = cancel(before.clone(), now) else {
            prop_assert!(before.stage.is_terminal());
            return Ok(());
        };
        let has_run = before.databricks_jobs.iter().any(|job| job.status == JobStatus::Running);
        prop_assert_eq!(current.stage, if has_run { Stage::Canceling } else { Stage::Canceled });
        prop_assert_eq!((current.revision, wake.is_some()), (before.revision.next(), has_run));
        prop_assert_eq!(cancel(current.clone(), now), None, "to cancel it again changes nothing");
        let shown = before.progress().percentage;
        let (mut now, mut commits) = (now, 1);
        for event in late.iter().cycle() {
            prop_assert_eq!(current.progress().percentage, shown, "it stays where it was");
            let Some(next) = effect(&current, &budgets, now) else { break };
            let transition = apply(current.clone(), outcome(&next, event), &budgets, now).expect("it takes every outcome");
            prop_assert_eq!(transition.wake.is_none(), transition.conversation.stage == Stage::Canceled);
            now = now.plus(transition.wake.unwrap_or_default());
            current = transition.conversation;
            commits += 1;
        }
        prop_assert!(commits <= 1 + budgets.cancels, "{} commits", commits);
        prop_assert_eq!(current.stage, Stage::Canceled);
        prop_assert_eq!((current.status(), current.error.as_deref()), (PublicStatus::Error, Some("Canceled")));
        prop_assert_eq!(current.error_detail.expect("a detail").code, ErrorCode::Canceled);
        for (job, earlier) in current.databricks_jobs.iter().zip(&before.databricks_jobs) {
            prop_assert!(job.status.is_over());
            prop_assert_eq!(job.status == JobStatus::Canceled, !earlier.status.is_over());
        }
    }

    #[test]
    fn a_turn_that_is_being_canceled_ends_as_canceled_whatever_the_worker_makes_of_it(event in events(), again in any::<bool>()) {
        let (budgets, before) = (Budgets::default(), launched(Phase::Executing));
        let now = before.updated_at;
        let canceling = cancel(before, now).expect("it runs").conversation;
        // An outcome of another effect, and the poison queue.
        let poisoned = Outcome::Ended { code: ErrorCode::Abandoned, detail: "given up".into() };
        let poll = Effect::Poll { job: 0, run: RunId::Number(7), phase: Phase::Executing };
        let outcome = if again { poisoned } else { outcome(&poll, &event[0]) };
        let after = apply(canceling, outcome, &budgets, now).expect("it takes every outcome").conversation;
        prop_assert_eq!(after.stage, if again { Stage::Canceled } else { Stage::Canceling });
    }

    #[test]
    fn a_follow_up_begins_a_turn_anew_and_keeps_what_was_said(events in events(), more in events()) {
        let budgets = Budgets::default();
        let (last, now) = live(&events, &budgets, |_, _| {});
        let end = Outcome::Ended { code: ErrorCode::Canceled, detail: "Canceled".into() };
        let ended = apply(last.clone(), end, &budgets, now).map_or(last, |transition| transition.conversation);
        let asked = FollowUp { question: "and then?".into(), language: None, key: None };
        let Transition { conversation: next, wake } = follow_up(ended.clone(), asked.clone(), &budgets, now).expect("it has ended");
        prop_assert_eq!((wake, next.revision, next.turn), (Some(Duration::ZERO), ended.revision.next(), ended.turn + 1));
        prop_assert_eq!((&next.question, next.title()), (&"and then?".to_owned(), "how many?"));
        prop_assert_eq!(&next.messages[..ended.messages.len()], &ended.messages[..]);
        prop_assert_eq!(next.messages.len(), ended.messages.len() + 1);
        prop_assert_eq!((&next.databricks_jobs, &next.usage), (&ended.databricks_jobs, &ended.usage));
        prop_assert_eq!((next.id, next.created_at), (ended.id, ended.created_at));
        prop_assert_eq!(&next.ended_turns, &[ended.ended_turn()]);
        // But for what goes on, it is what a conversation begins with.
        let fresh = Conversation { id: next.id, question: next.question.clone(), ..conversation() };
        let like_fresh = Conversation {
            revision: fresh.revision,
            turn: fresh.turn,
            messages: fresh.messages.clone(),
            ended_turns: Vec::new(),
            databricks_jobs: Vec::new(),
            usage: fresh.usage.clone(),
            percentage: fresh.percentage,
            turn_started_at: fresh.turn_started_at,
            wake_at: fresh.wake_at,
            created_at: fresh.created_at,
            updated_at: fresh.updated_at,
            ..next.clone()
        };
        prop_assert_eq!(like_fresh, fresh);
        prop_assert_eq!(follow_up(next.clone(), asked, &budgets, now), Err(Declined::TurnRunning));
        // The second turn lives by the same rules, and its calls are told from those of the first.
        live_on(next, now, &more, &budgets, |before, after| {
            assert!(after.conversation.progress().percentage >= before.progress().percentage);
            let mut ids: Vec<_> = after.conversation.databricks_jobs.iter().map(|job| &job.call_id).collect();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), after.conversation.databricks_jobs.len());
        });
    }
}

#[test]
fn a_conversation_has_so_many_turns_and_no_more() {
    let budgets = Budgets { turns: 2, ..Budgets::default() };
    let asked = |question: &str| FollowUp { question: question.into(), language: Some("de".into()), key: None };
    let now = conversation().created_at;
    let ended = |conversation| apply(conversation, answer(), &budgets, now).expect("running").conversation;
    let second = follow_up(ended(conversation()), asked("second"), &budgets, now).expect("room").conversation;
    assert_eq!(second.language.as_deref(), Some("de"));
    assert_eq!(follow_up(ended(second), asked("third"), &budgets, now), Err(Declined::NoTurnLeft(2)));
}

#[test]
fn the_last_feedback_of_a_turn_counts_and_a_running_turn_takes_none() {
    let now = conversation().created_at;
    let budgets = Budgets::default();
    assert_eq!(rate(conversation(), Rating::Positive, None, now), Err(Declined::TurnRunning));
    let ended = apply(conversation(), answer(), &budgets, now).expect("running").conversation;
    let first = rate(ended.clone(), Rating::Positive, None, now).expect("ended").conversation;
    let second = rate(first, Rating::Negative, Some("wrong year".into()), now).expect("ended").conversation;
    assert_eq!((second.revision, second.wake_at, second.progress().percentage), (ended.revision.next().next(), None, 100));
    let key = Some(RequestKey { key: "k".into(), body: "b".into() });
    let asked = FollowUp { question: "and?".into(), language: None, key };
    let next = follow_up(second, asked, &budgets, now).expect("ended").conversation;
    assert_eq!(next.keyed_requests[0].turn, 2);
    let next = apply(next, answer(), &budgets, now).expect("running").conversation;
    let rated = rate(next, Rating::Positive, None, now).expect("ended").conversation;
    let given: Vec<_> = rated.feedback.iter().map(|feedback| (feedback.turn, feedback.rating)).collect();
    assert_eq!(given, [(1, Rating::Negative), (2, Rating::Positive)]);
    assert_eq!(rated.feedback_of(1).and_then(|feedback| feedback.comment.as_deref()), Some("wrong year"));
}

#[test]
fn what_came_of_a_cancellation_is_said() {
    let (budgets, running) = (Budgets::default(), launched(Phase::Executing));
    let now = running.updated_at;
    let canceling = cancel(running, now).expect("it runs").conversation;
    assert_eq!(canceling.progress().current_step, "Canceling: waiting for the warehouse to confirm that it stopped the query...");
    for (cancellation, said, is_confirmed) in [
        (Cancellation::Confirmed, "Canceled; the warehouse confirmed it", true),
        (Cancellation::TooLate, "Canceled; the query had ended in the warehouse by then", true),
        (Cancellation::Unknown, "Canceled; the warehouse does not know the query any more", false),
        (Cancellation::Unconfirmed, "Canceled; the warehouse did not confirm it within 60 s", false),
    ] {
        let late = now.plus(Duration::from_secs(60));
        let ended = apply(canceling.clone(), Outcome::Cancellation(cancellation), &budgets, late).expect("running").conversation;
        assert_eq!((ended.stage, ended.progress().current_step.as_str()), (Stage::Canceled, said));
        let job = &ended.databricks_jobs[0];
        assert_eq!((job.status, job.error.as_deref(), job.cancel_confirmed_at.is_some()), (JobStatus::Canceled, Some(said), is_confirmed));
        assert_eq!((job.finished_at, job.phase), (Some(late), None));
        let told = ended.messages.iter().flat_map(|message| &message.tool_calls).find_map(|call| call.result.as_ref()).expect("a result");
        assert_eq!(told.error.as_deref(), Some(said));
    }
    let soon = apply(canceling, Outcome::Cancellation(Cancellation::Unconfirmed), &budgets, now).expect("running");
    assert_eq!((soon.conversation.stage, soon.wake), (Stage::Canceling, Some(Duration::from_secs(1))));
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
fn however_many_queries_of_one_decision_fail_all_are_tried_and_mending_them_is_one_repair() {
    let budgets = Budgets::default();
    let mut current = conversation();
    let now = current.created_at;
    current = apply(current, queries(4), &budgets, now).expect("decided").conversation;
    for job in 0..3 {
        assert_eq!(effect(&current, &budgets, now), Some(Effect::Launch { job }));
        current = apply(current, Outcome::QueryRefused { job, reason: "no".into() }, &budgets, now).expect("still running").conversation;
        assert_eq!(current.spent.repairs, 0, "the model has not been told");
    }
    for outcome in [launch_of(3), Outcome::QuerySucceeded { job: 3, summary: one_row() }] {
        current = apply(current, outcome, &budgets, now).expect("still running").conversation;
    }
    assert_eq!((current.stage, current.spent.repairs), (Stage::Answering, 1));
}

#[test]
fn a_query_that_a_failed_turn_leaves_is_not_said_to_be_canceled_by_anybody() {
    let budgets = Budgets::default();
    let end = || Outcome::Ended { code: ErrorCode::WarehouseUnavailable, detail: "no engine".into() };
    let told = |before: Conversation| {
        let now = before.updated_at;
        let job = apply(before, end(), &budgets, now).expect("ended").conversation.databricks_jobs.remove(0);
        (job.status, job.error)
    };
    let now = conversation().created_at;
    let decided = apply(conversation(), queries(1), &budgets, now).expect("decided").conversation;
    assert_eq!(told(decided), (JobStatus::Failed, Some("It was not run.".into())));
    assert_eq!(told(launched(Phase::Executing)), (JobStatus::Canceled, Some("It was stopped.".into())));
}

#[test]
fn a_busy_warehouse_is_given_time_and_then_says_what_to_change() {
    let budgets = Budgets::default();
    let mut current = conversation();
    let now = current.created_at;
    current = apply(current, queries(1), &budgets, now).expect("decided").conversation;
    let mut waited = Vec::new();
    while !current.stage.is_terminal() {
        current = apply(current, launch(Phase::Queued), &budgets, now).expect("launched").conversation;
        let turned_away = Outcome::QueryTurnedAway { job: 0, detail: "raise max_concurrent_runs".into() };
        let after = apply(current, turned_away, &budgets, now).expect("still running");
        waited.extend(after.wake.map(|delay| delay.as_secs()));
        current = after.conversation;
    }
    assert_eq!(waited, [4, 8, 15, 15]);
    assert_eq!(current.error.as_deref(), Some("The warehouse is busy: raise max_concurrent_runs"));
    assert!(current.error_detail.expect("a detail").retryable);
}

#[test]
fn published_progress_follows_the_stages_of_a_one_query_turn() {
    let budgets = Budgets::default();
    let mut current = conversation();
    let now = current.created_at;
    let mut seen = vec![current.progress()];
    let launched = launch(Phase::Executing);
    let succeeded = Outcome::QuerySucceeded { job: 0, summary: one_row() };
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

fn one_row() -> ResultSummary {
    ResultSummary { row_count: 1, truncated: false, limit_source: None }
}

fn launch_of(job: usize) -> Outcome {
    let Outcome::QueryLaunched { run_id, sql_query, limit_source, run_page_url, phase, .. } = launch(Phase::Executing) else {
        unreachable!()
    };
    Outcome::QueryLaunched { job, run_id, sql_query, limit_source, run_page_url, phase }
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
