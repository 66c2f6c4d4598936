//! The notebook of `deploy/databricks`, run with stand-ins for Spark and for Databricks' utilities.

use std::{path::Path, process::Command};

#[test]
fn the_notebook_guards_again_and_returns_typed_rows_or_an_error() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(root.join(".tools/venv-databricks/bin/python"));
    command.arg(root.join("tests/support/databricks/notebook.py")).arg(root.join("deploy/databricks/query.py"));
    let output = command.output().expect("python; run `make test`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("the notebook is sound"));
}
