//! The project's own chores: what proves it, what gates a change and what measures it.
//!
//! Everything a contributor or the gate runs is here, in Rust, and builds no other tool.

mod attack;
mod bench;
mod build_time;
mod ci;
mod fresh;
mod process;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    about = "Tests, checks and measures the workspace"
)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Runs every check of the gate, the tests last, and fails at the first that fails.
    Ci,
    /// Runs everything that proves the product, installing what that needs when run as root.
    Test(test::Options),
    /// Attacks the release binary, whole or one part alone; `test --long` runs all of it.
    Attack(attack::Options),
    /// Runs the README's two commands in a bare Debian root, from a clean clone; as root.
    Fresh(fresh::Options),
    /// Checks sizes, names, layers, words and the map of the code.
    Tidy,
    /// Checks licences, bans, duplicates and unused dependencies.
    Dependencies,
    /// Measures the product against its targets and writes the table under bench/results.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Prints the CPU minutes of a release build from nothing and fails over the limit.
    BuildTime,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: &Chore) -> anyhow::Result<()> {
    match chore {
        Chore::Ci => ci::run(),
        Chore::Test(options) => test::run(options),
        Chore::Attack(options) => attack::run(options),
        Chore::Fresh(options) => fresh::run(options),
        Chore::Tidy => tidy::run(),
        Chore::Dependencies => ci::dependencies::run(),
        Chore::Bench(bench) => bench::run(bench),
        Chore::BuildTime => build_time::run(),
    }
}
