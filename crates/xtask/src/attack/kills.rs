//! The server killed at random moments while events come in and exports are made.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::ledger::Ledger;
use super::random::Random;
use super::{Findings, Setting};
use crate::bench::report;
use crate::bench::server::{self, Access, Server};
use crate::process::{self, Signal};

/// Connections that send events.
const SENDERS: usize = 6;
const BATCH_EVENTS: u64 = 200;
/// A life of the server, in milliseconds: from a moment after the start to some flushes.
const LIFE_MS: (u64, u64) = (50, 5_000);
/// Time the last life may take to end all jobs, and to take what is uncertain.
const SETTLE_LIMIT: Duration = Duration::from_mins(5);
const PAUSE: Duration = Duration::from_millis(100);
/// Acknowledged batches that are sent again at the end.
const REPEATED_BATCHES: u64 = 500;
const EXPORTS: &str = "/api/v1/exports";

/// Export jobs over all lives: those accepted, and those not known to have ended.
#[derive(Debug, Default)]
struct Jobs {
    accepted: BTreeSet<String>,
    open: BTreeSet<String>,
}

pub(super) fn run(setting: &mut Setting) -> Result<Findings> {
    let ledger = Ledger::new(1, BATCH_EVENTS);
    let jobs = Mutex::new(Jobs::default());
    let start = Instant::now();
    let (mut kills, mut jobs_open) = (0_u64, 0);
    let mut server = Server::fresh(&setting.binary, &setting.folder)?;
    while start.elapsed() < setting.time {
        live(server, &ledger, &jobs, &mut setting.random)?;
        kills += 1;
        jobs_open += locked(&jobs, |jobs| jobs.open.len());
        server = Server::start(&setting.binary, &setting.folder)
            .with_context(|| format!("after kill {kills}"))?;
    }
    ledger.settle(&server, SETTLE_LIMIT)?;
    let failed = end_jobs(&server, &jobs)?;
    let mut findings = Findings::default();
    findings.add("kills of the server under load", kills);
    findings.add("events acknowledged", report::count(ledger.acknowledged()));
    findings.add(
        "requests broken off by a kill and sent again",
        ledger.answers().1,
    );
    let counted = server.counted()?;
    let difference = counted.abs_diff(ledger.sent());
    findings.add_losses("acknowledged events lost or counted twice", difference);
    let unknown = ledger.unknown_when_repeated(&server, REPEATED_BATCHES)?;
    findings.add_losses("acknowledged events not known when sent again", unknown);
    let accepted = locked(&jobs, |jobs| jobs.accepted.len());
    findings.add("export jobs accepted", accepted);
    findings.add("export jobs unfinished at a kill", jobs_open);
    findings.add_losses("export jobs lost or failed", failed);
    let differing = repeat_exports(&server, &jobs)?;
    findings.add_losses("exports that differ when repeated at their asOf", differing);
    server.end(Signal::Terminate)?;
    let mut verify = server::tallyport(&setting.binary, &setting.folder);
    process::output(verify.arg("verify")).context("after all kills")?;
    findings.add("verify of every byte at the end", "ok");
    Ok(findings)
}

/// One life: load from all sides, then a kill at a random moment.
fn live(server: Server, ledger: &Ledger, jobs: &Mutex<Jobs>, random: &mut Random) -> Result<()> {
    let stop = AtomicBool::new(false);
    let access = server.access();
    let life = random.between_ms(LIFE_MS.0, LIFE_MS.1);
    thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| scope.spawn(|| ledger.send_until(&access, &stop)))
            .collect();
        let exporter = scope.spawn(|| export_until(&access, jobs, &stop));
        thread::sleep(life);
        // Senders stop before the next life begins: it may get the same port.
        let killed = server.end(Signal::Kill);
        stop.store(true, Ordering::SeqCst);
        for sender in senders {
            sender.join().expect("a sender returns")?;
        }
        exporter.join().expect("the exporter returns");
        killed
    })
}

/// Asks for exports and watches them; a broken connection ends it.
fn export_until(access: &Access, jobs: &Mutex<Jobs>, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) && export_once(access, jobs).is_ok() {
        thread::sleep(PAUSE);
    }
}

fn export_once(access: &Access, jobs: &Mutex<Jobs>) -> Result<()> {
    let mut client = access.client()?;
    let request = json!({"kind": "SUMMARY", "from": "2026-01-01", "to": "2026-02-01"});
    let answer = client.request("POST", EXPORTS, Some(&request))?;
    // At the limit of unfinished exports there is nothing to do but wait.
    if answer.status == 202 {
        let id = text(&answer.json(202)?, "id")?;
        locked(jobs, |jobs| {
            jobs.accepted.insert(id.clone());
            jobs.open.insert(id);
        });
    }
    let open: Vec<_> = locked(jobs, |jobs| jobs.open.iter().cloned().collect());
    for id in open {
        let job = client.get(&format!("{EXPORTS}/{id}"))?.json(200)?;
        if !is_running(&job) {
            locked(jobs, |jobs| jobs.open.remove(&id));
        }
    }
    Ok(())
}

/// Waits until every accepted job has ended; gives how many are gone or did not succeed.
fn end_jobs(server: &Server, jobs: &Mutex<Jobs>) -> Result<u64> {
    let mut client = server.client()?;
    let (start, mut failed) = (Instant::now(), 0);
    for id in locked(jobs, |jobs| jobs.accepted.clone()) {
        loop {
            let answer = client.get(&format!("{EXPORTS}/{id}"))?;
            let job = (answer.status == 200)
                .then(|| answer.json(200))
                .transpose()?;
            let job = job.unwrap_or_default();
            if is_running(&job) {
                ensure!(start.elapsed() < SETTLE_LIMIT, "export {id} does not end");
                thread::sleep(PAUSE);
                continue;
            }
            if job["status"] != "SUCCESS" {
                println!("export {id}: {job}");
                failed += 1;
            }
            break;
        }
    }
    Ok(failed)
}

/// Asks for some ended exports again at their `asOf`; gives how many have other bytes.
fn repeat_exports(server: &Server, jobs: &Mutex<Jobs>) -> Result<u64> {
    const REPEATED: usize = 10;
    let mut client = server.client()?;
    let accepted = locked(jobs, |jobs| jobs.accepted.clone());
    let step = accepted.len().div_ceil(REPEATED).max(1);
    let mut differing = 0;
    for id in accepted.iter().step_by(step) {
        let first = client.get(&format!("{EXPORTS}/{id}"))?.json(200)?;
        let request = json!({
            "kind": "SUMMARY", "from": "2026-01-01", "to": "2026-02-01", "asOf": first["asOf"]
        });
        let again = client.request("POST", EXPORTS, Some(&request))?.json(202)?;
        let path = format!("{EXPORTS}/{}?wait=60", text(&again, "id")?);
        let again = client.get(&path)?.json(200)?;
        let (before, after) = (&first["artifact"]["sha256"], &again["artifact"]["sha256"]);
        ensure!(before.is_string(), "export {id} shows no artifact: {first}");
        differing += u64::from(before != after);
    }
    Ok(differing)
}

fn is_running(job: &Value) -> bool {
    matches!(job["status"].as_str(), Some("CREATED" | "PROCESSING"))
}

fn text(value: &Value, member: &str) -> Result<String> {
    let text = value[member].as_str();
    text.map(str::to_owned)
        .with_context(|| format!("there is no {member} in {value}"))
}

fn locked<T>(jobs: &Mutex<Jobs>, work: impl FnOnce(&mut Jobs) -> T) -> T {
    work(&mut jobs.lock().expect("nobody panics while it holds the jobs"))
}
