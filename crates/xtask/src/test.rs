//! Everything that proves the product, on a fresh Debian machine with a Rust toolchain.

mod needs;
pub(crate) mod postgres;
pub(crate) mod python;
mod tally;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::process;
use crate::workspace::{cargo, root, scratch};
use postgres::{Durability, Postgres};
use tally::Tally;

/// URL of an empty server that the conformance suites may fill.
const POSTGRES_VARIABLE: &str = "TALLYPORT_TEST_POSTGRES";
/// Python that has DuckDB, which then reads the Parquet files of tests.
const DUCKDB_VARIABLE: &str = "TALLYPORT_TEST_DUCKDB";
/// Rounds of the kill test.
const KILL_ROUNDS_VARIABLE: &str = "TALLYPORT_KILL_ROUNDS";
const KILL_ROUNDS_LONG: &str = "200";

/// How much to prove.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The long form: 200 kills, and the full year when given with --flights.
    #[arg(long)]
    long: bool,
    /// Flights of the full year, as CSV or zipped CSV; the long form's input.
    #[arg(long, value_name = "FILE", requires = "long")]
    flights: Option<PathBuf>,
}

/// The test command that the README tells newcomers, run as they would.
pub(crate) fn from_readme() -> Result<()> {
    const COMMAND: &str = "cargo xtask test";
    let readme = fs::read_to_string(root().join("README.md"))?;
    if !readme.lines().any(|line| line.trim() == COMMAND) {
        bail!("the README no longer tells `{COMMAND}`");
    }
    let words = COMMAND.split(' ').skip(1);
    process::run(cargo().args(words))
}

/// Prepares the machine, runs every test, the demo and the oracle, and counts them.
pub(crate) fn run(options: &Options) -> Result<()> {
    let flights = full_path(options.flights.as_deref())?;
    needs::ensure(&needs::ALL)?;
    let python = python::environment("oracle", &root().join("oracle/requirements.txt"))?;
    let postgres = Postgres::start("test-postgres", Durability::Forgetful)?;
    let mut tally = Tally::default();
    tests(&postgres, &python, options.long, &mut tally)?;
    drop(postgres);
    tally.count(
        "demo, then the oracle",
        demo_and_oracle(&python, flights.as_deref()),
    );
    println!("{tally}");
    tally.verdict()
}

/// The demo is started in the top folder, so a path of the user's is made whole first.
fn full_path(path: Option<&Path>) -> Result<Option<PathBuf>> {
    let whole = |path: &Path| {
        fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()))
    };
    path.map(whole).transpose()
}

fn tests(postgres: &Postgres, python: &Path, long: bool, tally: &mut Tally) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
    command.env(POSTGRES_VARIABLE, postgres.url());
    command.env(DUCKDB_VARIABLE, python);
    if long {
        command.env(KILL_ROUNDS_VARIABLE, KILL_ROUNDS_LONG);
    }
    tally.watch(command.env("CARGO_TERM_COLOR", "never"))
}

/// Runs the demo twice on one folder, then holds its exports against the raw input.
fn demo_and_oracle(python: &Path, flights: Option<&Path>) -> Result<()> {
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
    process::run(&mut oracle)
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

/// Whether this process may install packages.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The first folder of `PATH` and of `more` that holds the program.
pub(crate) fn find_program(name: &str, more: &[PathBuf]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = more.iter().cloned().chain(env::split_paths(&path));
    folders
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
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
