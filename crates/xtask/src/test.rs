//! Everything that proves the product, on a fresh Debian machine with a Rust toolchain.

pub(crate) mod control_writes;
mod demo;
pub(crate) mod needs;
pub(crate) mod postgres;
pub(crate) mod python;
mod tally;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::bench::server;
use crate::workspace::{cargo, root};
use crate::{attack, process};
use postgres::{Durability, Postgres};
use tally::Tally;

/// How the README passes the tests.
pub(crate) const TEST_COMMAND: &str = "cargo xtask test";
/// URL of an empty server that the conformance suites may fill.
const POSTGRES_VARIABLE: &str = "TEST_POSTGRES";
/// Python that has DuckDB, which then reads the Parquet files of tests.
const DUCKDB_VARIABLE: &str = "TEST_DUCKDB";
/// Rounds of the kill test.
const KILL_ROUNDS_VARIABLE: &str = "TEST_KILL_ROUNDS";
const KILL_ROUNDS_LONG: &str = "200";

/// How much to prove.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The long form: 200 kills, times of control writes beside a thousand due messages, and the
    /// full year when given with --flights.
    #[arg(long)]
    long: bool,
    /// Flights of the full year, as CSV or zipped CSV; the long form's input.
    #[arg(long, value_name = "FILE", requires = "long")]
    flights: Option<PathBuf>,
    /// Minutes of the long form's attack on the release binary.
    #[arg(long, value_name = "MINUTES", default_value_t = 60, requires = "long")]
    attack_minutes: u64,
}

/// The test command that the README gives newcomers, run as they would.
pub(crate) fn from_readme() -> Result<()> {
    let words = readme_command(TEST_COMMAND)?.split(' ').skip(1);
    process::run(cargo().args(words))
}

/// A command, if the README has it on a line of its own.
pub(crate) fn readme_command(command: &str) -> Result<&str> {
    let readme = fs::read_to_string(root().join("README.md"))?;
    if !readme.lines().any(|line| line.trim() == command) {
        bail!("the README no longer has the command `{command}`");
    }
    Ok(command)
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
        "demo, then the oracle and the program",
        demo::check(&python, flights.as_deref()),
    );
    tally.count("webhooks, verified elsewhere", webhooks(&python));
    if options.long {
        tally.count(
            "control writes beside due messages",
            server::build().and_then(|binary| control_writes::measure(&binary)),
        );
        let options = attack::Options::of_minutes(options.attack_minutes);
        tally.count("the attack", attack::run(&options));
    }
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

/// Receives the webhooks of a server and has another program's library verify them.
fn webhooks(python: &Path) -> Result<()> {
    process::run(cargo().args(["build", "--locked", "--package", "server"]))?;
    let mut receiver = Command::new(python);
    receiver.current_dir(root()).arg("oracle/webhook.py");
    process::run(receiver.args(["--tallyport", "target/debug/tallyport"]))
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
