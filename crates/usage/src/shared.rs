//! What the threads of a store share: the visible state, the runs, the manifest, the flags.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use domain::ids::OrganizationId;
use tokio::sync::Semaphore;

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::intake::writer::{Command, CommandSender};
use crate::manifest::{Counters, Layout, Manifest, RetentionFloor};
use crate::options::{CHUNK_ROWS_MAX, Options};
use crate::row::Row;
use crate::seen::RunSet;
use crate::seen::key::KeyMaker;
use crate::seen::run::Run;
use crate::segment::{self, Segment};
use crate::snapshot::{Snapshot, TailChunk};

/// Folder of the segments inside the store's.
pub(crate) const SEGMENTS: &str = "segments";

/// Locks, whoever panicked before: the store's own flag says whether it may go on.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The folders of a store.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    /// The store's own.
    pub(crate) store: PathBuf,
    /// Journal files.
    pub(crate) journal: PathBuf,
    /// Segments and rollups.
    pub(crate) segments: PathBuf,
    /// Runs of seen keys.
    pub(crate) keys: PathBuf,
    /// Ends that were cut off journal files.
    pub(crate) cut: PathBuf,
}

impl Folders {
    pub(crate) fn new(store: &std::path::Path) -> Self {
        Self {
            store: store.to_owned(),
            journal: store.join(crate::journal::FOLDER),
            segments: store.join(SEGMENTS),
            keys: store.join(crate::seen::FOLDER),
            cut: store.join(crate::journal::cut::FOLDER),
        }
    }
}

/// Conservation counters by organization; `None` for unknown ones.
pub(crate) type Tally = BTreeMap<Option<OrganizationId>, Counters>;

/// What reads see. Changed in one step by the writer and by flushes and joins.
#[derive(Debug, Default)]
pub(crate) struct Visible {
    /// Segments by sequence.
    pub(crate) segments: Vec<Arc<Segment>>,
    /// Rows up to here come from segments.
    pub(crate) flushed_through: u64,
    /// Later rows, in chunks that reads may share.
    pub(crate) tail: Vec<Arc<TailChunk>>,
    /// The newest rows, not yet a chunk.
    pub(crate) open: Vec<Row>,
    /// The newest durable sequence.
    pub(crate) watermark: u64,
    /// Usage removed by retention.
    pub(crate) retention: Vec<RetentionFloor>,
    /// Conservation counters up to the watermark.
    pub(crate) counters: Tally,
}

impl Visible {
    /// Shows durable rows and their counters.
    pub(crate) fn publish(&mut self, mut rows: Vec<Row>, tally: &Tally) {
        if let Some(last) = rows.last() {
            self.watermark = last.sequence;
        }
        if self.open.is_empty() {
            self.open = rows;
        } else {
            self.open.append(&mut rows);
        }
        if self.open.len() >= CHUNK_ROWS_MAX {
            self.seal();
        }
        for (organization, counts) in tally {
            add(self.counters.entry(*organization).or_default(), counts);
        }
    }

    /// Makes a chunk of the newest rows.
    pub(crate) fn seal(&mut self) {
        if !self.open.is_empty() {
            let rows = std::mem::take(&mut self.open);
            self.tail.push(Arc::new(TailChunk::new(rows)));
        }
    }

    /// Pins everything a read needs.
    pub(crate) fn snapshot(&mut self) -> Snapshot {
        self.seal();
        Snapshot {
            segments: self.segments.clone(),
            flushed_through: self.flushed_through,
            tail: self.tail.clone(),
            watermark: self.watermark,
            retention: self.retention.clone(),
        }
    }

    /// Drops chunks whose rows are in segments now.
    pub(crate) fn drop_flushed(&mut self, through: u64) {
        self.flushed_through = through;
        self.tail
            .retain(|chunk| chunk.rows.last().is_some_and(|row| row.sequence > through));
    }
}

/// Adds counters of one organization.
pub(crate) fn add(to: &mut Counters, more: &Counters) {
    to.received += more.received;
    to.stored += more.stored;
    to.duplicate += more.duplicate;
    to.conflict += more.conflict;
    to.refused += more.refused;
}

/// Files that the manifest no longer names, kept until nobody reads them.
#[derive(Debug)]
pub(crate) enum Retired {
    /// A segment and its rollups.
    Segment(Arc<Segment>),
    /// A run of keys.
    Run(Arc<Run>),
}

impl Retired {
    /// Whether only this list holds it, so that nobody can begin to read it.
    fn is_unpinned(&self) -> bool {
        match self {
            Self::Segment(segment) => Arc::strong_count(segment) == 1,
            Self::Run(run) => Arc::strong_count(run) == 1,
        }
    }
}

/// Counts of what happened since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) frames: AtomicU64,
    pub(crate) journal_bytes: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) sync_nanoseconds: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) compactions: AtomicU64,
    pub(crate) run_merges: AtomicU64,
    pub(crate) unflushed_rows: AtomicU64,
    pub(crate) unflushed_bytes: AtomicU64,
    pub(crate) panics: AtomicU64,
}

