//! Language models over HTTP: what is sent, what is made of each answer, and what happens when there is none.
//!
//! The faults are told by a fake server, because a real one cannot be told to fail; `small` asks a real language model.

pub mod fake;
mod small;

use std::{sync::Arc, time::Duration};

use asklake::{
    app::App,
    config,
    conversation::{AnswerBasis, Column, Decision, LimitSource, ResultSet},
    model::{
        Entry, Error, Model, ROWS_SHOWN, Request, Shown,
        openai::{AnswerFormat, Authentication, Endpoint, OpenAi},
    },
    service,
    sql::{
        Catalog,
        prompt::{Limits, Profile, Prompt},
    },
};
use fake::{Answer, Fake, config as settings, model};
use serde_json::{Value, json};

#[cfg(feature = "azure")]
use crate::support::log::Log;
use crate::support::{
    scripted::{ScriptedModel, ScriptedWarehouse},
    server::TestServer,
};

const TOOL: &str = "execute_spark_sql";
const ARGUMENTS: &str = r#"{"sql_query":"SELECT 1","reasoning":"to count"}"#;

/// A first question.
fn asked() -> Request {
    Request { language: None, transcript: vec![Entry::Question("How many films are there?".into())], queries_left: 6 }
}

/// A follow-up with two queries behind it, one of them in vain.
fn advanced() -> Request {
    let columns = vec![
        Column { name: "primaryTitle".into(), data_type: "string".into() },
        Column { name: "numVotes".into(), data_type: "int".into() },
    ];
    let result = ResultSet {
        columns,
        rows: vec![vec![json!("Jaws"), json!(600_000)], vec![json!("Alien"), json!(null)]],
        row_count: 1000,
        truncated: true,
        limit_source: Some(LimitSource::Server),
    };
    let query = |call_id: &str, sql: &str, result| Entry::Query {
        call_id: call_id.into(),
        sql_query: sql.into(),
        lookup: None,
        reasoning: "to see them".into(),
        result,
    };
    let transcript = vec![
        Entry::Question("Which films are there?".into()),
        query("call_1", "SELECT titel FROM imdb.movies_delta", Err("there is no column titel; the nearest is titleType".into())),
        query("call_2", "SELECT primaryTitle FROM imdb.movies_delta", Ok(Shown { result })),
        Entry::Answer("Jaws and others.".into()),
        Entry::Question("Und auf Deutsch?".into()),
    ];
    Request { language: Some("de".into()), transcript, queries_left: 0 }
}

fn sql(decision: &Decision) -> Vec<&str> {
    match decision {
        Decision::Query(queries) => queries.iter().map(|query| query.sql_query.as_str()).collect(),
        Decision::Answer(answer) => panic!("an answer: {}", answer.text),
    }
}

fn text(decision: Decision) -> String {
    match decision {
        Decision::Answer(answer) => answer.text,
        Decision::Query(queries) => panic!("queries: {queries:?}"),
    }
}

#[test]
fn the_prompt_of_the_shipped_catalog_has_the_published_wording_and_fits() {
    let limits = Limits { max_rows: 1000, rows_shown: ROWS_SHOWN };
    let prompt = Prompt::new(Arc::new(Catalog::embedded().unwrap()), Profile::Large, limits).system().to_owned();
    assert!(prompt.chars().count() / 4 < 2700, "{} characters; with the form of the reply it must be below 3,000 tokens", prompt.len());
    assert!(!prompt.contains("{{") && !prompt.contains("{top_rated"), "every placeholder is filled");
    insta::assert_snapshot!(prompt);
}

#[tokio::test]
async fn a_request_holds_the_prompt_the_conversation_and_nothing_else() {
    let server = Fake::start(vec![Answer::text("Weißer Hai.", "stop")]).await;
    let model = model(&format!("{}/v1", server.base), AnswerFormat::JsonSchema);
    model.reply(&advanced(), &asklake::model::unheard).await.unwrap();
    let mut seen = server.seen().remove(0);
    assert_eq!((seen.target.as_str(), &seen.headers["authorization"]), ("/v1/chat/completions", &"Bearer hunter2".parse().unwrap()));
    let system = seen.body["messages"][0]["content"].as_str().unwrap().to_owned();
    assert!(system.chars().count() / 4 < 3000, "{} characters", system.len());
    let (_, how) = system.split_once("# Your reply").unwrap();
    seen.body["messages"][0]["content"] = how.into();
    insta::assert_json_snapshot!(seen.body);
}

