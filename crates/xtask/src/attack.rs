//! The release binary under attack for a long time: killed, out of disk, overloaded, asked for what
//! is not the caller's, and fed with generated requests. Run by the long form of
//! the tests, and part by part by `cargo xtask attack`.
//!
//! Every part counts what it did and what it lost. A loss of anything acknowledged fails the run.

mod disk;
mod imports;
mod kills;
mod ledger;
mod overload;
mod random;
mod schema;
mod tenancy;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use std::{fmt, fs};

use anyhow::{Result, ensure};
use clap::Args;

use crate::bench::machine::Machine;
use crate::bench::{report, server};
use crate::workspace::scratch;
use random::Random;

/// How long to attack, and from which random numbers.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Minutes of all timed parts together.
    #[arg(long, default_value_t = 60, value_name = "MINUTES")]
    minutes: u64,
    /// Repeats the random choices of a run that printed it.
    #[arg(long)]
    seed: Option<u64>,
    /// Runs one part alone: kills, imports, disk, overload, tenancy or schema.
    #[arg(long, value_name = "PART")]
    only: Option<String>,
    /// Attacks this binary instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

impl Options {
    /// An attack of so many minutes with numbers of its own.
    pub(crate) fn of_minutes(minutes: u64) -> Self {
        Self {
            minutes,
            seed: None,
            only: None,
            binary: None,
        }
    }
}

/// What a part needs to run.
#[derive(Debug)]
struct Setting {
    binary: PathBuf,
    /// An empty folder of the part's own.
    folder: PathBuf,
    /// Time the part may take.
    time: Duration,
    random: Random,
}

/// What a part did and found, as lines of the report.
#[derive(Debug, Default)]
struct Findings {
    rows: Vec<(String, String)>,
    /// Acknowledged events, jobs or rows of others that must not be missing or shown: 0.
    losses: u64,
}

/// One part: its name, its share of the time in percent, and what runs it.
type Part = (&'static str, u32, fn(&mut Setting) -> Result<Findings>);

const PARTS: [Part; 6] = [
    ("kills", 35, kills::run),
    ("imports", 10, imports::run),
    ("disk", 10, disk::run),
    ("overload", 20, overload::run),
    ("tenancy", 0, tenancy::run),
    ("schema", 25, schema::run),
];

/// Runs every part and writes the report; any loss is an error.
pub(crate) fn run(options: &Options) -> Result<()> {
    let binary = match &options.binary {
        Some(binary) => fs::canonicalize(binary)?,
        None => server::build()?,
    };
    let seed = options.seed.unwrap_or_else(seed_of_now);
    println!("attack with --seed {seed}");
    let whole = Duration::from_secs(options.minutes * 60);
    let (mut rows, mut losses) = (Vec::new(), 0);
    for (name, percent, part) in PARTS {
        if options.only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        println!("== attack: {name}");
        let folder = scratch(&format!("attack-{name}"))?;
        fs::remove_dir_all(&folder)?;
        fs::create_dir(&folder)?;
        let mut setting = Setting {
            binary: binary.clone(),
            folder: folder.clone(),
            time: whole * percent / 100,
            random: Random::new(seed),
        };
        let found = part(&mut setting)?;
        losses += found.losses;
        for (what, figure) in found.rows {
            println!("{name}: {what}: {figure}");
            rows.push(vec![format!("{name}: {what}"), figure]);
        }
        fs::remove_dir_all(&folder)?;
    }
    ensure!(!rows.is_empty(), "--only names no part of the attack");
    if options.only.is_none() {
        report::publish("attack", &document(options, seed, &rows, losses)?)?;
    }
    ensure!(losses == 0, "the attack lost or leaked {losses}");
    Ok(())
}

fn document(options: &Options, seed: u64, rows: &[Vec<String>], losses: u64) -> Result<String> {
    let machine = Machine::read(&scratch("attack")?)?;
    let table = report::table(&["what", "figure"], rows);
    Ok(format!(
        "# The release binary under attack\n\nMachine: {machine}.\n\
         Command: `cargo xtask test --long`, its attack of {} minutes, seed {seed}.\n\
         Acknowledged events, jobs or rows lost, counted twice or shown to others: {losses}.\n\n\
         {table}",
        options.minutes
    ))
}

fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(1, |now| u64::from(now.subsec_nanos()) | 1)
}

impl Findings {
    /// Adds a line to the report.
    fn add(&mut self, what: &str, figure: impl fmt::Display) {
        self.rows.push((what.to_owned(), figure.to_string()));
    }

    /// Adds a line of what must be zero, and counts it as lost when it is not.
    fn add_losses(&mut self, what: &str, lost: u64) {
        self.losses += lost;
        self.add(what, lost);
    }
}
