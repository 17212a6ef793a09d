//! Imports into a free directory, killed at random moments and run again.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::random::Random;
use super::{Findings, Setting};
use crate::bench::events::Events;
use crate::bench::report;
use crate::bench::server::{self, Server};
use crate::process::{Running, Signal};
use crate::workspace::scratch;

/// Records of one file: an import of some seconds.
const RECORDS: u64 = 200_000;
/// An import that is not killed may take this many tries of the timed part's last file.
const ATTEMPTS_MAX: u64 = 10_000;
/// Life of one import, in milliseconds.
const LIFE_MS: (u64, u64) = (30, 1_500);

pub(super) fn run(setting: &mut Setting) -> Result<Findings> {
    let server = Server::fresh(&setting.binary, &setting.folder)?;
    let organization = server.client()?.get("/api/v1/organizations")?.json(200)?["items"][0]["id"]
        .as_str()
        .context("there is no organization")?
        .to_owned();
    server.end(Signal::Terminate)?;
    let file = scratch("attack-import-file")?.join("events.ndjson");
    let (start, mut files, mut kills) = (Instant::now(), 0, 0);
    while files == 0 || start.elapsed() < setting.time {
        write(&file, files)?;
        kills += import(setting, &file, &organization)?;
        files += 1;
    }
    let server = Server::start(&setting.binary, &setting.folder)?;
    let counted = server.counted()?;
    server.end(Signal::Terminate)?;
    let mut findings = Findings::default();
    findings.add("kills of imports", kills);
    findings.add("records imported", report::count(files * RECORDS));
    findings.add_losses(
        "records lost or counted twice",
        counted.abs_diff(files * RECORDS),
    );
    Ok(findings)
}

/// Runs an import again and again until it ends by itself; gives how often it was killed.
fn import(setting: &mut Setting, file: &Path, organization: &str) -> Result<u64> {
    for kills in 0..ATTEMPTS_MAX {
        let mut command = server::tallyport(&setting.binary, &setting.folder);
        command
            .arg("import")
            .arg(file)
            .args(["--namespace", organization]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = Running::start(&mut command, Signal::Kill)?;
        let random: &mut Random = &mut setting.random;
        // Longer and longer lives, so that every import comes to its end.
        let life = random.between_ms(LIFE_MS.0, LIFE_MS.1 + 200 * kills);
        let start = Instant::now();
        while start.elapsed() < life {
            if let Some(status) = running.status()? {
                ensure!(status.success(), "an import ended with {status}");
                return Ok(kills);
            }
            thread::sleep(std::time::Duration::from_millis(5));
        }
        running.end(Signal::Kill)?;
    }
    anyhow::bail!("the import did not end in {ATTEMPTS_MAX} tries")
}

fn write(path: &Path, run: u64) -> Result<()> {
    let events = Events::new(100 + run);
    let mut file = BufWriter::new(File::create(path)?);
    let mut line = Vec::new();
    for n in 0..RECORDS {
        line.clear();
        events.json(n, &mut line);
        line.push(b'\n');
        file.write_all(&line)?;
    }
    file.flush()?;
    Ok(())
}
