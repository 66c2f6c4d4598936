//! The contract of `asklake::store::Store`.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use asklake::{
    conversation::{
        AnswerBasis, Column, Conversation, ConversationId, ErrorCode, ErrorDetail, Feedback, Job, JobStatus, KeyedRequest, LimitSource,
        Lookup, Message, NewConversation, Phase, Rating, RequestKey, ResultSet, Role, RunId, Stage, Timestamp, ToolCall, ToolOutcome,
        ToolStatus,
    },
    store::{
        ETag, Error, HistoryFilter, Store,
        document::{MAX_BYTES, MAX_RESULT_BYTES},
    },
};
use async_trait::async_trait;
use serde_json::json;

use super::eventually;

/// An empty store and its time.
#[async_trait]
pub trait Harness: Send + Sync {
    /// The store.
    fn store(&self) -> Arc<dyn Store>;
    /// How long a conversation lives after its last commit; at least 3 s.
    fn ttl(&self) -> Duration;
    /// Lets time pass.
    async fn elapse(&self, by: Duration);
}

/// Runs the whole contract for the harness that an `async fn() -> Option<impl Harness>` makes.
macro_rules! store_contract {
    ($fresh:path) => {
        $crate::contract::cases!(
            $crate::contract::store,
            $fresh,
            [
                an_unknown_id_is_none,
                what_was_created_is_loaded,
                every_field_survives,
                a_large_document_survives,
                an_id_is_created_once,
                a_commit_replaces_what_was_read,
                a_commit_over_another_version_conflicts_and_changes_nothing,
                a_commit_of_an_unknown_id_conflicts,
                an_etag_of_another_store_conflicts,
                a_removed_conversation_is_gone_with_its_results,
                a_removal_over_another_version_conflicts_and_changes_nothing,
                one_of_many_concurrent_commits_wins,
                one_of_many_concurrent_creates_wins,
                what_has_expired_is_gone_from_every_read,
                a_commit_prolongs_the_conversation_and_its_results,
                an_expired_id_may_be_created_anew,
                history_is_newest_first_and_the_filters_narrow_it,
                pages_neither_repeat_nor_skip,
                pages_stay_true_while_conversations_are_added,
                a_page_that_is_just_full_is_the_last,
                a_cursor_that_no_page_returned_is_refused,
                results_are_kept_by_conversation_and_number,
                a_result_is_replaced,
                cells_keep_their_types,
                a_document_of_more_than_a_mebibyte_is_refused_and_changes_nothing,
                rows_of_more_than_half_a_mebibyte_are_refused_and_those_just_below_kept,
                the_probe_answers,
            ]
        );
    };
}
pub(crate) use store_contract;

/// The instant `seconds` after a fixed one.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_795_000_000_000 + seconds * 1000)
}

/// A conversation that has just been asked.
pub fn asked(question: &str) -> Conversation {
    labelled(question, at(0), None, None, None)
}

fn labelled(question: &str, now: Timestamp, owner: Option<&str>, user: Option<&str>, device: Option<&str>) -> Conversation {
    let text = |label: Option<&str>| label.map(str::to_owned);
    let new = NewConversation {
        id: ConversationId::random(),
        question: question.into(),
        owner: text(owner),
        user_id: text(user),
        device_id: text(device),
        language: Some("en-GB".into()),
        request_digest: None,
    };
    Conversation::start(new, now)
}

/// The next revision of `conversation`.
pub fn advanced(conversation: &Conversation) -> Conversation {
    let mut next = conversation.clone();
    next.revision = next.revision.next();
    next.percentage += 1;
    next
}

