//! How long the disk takes to make a small append durable.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::process;

const APPENDS: usize = 1000;
const APPEND_BYTES: usize = 4096;

/// Times of fdatasync after appends of 4 KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SyncTimes {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// Waits until everything written is on disk, so that no measurement pays for the one before.
pub(crate) fn settle() -> Result<()> {
    process::run(&mut Command::new("sync"))
}

/// Measures in the folder that the other measurements use.
pub(crate) fn sync_times(folder: &Path) -> Result<SyncTimes> {
    let path = folder.join("sync");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(APPENDS);
    for _ in 0..APPENDS {
        file.write_all(&[7; APPEND_BYTES])?;
        let start = Instant::now();
        file.sync_data()?;
        times.push(start.elapsed());
    }
    fs::remove_file(path)?;
    times.sort_unstable();
    Ok(SyncTimes {
        p50: times[APPENDS / 2],
        p99: times[APPENDS * 99 / 100],
    })
}
