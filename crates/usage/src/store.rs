//! The embedded store: one process, one folder, both traits.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use domain::event::{Event, Refusal};
use domain::ids::OrganizationId;
use domain::meter::ReadingRule;
use domain::number::NumberRule;
use domain::path::JsonPath;

use crate::disk::{Disk, Held};
use crate::error::{Error, Result};
use crate::identity::hex;
use crate::intake::writer::{Command, Writer};
use crate::journal::frame::UNATTRIBUTED;
use crate::manifest::{Counters, Layout};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::query::{Batches, EventsQuery, ScanQuery, StoredEvent, TotalRow, TotalsQuery};
use crate::series::Turn;
use crate::shared::{Shared, locked};
use crate::snapshot::Snapshot;
use crate::traits::{Intake, Outcome, SequencedBatch, UsageStore};
use crate::verify::Report;
use crate::{events, flush, intake, scan, totals, upkeep};

pub(crate) mod open;

/// How far segments have the column of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Flushed rows the reading may concern.
    pub rows: u64,
    /// Those of them in segments that have its column.
    pub rows_built: u64,
}

/// The usage store of one process, in one folder.
///
/// Dropping it stops its threads without a flush; [`Self::close`] stops it well.
#[derive(Debug)]
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    lock: Mutex<Option<Box<dyn Held>>>,
}

impl EmbeddedStore {
    /// Opens the store in `options.folder`, creating it when there is none.
    ///
    /// Damage in the journal or in a run of keys, and missing segments open it read-only:
    /// [`Self::read_only_reason`] names file and offset. Where rows may be missing, reads at or
    /// past the first of them fail with [`Error::Incomplete`].
    pub fn open(options: Options, disk: Arc<dyn Disk>, layout: Layout) -> Result<Arc<Self>> {
        let opened = open::open(options, disk, layout)?;
        let (shared, lock) = (opened.shared, opened.lock);
        let writer = Writer::new(Arc::clone(&shared), opened.commands, opened.start);
        let mut threads = vec![spawn("usage-writer", move || writer.run())?];
        for (name, run) in [
            ("usage-flush", flush::run as fn(&Arc<Shared>)),
            ("usage-upkeep", upkeep::run as fn(&Arc<Shared>)),
        ] {
            let shared = Arc::clone(&shared);
            threads.push(spawn(name, move || run(&shared))?);
        }
        let (threads, lock) = (Mutex::new(threads), Mutex::new(Some(lock)));
        Ok(Arc::new(Self {
            shared,
            threads,
            lock,
        }))
    }

