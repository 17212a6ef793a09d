//! More events than the server can take: what it takes must stay quick, what it cannot take must be
//! refused soon, and reads must go on.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::ledger::Ledger;
use super::{Findings, Setting};
use crate::bench::report;
use crate::bench::server::{Access, Server};
use crate::process::{Signal, peak_mib};

/// Connections by which the rate is measured that the server sustains, and for how long.
const MEASURED_SENDERS: usize = 8;
const MEASURED_TIME: Duration = Duration::from_secs(15);
/// Connections of the overload, and how many times the measured rate they offer.
const SENDERS: usize = 64;
const OVERLOAD: u64 = 3;
const BATCH_EVENTS: u64 = 2_000;
const SETTLE_LIMIT: Duration = Duration::from_mins(5);
/// Pause between the reads whose time is measured.
const READ_PAUSE: Duration = Duration::from_millis(100);

/// Times of reads, and of writes of control data, that were answered as they should be.
#[derive(Debug, Default)]
struct Others {
    reads: Vec<Duration>,
    health: Vec<Duration>,
    keys: Vec<Duration>,
    refused: u64,
}

pub(super) fn run(setting: &mut Setting) -> Result<Findings> {
    let ledger = Ledger::new(3, BATCH_EVENTS);
    let server = Server::fresh(&setting.binary, &setting.folder)?;
    let access = server.access();
    let start = Instant::now();
    closed_loop(&access, &ledger)?;
    let measured = rate(ledger.acknowledged(), start.elapsed());
    ledger.forget_answers();
    let (taken_before, start) = (ledger.acknowledged(), Instant::now());
    let offered = AtomicU64::new(0);
    let others = open_loop(
        &access,
        &ledger,
        &offered,
        measured * OVERLOAD,
        setting.time,
    )?;
    let seconds = start.elapsed();
    let taken = rate(ledger.acknowledged() - taken_before, seconds);
    let offered = rate(offered.load(Ordering::SeqCst) * BATCH_EVENTS, seconds);
    let (answers, _) = ledger.answers();
    let (ok, refused) = (ledger.times(204), ledger.times(503));
    ledger.settle(&server, SETTLE_LIMIT)?;
    let lost = server.counted()?.abs_diff(ledger.sent());
    let peak = peak_mib(server.pid())?;
    server.end(Signal::Terminate)?;
    let mut findings = Findings::default();
    findings.add(
        "rate sustained by 8 senders, events/s",
        report::count(measured),
    );
    findings.add(
        "rate offered by 64 senders, events/s",
        report::count(offered),
    );
    findings.add("rate taken of it, events/s", report::count(taken));
    findings.add("answers by status", format!("{answers:?}"));
    findings.add("accepted requests, p50 / p99 / max", spread(&ok));
    findings.add("refused requests, p50 / p99 / max", spread(&refused));
    findings.add(
        "meter queries meanwhile, p50 / p99 / max",
        spread(&sorted(others.reads)),
    );
    findings.add(
        "health checks meanwhile, p50 / p99 / max",
        spread(&sorted(others.health)),
    );
    findings.add(
        "keys created meanwhile, p50 / p99 / max",
        spread(&sorted(others.keys)),
    );
    findings.add("reads and keys refused meanwhile", others.refused);
    findings.add("peak memory of the server, MiB", format!("{peak:.0}"));
    findings.add_losses("acknowledged events lost or counted twice", lost);
    Ok(findings)
}

/// Senders that wait for each answer.
fn closed_loop(access: &Access, ledger: &Ledger) -> Result<()> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let senders: Vec<_> = (0..MEASURED_SENDERS)
            .map(|_| scope.spawn(|| ledger.send_until(access, &stop)))
            .collect();
        thread::sleep(MEASURED_TIME);
        stop.store(true, Ordering::SeqCst);
        let mut ended = senders.into_iter().map(thread::ScopedJoinHandle::join);
        ended.try_for_each(|sender| sender.expect("a sender returns"))
    })
}

/// Senders that keep to a timetable, whatever the answers.
fn open_loop(
    access: &Access,
    ledger: &Ledger,
    offered: &AtomicU64,
    events_per_second: u64,
    time: Duration,
) -> Result<Others> {
    let stop = AtomicBool::new(false);
    let per_sender = u64::try_from(SENDERS)? * BATCH_EVENTS * 1_000_000;
    let interval = Duration::from_micros(per_sender / events_per_second.max(1));
    let others = Mutex::new(Others::default());
    thread::scope(|scope| -> Result<()> {
        let sender = || send_on_time(access, ledger, offered, interval, &stop);
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(sender)).collect();
        let watcher = scope.spawn(|| watch(access, &others, &stop));
        thread::sleep(time);
        stop.store(true, Ordering::SeqCst);
        for sender in senders {
            sender.join().expect("a sender returns")?;
        }
        watcher.join().expect("the watcher returns")
    })?;
    Ok(others.into_inner().expect("the watcher did not panic"))
}

fn send_on_time(
    access: &Access,
    ledger: &Ledger,
    offered: &AtomicU64,
    interval: Duration,
    stop: &AtomicBool,
) -> Result<()> {
    let mut due = Instant::now();
    let mut client = access.client()?;
    while !stop.load(Ordering::SeqCst) {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // A sender that is late sends at once, and what it missed is not made up for.
        due += interval;
        if due.elapsed() > interval {
            due = Instant::now();
        }
        offered.fetch_add(1, Ordering::SeqCst);
        if !ledger.send_one(&mut client)? {
            client = access.client()?;
        }
    }
    Ok(())
}

/// Reads, asks for health and writes control data as others would during the overload.
fn watch(access: &Access, others: &Mutex<Others>, stop: &AtomicBool) -> Result<()> {
    const QUERY: &str = "/api/v1/meters/flights/query?from=2026-01-01T00:00:00Z\
        &to=2026-01-02T00:00:00Z&windowSize=HOUR";
    let key = json!({"name": "made under load", "role": "analyst"});
    let requests = [
        ("GET", QUERY, None),
        ("GET", "/healthz", None),
        ("POST", "/api/v1/keys", Some(&key)),
    ];
    while !stop.load(Ordering::SeqCst) {
        for (index, (method, path, body)) in requests.iter().enumerate() {
            let start = Instant::now();
            let answer = access.client()?.request(method, path, *body)?;
            let took = start.elapsed();
            let mut others = others.lock().expect("nobody else holds it");
            match (answer.status, index) {
                (200 | 201, 0) => others.reads.push(took),
                (200 | 201, 1) => others.health.push(took),
                (200 | 201, _) => others.keys.push(took),
                _ => others.refused += 1,
            }
        }
        thread::sleep(READ_PAUSE);
    }
    Ok(())
}

fn rate(events: u64, time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    events * 1_000 / millis
}

fn sorted(mut times: Vec<Duration>) -> Vec<Duration> {
    times.sort_unstable();
    times
}

fn spread(sorted: &[Duration]) -> String {
    let millis = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1_000.0);
    let max = sorted.last().copied().unwrap_or_default();
    let p = |percent| millis(report::quantile(sorted, percent));
    format!(
        "{} / {} / {} of {}",
        p(50),
        p(99),
        millis(max),
        sorted.len()
    )
}