/// A conversation with every field filled.
pub fn answered() -> Conversation {
    let mut conversation = labelled("Which films, \"naïve\" or not, 映画 🎬,\nare \\ best?\u{0}", at(0), Some("o"), Some("ü"), Some("d"));
    conversation.request_digest = Some("sha256:ab".into());
    let call = ToolCall {
        id: "call_1".into(),
        sql_query: "SELECT 'it''s'\n-- \t\u{2028}".into(),
        lookup: Some(Lookup { column: "s.t.c".into(), text: "ü".into() }),
        reasoning: "to rank".into(),
        result: Some(ToolOutcome { status: ToolStatus::Success, run_id: Some(RunId::Number(u64::MAX)), row_count: Some(10), error: None }),
    };
    let message = |role, content: &str, tool_calls| Message { role, content: content.into(), timestamp: at(1), turn: 1, tool_calls };
    conversation.messages.push(message(Role::Assistant, "", vec![call]));
    conversation.messages.push(message(Role::Assistant, "**Ten** films.", Vec::new()));
    let job = Job {
        turn: 1,
        call_id: "call_1".into(),
        run_id: Some(RunId::Number(u64::MAX)),
        sql_query: "SELECT 'it''s' LIMIT 1001".into(),
        reasoning: "to rank".into(),
        status: JobStatus::Completed,
        phase: Some(Phase::Starting),
        started_at: at(1),
        launched_at: None,
        executing_since: Some(at(1)),
        finished_at: Some(Timestamp::from_unix_millis(1_795_000_002_345)),
        row_count: Some(10),
        truncated: Some(true),
        limit_source: Some(LimitSource::Server),
        error: None,
        cancel_confirmed_at: Some(at(3)),
        recompute_error: Some("gone".into()),
        run_page_url: Some("https://example.invalid/run/1".into()),
        lost: 1,
    };
    let failed =
        Job { run_id: Some(RunId::Text("01ef-ab".into())), status: JobStatus::Failed, error: Some("no such column".into()), ..job.clone() };
    conversation.databricks_jobs = vec![job, failed];
    conversation.stage = Stage::Completed;
    conversation.final_answer = Some("**Ten** films.".into());
    conversation.error = Some("none".into());
    conversation.error_detail = Some(ErrorDetail { code: ErrorCode::QueryFailed, retryable: true });
    conversation.answer_basis = Some(AnswerBasis::Data);
    conversation.assumptions = vec!["films only".into()];
    conversation.suggested_questions = vec!["And the worst?".into()];
    conversation.answered_by = Some("planner".into());
    conversation.keyed_requests = vec![KeyedRequest { turn: 2, request: RequestKey { key: "k".into(), body: "b".into() } }];
    let comment = Some("naïve".into());
    conversation.feedback = vec![Feedback { turn: 1, rating: Rating::Negative, comment, given_at: at(3) }];
    conversation.ended_turns = vec![Conversation { stage: Stage::Failed, ..conversation.clone() }.ended_turn()];
    conversation.cancel_requested_at = Some(at(2));
    conversation.usage.prompt_tokens = u64::from(u32::MAX) + 1;
    conversation.spent.polls = 3;
    conversation.percentage = 100;
    conversation.wake_at = None;
    conversation.updated_at = at(3);
    conversation
}

/// A result of one row.
fn rows(cell: serde_json::Value) -> ResultSet {
    ResultSet {
        columns: vec![Column { name: "n".into(), data_type: "bigint".into() }],
        rows: vec![vec![cell]],
        row_count: 1,
        truncated: false,
        limit_source: None,
    }
}

async fn created(harness: &impl Harness, conversation: &Conversation) -> ETag {
    harness.store().create(conversation).await.expect("created")
}

async fn loaded(store: &dyn Store, id: ConversationId) -> Option<Conversation> {
    store.load(id).await.expect("readable").map(|versioned| versioned.conversation)
}

pub async fn an_unknown_id_is_none(harness: &impl Harness) {
    assert_eq!(harness.store().load(ConversationId::random()).await.unwrap(), None);
}

pub async fn what_was_created_is_loaded(harness: &impl Harness) {
    let conversation = asked("How many films?");
    let etag = created(harness, &conversation).await;
    let versioned = harness.store().load(conversation.id).await.unwrap().expect("there");
    assert_eq!((versioned.conversation, versioned.etag), (conversation, etag));
}

