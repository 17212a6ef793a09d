//! Step 6 of usage in: unflushed rows become a segment, their keys a run, and the manifest names
//! both. Only then are journal files removed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::identity::hex_checksum;
use crate::intake::prepare::held_bytes;
use crate::intake::writer::Command;
use crate::journal::frame::UNATTRIBUTED;
use crate::journal::{self, recovery};
use crate::manifest::{RunEntry, SegmentEntry, file};
use crate::options::JOIN_REST_MS;
use crate::row::Row;
use crate::seen::run::write::RunWriter;
use crate::seen::run::{Entry, Filters, RUN_FORMAT, Run};
use crate::seen::{KeyMap, RunSet};
use crate::segment::{self, Segment, Shape};
use crate::shared::{PanicGuard, Shared, Tally, count, locked};
use crate::snapshot::TailChunk;

/// Time between attempts while the disk is full, in milliseconds.
const RETRY_MS: u64 = 1_000;

/// Durable rows that wait to be flushed; journal files before `journal_from` hold nothing else.
#[derive(Debug, Clone)]
pub(crate) struct Rotated {
    /// Last sequence to flush.
    pub(crate) through: u64,
    /// Number of the journal file that was begun.
    pub(crate) journal_from: u64,
    /// Counters up to here.
    pub(crate) counters: Tally,
    /// Rows, perhaps with some flushed before.
    pub(crate) chunks: Vec<Arc<TailChunk>>,
    /// Keys of the rows.
    pub(crate) keys: Arc<KeyMap>,
}

/// Flushes when rows, bytes or age ask for it, until the store closes.
pub(crate) fn run(shared: &Arc<Shared>) {
    let _guard = PanicGuard(shared, "flush");
    while wait_until_due(shared) {
        match now(shared) {
            Ok(()) => {}
            Err(error @ Error::DiskFull { .. }) => {
                tracing::warn!("a flush waits for space: {error}");
                pause(shared);
            }
            Err(Error::Closed | Error::ReadOnly { .. }) => return,
            Err(error) => return shared.break_down(&error.to_string()),
        }
    }
}

fn wait_until_due(shared: &Shared) -> bool {
    let age = Duration::from_millis(shared.options.flush_age_ms);
    let mut wishes = locked(&shared.wishes);
    loop {
        if wishes.stop || shared.broken.get().is_some() {
            return false;
        }
        let waited = wishes.oldest.map(|oldest| oldest.elapsed());
        if wishes.flush || waited.is_some_and(|waited| waited >= age) {
            return true;
        }
        let rest = waited.map_or(age, |waited| age.saturating_sub(waited));
        let woken = shared.wake.wait_timeout(wishes, rest);
        wishes = woken.unwrap_or_else(std::sync::PoisonError::into_inner).0;
    }
}

fn pause(shared: &Shared) {
    let until = Instant::now() + Duration::from_millis(RETRY_MS);
    let mut wishes = locked(&shared.wishes);
    while !wishes.stop {
        let Some(rest) = until.checked_duration_since(Instant::now()) else {
            return;
        };
        let woken = shared.wake.wait_timeout(wishes, rest);
        wishes = woken.unwrap_or_else(std::sync::PoisonError::into_inner).0;
    }
}

/// Flushes everything durable at the time of the call. Blocks until done.
pub(crate) fn now(shared: &Arc<Shared>) -> Result<()> {
    let mut pending = locked(&shared.flush);
    if let Some(rotated) = pending.clone() {
        attempt(shared, &rotated)?;
        *pending = None;
    }
    if let Some(rotated) = rotate(shared)? {
        *pending = Some(rotated.clone());
        attempt(shared, &rotated)?;
        *pending = None;
    }
    Ok(())
}

fn rotate(shared: &Shared) -> Result<Option<Rotated>> {
    shared.wish(|wishes| {
        if wishes.flush {
            let rest = Duration::from_millis(JOIN_REST_MS);
            wishes.joins_rest_until = Some(Instant::now() + rest);
        }
        (wishes.flush, wishes.oldest) = (false, None);
    });
    let (reply, answer) = mpsc::sync_channel(1);
    shared.commands.send(Command::Rotate(reply))?;
    answer
        .recv()
        .map_err(|_| Error::Closed)?
        .inspect_err(|error| tell(shared, error))
}

fn attempt(shared: &Arc<Shared>, rotated: &Rotated) -> Result<()> {
    shared.check_writable()?;
    let written = write(shared, rotated).inspect_err(|error| tell(shared, error))?;
    *locked(&shared.no_space) = None;
    // A writer that has ended holds no keys any more.
    shared
        .commands
        .send(Command::Flushed(Ok(rotated.through)))
        .ok();
    count(&shared.counts.flushes, 1);
    shared.wish(|wishes| wishes.upkeep = true);
    trim(shared, rotated.journal_from)?;
    tracing::debug!(rows = written, through = rotated.through, "flushed");
    Ok(())
}

/// Lets the writer refuse batches instead of waiting for a flush that cannot happen, and keeps
/// the flush due.
fn tell(shared: &Shared, error: &Error) {
    if matches!(error, Error::DiskFull { .. }) {
        let reason: Arc<str> = error.to_string().into();
        *locked(&shared.no_space) = Some(Arc::clone(&reason));
        // A writer that has ended waits for nothing.
        shared.commands.send(Command::Flushed(Err(reason))).ok();
        shared.wish(|wishes| wishes.flush = true);
    }
}

