//! The command line: `asklake functions | serve | ask | chat | eval | import | key | trace | check`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use asklake::{
    app::App,
    cli,
    config::{Config, Queue, Telemetry},
    runtime::{functions, standalone, stopped},
    telemetry::{self, Output},
};
#[cfg(feature = "local")]
use asklake::{
    config::{Auth, DATA_DIR, ModelProfile},
    eval::figures::Prices,
    runtime::worker,
    service::Settings,
    tape::{self, Tape},
};
use clap::{Parser, Subcommand};
#[cfg(feature = "local")]
use tokio_util::sync::CancellationToken;

/// Ask your lakehouse a question in plain language, get an answer you can check.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    /// Folder of the embedded store and queue [default: .asklake]
    #[arg(long, global = true, env = "ASKLAKE_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API and the page, and answer questions
    Serve {
        /// Address to listen on
        #[arg(long, default_value = "127.0.0.1:7071", value_name = "ADDRESS")]
        listen: SocketAddr,
    },
    /// Serve the Azure Functions host as its custom handler: the host starts this, see host.json
    Functions {
        /// Port of 127.0.0.1 to listen on
        #[arg(long, env = "FUNCTIONS_CUSTOMHANDLER_PORT")]
        port: u16,
        /// Folder of the Function App, where host.json lies
        #[arg(long, env = "FUNCTIONS_APP_ROOT_PATH", default_value = ".", value_name = "DIR")]
        root: PathBuf,
    },
    /// Ask one question and print the SQL, the rows and the answer
    #[cfg(feature = "local")]
    Ask {
        /// The question
        question: String,
        /// Ask this server instead of one in this process, such as http://127.0.0.1:7071
        #[arg(long, value_name = "URL")]
        server: Option<String>,
        /// API key or bearer token for that server
        #[arg(long, env = "ASKLAKE_TOKEN", hide_env_values = true)]
        token: Option<String>,
        /// Language of the answer as a BCP 47 tag
        #[arg(long)]
        language: Option<String>,
        /// Have the answer made anew, also where the same question was answered lately
        #[arg(long)]
        fresh: bool,
        /// Print one JSON document: the status with the rows of every query
        #[arg(long)]
        json: bool,
    },
    /// Ask questions and follow-ups in a session; /help there lists its commands
    #[cfg(feature = "local")]
    Chat {
        /// Id of the conversation to go on with; without one, the first question begins a new conversation
        conversation: Option<String>,
        /// Ask this server instead of one in this process, such as http://127.0.0.1:7071
        #[arg(long, value_name = "URL")]
        server: Option<String>,
        /// API key or bearer token for that server
        #[arg(long, env = "ASKLAKE_TOKEN", hide_env_values = true)]
        token: Option<String>,
        /// Language of the answers as a BCP 47 tag
        #[arg(long)]
        language: Option<String>,
    },
    /// Ask every question of a suite and compare the rows behind the answers with those of known statements
    #[cfg(feature = "local")]
    Eval(Box<Evaluation>),
    /// Turn the public IMDb files in DIR into a Parquet lake
    #[cfg(feature = "local")]
    Import {
        /// Folder with title.basics.tsv.gz, title.ratings.tsv.gz, name.basics.tsv.gz and title.principals.tsv.gz
        dir: PathBuf,
        /// Folder of the lake to write
        #[arg(long, env = "LAKE_DIR", default_value = "lake")]
        lake: PathBuf,
    },
    /// Print a new API key for a script, and the line for API_KEYS by which the server knows it
    Key {
        /// What the key is called; its conversations belong to that name
        name: String,
    },
    /// Tell the story of one conversation from the store that is configured: what happened when, and what it used
    #[cfg(feature = "local")]
    Trace {
        /// Id of the conversation
        conversation: String,
        /// Print one JSON document, with all that each event says
        #[arg(long)]
        json: bool,
    },
    /// Show what is configured, what is embedded and what answers; every configuration error at once
    Check,
}

/// What to ask a suite of, and what to do with the figures.
#[cfg(feature = "local")]
#[derive(clap::Args)]
struct Evaluation {
    /// The suite, a YAML file; docs/eval.md says how to write one
    file: Option<PathBuf>,
    /// Tell the model of nothing but tables and columns: what it does by itself
    #[arg(long)]
    baseline: bool,
    /// Ask at most so many questions
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Ask only these questions: ids or levels, separated by commas
    #[arg(long, value_name = "ID,LEVEL", value_delimiter = ',')]
    only: Vec<String>,
    /// Write questions, statements, rows and figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Record what model and warehouse reply
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Answer from this recording what was asked before; ask model and warehouse only what is new
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Ask neither model nor warehouse: questions that need something new are counted by themselves
    #[arg(long, requires = "replay")]
    offline: bool,
    /// Questions in work at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    concurrency: usize,
    /// Price of a million tokens that the model reads
    #[arg(long, value_name = "PRICE", requires = "price_out")]
    price_in: Option<f64>,
    /// Price of a million tokens that it writes
    #[arg(long, value_name = "PRICE", requires = "price_in")]
    price_out: Option<f64>,
    /// Fail when fewer answers are right, in percent
    #[arg(long, value_name = "PERCENT")]
    at_least: Option<f64>,
    /// Ask nothing: print what changed between two files that --json wrote
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"], conflicts_with = "file")]
    compare: Vec<PathBuf>,
    /// Ask nothing: print files that --json wrote side by side as a Markdown table
    #[arg(long, num_args = 1.., value_name = "FILE", conflicts_with_all = ["file", "compare"])]
    table: Vec<PathBuf>,
}

