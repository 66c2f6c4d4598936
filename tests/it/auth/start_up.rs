//! What the program refuses to start with.

use std::process::{Command, Output};

fn asklake(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_asklake"))
        .args(arguments)
        .env_clear()
        .env("ASKLAKE_DATA_DIR", folder.path())
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn a_server_that_anybody_can_reach_does_not_start_without_knowing_who_may_ask() {
    // Documentation addresses (RFC 5737): were it not refused, it could not be bound either, and said otherwise.
    for (variables, said) in [
        (&[][..], "ALLOW_ANONYMOUS=1"),
        (&[("AUTH_MODE", "anonymous")], "ALLOW_ANONYMOUS=1"),
        (&[("AUTH_MODE", "easyauth"), ("WEBSITE_AUTH_ENABLED", "True")], "easyauth"),
        (&[("AUTH_MODE", "easyauth")], "WEBSITE_AUTH_ENABLED"),
        (&[("AUTH_MODE", "api_key"), ("API_KEYS", "nightly:abc")], "API_KEYS: entry 1"),
        (&[("ALLOW_ANONYMOUS", "1")], "cannot listen on"),
    ] {
        let output = asklake(&["serve", "--listen", "192.0.2.1:1"], variables);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(said), "{variables:?}: {error}");
        assert!(!error.contains("abc"), "{error}");
    }
}

#[test]
fn a_key_is_made_and_its_line_is_one_that_the_server_reads() {
    let output = asklake(&["key", "nightly"], &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().map(str::trim).find(|line| line.starts_with("nightly:")).unwrap();
    assert!(text.contains("ak_") && asklake::auth::api_key::HashedKey::parse(line).is_ok(), "{text}");
    assert!(!asklake(&["key", "a b"], &[]).status.success());
}
