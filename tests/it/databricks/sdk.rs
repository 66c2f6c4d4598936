//! The stand-in's shape, proven with the official `databricks-sdk` as its client: what that cannot read is not the API.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use super::workspace;
use crate::support::databricks::{CLIENT, Fault, JOB_ID, Manner, TOKEN, WAREHOUSE_ID};

#[tokio::test(flavor = "multi_thread")]
async fn the_official_sdk_is_content_with_the_stand_in() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".tools/venv-databricks/bin/python");
    assert!(python.exists(), "this test needs the databricks-sdk: there is no {}; run `make test`", python.display());
    let (stand_in, _lake) = workspace(Manner { chunk_rows: 4, ..Manner::default() }).await;
    // The SDK sends these again by itself.
    stand_in.fail(
        "POST /api/2.0/sql/statements",
        Fault::Instead(429, Some(0), r#"{"error_code":"REQUEST_LIMIT_EXCEEDED","message":"slow down"}"#),
    );
    stand_in.fail("run-now", Fault::AnswerLost);
    let mut command = Command::new(python);
    command.arg(root.join("tests/support/databricks/sdk.py"));
    command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    command.envs([("HOST", stand_in.host.as_str()), ("TOKEN", TOKEN), ("WAREHOUSE_ID", WAREHOUSE_ID), ("JOB_ID", &JOB_ID.to_string())]);
    command.envs([("CLIENT_ID", CLIENT.0), ("CLIENT_SECRET", CLIENT.1)]);
    let output = tokio::task::spawn_blocking(move || command.output().expect("python")).await.expect("runs");
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("the SDK is content"));
    assert_eq!(stand_in.state.runs_started(), 3, "one for each of two tokens, and one without");
}
