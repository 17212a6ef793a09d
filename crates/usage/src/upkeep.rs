//! Step 7 of usage in, the part that decides and commits: neighbouring segments are joined,
//! segments of an old layout rewritten, key runs merged. Reads notice nothing.

use std::ops::Range;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::compact;
use crate::error::{Error, Result};
use crate::flush::remove_after;
use crate::identity::hex_checksum;
use crate::manifest::{RunEntry, SegmentEntry, file};
use crate::options::JOIN_DEBT_SEGMENTS_MAX;
use crate::seen::RunSet;
use crate::seen::merge;
use crate::seen::run::{Filters, RUN_FORMAT, Run};
use crate::segment::Segment;
use crate::shared::{PanicGuard, Retired, Shared, count, locked};

/// Joins, rewrites and merges whenever something changed, until the store closes.
///
/// While usage pours in, joins wait as long as few are owed.
pub(crate) fn run(shared: &Arc<Shared>) {
    let _guard = PanicGuard(shared, "compaction");
    while wait_until_due(shared) {
        match work(shared, Joins::MayRest) {
            Ok(()) => {}
            Err(error @ Error::DiskFull { .. }) => {
                tracing::warn!("compaction waits for the next flush: {error}");
            }
            Err(Error::Closed | Error::ReadOnly { .. }) => return,
            Err(error) => return shared.break_down(&error.to_string()),
        }
    }
}