/// What is logged by a server. The Cosmos SDK tells at this level of every connection.
const SERVER_LOG: &str = "info,azure_data_cosmos_driver=warn";

/// What is logged under commands that a person reads.
const TERMINAL_LOG: &str = "warn";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let exported = match &arguments.command {
        Command::Functions { .. } => telemetry::start(Output::Host, SERVER_LOG, &Telemetry::from_env()),
        Command::Serve { .. } => telemetry::start(Output::Terminal, SERVER_LOG, &Telemetry::from_env()),
        _ => telemetry::start(Output::Terminal, TERMINAL_LOG, &Telemetry::off()),
    };
    let is_hosted = matches!(arguments.command, Command::Functions { .. });
    let ended = run(arguments);
    let code = match ended {
        Ok(code) => code,
        Err(error) if is_hosted => {
            tracing::error!(error = format!("{error:#}"), "the handler cannot run");
            ExitCode::FAILURE
        }
        Err(error) => {
            tracing::debug!(?error, "failed");
            fail(&format!("{error:#}"))
        }
    };
    exported.flush();
    code
}

fn fail(message: &str) -> ExitCode {
    use std::io::Write;
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "asklake: {message}");
    ExitCode::FAILURE
}

#[tokio::main]
async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let data_dir = arguments.data_dir;
    let config = || configuration(data_dir.clone());
    match arguments.command {
        Command::Check => Ok(if cli::check::run(config()).await? { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        Command::Key { name } => Ok(cli::key(&name).map(|()| ExitCode::SUCCESS)?),
        Command::Functions { port, root } => functions(config, port, &root).await,
        Command::Serve { listen } => serve(config().map_err(joined)?, listen).await,
        #[cfg(feature = "local")]
        Command::Ask { server, question, token, language, fresh, json } => {
            let options = cli::ask::Options { question, token, language, fresh, json };
            match server {
                Some(server) => Ok(exit(cli::ask::run(&server, &options).await?)),
                None => ask(config().map_err(joined)?, options).await,
            }
        }
        #[cfg(feature = "local")]
        Command::Chat { conversation, server, token, language } => {
            let options = |data_dir| cli::chat::Options { conversation, token, language, data_dir };
            let ended = match server {
                Some(server) => cli::chat::run(&server, options(data_dir.unwrap_or_else(|| DATA_DIR.into()))).await?,
                None => chat(config().map_err(joined)?, options).await?,
            };
            Ok(left(ended))
        }
        #[cfg(feature = "local")]
        Command::Trace { conversation, json } => {
            let app = App::build(&config().map_err(joined)?, Settings::default())?;
            cli::trace::run(&app.service, &conversation, json).await?;
            Ok(ExitCode::SUCCESS)
        }
        #[cfg(feature = "local")]
        Command::Eval(evaluation) => evaluation.run(config).await,
        #[cfg(feature = "local")]
        Command::Import { dir, lake } => {
            let options = asklake::import::Options { source: dir, lake };
            tokio::task::spawn_blocking(move || cli::import::run(&options)).await??;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn configuration(data_dir: Option<PathBuf>) -> Result<Config, Vec<asklake::config::Error>> {
    let mut config = Config::from_env()?;
    if let Some(data_dir) = data_dir {
        config.data_dir = data_dir;
    }
    Ok(config)
}

fn joined(errors: Vec<asklake::config::Error>) -> anyhow::Error {
    let lines: Vec<String> = errors.iter().map(|error| format!("  {error}")).collect();
    anyhow::anyhow!("the configuration has errors:\n{}", lines.join("\n"))
}

/// What a process exits with that was ended by SIGTERM, as a shell has it: 128 and the number of the signal.
const TERMINATED: u8 = 128 + 15;

async fn functions(
    config: impl FnOnce() -> Result<Config, Vec<asklake::config::Error>>,
    port: u16,
    root: &Path,
) -> anyhow::Result<ExitCode> {
    let listener = functions::bind(port).await?;
    let config = config().map_err(joined)?;
    if config.queue == Queue::Embedded {
        anyhow::bail!("AzureWebJobsStorage (or AzureWebJobsStorage__queueServiceUri) must be set: the host takes wakes from a queue there");
    }
    let times = functions::Times::read(root)?;
    functions::serve(App::build(&config, times.parts)?, listener, times.deadline).await?;
    Ok(ExitCode::from(TERMINATED))
}

async fn serve(config: Config, listen: SocketAddr) -> anyhow::Result<ExitCode> {
    config.auth.check_address(listen)?;
    config.auth.check_standalone()?;
    let header = config.auth.header();
    let app = App::build(&config, standalone::times())?;
    let first_question = app.http.example_questions.first().cloned().unwrap_or_else(|| "What can I ask?".into());
    let model = app.service.model_name().to_owned();
    let stopped = stopped()?;
    let server = standalone::Server::start(app, listen).await?;
    cli::banner(server.address(), &first_question, &model, header)?;
    stopped.await;
    server.stop().await;
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "local")]
async fn ask(config: Config, options: cli::ask::Options) -> anyhow::Result<ExitCode> {
    let server = own_server(config).await?;
    let ended = cli::ask::run(&format!("http://{}", server.address()), &options).await;
    server.stop().await;
    Ok(exit(ended?))
}

#[cfg(feature = "local")]
async fn chat(config: Config, options: impl FnOnce(PathBuf) -> cli::chat::Options) -> anyhow::Result<cli::chat::Ended> {
    let options = options(config.data_dir.clone());
    let server = own_server(config).await?;
    let ended = cli::chat::run(&format!("http://{}", server.address()), options).await;
    server.stop().await;
    ended
}

/// A server in this process, for the command that starts it and nobody else.
#[cfg(feature = "local")]
async fn own_server(mut config: Config) -> anyhow::Result<standalone::Server> {
    check_identity(&config)?;
    config.auth = Auth::LOCAL;
    standalone::Server::start(App::build(&config, standalone::times())?, SocketAddr::from(([127, 0, 0, 1], 0))).await
}

/// Refuses to ask without a caller where queries run in the caller's name.
#[cfg(feature = "local")]
fn check_identity(config: &Config) -> anyhow::Result<()> {
    if config.behalf.is_some() {
        anyhow::bail!("WAREHOUSE_IDENTITY is user, and nobody signs in here: ask a server with --server, or unset it to query as asklake");
    }
    Ok(())
}

#[cfg(feature = "local")]
impl Evaluation {
    async fn run(self, config: impl FnOnce() -> Result<Config, Vec<asklake::config::Error>>) -> anyhow::Result<ExitCode> {
        if let [before, after] = self.compare.as_slice() {
            cli::eval::compare(before, after)?;
            return Ok(ExitCode::SUCCESS);
        }
        if !self.table.is_empty() {
            cli::eval::table(&self.table)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut config = config().map_err(joined)?;
        if self.baseline {
            config.model_call.profile = ModelProfile::Plain;
        }
        evaluate(&config, self).await
    }

    fn options(&self, config: &Config) -> anyhow::Result<cli::eval::Options> {
        let Some(file) = self.file.clone() else { anyhow::bail!("name the suite to ask, such as `asklake eval catalog/imdb.eval.yaml`") };
        let prices = self.price_in.zip(self.price_out).map(|(input, output)| Prices { input, output });
        let profile = match (&config.model, config.model_call.profile) {
            (asklake::config::Model::Offline, _) => None,
            (_, ModelProfile::Large) => Some("large".to_owned()),
            (_, ModelProfile::Small) => Some("small".to_owned()),
            (_, ModelProfile::Plain) => Some("plain".to_owned()),
        };
        let (only, json) = (self.only.clone(), self.json.clone());
        Ok(cli::eval::Options { file, limit: self.limit, only, json, prices, profile, concurrency: self.concurrency })
    }
}

#[cfg(feature = "local")]
async fn evaluate(config: &Config, evaluation: Evaluation) -> anyhow::Result<ExitCode> {
    check_identity(config)?;
    let options = evaluation.options(config)?;
    let suite = cli::eval::read(&options)?;
    let Evaluation { replay, record, offline, at_least, .. } = evaluation;
    let tape = Tape::open(&tape::Options { replay, record, is_offline: offline })?;
    let (app, bench) = App::evaluated(config, standalone::times(), tape)?;
    let stop = CancellationToken::new();
    let work = tokio::spawn(worker::run(app.service, app.receiver, app.worker, stop.clone()));
    let report = cli::eval::run(&bench, suite, &options, stopped()?).await;
    // What is still in work is given up: nobody will read it.
    stop.cancel();
    work.abort();
    let report = report?;
    let is_reached = at_least.is_none_or(|least| report.figures.accuracy.is_some_and(|accuracy| accuracy >= least));
    if !is_reached {
        return Ok(fail("the execution accuracy is below --at-least"));
    }
    Ok(if report.faults() == 0 { ExitCode::SUCCESS } else { fail("the suite is at fault: see FAULT above") })
}

#[cfg(feature = "local")]
fn exit(ended: cli::ask::Ended) -> ExitCode {
    match ended {
        cli::ask::Ended::Completed => ExitCode::SUCCESS,
        cli::ask::Ended::Failed => ExitCode::FAILURE,
    }
}

/// What a process exits with that was ended by Ctrl-C, as a shell has it.
#[cfg(feature = "local")]
const INTERRUPTED: u8 = 128 + 2;

#[cfg(feature = "local")]
fn left(ended: cli::chat::Ended) -> ExitCode {
    match ended {
        cli::chat::Ended::Left => ExitCode::SUCCESS,
        cli::chat::Ended::Failed => ExitCode::FAILURE,
        cli::chat::Ended::Interrupted => ExitCode::from(INTERRUPTED),
    }
}