    /// Identity of the store in a folder, 32 hexadecimal digits; `None` where there is none.
    pub fn identity_in(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Option<String>> {
        let manifest = crate::manifest::file::load(disk, folder)?;
        Ok(manifest.map(|manifest| manifest.store))
    }

    /// Identity of this store.
    pub fn store_id(&self) -> String {
        hex(&self.shared.identity.store)
    }

    /// Declares which readings and paths get columns; segments are rewritten in the background.
    pub fn set_layout(&self, layout: Layout) {
        *self
            .shared
            .layout
            .write()
            .unwrap_or_else(PoisonError::into_inner) = layout;
        self.shared.wish(|wishes| wishes.upkeep = true);
    }

    /// How far the rewrite for `rule` and the paths its meter groups by is.
    pub fn progress(&self, rule: &ReadingRule, paths: &BTreeMap<String, JsonPath>) -> Progress {
        let key = rule.key();
        let visible = locked(&self.shared.visible);
        let mut progress = Progress {
            rows: 0,
            rows_built: 0,
        };
        for entry in visible.segments.iter().map(|segment| segment.entry()) {
            if entry.event_types.contains(&rule.event_type) {
                progress.rows += entry.rows;
                let built = match rule.numbers {
                    NumberRule::Spelling => &entry.layout.paths,
                    NumberRule::Value => &entry.layout.values,
                };
                let has_paths = paths.values().all(|path| built.contains(path));
                if has_paths && entry.layout.rules.iter().any(|built| built.key() == key) {
                    progress.rows_built += entry.rows;
                }
            }
        }
        progress
    }

    /// Pins segments and unflushed rows in one step.
    pub fn snapshot(&self) -> Snapshot {
        locked(&self.shared.visible).snapshot()
    }

    /// Conservation counters by organization id or `unattributed`.
    pub fn counters(&self) -> BTreeMap<String, Counters> {
        let visible = locked(&self.shared.visible);
        let name = |id: &Option<OrganizationId>| {
            id.map_or_else(|| UNATTRIBUTED.to_owned(), |id| id.to_string())
        };
        visible
            .counters
            .iter()
            .map(|(id, counts)| (name(id), *counts))
            .collect()
    }

    /// Why the store refuses writes; `None` while it takes them.
    pub fn read_only_reason(&self) -> Option<String> {
        self.shared.broken.get().cloned()
    }

    /// What had no space, while events are refused for it; flushes try again every second.
    pub fn waits_for_space(&self) -> Option<String> {
        if self.shared.has_unflushed_room() {
            return None;
        }
        locked(&self.shared.no_space).as_deref().map(str::to_owned)
    }

    /// Plain numbers for monitoring.
    pub fn metrics(&self) -> Metrics {
        let counts = &self.shared.counts;
        let (segments, segment_bytes, watermark) = {
            let visible = locked(&self.shared.visible);
            let bytes = visible
                .segments
                .iter()
                .map(|segment| segment.entry().bytes)
                .sum();
            (visible.segments.len() as u64, bytes, visible.watermark)
        };
        let runs = self.shared.run_set();
        Metrics {
            frames_total: counts.frames.load(Ordering::Relaxed),
            journal_bytes_total: counts.journal_bytes.load(Ordering::Relaxed),
            syncs_total: counts.syncs.load(Ordering::Relaxed),
            sync_nanoseconds_total: counts.sync_nanoseconds.load(Ordering::Relaxed),
            flushes_total: counts.flushes.load(Ordering::Relaxed),
            compactions_total: counts.compactions.load(Ordering::Relaxed),
            run_merges_total: counts.run_merges.load(Ordering::Relaxed),
            unflushed_rows: counts.unflushed_rows.load(Ordering::Relaxed),
            unflushed_bytes: counts.unflushed_bytes.load(Ordering::Relaxed),
            segments,
            segment_bytes,
            runs: runs.runs.len() as u64,
            run_keys: runs.runs.iter().map(|run| run.keys).sum(),
            watermark,
            panics_total: counts.panics.load(Ordering::Relaxed),
        }
    }

    /// Writes every durable row into segments; blocks until done.
    pub fn flush_now(&self) -> Result<()> {
        self.shared.check_writable()?;
        flush::now(&self.shared).inspect_err(|error| self.break_unless_passing(error))
    }

    /// Joins segments and merges key runs until nothing is left to do; blocks until done.
    pub fn compact_now(&self) -> Result<()> {
        self.shared.check_writable()?;
        upkeep::now(&self.shared).inspect_err(|error| self.break_unless_passing(error))
    }

    /// Reads every byte of the store while it is open, as [`crate::verify::verify`] does of a
    /// closed one; blocks until done.
    pub fn verify(&self) -> Result<Report> {
        crate::verify::verify_open(&self.shared)
    }

    fn break_unless_passing(&self, error: &Error) {
        if !matches!(
            error,
            Error::DiskFull { .. } | Error::Closed | Error::ReadOnly { .. }
        ) {
            self.shared.break_down(&error.to_string());
        }
    }

    /// Flushes and stops: the next start has nothing to replay. Blocks until done.
    ///
    /// Stops in any case; an error says that the next start replays the journal.
    pub fn close(&self) -> Result<()> {
        let flushed = match self.shared.check_writable() {
            Ok(()) => self.flush_now(),
            Err(_) => Ok(()),
        };
        self.stop();
        flushed
    }

    fn stop(&self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.queue.close();
        self.shared.wish(|wishes| wishes.stop = true);
        // A writer that has ended needs no command.
        self.shared.commands.send(Command::Stop).ok();
        for thread in locked(&self.threads).drain(..) {
            // A panic has broken the store down already.
            thread.join().ok();
        }
        self.shared.retire([]);
        locked(&self.lock).take();
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| Error::Internal(format!("thread {name} cannot begin: {error}")))
}

#[async_trait]
impl Intake for EmbeddedStore {
    async fn accept_in_turn(
        &self,
        namespace: OrganizationId,
        drafts: Vec<Result<Event, Refusal>>,
        turn: Turn,
    ) -> Result<Vec<Outcome>> {
        intake::accept(&self.shared, namespace, drafts, turn).await
    }

    async fn identity(&self) -> Result<String> {
        Ok(self.store_id())
    }
}

#[async_trait]
impl UsageStore for EmbeddedStore {
    async fn insert(&self, batch: SequencedBatch) -> Result<()> {
        intake::insert(&self.shared, batch).await
    }

    async fn scan(&self, query: ScanQuery, as_of: u64) -> Result<Batches> {
        scan::scan(self.snapshot_at(as_of)?, query, as_of)
    }

    async fn totals(&self, query: TotalsQuery, as_of: u64) -> Result<Vec<TotalRow>> {
        let snapshot = self.snapshot_at(as_of)?;
        blocking(move || totals::totals(&snapshot, &query, as_of)).await
    }

    async fn events(&self, query: EventsQuery, as_of: u64) -> Result<Vec<StoredEvent>> {
        let snapshot = self.snapshot_at(as_of)?;
        blocking(move || events::events(&snapshot, &query, as_of)).await
    }

    async fn watermark(&self) -> Result<u64> {
        match &self.shared.incomplete {
            Some(incomplete) => Err(incomplete.error()),
            None => Ok(locked(&self.shared.visible).watermark),
        }
    }

    async fn check(&self, as_of: u64) -> Result<()> {
        self.check_as_of(as_of, locked(&self.shared.visible).watermark)
    }
}

impl EmbeddedStore {
    fn snapshot_at(&self, as_of: u64) -> Result<Snapshot> {
        let snapshot = self.snapshot();
        self.check_as_of(as_of, snapshot.watermark)?;
        Ok(snapshot)
    }

    /// Checks that every row up to `as_of` is there.
    fn check_as_of(&self, as_of: u64, watermark: u64) -> Result<()> {
        if let Some(incomplete) = &self.shared.incomplete
            && as_of >= incomplete.first
        {
            return Err(incomplete.error());
        }
        if as_of > watermark {
            return Err(Error::BeyondWatermark {
                asked: as_of,
                watermark,
            });
        }
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| Error::Internal(format!("a read ended early: {error}")))?
}
