//! A disk that fills up under load, and gets room again.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::json;

use super::ledger::Ledger;
use super::{Findings, Setting};
use crate::bench::report;
use crate::bench::server::{Access, Server};
use crate::process::{Signal, wait_for};

const DISK_MIB: u64 = 768;
/// Files that are removed to make room, one a cycle.
const BALLAST_MIB: u64 = 96;
const BALLAST_FILES: u64 = 5;
const SENDERS: usize = 4;
const BATCH_EVENTS: u64 = 500;
/// Time for the disk to fill, and for the server to come back by itself.
const FILL_LIMIT: Duration = Duration::from_mins(5);
const RECOVERY_LIMIT: Duration = Duration::from_mins(2);
/// Refusals in a row after which the disk counts as full for the server.
const FULL_LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// A file system in memory; unmounted when dropped.
#[derive(Debug)]
struct Mount(PathBuf);

pub(super) fn run(setting: &mut Setting) -> Result<Findings> {
    let folder = setting.folder.join("disk");
    fs::create_dir(&folder)?;
    let mount = Mount::memory(&folder, DISK_MIB)?;
    for number in 0..BALLAST_FILES {
        File::create(ballast(&folder, number))?.write_all(&vec![
            1;
            usize::try_from(
                BALLAST_MIB << 20
            )?
        ])?;
    }
    let data = folder.join("data");
    fs::create_dir(&data)?;
    let ledger = Ledger::new(2, BATCH_EVENTS);
    let server = Server::fresh(&setting.binary, &data)?;
    let (start, mut findings, mut cycles) = (Instant::now(), Findings::default(), 0);
    while cycles < BALLAST_FILES && (cycles == 0 || start.elapsed() < setting.time) {
        fill(&server.access(), &ledger).with_context(|| format!("cycle {cycles}"))?;
        fs::remove_file(ballast(&folder, cycles))?;
        recover(&server).with_context(|| format!("cycle {cycles}"))?;
        cycles += 1;
    }
    ledger.settle(&server, RECOVERY_LIMIT)?;
    let counted = server.counted()?;
    server.end(Signal::Terminate)?;
    let again = Server::start(&setting.binary, &data)?;
    let kept = again.counted()?;
    again.end(Signal::Terminate)?;
    drop(mount);
    let refused = ledger.answers().0.get(&503).copied().unwrap_or(0);
    findings.add("times the disk was full under load", cycles);
    findings.add("requests refused with 503 meanwhile", refused);
    findings.add("recoveries without a restart", cycles);
    findings.add("events acknowledged", report::count(ledger.acknowledged()));
    let lost = counted.abs_diff(ledger.sent()) + kept.abs_diff(ledger.sent());
    findings.add_losses("acknowledged events lost or counted twice", lost);
    Ok(findings)
}

/// Sends until the server refuses, and holds it to what it must say meanwhile.
fn fill(access: &Access, ledger: &Ledger) -> Result<()> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| scope.spawn(|| ledger.send_until(access, &stop)))
            .collect();
        let full = wait_until_full(access);
        let held = full.and_then(|()| hold(access));
        stop.store(true, Ordering::SeqCst);
        for sender in senders {
            sender.join().expect("a sender returns")?;
        }
        held
    })
}

fn wait_until_full(access: &Access) -> Result<()> {
    let mut looks = 0;
    wait_for("a full disk", FILL_LIMIT, || {
        thread::sleep(PAUSE);
        let status = access.client()?.get("/readyz")?.status;
        looks = if status == 503 { looks + 1 } else { 0 };
        Ok((looks >= FULL_LOOKS).then_some(()))
    })
}

/// While the disk is full reads go on and writes of control data are refused for now.
fn hold(access: &Access) -> Result<()> {
    let mut client = access.client()?;
    client.get("/api/v1/meters/flights/query")?.expect(200)?;
    for _ in 0..5 {
        let answer = create_key(access)?;
        let is_refusal = answer.status == 503 && answer.has_retry_after;
        // A little room may be left for the database, whose pages are small.
        ensure!(
            is_refusal || answer.status == 201,
            "a key on a full disk: {}: {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
    }
    Ok(())
}

fn recover(server: &Server) -> Result<()> {
    let access = server.access();
    wait_for("recovery", RECOVERY_LIMIT, || {
        thread::sleep(PAUSE);
        let ready = access.client()?.get("/readyz")?.status == 200;
        let writes = ready && create_key(&access)?.status == 201;
        Ok(writes.then_some(()))
    })
}

fn create_key(access: &Access) -> Result<crate::bench::client::Answer> {
    let body = json!({"name": "of a full disk", "role": "analyst"});
    access
        .client()?
        .request("POST", "/api/v1/keys", Some(&body))
}

fn ballast(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("ballast-{number}"))
}

impl Mount {
    fn memory(folder: &Path, mib: u64) -> Result<Self> {
        let size = CString::new(format!("size={mib}m"))?;
        mount("tmpfs", folder, "tmpfs", MountFlags::empty(), &*size)
            .context("the attack on a full disk mounts one: run as root")?;
        Ok(Self(folder.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a server that has just ended may still be letting go of it.
        unmount(&self.0, UnmountFlags::DETACH).ok();
    }
}