fn wait_until_due(shared: &Shared) -> bool {
    let mut wishes = locked(&shared.wishes);
    loop {
        if wishes.stop || shared.broken.get().is_some() {
            return false;
        }
        let rest = wishes
            .joins_rest_until
            .map(|until| until.saturating_duration_since(Instant::now()));
        if rest.is_some_and(|rest| rest.is_zero()) {
            wishes.joins_rest_until = None;
            wishes.upkeep = true;
        }
        if std::mem::take(&mut wishes.upkeep) {
            return true;
        }
        // Without a rest somebody wakes the thread long before.
        let woken = shared
            .wake
            .wait_timeout(wishes, rest.unwrap_or(Duration::MAX));
        wishes = woken.unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// Whether joins may be put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joins {
    /// While usage pours in and few are owed.
    MayRest,
    /// Not now.
    AreDue,
}

/// Works until nothing is left to do, or the store closes. Blocks.
pub(crate) fn now(shared: &Arc<Shared>) -> Result<()> {
    work(shared, Joins::AreDue)
}

fn work(shared: &Arc<Shared>, joins: Joins) -> Result<()> {
    let _alone = locked(&shared.upkeep);
    loop {
        shared.check_writable()?;
        shared.retire([]);
        let more = merge_runs(shared)? || rewrite_segments(shared, joins)?;
        if !more || locked(&shared.wishes).stop {
            return Ok(());
        }
    }
}

/// Joins neighbours, or rewrites one segment for the layout; `false` when there is nothing to do.
fn rewrite_segments(shared: &Arc<Shared>, joins: Joins) -> Result<bool> {
    let segments = locked(&shared.visible).segments.clone();
    let entries: Vec<SegmentEntry> = segments.iter().map(|one| one.entry().clone()).collect();
    let layout = shared.current_layout();
    let rest = joins == Joins::MayRest
        && locked(&shared.wishes).joins_rest_until.is_some()
        && compact::owed(&entries) <= JOIN_DEBT_SEGMENTS_MAX;
    let range = compact::choose(&entries)
        .filter(|_| !rest)
        .or_else(|| compact::outdated(&entries, &layout).map(|index| index..index + 1));
    let Some(inputs) = range.clone().and_then(|range| segments.get(range)) else {
        return Ok(false);
    };
    let (Some(range), Some(first), Some(last)) = (range, inputs.first(), inputs.last()) else {
        return Ok(false);
    };
    let stem = shared.file_stem(first.entry().first, last.entry().last);
    let folder = &shared.folders.segments;
    let joined = compact::join(
        &shared.disk,
        folder,
        &format!("{stem}.parquet"),
        inputs,
        &layout,
    )
    .and_then(|entry| {
        let sync = shared.disk.sync_folder(folder);
        sync.map_err(|error| Error::io("sync", folder, error))?;
        replace_segments(shared, range, entry)
    });
    let old = joined.inspect_err(|error| remove_after(error, shared, &stem))?;
    drop(segments);
    shared.retire(old.into_iter().map(Retired::Segment));
    count(&shared.counts.compactions, 1);
    Ok(true)
}

/// Commits a segment in the place of its inputs; gives these. Flushes only ever add behind them.
fn replace_segments(
    shared: &Shared,
    range: Range<usize>,
    entry: SegmentEntry,
) -> Result<Vec<Arc<Segment>>> {
    let segment = Segment::open(&shared.disk, &shared.folders.segments, &entry)?;
    let mut manifest = locked(&shared.manifest);
    let mut next = manifest.clone();
    next.generation += 1;
    next.segments.splice(range.clone(), [entry]);
    file::store(&shared.disk, &shared.folders.store, &next)?;
    let mut visible = locked(&shared.visible);
    let old = visible.segments.splice(range, [segment]).collect();
    *manifest = next;
    Ok(old)
}

/// Merges key runs of one size class; `false` when there is nothing to do.
fn merge_runs(shared: &Arc<Shared>) -> Result<bool> {
    let runs = shared.run_set();
    let sizes: Vec<u64> = runs.runs.iter().map(|run| run.keys).collect();
    let Some(range) = merge::choose(&sizes) else {
        return Ok(false);
    };
    let (first, last) = {
        let manifest = locked(&shared.manifest);
        let entries = manifest.runs.get(range.clone()).unwrap_or_default();
        let ends = entries.first().zip(entries.last());
        ends.map(|(first, last)| (first.first, last.last))
            .ok_or_else(|| Error::Internal("runs and manifest differ".to_owned()))?
    };
    let stem = shared.file_stem(first, last);
    let name = format!("{stem}.keys");
    let path = shared.folders.keys.join(&name);
    let inputs = runs.runs.get(range.clone()).unwrap_or_default();
    let merged = merge::merge(&shared.disk, &path, &shared.identity, inputs).and_then(|written| {
        let folder = &shared.folders.keys;
        shared
            .disk
            .sync_folder(folder)
            .map_err(|error| Error::io("sync", folder, error))?;
        let entry = RunEntry {
            format: RUN_FORMAT,
            file: name,
            first,
            last,
            keys: written.keys,
            bytes: written.bytes,
            checksum: hex_checksum(written.checksum),
        };
        replace_runs(shared, range, entry)
    });
    let old = merged.inspect_err(|error| remove_after(error, shared, &stem))?;
    drop(runs);
    shared.retire(old.into_iter().map(Retired::Run));
    count(&shared.counts.run_merges, 1);
    Ok(true)
}

/// Commits a run in the place of its inputs; gives these.
fn replace_runs(shared: &Shared, range: Range<usize>, entry: RunEntry) -> Result<Vec<Arc<Run>>> {
    let path = shared.folders.keys.join(&entry.file);
    let run = Run::open(&shared.disk, &path, &shared.identity, Filters::Read)?;
    let mut manifest = locked(&shared.manifest);
    let mut next = manifest.clone();
    next.generation += 1;
    let last = entry.last;
    next.runs.splice(range.clone(), [entry]);
    file::store(&shared.disk, &shared.folders.store, &next)?;
    let mut runs = RunSet::clone(&shared.run_set());
    runs.lasts.splice(range.clone(), [last]);
    let old = runs.runs.splice(range, [Arc::new(run)]).collect();
    *shared.runs.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(runs);
    *manifest = next;
    Ok(old)
}