pub async fn every_field_survives(harness: &impl Harness) {
    let conversation = answered();
    created(harness, &conversation).await;
    assert_eq!(loaded(&*harness.store(), conversation.id).await.unwrap(), conversation);
}

pub async fn a_large_document_survives(harness: &impl Harness) {
    let mut conversation = answered();
    conversation.question = "映".repeat(4000);
    for job in &mut conversation.databricks_jobs {
        job.sql_query = "SELECT 1 ".repeat(6000);
    }
    created(harness, &conversation).await;
    assert_eq!(loaded(&*harness.store(), conversation.id).await.unwrap(), conversation);
}

pub async fn an_id_is_created_once(harness: &impl Harness) {
    let first = asked("first");
    created(harness, &first).await;
    let second = Conversation { question: "second".into(), ..first.clone() };
    let refused = harness.store().create(&second).await;
    assert!(matches!(refused, Err(Error::Exists(id)) if id == first.id), "{refused:?}");
    assert_eq!(loaded(&*harness.store(), first.id).await.unwrap(), first);
}

pub async fn a_commit_replaces_what_was_read(harness: &impl Harness) {
    let store = harness.store();
    let mut conversation = asked("q");
    let mut etag = created(harness, &conversation).await;
    for _ in 0..3 {
        conversation = advanced(&conversation);
        let next = store.commit(&conversation, &etag).await.expect("committed");
        assert_ne!(next, etag, "a commit makes a new version");
        let versioned = store.load(conversation.id).await.unwrap().expect("there");
        assert_eq!((&versioned.conversation, &versioned.etag), (&conversation, &next));
        etag = versioned.etag;
    }
}

pub async fn a_commit_over_another_version_conflicts_and_changes_nothing(harness: &impl Harness) {
    let store = harness.store();
    let first = asked("q");
    let stale = created(harness, &first).await;
    let second = advanced(&first);
    let current = store.commit(&second, &stale).await.expect("committed");
    let refused = store.commit(&advanced(&advanced(&first)), &stale).await;
    assert!(matches!(refused, Err(Error::Conflict(id)) if id == first.id), "{refused:?}");
    let versioned = store.load(first.id).await.unwrap().expect("there");
    assert_eq!((versioned.conversation, versioned.etag), (second, current));
}

pub async fn a_commit_of_an_unknown_id_conflicts(harness: &impl Harness) {
    let etag = created(harness, &asked("another")).await;
    let unknown = asked("q");
    let refused = harness.store().commit(&unknown, &etag).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    assert_eq!(loaded(&*harness.store(), unknown.id).await, None);
}

pub async fn an_etag_of_another_store_conflicts(harness: &impl Harness) {
    let conversation = asked("q");
    created(harness, &conversation).await;
    for etag in ["", "\"00000000-0000-0000-0000-000000000000\"", "🙂"] {
        let refused = harness.store().commit(&advanced(&conversation), &ETag(etag.into())).await;
        assert!(matches!(refused, Err(Error::Conflict(_))), "{etag}: {refused:?}");
    }
}

pub async fn a_removed_conversation_is_gone_with_its_results(harness: &impl Harness) {
    let store = harness.store();
    let (conversation, other) = (Conversation { user_id: Some("u".into()), ..answered() }, asked("another"));
    let etag = created(harness, &conversation).await;
    created(harness, &other).await;
    for id in [conversation.id, other.id] {
        store.put_result(id, 1, &rows(json!(1))).await.unwrap();
    }
    store.remove(&conversation, &etag).await.expect("removed");
    assert_eq!(loaded(&*store, conversation.id).await, None);
    assert_eq!(store.result(conversation.id, 1).await.unwrap(), None, "its result");
    let filter = HistoryFilter { user_id: Some("u".into()), ..HistoryFilter::default() };
    assert!(store.history(&filter, 10, None).await.unwrap().conversations.is_empty(), "its place in the history");
    for refused in [store.remove(&conversation, &etag).await.err(), store.commit(&advanced(&conversation), &etag).await.err()] {
        assert!(matches!(refused, Some(Error::Conflict(id)) if id == conversation.id), "{refused:?}");
    }
    // What a worker still writes for it comes to nothing, and who is given its id has none of its rows.
    store.put_result(conversation.id, 1, &rows(json!(2))).await.expect("dropped");
    created(harness, &conversation).await;
    assert_eq!(store.result(conversation.id, 1).await.unwrap(), None, "no result of the one before");
    assert_eq!(loaded(&*store, other.id).await, Some(other.clone()), "others are left alone");
    assert!(store.result(other.id, 1).await.unwrap().is_some());
}

