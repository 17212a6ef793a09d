//! `bench memory`: peak resident memory of each phase, and start-up times, on many rows.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;

use super::events::Events;
use super::load::{self, Form, Until};
use super::machine::Machine;
use super::metering::{self, Kind};
use super::report;
use super::server::{self, Server};
use crate::process::{self, Signal, peak_mib};
use crate::workspace::scratch;

const RSS_MIB_MAX: f64 = 600.0;
const CLEAN_START_LIMIT: Duration = Duration::from_millis(200);
const CRASH_START_LIMIT: Duration = Duration::from_secs(2);
/// Streams that ingest at once.
const CONNECTIONS: usize = 2;
/// Events acknowledged shortly before the crash, so that there is something to recover.
const CRASH_EVENTS: u64 = 500_000;
/// A server that uses less than this share of a core for so long has finished what it had to do.
const REST_SHARE: f64 = 0.02;
const REST: Duration = Duration::from_secs(10);
const REST_LIMIT: Duration = Duration::from_hours(1);

/// How much to store.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Events to take in before anything is measured on them.
    #[arg(long, default_value_t = 50_000_000)]
    rows: u64,
    /// Keep the data directory for a closer look.
    #[arg(long)]
    keep: bool,
}

/// One phase: what it was, how long it took, how much memory it had at most.
struct Phase {
    name: String,
    seconds: f64,
    peak_mib: f64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let binary = server::build()?;
    let folder = scratch("bench-memory")?;
    let server = Server::fresh(&binary, &folder)?;
    let events = Events::new(1);
    let next = AtomicU64::new(0);
    let mut phases = vec![
        ingest(&server, &events, &next, options.rows)?,
        compaction(&server)?,
    ];
    for kind in Kind::ALL {
        phases.push(export(&server, kind)?);
    }
    server.end(Signal::Terminate)?;
    let clean = Server::start(&binary, &folder)?;
    let after_stop = clean.ready_after;
    ingest(&clean, &events, &next, CRASH_EVENTS)?;
    clean.end(Signal::Kill)?;
    let crashed = Server::start(&binary, &folder)?;
    let after_crash = crashed.ready_after;
    let counted = crashed.counted()?;
    let sent = options.rows + CRASH_EVENTS;
    ensure!(
        counted == sent,
        "{sent} events were acknowledged, {counted} are counted"
    );
    crashed.end(Signal::Terminate)?;
    let machine = Machine::read(&folder)?;
    if !options.keep {
        fs::remove_dir_all(&folder)?;
    }
    report::publish(
        "memory",
        &document(&machine, options.rows, &phases, after_stop, after_crash),
    )
}

fn ingest(server: &Server, events: &Events, next: &AtomicU64, count: u64) -> Result<Phase> {
    let first = next.load(Ordering::Relaxed);
    let rate = load::run(
        server,
        events,
        next,
        (Form::Stream, CONNECTIONS),
        Until::Sent(count),
    )?;
    ensure!(
        rate.events == count,
        "{} of {count} events were sent",
        rate.events
    );
    next.store(first + count, Ordering::Relaxed);
    phase(server, "ingest", rate.seconds)
}

fn compaction(server: &Server) -> Result<Phase> {
    let start = Instant::now();
    rest(server.pid())?;
    let seconds = start.elapsed().saturating_sub(REST).as_secs_f64();
    phase(server, "flush, compaction and rollups after it", seconds)
}

fn export(server: &Server, kind: Kind) -> Result<Phase> {
    let export = metering::export(server, kind)?;
    #[expect(clippy::cast_precision_loss, reason = "a printed size has few digits")]
    let mib = export.zip_bytes as f64 / 1024.0 / 1024.0;
    phase(
        server,
        &format!("{}, ZIP of {mib:.1} MiB", kind.name()),
        export.seconds,
    )
}

/// Ends a phase: takes its peak and starts the next from what is resident now.
fn phase(server: &Server, name: &str, seconds: f64) -> Result<Phase> {
    let peak_mib = peak_mib(server.pid())?;
    println!("{name}: {peak_mib:.0} MiB at most, {seconds:.1} s");
    // 5 makes the peak start again; kernels built without it refuse, and the peak goes on growing.
    if fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").is_err() {
        println!("the kernel keeps the peak of earlier phases");
    }
    Ok(Phase {
        name: name.to_owned(),
        seconds,
        peak_mib,
    })
}

fn rest(pid: u32) -> Result<()> {
    let start = Instant::now();
    let mut before = process::cpu_seconds(pid)?;
    while start.elapsed() < REST_LIMIT {
        thread::sleep(REST);
        let now = process::cpu_seconds(pid)?;
        if now - before < REST_SHARE * REST.as_secs_f64() {
            return Ok(());
        }
        before = now;
    }
    bail!(
        "the server did not come to rest within {} s",
        REST_LIMIT.as_secs()
    )
}

fn document(
    machine: &Machine,
    rows: u64,
    phases: &[Phase],
    after_stop: Duration,
    after_crash: Duration,
) -> String {
    let (rows, crash_rows) = (report::count(rows), report::count(CRASH_EVENTS));
    let table = report::table(
        &["phase", "peak RSS, MiB", "limit", "seconds"],
        &lines(phases),
    );
    let starts = report::table(
        &["start", "ms to /readyz", "limit"],
        &[
            start_line("after a clean stop", after_stop, CLEAN_START_LIMIT),
            start_line("after a crash (SIGKILL)", after_crash, CRASH_START_LIMIT),
        ],
    );
    format!(
        "# Memory and start-up with {rows} events stored\n\n\
         Machine: {machine}.\n\n\
         One server process through all phases; its peak (VmHWM) starts again after each. Ingest \
         is {CONNECTIONS} NDJSON streams over HTTP. Written by `cargo xtask bench memory`.\n\n\
         {table}\n\
         {crash_rows} further events were acknowledged right before the crash, and every \
         acknowledged event was counted once after it. Files were in the page cache.\n\n\
         {starts}"
    )
}

fn lines(phases: &[Phase]) -> Vec<Vec<String>> {
    let line = |phase: &Phase| {
        let verdict = if phase.peak_mib <= RSS_MIB_MAX {
            "met"
        } else {
            "missed"
        };
        vec![
            phase.name.clone(),
            format!("{:.0}", phase.peak_mib),
            format!("{RSS_MIB_MAX:.0} {verdict}"),
            format!("{:.1}", phase.seconds),
        ]
    };
    phases.iter().map(line).collect()
}

fn start_line(name: &str, took: Duration, limit: Duration) -> Vec<String> {
    let verdict = if took <= limit { "met" } else { "missed" };
    let limit = format!("{} {verdict}", limit.as_millis());
    vec![name.to_owned(), took.as_millis().to_string(), limit]
}
