//! The gate: every check a change must pass, cheapest first.

pub(crate) mod dependencies;
mod licences;

use std::time::Instant;

use anyhow::{Context, Result};

use crate::workspace::cargo;
use crate::{process, test, tidy};

type Stage = (&'static str, fn() -> Result<()>);

const STAGES: [Stage; 6] = [
    ("fmt", fmt),
    ("clippy", clippy),
    ("doc", doc),
    ("dependencies", dependencies::run),
    ("tidy", tidy::run),
    ("test", test::from_readme),
];

/// Runs the stages in order, fails at the first that fails and prints the minutes of each.
pub(crate) fn run() -> Result<()> {
    let start = Instant::now();
    let mut table = String::new();
    for (name, stage) in STAGES {
        println!("== {name}");
        let stage_start = Instant::now();
        let outcome = stage().with_context(|| format!("stage {name} failed"));
        let line = format!("{name:<14}{:>6.1} min\n", minutes(stage_start));
        print!("== {line}");
        table.push_str(&line);
        if outcome.is_err() {
            print!("== minutes\n{table}");
            return outcome;
        }
    }
    print!(
        "== minutes\n{table}{:<14}{:>6.1} min\n",
        "all",
        minutes(start)
    );
    Ok(())
}

fn minutes(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() / 60.0
}

fn fmt() -> Result<()> {
    process::run(cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    process::run(cargo().args(arguments))
}

fn doc() -> Result<()> {
    let mut command = cargo();
    command.args(["doc", "--workspace", "--no-deps", "--locked"]);
    process::run(command.env("RUSTDOCFLAGS", "-D warnings"))
}