pub async fn a_removal_over_another_version_conflicts_and_changes_nothing(harness: &impl Harness) {
    let store = harness.store();
    let first = asked("q");
    let stale = created(harness, &first).await;
    store.put_result(first.id, 1, &rows(json!(1))).await.unwrap();
    let second = advanced(&first);
    store.commit(&second, &stale).await.expect("committed");
    for etag in [stale, ETag(String::new()), ETag("*".into())] {
        let refused = store.remove(&second, &etag).await;
        assert!(matches!(refused, Err(Error::Conflict(id)) if id == first.id), "{refused:?}");
    }
    assert_eq!(loaded(&*store, first.id).await, Some(second));
    assert!(store.result(first.id, 1).await.unwrap().is_some());
}

pub async fn one_of_many_concurrent_commits_wins(harness: &impl Harness) {
    let conversation = asked("q");
    let etag = created(harness, &conversation).await;
    let attempts = (0..16_u8).map(|percentage| {
        let (store, etag) = (harness.store(), etag.clone());
        let next = Conversation { percentage, ..advanced(&conversation) };
        tokio::spawn(async move { (store.commit(&next, &etag).await, percentage) })
    });
    let mut winners = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            (Ok(etag), percentage) => winners.push((etag, percentage)),
            (Err(Error::Conflict(_)), _) => {}
            (Err(other), _) => panic!("neither won nor conflicted: {other}"),
        }
    }
    let [(etag, percentage)] = &winners[..] else { panic!("{} commits won", winners.len()) };
    let versioned = harness.store().load(conversation.id).await.unwrap().expect("there");
    assert_eq!((versioned.conversation.percentage, &versioned.etag), (*percentage, etag));
}

pub async fn one_of_many_concurrent_creates_wins(harness: &impl Harness) {
    let conversation = asked("q");
    let attempts = (0..16).map(|n| {
        let (store, rival) = (harness.store(), Conversation { question: format!("q{n}"), ..conversation.clone() });
        tokio::spawn(async move { (store.create(&rival).await, rival) })
    });
    let mut winners = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            (Ok(_), rival) => winners.push(rival),
            (Err(Error::Exists(_)), _) => {}
            (Err(other), _) => panic!("neither won nor existed: {other}"),
        }
    }
    assert_eq!(winners.len(), 1, "creates that won");
    assert_eq!(loaded(&*harness.store(), conversation.id).await.as_ref(), winners.first());
}

pub async fn what_has_expired_is_gone_from_every_read(harness: &impl Harness) {
    let store = harness.store();
    let conversation = labelled("q", at(0), Some("owner"), None, None);
    let id = conversation.id;
    let etag = created(harness, &conversation).await;
    store.put_result(id, 1, &rows(json!(1))).await.unwrap();
    harness.elapse(harness.ttl()).await;
    eventually("an expired conversation is gone", async || loaded(&*store, id).await.is_none().then_some(())).await;
    assert_eq!(store.result(id, 1).await.unwrap(), None, "its result");
    let filter = HistoryFilter { owner: Some("owner".into()), ..HistoryFilter::default() };
    assert!(store.history(&filter, 10, None).await.unwrap().conversations.is_empty(), "its place in the history");
    let refused = store.commit(&advanced(&conversation), &etag).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
}