/// Writes segment and run, and commits them; gives the number of rows.
fn write(shared: &Arc<Shared>, rotated: &Rotated) -> Result<u64> {
    let flushed = locked(&shared.visible).flushed_through;
    let rows: Vec<&Row> = rotated
        .chunks
        .iter()
        .flat_map(|chunk| &chunk.rows)
        .filter(|row| row.sequence > flushed)
        .collect();
    let (number, bytes) = (
        rows.len() as u64,
        rows.iter().map(|row| held_bytes(&row.texts)).sum::<usize>() as u64,
    );
    let stem = shared.file_stem(flushed + 1, rotated.through);
    let files = (!rows.is_empty()).then(|| write_files(shared, &stem, flushed + 1, rotated, &rows));
    files
        .transpose()
        .and_then(|files| commit(shared, rotated, files))
        .inspect_err(|error| remove_after(error, shared, &stem))?;
    shared
        .counts
        .unflushed_rows
        .fetch_sub(number, Ordering::Release);
    shared
        .counts
        .unflushed_bytes
        .fetch_sub(bytes, Ordering::Release);
    Ok(number)
}

/// Files of a flush before the manifest names them.
#[derive(Debug)]
struct Files {
    segment: SegmentEntry,
    run: Option<RunEntry>,
}

fn write_files(
    shared: &Shared,
    stem: &str,
    first: u64,
    rotated: &Rotated,
    rows: &[&Row],
) -> Result<Files> {
    let (disk, folders) = (&shared.disk, &shared.folders);
    let name = format!("{stem}.parquet");
    let layout = shared.current_layout();
    let shape = Shape::default();
    let segment = segment::write_rows(disk, &folders.segments, &name, rows, &layout, shape)?;
    let run = write_run(shared, stem, first, rotated)?;
    for folder in [&folders.segments, &folders.keys] {
        disk.sync_folder(folder)
            .map_err(|error| Error::io("sync", folder, error))?;
    }
    Ok(Files { segment, run })
}

/// Removes the files of a flush or join that found no space. After other errors the manifest may
/// name them: the next start sees.
pub(crate) fn remove_after(error: &Error, shared: &Shared, stem: &str) {
    if !matches!(error, Error::DiskFull { .. }) {
        return;
    }
    for folder in [&shared.folders.segments, &shared.folders.keys] {
        for name in shared.disk.list(folder).unwrap_or_default() {
            if name.starts_with(stem) {
                shared.remove_leftover(&folder.join(name));
            }
        }
    }
}

fn write_run(
    shared: &Shared,
    stem: &str,
    first: u64,
    rotated: &Rotated,
) -> Result<Option<RunEntry>> {
    if rotated.keys.is_empty() {
        return Ok(None);
    }
    let entry = |(key, known): (&_, &crate::seen::Known)| Entry {
        key: *key,
        fingerprint: known.fingerprint,
        sequence: known.sequence,
    };
    let mut entries: Vec<Entry> = rotated.keys.iter().map(entry).collect();
    entries.sort_unstable_by_key(|entry| entry.key);
    let name = format!("{stem}.keys");
    let path = shared.folders.keys.join(&name);
    let mut writer = RunWriter::create(&shared.disk, &path, &shared.identity)?;
    entries
        .into_iter()
        .try_for_each(|entry| writer.push(entry))?;
    let written = writer.finish()?;
    Ok(Some(RunEntry {
        format: RUN_FORMAT,
        file: name,
        first,
        last: rotated.through,
        keys: written.keys,
        bytes: written.bytes,
        checksum: hex_checksum(written.checksum),
    }))
}

/// Names the files in the manifest and shows them to reads and look-ups in one step.
fn commit(shared: &Arc<Shared>, rotated: &Rotated, files: Option<Files>) -> Result<()> {
    let mut manifest = locked(&shared.manifest);
    let mut next = manifest.clone();
    next.generation += 1;
    next.flushed_through = rotated.through;
    next.journal_from = rotated.journal_from;
    next.counters = rotated
        .counters
        .iter()
        .map(|(id, counts)| (counted_as(*id), *counts))
        .collect();
    let mut opened = (None, None);
    if let Some(files) = files {
        let (disk, folders) = (&shared.disk, &shared.folders);
        next.segments.push(files.segment.clone());
        opened.0 = Some(Segment::open(disk, &folders.segments, &files.segment)?);
        if let Some(run) = files.run {
            let path = folders.keys.join(&run.file);
            opened.1 = Some(Arc::new(Run::open(
                disk,
                &path,
                &shared.identity,
                Filters::Read,
            )?));
            next.runs.push(run);
        }
    }
    file::store(&shared.disk, &shared.folders.store, &next)?;
    if let Some(run) = opened.1 {
        let mut runs = RunSet::clone(&shared.run_set());
        runs.runs.push(run);
        runs.lasts.push(rotated.through);
        runs.through = rotated.through;
        *shared
            .runs
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(runs);
    }
    let mut visible = locked(&shared.visible);
    visible.segments.extend(opened.0);
    visible.drop_flushed(rotated.through);
    *manifest = next;
    Ok(())
}

/// The name under which an organization's counters are kept.
pub(crate) fn counted_as(organization: Option<domain::ids::OrganizationId>) -> String {
    organization.map_or_else(|| UNATTRIBUTED.to_owned(), |id| id.to_string())
}

/// Removes journal files whose rows are all in segments.
pub(crate) fn trim(shared: &Shared, from: u64) -> Result<()> {
    let folder = &shared.folders.journal;
    for number in recovery::files(&shared.disk, folder)? {
        if number < from {
            shared.remove_leftover(&folder.join(journal::file_name(number)));
        }
    }
    Ok(())
}
