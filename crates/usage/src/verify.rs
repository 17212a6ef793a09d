//! Reads every byte of a store and tells what does not fit; rebuilds what can be derived.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::identity::{Identity, checksum_stream, hex_checksum};
use crate::journal::cut;
use crate::manifest::{Counters, Manifest, RunEntry, file};
use crate::seen::merge::Walk;
use crate::seen::run::{Filters, Run};
use crate::shared::{Folders, Shared, locked};
use crate::store::open::take_lock;

mod journal;
mod repair;

pub use crate::journal::cut::Kept;
pub use repair::repair;

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Where it was noticed, in bytes.
    pub offset: u64,
    /// What was expected and what is there.
    pub reason: String,
}

/// What verifying a store came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Files read.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// The newest sequence.
    pub watermark: u64,
    /// Conservation counters of all organizations together.
    pub counters: Counters,
    /// Everything that does not fit.
    pub damage: Vec<Damage>,
    /// Ends of the journal that earlier starts cut off: no damage, but perhaps events.
    pub kept: Vec<Kept>,
}

impl Report {
    /// Lists what earlier starts cut off and kept.
    fn list_kept(&mut self, disk: &Arc<dyn Disk>, folders: &Folders) -> Result<()> {
        self.kept = cut::kept(disk, &folders.cut)?;
        Ok(())
    }

    fn note(&mut self, path: &Path, offset: u64, reason: impl Into<String>) {
        self.damage.push(Damage {
            path: path.to_owned(),
            offset,
            reason: reason.into(),
        });
    }

    /// Notes damage an error tells of; other errors end the verification.
    fn take(&mut self, result: Result<()>) -> Result<()> {
        match result {
            Err(Error::Corrupt {
                path,
                offset,
                reason,
            }) => {
                self.note(&path, offset, reason);
                Ok(())
            }
            other => other,
        }
    }
}

/// Reads every file of the store in `folder` and checks all checksums, that sequences are
/// contiguous, that keys are found, and that `received = stored + duplicate + conflict + refused`.
///
/// Takes the lock of the store: fails with [`Error::InUse`] while a process has it open. Changes
/// nothing. Blocks.
pub fn verify(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Report> {
    let _lock = take_lock(disk, folder, "verify")?;
    let mut report = Report::default();
    let folders = Folders::new(folder);
    report.list_kept(disk, &folders)?;
    let path = folder.join(file::FILE);
    let manifest = match file::load(disk, folder) {
        Ok(Some(manifest)) => manifest,
        Ok(None) => {
            report.note(&path, 0, "the file is missing");
            return Ok(report);
        }
        Err(error) => {
            report.take(Err(error))?;
            return Ok(report);
        }
    };
    let Some(identity) = Identity::parse(&manifest.store, &manifest.secret) else {
        report.note(&path, 0, "identity or secret cannot be read");
        return Ok(report);
    };
    report.files += 1;
    check_named(disk, &folders, &identity, &manifest, &mut report)?;
    for cut in journal::check(disk, &folders, &identity, &manifest, &mut report)? {
        report.note(&cut.path, cut.offset, cut.reason);
    }
    check_conservation(&path, &manifest, &mut report);
    Ok(report)
}

/// Conservation counters by organization id or `unattributed` of a store that no process has open.
///
/// Reads the manifest and the journal and changes nothing, not even the lock. Blocks.
pub fn counters(disk: &Arc<dyn Disk>, folder: &Path) -> Result<BTreeMap<String, Counters>> {
    let Some(manifest) = file::load(disk, folder)? else {
        return Ok(BTreeMap::new());
    };
    let path = folder.join(file::FILE);
    let identity = Identity::parse(&manifest.store, &manifest.secret);
    let identity =
        identity.ok_or_else(|| Error::corrupt(&path, 0, "identity or secret cannot be read"))?;
    journal::counters(disk, &Folders::new(folder), &identity, &manifest)
}

/// The same for a store that is open: on files that are pinned meanwhile. Flushes wait while the
/// journal is read.
pub(crate) fn verify_open(shared: &Shared) -> Result<Report> {
    let (disk, folders, identity) = (&shared.disk, &shared.folders, &shared.identity);
    let mut report = Report::default();
    report.list_kept(disk, folders)?;
    let pinned = {
        let manifest = locked(&shared.manifest);
        let segments = locked(&shared.visible).segments.clone();
        (manifest.clone(), segments, shared.run_set())
    };
    check_named(disk, folders, identity, &pinned.0, &mut report)?;
    drop(pinned);
    let _no_flush = locked(&shared.flush);
    let manifest = locked(&shared.manifest).clone();
    let cuts = journal::check(disk, folders, identity, &manifest, &mut report)?;
    // The frame being written now ends the last file.
    let newest = cuts.last().map(|cut| cut.path.clone());
    for cut in cuts
        .into_iter()
        .filter(|cut| Some(&cut.path) != newest.as_ref())
    {
        report.note(&cut.path, cut.offset, cut.reason);
    }
    check_conservation(&folders.store.join(file::FILE), &manifest, &mut report);
    if let Some(incomplete) = &shared.incomplete
        && report.damage.is_empty()
    {
        // Nothing in the folder shows it: another place knows of later sequences.
        report.take(Err(incomplete.damage.again()))?;
    }
    Ok(report)
}

/// Checks every segment, rollup and run the manifest names.
fn check_named(
    disk: &Arc<dyn Disk>,
    folders: &Folders,
    identity: &Identity,
    manifest: &Manifest,
    report: &mut Report,
) -> Result<()> {
    for entry in &manifest.segments {
        let own = (&entry.file, entry.bytes, &entry.checksum);
        let rollups = entry
            .rollups
            .iter()
            .map(|it| (&it.file, it.bytes, &it.checksum));
        for (name, bytes, sum) in std::iter::once(own).chain(rollups) {
            check_file(disk, &folders.segments.join(name), bytes, sum, report)?;
        }
    }
    for entry in &manifest.runs {
        let path = folders.keys.join(&entry.file);
        let damaged = report.damage.len();
        report.take(check_run(disk, &path, identity, entry))?;
        if report.damage.len() == damaged {
            check_file(disk, &path, entry.bytes, &entry.checksum, report)?;
        }
    }
    Ok(())
}

/// Compares a whole file with its length and checksum in the manifest.
fn check_file(
    disk: &Arc<dyn Disk>,
    path: &Path,
    bytes: u64,
    sum: &str,
    report: &mut Report,
) -> Result<()> {
    let reader = match disk.open(path) {
        Ok(reader) => reader,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            report.note(path, 0, "the file is missing");
            return Ok(());
        }
        Err(error) => return Err(Error::io("open", path, error)),
    };
    let length = reader.length();
    if length != bytes {
        let reason = format!("it has {length} bytes: expected {bytes}");
        report.note(path, length.min(bytes), reason);
        return Ok(());
    }
    let mut hasher = checksum_stream();
    let mut offset = 0;
    while offset < length {
        let rest = usize::try_from(length - offset).unwrap_or(usize::MAX);
        let piece = reader.read(offset, rest.min(READ_BYTES));
        let piece = piece.map_err(|error| Error::io("read", path, error))?;
        hasher.update(&piece);
        offset += piece.len() as u64;
    }
    report.files += 1;
    report.bytes += length;
    if hex_checksum(hasher.digest()) != *sum {
        report.note(path, 0, "the checksum of the whole file does not fit");
    }
    Ok(())
}