pub async fn a_commit_prolongs_the_conversation_and_its_results(harness: &impl Harness) {
    let store = harness.store();
    let conversation = asked("q");
    let etag = created(harness, &conversation).await;
    store.put_result(conversation.id, 1, &rows(json!(1))).await.unwrap();
    harness.elapse(harness.ttl() * 2 / 3).await;
    let next = advanced(&conversation);
    store.commit(&next, &etag).await.expect("alive");
    harness.elapse(harness.ttl() * 2 / 3).await;
    assert_eq!(loaded(&*store, next.id).await, Some(next.clone()), "two thirds of its time after the commit");
    assert_eq!(store.result(next.id, 1).await.unwrap(), Some(rows(json!(1))));
    harness.elapse(harness.ttl() / 3).await;
    eventually("it expires in the end", async || loaded(&*store, next.id).await.is_none().then_some(())).await;
}

pub async fn an_expired_id_may_be_created_anew(harness: &impl Harness) {
    let store = harness.store();
    let first = asked("first");
    let stale = created(harness, &first).await;
    store.put_result(first.id, 1, &rows(json!(1))).await.unwrap();
    harness.elapse(harness.ttl()).await;
    let second = Conversation { question: "second".into(), ..first.clone() };
    let etag = eventually("an expired id is free", async || store.create(&second).await.ok()).await;
    let versioned = store.load(first.id).await.unwrap().expect("there");
    assert_eq!((versioned.conversation, &versioned.etag), (second, &etag));
    assert_eq!(store.result(first.id, 1).await.unwrap(), None, "a result of the one before");
    let refused = store.commit(&advanced(&first), &stale).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "the version of the one before: {refused:?}");
}

pub async fn history_is_newest_first_and_the_filters_narrow_it(harness: &impl Harness) {
    let store = harness.store();
    let all = [
        labelled("0", at(10), Some("ann"), Some("u1"), Some("phone")),
        labelled("1", at(30), Some("ann"), Some("u2"), None),
        labelled("2", at(20), Some("ann"), Some("u1"), Some("desk")),
        labelled("3", at(40), Some("bob"), Some("u1"), Some("phone")),
        labelled("4", at(50), None, Some("u1"), Some("phone")),
        labelled("5", at(60), None, None, Some("ann")),
    ];
    for conversation in &all {
        created(harness, conversation).await;
    }
    let text = |label: &str| (!label.is_empty()).then(|| label.to_owned());
    for (owner, user, device, expected) in [
        ("ann", "", "", "120"),
        ("bob", "", "", "3"),
        ("", "u1", "", "4320"),
        ("", "", "phone", "430"),
        ("ann", "u1", "", "20"),
        ("ann", "u1", "phone", "0"),
        ("", "u1", "phone", "430"),
        ("bob", "u2", "", ""),
        ("' OR 1=1 --", "", "", ""),
        ("", "", "", "543120"),
    ] {
        let filter = HistoryFilter { owner: text(owner), user_id: text(user), device_id: text(device) };
        let page = store.history(&filter, 50, None).await.unwrap();
        let questions: String = page.conversations.iter().map(|conversation| conversation.question.as_str()).collect();
        assert_eq!(questions, expected, "{filter:?}");
        assert_eq!(page.next_cursor, None);
        assert!(page.conversations.iter().all(|read| all.contains(read)), "the conversations are whole");
    }
}

/// Twelve conversations of one user, three of them created in each millisecond.
async fn twelve(harness: &impl Harness) -> (HistoryFilter, BTreeSet<ConversationId>) {
    let mut ids = BTreeSet::new();
    for n in 0..12 {
        let conversation = labelled("q", Timestamp::from_unix_millis(1_795_000_000_000 + n / 3), None, Some("u"), None);
        ids.insert(conversation.id);
        created(harness, &conversation).await;
    }
    (HistoryFilter { user_id: Some("u".into()), ..HistoryFilter::default() }, ids)
}