#[tokio::test]
async fn azure_is_asked_at_its_own_paths_with_its_own_header() {
    for (api_version, target) in
        [("2024-10-21", "/openai/deployments/d/chat/completions?api-version=2024-10-21"), ("v1", "/openai/v1/chat/completions")]
    {
        let server = Fake::start(vec![Answer::call(TOOL, ARGUMENTS)]).await;
        let endpoint = Endpoint::Azure { resource: server.base.clone(), deployment: "d".into(), api_version: api_version.into() };
        let settings = settings(endpoint, AnswerFormat::JsonSchema);
        let model = OpenAi::new(settings, Authentication::ApiKey("hunter2".into()), &Arc::new(Catalog::embedded().unwrap())).unwrap();
        assert_eq!((model.kind(), model.name()), ("Azure OpenAI", "d"));
        assert!(!format!("{model:?}").contains("hunter2"));
        let reply = model.reply(&asked(), &asklake::model::unheard).await.unwrap();
        assert_eq!(sql(&reply.decision), ["SELECT 1"]);
        assert_eq!((reply.prompt_tokens, reply.completion_tokens), (100, 20));
        let seen = &server.seen()[0];
        assert_eq!((seen.target.as_str(), seen.headers["api-key"].to_str().unwrap()), (target, "hunter2"));
        assert!(seen.headers.get("authorization").is_none());
        assert_eq!((&seen.body["model"], &seen.body["max_completion_tokens"]), (&json!("d"), &json!(500)));
    }
}

/// A model on `server` that the machine's identity signs in to.
#[cfg(feature = "azure")]
fn with_identity(server: &Fake) -> OpenAi {
    use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};

    #[derive(Debug)]
    struct Identity;

    #[async_trait::async_trait]
    impl TokenCredential for Identity {
        async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
            assert_eq!(scopes, ["https://cognitiveservices.azure.com/.default"]);
            Ok(AccessToken::new("a-token", azure_core::time::OffsetDateTime::now_utc() + Duration::from_secs(3600)))
        }
    }

    let endpoint = Endpoint::Azure { resource: server.base.clone(), deployment: "d".into(), api_version: "v1".into() };
    let authentication = Authentication::Identity(Arc::new(Identity));
    OpenAi::new(settings(endpoint, AnswerFormat::Text), authentication, &Arc::new(Catalog::embedded().unwrap())).unwrap()
}

#[cfg(feature = "azure")]
#[tokio::test]
async fn an_access_token_that_the_server_says_back_is_not_logged() {
    let log = Log::by(|lines| tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(lines).finish());
    let said = json!({"error": {"code": "content_filter", "message": "not accepted: Bearer a-token"}}).to_string();
    for answer in [Answer::new(401, said.clone()), Answer::new(200, format!("data: {said}\n\n"))] {
        let server = Fake::start(vec![answer]).await;
        with_identity(&server).reply(&asked(), &asklake::model::unheard).await.unwrap_err();
    }
    let logged = log.text();
    assert_eq!(logged.matches("not accepted").count(), 2, "{logged}");
    assert!(!logged.contains("a-token"), "{logged}");
}

