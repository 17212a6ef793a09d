//! `bench ingest`: how fast usage becomes durable and deduplicated, beside the yardsticks.

mod page;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;

use super::disk;
use super::events::Events;
use super::load::{self, Form, Until};
use super::machine::Machine;
use super::peers::{self, Chdb};
use super::report::{self, Rate};
use super::server::{self, Server, tallyport};
use crate::process::{self, Signal};
use crate::workspace::scratch;

/// Name, form with connections, and events per second to reach.
type Load = (&'static str, (Form, usize), Option<f64>);

const LOADS: [Load; 4] = [
    (
        "HTTP, single events, 64 connections",
        (Form::Single, 64),
        Some(15_000.0),
    ),
    (
        "HTTP, batches of 100, 16 connections",
        (Form::Batch(100), 16),
        None,
    ),
    (
        "HTTP, batches of 1,000, 8 connections",
        (Form::Batch(1000), 8),
        Some(150_000.0),
    ),
    (
        "HTTP, NDJSON streams, 2 connections",
        (Form::Stream, 2),
        None,
    ),
];
const IMPORT_TARGET: f64 = 300_000.0;
/// Marks the ids of the events in the file, which no load over HTTP has.
const FILE_RUN: u64 = 1;

/// How much to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds of each load over HTTP.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Events in the file that import and the yardsticks take.
    #[arg(long, default_value_t = 3_000_000)]
    events: u64,
}

/// One line of the table.
#[derive(Debug)]
struct Measured {
    name: &'static str,
    rate: Rate,
    target: Option<f64>,
}

/// The yardsticks of one run.
#[derive(Debug)]
struct Yardsticks {
    postgres: Rate,
    chdb: Chdb,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let binary = server::build()?;
    let folder = scratch("bench-ingest")?;
    let sync_times = disk::sync_times(&folder)?;
    let files = write_files(&folder, options.events)?;
    let mut measured = over_http(&binary, &folder.join("http"), options)?;
    measured.extend(by_file(&binary, &folder, &files.lines, options.events)?);
    let yardsticks = Yardsticks {
        postgres: peers::postgres_copy(&files.rows, options.events)?,
        chdb: peers::chdb_insert(&files.lines, options.events)?,
    };
    let machine = Machine::read(&folder)?;
    fs::remove_dir_all(&folder)?;
    let text = page::text(
        &machine,
        sync_times,
        &measured,
        &yardsticks,
        files.event_bytes,
    );
    report::publish("ingest", &text)
}

/// The same events as lines of JSON and as rows for COPY.
struct Files {
    lines: PathBuf,
    rows: PathBuf,
    event_bytes: u64,
}

fn write_files(folder: &Path, count: u64) -> Result<Files> {
    println!("writing {count} events");
    let (lines, rows) = (folder.join("events.ndjson"), folder.join("events.tsv"));
    let events = Events::new(FILE_RUN);
    let write = |path: &Path, append: &dyn Fn(u64, &mut Vec<u8>)| -> Result<()> {
        let mut file = BufWriter::with_capacity(1024 * 1024, File::create(path)?);
        let mut line = Vec::with_capacity(512);
        for n in 0..count {
            line.clear();
            append(n, &mut line);
            file.write_all(&line)?;
        }
        file.into_inner()?.sync_all()?;
        Ok(())
    };
    write(&lines, &|n, line| {
        events.json(n, line);
        line.push(b'\n');
    })?;
    write(&rows, &|n, line| events.copy_row(n, line))?;
    let event_bytes = fs::metadata(&lines)?.len() / count.max(1);
    Ok(Files {
        lines,
        rows,
        event_bytes,
    })
}

fn over_http(binary: &Path, folder: &Path, options: &Options) -> Result<Vec<Measured>> {
    fs::create_dir_all(folder)?;
    let server = Server::fresh(binary, folder)?;
    let events = Events::new(FILE_RUN + 1);
    let next = AtomicU64::new(0);
    let until = Until::Elapsed(Duration::from_secs(options.seconds));
    let mut measured = Vec::new();
    for (name, load, target) in LOADS {
        disk::settle()?;
        let rate = load::run(&server, &events, &next, load, until)?;
        measured.push(said(Measured { name, rate, target }));
    }
    let sent: u64 = measured.iter().map(|measured| measured.rate.events).sum();
    let counted = server.counted()?;
    ensure!(
        counted == sent,
        "{sent} events were acknowledged, {counted} are counted"
    );
    server.end(Signal::Terminate)?;
    Ok(measured)
}

fn by_file(binary: &Path, folder: &Path, lines: &Path, count: u64) -> Result<Vec<Measured>> {
    let target = Some(IMPORT_TARGET);
    let data = folder.join("served");
    fs::create_dir_all(&data)?;
    let server = Server::fresh(binary, &data)?;
    let rate = import(binary, &data, lines, count)?;
    let served = said(Measured {
        name: "import, server running",
        rate,
        target,
    });
    let counted = server.counted()?;
    ensure!(
        counted == count,
        "{count} events were imported, {counted} are counted"
    );
    server.end(Signal::Terminate)?;
    let data = folder.join("free");
    fs::create_dir_all(&data)?;
    Server::fresh(binary, &data)?.end(Signal::Terminate)?;
    let rate = import(binary, &data, lines, count)?;
    let free = said(Measured {
        name: "import, no server",
        rate,
        target,
    });
    Ok(vec![served, free])
}

fn import(binary: &Path, data: &Path, lines: &Path, count: u64) -> Result<Rate> {
    let mut command = tallyport(binary, data);
    command.arg("import").arg(lines).arg("--json");
    disk::settle()?;
    let start = Instant::now();
    let text = process::output(&mut command)?;
    let seconds = start.elapsed().as_secs_f64();
    let tally: serde_json::Value = serde_json::from_str(&text)?;
    ensure!(
        tally["accepted"].as_u64() == Some(count),
        "the import says {tally}"
    );
    Ok(Rate {
        events: count,
        seconds,
    })
}

fn said(measured: Measured) -> Measured {
    println!(
        "{}: {}/s",
        measured.name,
        report::thousands(measured.rate.per_second())
    );
    measured
}