async fn remaining(store: &dyn Store, filter: &HistoryFilter, limit: u32, mut cursor: Option<String>) -> Vec<Conversation> {
    let mut all = Vec::new();
    loop {
        let page = store.history(filter, limit, cursor.as_deref()).await.expect("a page");
        assert!(page.conversations.len() <= limit as usize, "more than the limit");
        all.extend(page.conversations);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return all;
        }
    }
}

pub async fn pages_neither_repeat_nor_skip(harness: &impl Harness) {
    let (filter, ids) = twelve(harness).await;
    for limit in [1, 2, 5, 12, 50] {
        let all = remaining(&*harness.store(), &filter, limit, None).await;
        assert_eq!(all.len(), ids.len(), "pages of {limit}");
        assert_eq!(all.iter().map(|conversation| conversation.id).collect::<BTreeSet<_>>(), ids);
        assert!(all.is_sorted_by(|newer, older| newer.created_at >= older.created_at), "newest first");
    }
}

pub async fn pages_stay_true_while_conversations_are_added(harness: &impl Harness) {
    let (filter, ids) = twelve(harness).await;
    let store = harness.store();
    let first = store.history(&filter, 5, None).await.unwrap();
    created(harness, &labelled("newer", at(100), None, Some("u"), None)).await;
    let second = store.history(&filter, 5, first.next_cursor.as_deref()).await.unwrap();
    let read = first.conversations.into_iter().chain(second.conversations);
    let rest = remaining(&*store, &filter, 5, second.next_cursor).await;
    let read: Vec<_> = read.chain(rest).map(|conversation| conversation.id).collect();
    assert_eq!((read.len(), read.into_iter().collect::<BTreeSet<_>>()), (12, ids));
}

pub async fn a_page_that_is_just_full_is_the_last(harness: &impl Harness) {
    let (filter, _) = twelve(harness).await;
    let page = harness.store().history(&filter, 12, None).await.unwrap();
    assert_eq!((page.conversations.len(), page.next_cursor), (12, None));
}

pub async fn a_cursor_that_no_page_returned_is_refused(harness: &impl Harness) {
    let (filter, _) = twelve(harness).await;
    let cursor = harness.store().history(&filter, 5, None).await.unwrap().next_cursor.expect("a second page");
    let mut tampered = cursor.clone();
    let last = if tampered.pop() == Some('0') { '1' } else { '0' };
    tampered.push(last);
    let doubled = format!("{cursor}{cursor}");
    for cursor in ["", "0", "null", "🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂", "' OR 1=1 --", &tampered, &doubled, &cursor[1..]]
    {
        let refused = harness.store().history(&filter, 5, Some(cursor)).await;
        assert!(matches!(refused, Err(Error::BadCursor)), "{cursor}: {refused:?}");
    }
}

pub async fn results_are_kept_by_conversation_and_number(harness: &impl Harness) {
    let store = harness.store();
    let (one, other) = (asked("one"), asked("other"));
    for conversation in [&one, &other] {
        created(harness, conversation).await;
    }
    for (id, number, cell) in [(one.id, 1, 11), (one.id, 2, 12), (other.id, 1, 21)] {
        store.put_result(id, number, &rows(json!(cell))).await.unwrap();
    }
    assert_eq!(store.result(one.id, 1).await.unwrap(), Some(rows(json!(11))));
    assert_eq!(store.result(one.id, 2).await.unwrap(), Some(rows(json!(12))));
    assert_eq!(store.result(other.id, 1).await.unwrap(), Some(rows(json!(21))));
    for (id, number) in [(one.id, 3), (one.id, 0), (other.id, 2), (ConversationId::random(), 1)] {
        assert_eq!(store.result(id, number).await.unwrap(), None, "query {number} of {id}");
    }
}