/// Adds to a count nobody orders by.
pub(crate) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// What the background threads wait for.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    /// A flush is due.
    pub(crate) flush: bool,
    /// Segments or runs changed, or the layout.
    pub(crate) upkeep: bool,
    /// Usage pours in: until then, joins that can wait do.
    pub(crate) joins_rest_until: Option<std::time::Instant>,
    /// When the oldest unflushed row came.
    pub(crate) oldest: Option<std::time::Instant>,
    /// The store closes.
    pub(crate) stop: bool,
}

/// Everything the threads of a store share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) identity: Identity,
    pub(crate) folders: Folders,
    pub(crate) keys: KeyMaker,
    pub(crate) visible: Mutex<Visible>,
    pub(crate) runs: RwLock<Arc<RunSet>>,
    pub(crate) manifest: Mutex<Manifest>,
    pub(crate) layout: RwLock<Layout>,
    pub(crate) retired: Mutex<Vec<Retired>>,
    pub(crate) counts: Counts,
    pub(crate) wishes: Mutex<Wishes>,
    pub(crate) wake: Condvar,
    pub(crate) queue: Arc<Semaphore>,
    /// Turns of preparing batches and asking runs, one a core: each thread of it would keep memory
    /// for itself.
    pub(crate) look_ups: Arc<Semaphore>,
    pub(crate) commands: CommandSender,
    pub(crate) flush: Mutex<Option<crate::flush::Rotated>>,
    pub(crate) upkeep: Mutex<()>,
    pub(crate) closed: AtomicBool,
    pub(crate) file_tag: AtomicU64,
    pub(crate) broken: OnceLock<String>,
    /// Why the last flush found no space; `None` after one that ended well.
    pub(crate) no_space: Mutex<Option<Arc<str>>>,
    /// Where rows are missing, and why; found when the store was opened.
    pub(crate) incomplete: Option<Incomplete>,
}

/// Damage that leaves nobody sure which rows there were.
#[derive(Debug)]
pub(crate) struct Incomplete {
    /// The first sequence that may be missing.
    pub(crate) first: u64,
    /// What was met.
    pub(crate) damage: Error,
}

impl Incomplete {
    /// What a read at or past it is answered.
    pub(crate) fn error(&self) -> Error {
        Error::Incomplete {
            first: self.first,
            reason: self.damage.to_string(),
        }
    }
}

impl Shared {
    /// Stops all writing until the next start.
    pub(crate) fn break_down(&self, reason: &str) {
        if self.broken.set(reason.to_owned()).is_ok() {
            tracing::error!("the usage store is read-only from now on: {reason}");
            // A writer that waits for room must learn that none will come.
            self.commands
                .send(Command::Flushed(Err(reason.into())))
                .ok();
        }
        self.wake.notify_all();
    }

    /// Whether the writer may add rows to those that no segment holds yet.
    pub(crate) fn has_unflushed_room(&self) -> bool {
        self.counts.unflushed_rows.load(Ordering::Acquire) < self.options.unflushed_rows_max
            && self.counts.unflushed_bytes.load(Ordering::Acquire)
                < self.options.unflushed_bytes_max
    }

    /// Fails when nothing may be written.
    pub(crate) fn check_writable(&self) -> Result<()> {
        match self.broken.get() {
            Some(reason) => Err(Error::ReadOnly {
                reason: reason.clone(),
            }),
            None if self.closed.load(Ordering::Acquire) => Err(Error::Closed),
            None => Ok(()),
        }
    }

    /// The runs as they are now.
    pub(crate) fn run_set(&self) -> Arc<RunSet> {
        Arc::clone(&self.runs.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The layout as declared now.
    pub(crate) fn current_layout(&self) -> Layout {
        self.layout
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A name for new files, never used before in this store.
    pub(crate) fn file_stem(&self, first: u64, last: u64) -> String {
        let tag = self.file_tag.fetch_add(1, Ordering::Relaxed);
        format!("{first:012}-{last:012}-{tag:x}")
    }

    /// Tells the background threads that something is due.
    pub(crate) fn wish(&self, change: impl FnOnce(&mut Wishes)) {
        change(&mut locked(&self.wishes));
        self.wake.notify_all();
    }

    /// Retires files, and removes those retired earlier that nobody reads any more.
    pub(crate) fn retire(&self, files: impl IntoIterator<Item = Retired>) {
        let mut retired = locked(&self.retired);
        retired.extend(files);
        let unpinned = retired.extract_if(.., |file| file.is_unpinned());
        for file in unpinned {
            self.remove_files(&file);
        }
    }

    fn remove_files(&self, file: &Retired) {
        match file {
            Retired::Segment(segment) => {
                for name in segment::files(segment.entry()) {
                    self.remove_leftover(&self.folders.segments.join(name));
                }
            }
            Retired::Run(run) => self.remove_leftover(run.path()),
        }
    }

    /// Removes a file the manifest does not name; left behind, the next start removes it.
    pub(crate) fn remove_leftover(&self, path: &std::path::Path) {
        if let Err(error) = self.disk.remove(path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            let path = path.display();
            tracing::warn!(%path, "could not remove a file no longer used: {error}");
        }
    }
}

/// Breaks the store down when the thread it lives on panics.
#[derive(Debug)]
pub(crate) struct PanicGuard<'a>(pub(crate) &'a Shared, pub(crate) &'static str);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            count(&self.0.counts.panics, 1);
            self.0.break_down(&format!("the {} panicked", self.1));
        }
    }
}