#[cfg(feature = "azure")]
#[tokio::test]
async fn the_identity_of_the_machine_signs_in() {
    let server = Fake::start(vec![Answer::text("Two.", "stop")]).await;
    let model = with_identity(&server);
    assert_eq!(text(model.reply(&asked(), &asklake::model::unheard).await.unwrap().decision), "Two.");
    assert_eq!(server.seen()[0].headers["authorization"], "Bearer a-token");
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood() {
    let call = json!({"id": "c", "type": "function", "function": {"name": TOOL, "arguments": {"sql_query": "SELECT 1"}}});
    let body = json!({"choices": [{"message": {"content": null, "tool_calls": [call]}, "finish_reason": "tool_calls"}],
                      "usage": {"prompt_tokens": 3, "completion_tokens": 4}});
    let server = Fake::start(vec![Answer::new(200, body.to_string())]).await;
    let reply = server.model().reply(&asked(), &asklake::model::unheard).await.unwrap();
    assert_eq!((sql(&reply.decision), reply.prompt_tokens), (vec!["SELECT 1"], 3));
}

#[tokio::test]
async fn what_may_pass_is_sent_again() {
    let cut = "data: {\"choices\":[{\"delta\":{\"content\":\"Tw\"}}]}\n\n";
    for passing in [
        Answer::new(429, r#"{"error":{"code":"429","message":"slow down"}}"#).header("retry-after-ms", "1"),
        Answer::new(408, ""),
        Answer::new(500, "<html>"),
        Answer::new(503, "").header("retry-after", "0"),
        Answer::new(200, cut),
        Answer::new(200, r#"{"error":{"message":"overloaded"}}"#),
    ] {
        let server = Fake::start(vec![passing.clone(), Answer::text("Two.", "stop")]).await;
        let reply = server.model().reply(&asked(), &asklake::model::unheard).await;
        assert_eq!(text(reply.unwrap_or_else(|error| panic!("{passing:?}: {error}")).decision), "Two.");
        let seen = server.seen();
        assert_eq!(seen.len(), 2, "{passing:?}");
        assert_eq!(seen[0].body, seen[1].body, "the same again");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_more_time_than_there_is_is_left_in_peace() {
    let server = Fake::start(vec![Answer::new(429, "").header("retry-after", "45")]).await;
    match server.model().reply(&asked(), &asklake::model::unheard).await {
        Err(Error::Unavailable { retry_after, .. }) => assert_eq!(retry_after, Some(Duration::from_secs(45))),
        other => panic!("{other:?}"),
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_or_says_nothing_is_unavailable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}/v1", listener.local_addr().unwrap());
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for base_url in [silent, format!("http://{closed}/v1")] {
        let endpoint = Endpoint::OpenAi { base_url, model: "m".into() };
        let mut settings = settings(endpoint, AnswerFormat::Text);
        settings.timeout = Duration::from_millis(300);
        let model = OpenAi::new(settings, Authentication::None, &Arc::new(Catalog::embedded().unwrap())).unwrap();
        assert!(matches!(model.reply(&asked(), &asklake::model::unheard).await, Err(Error::Unavailable { .. })));
    }
}

#[tokio::test]
async fn what_only_a_person_can_put_right_is_told_at_once_and_without_the_servers_words() {
    for (answer, told) in [
        (Answer::new(401, r#"{"error":{"message":"Incorrect key: sk-sec***"}}"#), "OPENAI_API_KEY"),
        (Answer::new(403, ""), "forbids"),
        (Answer::new(404, r#"{"error":{"code":"model_not_found"}}"#), "OPENAI_MODEL"),
        (Answer::new(302, "").header("location", "http://127.0.0.1:9/"), "OPENAI_BASE_URL"),
        (Answer::new(429, r#"{"error":{"code":"insufficient_quota"}}"#), "quota"),
        (Answer::new(200, "<html>Sign in</html>"), "not an OpenAI-compatible server"),
        (Answer::new(400, r#"{"error":{"code":"invalid_value","message":"sk-sec"}}"#), "invalid_value"),
    ] {
        let server = Fake::start(vec![answer]).await;
        let error = server.model().reply(&asked(), &asklake::model::unheard).await.expect_err("a fault");
        let text = error.to_string();
        assert!(matches!(error, Error::Misconfigured(_)) && text.contains(told) && !text.contains("sk-sec"), "{text}");
        assert_eq!(server.seen().len(), 1, "{text}");
    }
}

#[tokio::test]
async fn what_the_model_will_not_do_is_a_refusal_with_its_reason() {
    let inner = json!({"code": "ResponsibleAIPolicyViolation", "content_filter_result": {
        "violence": {"filtered": true, "severity": "high"}, "jailbreak": {"detected": false, "filtered": false}}});
    let filtered = json!({"error": {"code": "content_filter", "message": "…", "innererror": inner}}).to_string();
    let refusal = r#"{"choices":[{"message":{"content":null,"refusal":"I cannot help with that."},"finish_reason":"stop"}]}"#;
    let long = r#"{"error":{"code":"context_length_exceeded","message":"maximum context length is 8192 tokens"}}"#;
    for (answer, told) in [
        (Answer::new(400, filtered), "content filter of the model's service stopped it (violence)"),
        (Answer::text("There", "content_filter"), "content filter"),
        (Answer::new(200, refusal), "I cannot help with that."),
        (Answer::new(400, long), "too long"),
    ] {
        let server = Fake::start(vec![answer]).await;
        let error = server.model().reply(&asked(), &asklake::model::unheard).await.expect_err("a refusal");
        assert!(matches!(&error, Error::Refused(reason) if reason.contains(told)), "{error}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_reply_that_cannot_be_used_is_asked_for_once_more_with_its_fault() {
    for (broken, fault) in [
        (Answer::call(TOOL, "{\"sql_query\":\"SEL"), "not a JSON object"),
        (Answer::call("web_search", "{}"), "There is no tool"),
        (Answer::text("", "stop"), "empty"),
        (Answer::text("There are", "length"), "cut off"),
    ] {
        let server = Fake::start(vec![broken.clone(), Answer::call(TOOL, ARGUMENTS)]).await;
        let reply = server.model().reply(&asked(), &asklake::model::unheard).await.unwrap();
        assert_eq!((sql(&reply.decision), reply.prompt_tokens, reply.completion_tokens), (vec!["SELECT 1"], 200, 40), "both calls count");
        let seen = server.seen();
        let messages = seen[1].body["messages"].as_array().unwrap();
        assert_eq!(messages.len(), seen[0].body["messages"].as_array().unwrap().len() + 2);
        let told = messages.last().unwrap();
        assert!(told["role"] == "user" && told["content"].as_str().unwrap().contains(fault), "{told}");

        let server = Fake::start(vec![broken.clone(), broken]).await;
        let error = server.model().reply(&asked(), &asklake::model::unheard).await.expect_err("twice in vain");
        assert!(matches!(&error, Error::Unusable { detail: told, .. } if told.contains(fault)), "{error}");
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn without_queries_left_the_model_must_answer() {
    let server = Fake::start(vec![Answer::call(TOOL, ARGUMENTS), Answer::text("Jaws.", "stop")]).await;
    let reply = server.model().reply(&advanced(), &asklake::model::unheard).await.unwrap();
    let Decision::Answer(answer) = reply.decision else { panic!("an answer") };
    assert_eq!((answer.text.as_str(), answer.basis), ("Jaws.", AnswerBasis::Data));
    assert_eq!(server.seen()[0].body["tool_choice"], "none");
}

#[tokio::test]
async fn a_field_that_the_server_refuses_is_left_out_from_then_on() {
    let refused = |field: &str| Answer::new(400, json!({"error": {"param": field, "code": "unsupported_value"}}).to_string());
    let answers = vec![refused("temperature"), refused("response_format"), Answer::text("Two.", "stop"), Answer::text("Three.", "stop")];
    let server = Fake::start(answers).await;
    let model = model(&server.base, AnswerFormat::JsonSchema);
    assert_eq!(text(model.reply(&asked(), &asklake::model::unheard).await.unwrap().decision), "Two.");
    assert_eq!(text(model.reply(&asked(), &asklake::model::unheard).await.unwrap().decision), "Three.");
    let has = |at: usize, field: &str| server.seen()[at].body.get(field).is_some();
    assert!(has(1, "response_format") && !has(1, "temperature"));
    for at in [2, 3] {
        assert!(!has(at, "temperature") && !has(at, "response_format") && has(at, "tools"));
    }
}

#[tokio::test]
async fn the_probe_costs_no_tokens() {
    for (status, is_fine) in [(200, true), (404, true), (401, false), (503, false)] {
        let server = Fake::start(vec![Answer::new(status, "{}")]).await;
        assert_eq!(server.model().probe().await.is_ok(), is_fine, "{status}");
        let seen = server.seen().remove(0);
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/v1/models"));
    }
    // Azure has no list of deployments for those who use them: a completion without messages is refused once the deployment is found.
    for (status, is_fine) in [(400, true), (404, false), (401, false), (429, false)] {
        let server = Fake::start(vec![Answer::new(status, "{}")]).await;
        let endpoint = Endpoint::Azure { resource: server.base.clone(), deployment: "d".into(), api_version: "2024-10-21".into() };
        let authentication = Authentication::ApiKey("k".into());
        let model = OpenAi::new(settings(endpoint, AnswerFormat::Text), authentication, &Arc::new(Catalog::embedded().unwrap())).unwrap();
        assert_eq!(model.probe().await.is_ok(), is_fine, "{status}");
        assert_eq!(server.seen()[0].body, json!({"model": "d"}));
    }
}

#[tokio::test]
async fn a_model_that_is_not_set_up_ends_the_turn_at_once() {
    for (error, told) in [
        (Error::Misconfigured("check the key".into()), "The model is not set up: check the key"),
        (
            Error::Unusable { detail: "It was empty.".into(), prompt_tokens: 1, completion_tokens: 1 },
            "The model's replies cannot be used: It was empty.",
        ),
    ] {
        let error = std::sync::Mutex::new(Some(error));
        let failing = move |_: &Request, _| Err(error.lock().unwrap().take().expect("it is asked once"));
        let model = Arc::new(ScriptedModel::new(Duration::ZERO, failing));
        let server = TestServer::start(model, Arc::new(ScriptedWarehouse::new(Duration::ZERO))).await;
        let status = server.ended(&server.ask("which films?").await).await;
        assert_eq!((&status["error"], &status["error_detail"]["code"]), (&json!(told), &json!("model_failed")));
        server.stop().await;
    }
}

#[tokio::test]
async fn the_environment_decides_on_the_model() {
    let server = Fake::start(vec![Answer::new(200, "{}")]).await;
    let folder = tempfile::tempdir().unwrap();
    let pairs: [(&str, String); 3] = [
        ("OPENAI_BASE_URL", format!("{}/v1/", server.base)),
        ("OPENAI_MODEL", "qwen".into()),
        ("ASKLAKE_DATA_DIR", folder.path().to_str().unwrap().into()),
    ];
    let lookup = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    let config = config::Config::from_lookup(lookup).unwrap();
    let app = App::build(&config, service::Settings::default()).unwrap();
    let readiness = app.service.readiness().await;
    let model = readiness.dependencies.iter().find(|dependency| dependency.name == "model").unwrap();
    assert_eq!((model.kind, &model.fault, readiness.model.as_str()), ("OpenAI-compatible server", &None, "qwen"));
    assert_eq!(server.seen()[0].target, "/v1/models");
    assert!(server.seen()[0].headers.get("authorization").is_none(), "there is no key");
}

/// The messages of the request that `profile` makes of `request`, with the tools.
async fn sent(profile: Profile, request: &Request) -> Value {
    let server = Fake::start(vec![Answer::text("Two.", "stop")]).await;
    let endpoint = Endpoint::OpenAi { base_url: format!("{}/v1", server.base), model: "m".into() };
    let settings = asklake::model::openai::Config { profile, ..settings(endpoint, AnswerFormat::Text) };
    let model = OpenAi::new(settings, Authentication::None, &Arc::new(Catalog::embedded().unwrap())).unwrap();
    model.reply(request, &asklake::model::unheard).await.unwrap();
    server.seen().remove(0).body
}

#[tokio::test]
async fn a_first_request_is_below_3000_tokens_in_every_profile() {
    let request = asked();
    for profile in [Profile::Large, Profile::Small, Profile::Plain] {
        let body = sent(profile, &request).await;
        // The rule of thumb: four characters are a token.
        let tokens = (body["messages"].to_string().chars().count() + body["tools"].to_string().chars().count()) / 4;
        assert!(tokens < 3000, "{profile:?}: {tokens}");
        println!("{profile:?}: {tokens} tokens");
    }
}

#[tokio::test]
async fn a_small_model_is_shown_turns_like_the_question_and_a_plain_one_nothing() {
    let small = sent(Profile::Small, &asked()).await;
    let messages = small["messages"].as_array().unwrap();
    assert_eq!(messages.last().unwrap()["content"], "How many films are there?");
    let nearest = &messages[messages.len() - 3..messages.len() - 1];
    assert_eq!(nearest[0]["content"], "How many films are there?");
    assert!(nearest[1]["tool_calls"][0]["function"]["arguments"].as_str().unwrap().contains("COUNT(*)"));
    let plain = sent(Profile::Plain, &asked()).await;
    assert_eq!((plain["messages"].as_array().unwrap().len(), &plain["tools"]), (2, &Value::Null));
    insta::assert_snapshot!("small prompt", messages[0]["content"].as_str().unwrap());
    insta::assert_snapshot!("plain prompt", plain["messages"][0]["content"].as_str().unwrap());
}

#[tokio::test]
async fn what_was_last_asked_and_answered_is_sent_however_many_rows_stood_between() {
    for profile in [Profile::Large, Profile::Small] {
        let mut request = asked();
        let columns = vec![Column { name: "t".into(), data_type: "string".into() }];
        let rows: Vec<Vec<Value>> = (0..50).map(|row| vec![json!(format!("row {row} {}", "z".repeat(90)))]).collect();
        let shown = Shown { result: ResultSet { columns, row_count: 50, rows, truncated: false, limit_source: None } };
        let query = |at: usize| Entry::Query {
            call_id: format!("c{at}"),
            sql_query: format!("SELECT {at}, '{}'", "s".repeat(1_000)),
            lookup: None,
            reasoning: String::new(),
            result: Ok(shown.clone()),
        };
        let (before, after) =
            (Entry::Question("What is the first question?".into()), Entry::Answer(format!("The first answer. {}", "y".repeat(9_000))));
        let turn = std::iter::once(before).chain((0..6).map(query)).chain([after]);
        request.transcript.splice(0..0, turn);
        let body = sent(profile, &request).await;
        let texts: Vec<&str> = body["messages"].as_array().unwrap().iter().filter_map(|message| message["content"].as_str()).collect();
        assert!(texts.contains(&"What is the first question?"), "{profile:?}");
        assert!(texts.iter().any(|text| text.starts_with("The first answer.")), "{profile:?}");
    }
}

#[tokio::test]
async fn of_earlier_turns_the_latest_are_sent_whole_while_the_budget_lasts() {
    let mut request = asked();
    let turns = (0..200).flat_map(|turn| {
        [Entry::Question(format!("Question {turn}? {}", "x".repeat(200))), Entry::Answer(format!("Answer {turn}. {}", "y".repeat(200)))]
    });
    request.transcript.splice(0..0, turns);
    for (profile, budget) in [(Profile::Large, 12_000), (Profile::Small, 3_000)] {
        let body = sent(profile, &request).await;
        let earlier: Vec<&str> = body["messages"].as_array().unwrap().iter().filter_map(|message| message["content"].as_str()).collect();
        let earlier: Vec<&&str> = earlier.iter().filter(|text| text.ends_with('x') || text.ends_with('y')).collect();
        assert!(earlier.iter().map(|text| text.len()).sum::<usize>() < budget, "{profile:?}");
        assert!(earlier.len() >= 8 && earlier.len().is_multiple_of(2), "{profile:?}: {} messages", earlier.len());
        assert!(earlier[0].starts_with("Question") && earlier.last().unwrap().starts_with("Answer 199."), "{profile:?}");
    }
}