pub async fn a_result_is_replaced(harness: &impl Harness) {
    let store = harness.store();
    let conversation = asked("q");
    created(harness, &conversation).await;
    for cell in [1, 2] {
        store.put_result(conversation.id, 1, &rows(json!(cell))).await.unwrap();
    }
    assert_eq!(store.result(conversation.id, 1).await.unwrap(), Some(rows(json!(2))));
}

pub async fn cells_keep_their_types(harness: &impl Harness) {
    let conversation = asked("q");
    created(harness, &conversation).await;
    let cells = json!([null, true, 0, i64::MIN, u64::MAX, 1.5, 1e300, -0.1, "", "1", "naïve 映画 🎬 \u{0}\u{2028}", [], ["a", null], {"b": 1, "a": [2]}]);
    let result = ResultSet {
        columns: vec![Column { name: "Größe \"x\"".into(), data_type: "array<string>".into() }],
        rows: vec![cells.as_array().unwrap().clone(), Vec::new()],
        row_count: 2,
        truncated: true,
        limit_source: Some(LimitSource::Model),
    };
    harness.store().put_result(conversation.id, 1, &result).await.unwrap();
    assert_eq!(harness.store().result(conversation.id, 1).await.unwrap(), Some(result));
}

pub async fn a_document_of_more_than_a_mebibyte_is_refused_and_changes_nothing(harness: &impl Harness) {
    let store = harness.store();
    let first = asked("q");
    let etag = created(harness, &first).await;
    let grown = Conversation { final_answer: Some("é".repeat(MAX_BYTES / 2)), ..advanced(&first) };
    let refused = store.commit(&grown, &etag).await;
    assert!(matches!(refused, Err(Error::TooLarge { id, bytes }) if id == first.id && bytes > MAX_BYTES), "{refused:?}");
    let unchanged = store.load(first.id).await.unwrap().expect("there");
    assert_eq!((unchanged.conversation, unchanged.etag), (first, etag.clone()));
    let new = Conversation { id: ConversationId::random(), ..grown };
    let refused = store.create(&new).await;
    assert!(matches!(refused, Err(Error::TooLarge { id, .. }) if id == new.id), "{refused:?}");
    assert_eq!(loaded(&*store, new.id).await, None);
    // Just below it, whatever an adapter adds.
    let large = Conversation { final_answer: Some("é".repeat(MAX_BYTES / 2 - 1000)), ..new };
    created(harness, &large).await;
    assert_eq!(loaded(&*store, large.id).await, Some(large));
}

pub async fn rows_of_more_than_half_a_mebibyte_are_refused_and_those_just_below_kept(harness: &impl Harness) {
    let store = harness.store();
    let conversation = asked("q");
    created(harness, &conversation).await;
    // Quotation marks, because an adapter may have to escape them once more.
    let of = |bytes: usize| rows(json!("\"".repeat(bytes / 2)));
    store.put_result(conversation.id, 1, &of(MAX_RESULT_BYTES - 1000)).await.expect("they fit");
    let refused = store.put_result(conversation.id, 1, &of(MAX_RESULT_BYTES)).await;
    assert!(matches!(refused, Err(Error::TooLarge { id, .. }) if id == conversation.id), "{refused:?}");
    assert_eq!(store.result(conversation.id, 1).await.unwrap(), Some(of(MAX_RESULT_BYTES - 1000)));
    // As the service cuts them, they always fit.
    let many = ResultSet { rows: vec![vec![json!("\"\\ü".repeat(100))]; 5000], row_count: 5000, ..rows(json!(1)) };
    let mut cut = many.clone();
    cut.cut_to(MAX_RESULT_BYTES);
    assert!(cut.truncated && cut.rows.len() < many.rows.len(), "{} rows", cut.rows.len());
    store.put_result(conversation.id, 2, &cut).await.expect("they fit");
    assert_eq!(store.result(conversation.id, 2).await.unwrap(), Some(cut));
}

pub async fn the_probe_answers(harness: &impl Harness) {
    harness.store().probe().await.expect("it answers");
    assert!(!harness.store().kind().is_empty());
}
