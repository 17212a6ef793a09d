//! The demo, and the two programs that look at what it made: the oracle, and a client of the
//! metering API that shares nothing with us.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{self, Running, Signal};
use crate::workspace::{cargo, root, scratch};

/// Time for a server to be there.
const START_LIMIT: Duration = Duration::from_mins(5);

/// Runs the demo twice on one folder, holds its exports against the raw input, and lets a program
/// of the metering API at its data.
pub(super) fn check(python: &Path, flights: Option<&Path>) -> Result<()> {
    let folder = scratch("demo")?;
    fs::remove_dir_all(&folder)?;
    let document = folder.with_extension("json");
    let first = demo(&folder, flights)?;
    let second = demo(&folder, flights)?;
    if totals(&first)? != totals(&second)? {
        bail!("the demo's second run changed the totals of its exports");
    }
    fs::write(&document, second.to_string())?;
    let mut oracle = Command::new(python);
    oracle
        .current_dir(root())
        .arg("oracle/check.py")
        .arg("--demo")
        .arg(&document);
    match flights {
        Some(file) => oracle.arg("--full-year").arg("--flights").arg(file),
        None => oracle.args(["--flights", "data/flights"]),
    };
    process::run(&mut oracle)?;
    foreign_program(python, &folder, &document)
}

/// Serves the demo's data to a program that knows nothing of it but the host.
fn foreign_program(python: &Path, folder: &Path, document: &Path) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--locked", "--package", "server", "--", "serve"]);
    command.args(["--listen", "127.0.0.1:0", "--data-dir"]);
    command.arg(folder).stdout(Stdio::null());
    command.env("TALLYPORT_LOG_FILTER", "warn");
    let mut server = Running::start(&mut command, Signal::Terminate)?;
    let url = process::wait_for("server.json", START_LIMIT, || {
        anyhow::ensure!(!server.ended()?, "the server ended while starting");
        Ok(url(folder))
    })?;
    let mut program = Command::new(python);
    program.arg(root().join("oracle/client.py"));
    program.arg("--url").arg(url).arg("--demo").arg(document);
    process::run(&mut program)?;
    server.end(Signal::Terminate)
}

/// Where the server of a folder listens, once it says so.
fn url(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("server.json")).ok()?;
    let published: Value = serde_json::from_str(&text).ok()?;
    published["url"].as_str().map(str::to_owned)
}

fn demo(folder: &Path, flights: Option<&Path>) -> Result<Value> {
    let mut command = cargo();
    command.args([
        "run",
        "--locked",
        "--package",
        "server",
        "--",
        "demo",
        "--once",
        "--no-live",
    ]);
    command
        .args(["--json", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder);
    if let Some(file) = flights {
        command.arg("--flights").arg(file);
    }
    println!("+ cargo run -- demo");
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("the demo ended with {}", output.status);
    }
    serde_json::from_slice(&output.stdout).context("the demo's output is not one JSON document")
}

/// What must not change between two runs: kind, organization, rows and total of each export.
fn totals(document: &Value) -> Result<Vec<[Value; 4]>> {
    let exports = document["exports"]
        .as_array()
        .context("the demo names no exports")?;
    if exports.is_empty() {
        bail!("the demo made no export");
    }
    let members = ["kind", "organizationId", "rows", "total"];
    Ok(exports
        .iter()
        .map(|export| members.map(|member| export[member].clone()))
        .collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::totals;

    #[test]
    fn a_second_demo_may_move_files_but_not_change_totals() {
        let export = |path: &str, total: &str| {
            json!({"exports": [
                {"kind": "SUMMARY", "organizationId": "o", "path": path, "rows": 3, "total": total}
            ]})
        };
        let first = totals(&export("a.zip", "1.5")).unwrap();
        assert_eq!(first, totals(&export("b.zip", "1.5")).unwrap());
        assert_ne!(first, totals(&export("a.zip", "1.6")).unwrap());
        assert!(totals(&json!({"exports": []})).is_err());
    }
}