/// Walks a run: every page's checksum, the order, the filter's answers, sequences and number.
fn check_run(
    disk: &Arc<dyn Disk>,
    path: &Path,
    identity: &Identity,
    entry: &RunEntry,
) -> Result<()> {
    let run = Arc::new(Run::open(disk, path, identity, Filters::Read)?);
    let mut walk = Walk::new(Arc::clone(&run));
    let (mut keys, mut last) = (0_u64, None);
    while let Some(found) = walk.next()? {
        keys += 1;
        let known = entry.first..=entry.last;
        let reason = if last.is_some_and(|last| last >= found.key) {
            "keys are out of order"
        } else if !run.may_hold(found.key) {
            "the filter does not know a key"
        } else if !known.contains(&found.sequence) {
            "a sequence is outside of what the manifest says"
        } else {
            last = Some(found.key);
            continue;
        };
        return Err(Error::corrupt(path, walk.offset(), reason));
    }
    if keys != entry.keys || run.keys != keys {
        let reason = format!("it holds {keys} keys: expected {}", entry.keys);
        return Err(Error::corrupt(path, 0, reason));
    }
    Ok(())
}

fn check_conservation(path: &Path, manifest: &Manifest, report: &mut Report) {
    for (organization, counts) in &manifest.counters {
        if !is_conserved(counts) {
            let reason = format!("counters of {organization} do not add up: {counts:?}");
            report.note(path, 0, reason);
        }
    }
    let Counters {
        stored, conflict, ..
    } = report.counters;
    if report.damage.is_empty() && !(stored..=stored + conflict).contains(&report.watermark) {
        let rows = report.watermark;
        let reason = format!("{rows} rows for {stored} stored events and {conflict} conflicts");
        report.note(path, 0, reason);
    }
}

/// Whether every event received was stored, a duplicate, a conflict or refused.
fn is_conserved(counts: &Counters) -> bool {
    let Counters {
        received,
        stored,
        duplicate,
        conflict,
        refused,
    } = *counts;
    received == stored + duplicate + conflict + refused
}
