//! Opening a store: lock, manifest, leftovers, segments, runs, journal, in this order.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Condvar, Mutex, OnceLock, RwLock};
use std::time::Instant;

use domain::event::Fingerprint;
use domain::ids::OrganizationId;
use tokio::sync::Semaphore;

use crate::disk::{Disk, Held, Lock};
use crate::error::{Error, Result};
use crate::identity::{Identity, hex};
use crate::intake::prepare::held_bytes;
use crate::intake::writer::{Command, CommandSender, Start};
use crate::journal::frame::{Chain, FILE_HEADER_BYTES, FrameRow, UNATTRIBUTED, decode_body};
use crate::journal::recovery::{End, FrameRead, Replayed, files, replay};
use crate::journal::{Journal, file_name};
use crate::manifest::{Layout, MANIFEST_FORMAT, Manifest, file};
use crate::options::{Options, QUEUE_UNIT_BYTES};
use crate::seen::key::{Key, KeyMaker};
use crate::seen::run::{Filters, Run};
use crate::seen::{KeyMap, Known, RunSet, Seen};
use crate::segment::{self, Segment};
use crate::shared::{Counts, Folders, Incomplete, Shared, Tally, Visible, Wishes};

/// Name of the lock file in the store's folder.
const LOCK_FILE: &str = "lock";

/// A store whose threads have not begun.
pub(super) struct Opened {
    pub(super) shared: Arc<Shared>,
    pub(super) lock: Box<dyn Held>,
    pub(super) commands: Receiver<Command>,
    pub(super) start: Start,
}

/// Opens or creates the store; see the module for the order.
pub(super) fn open(options: Options, disk: Arc<dyn Disk>, layout: Layout) -> Result<Opened> {
    let folders = Folders::new(&options.folder);
    create_folders(&disk, &folders)?;
    let lock = take_lock(&disk, &folders.store, &options.holder)?;
    let manifest = match file::load(&disk, &folders.store)? {
        Some(manifest) => manifest,
        None => create(&disk, &folders)?,
    };
    let identity = Identity::parse(&manifest.store, &manifest.secret).ok_or_else(|| {
        Error::corrupt(
            &folders.store.join(file::FILE),
            0,
            "identity or secret cannot be read",
        )
    })?;
    let recovered = recover(&disk, &folders, &options, &identity, &manifest)?;
    let keys = KeyMaker::new(&identity);
    let mut tail = recovered.tail;
    let start = Start {
        journal: recovered.journal,
        seen: Seen::new(keys, std::mem::take(&mut tail.keys)),
        frames: tail.frames,
        is_unmarked: recovered.is_unmarked,
    };
    let (counts, wishes) = (tail.counts(), tail.wishes(&options));
    let mut visible = recovered.visible;
    tail.show(&mut visible);
    let (commands, receiver) = CommandSender::new();
    let shared = Arc::new(Shared {
        no_space: Mutex::default(),
        queue: semaphore(options.queue_bytes_max / QUEUE_UNIT_BYTES),
        look_ups: semaphore(std::thread::available_parallelism().map_or(1, NonZero::get)),
        options,
        disk,
        identity,
        folders,
        keys,
        visible: Mutex::new(visible),
        runs: RwLock::new(Arc::new(recovered.runs)),
        // Names made in one start never meet those of another: each that counts made a generation.
        file_tag: AtomicU64::new(manifest.generation << 20),
        manifest: Mutex::new(manifest),
        layout: RwLock::new(layout),
        retired: Mutex::default(),
        counts,
        wishes: Mutex::new(wishes),
        wake: Condvar::new(),
        commands,
        flush: Mutex::default(),
        upkeep: Mutex::default(),
        closed: AtomicBool::new(false),
        broken: OnceLock::new(),
        incomplete: recovered.incomplete,
    });
    if let Some(error) = recovered.broken {
        shared.break_down(&error.to_string());
    }
    Ok(Opened {
        shared,
        lock,
        commands: receiver,
        start,
    })
}

fn create_folders(disk: &Arc<dyn Disk>, folders: &Folders) -> Result<()> {
    let inside = [
        &folders.journal,
        &folders.segments,
        &folders.keys,
        &folders.cut,
    ];
    std::iter::once(&folders.store)
        .chain(inside)
        .try_for_each(|folder| {
            disk.create_folder(folder)
                .map_err(|error| Error::io("create", folder, error))
        })
}

fn semaphore(permits: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(permits.max(1)))
}

/// What segments, runs and journal hold.
#[derive(Debug)]
struct Recovered {
    visible: Visible,
    runs: RunSet,
    tail: Tail,
    /// `None` when nothing may be written.
    journal: Option<Journal>,
    /// Why not.
    broken: Option<Error>,
    /// Whether nothing follows the journal's last frame.
    is_unmarked: bool,
    /// Where rows may be missing.
    incomplete: Option<Incomplete>,
}

fn recover(
    disk: &Arc<dyn Disk>,
    folders: &Folders,
    options: &Options,
    identity: &Identity,
    manifest: &Manifest,
) -> Result<Recovered> {
    let (runs, mut broken) = match open_runs(disk, folders, identity, manifest) {
        Ok(runs) => (runs, check_segments(disk, folders, manifest).err()),
        Err(error) => (RunSet::default(), Some(error)),
    };
    let visible = visible(disk, folders, manifest)?;
    let mut tail = Tail::new(manifest);
    let (from, first) = (manifest.journal_from, manifest.flushed_through + 1);
    let replayed = replay(disk, &folders.journal, identity, from, first, |frame| {
        tail.take(frame)
    })?;
    let (mut is_unmarked, mut incomplete) = (false, None);
    let mut damaged = |damage: Error| {
        let first = tail.shown.watermark + 1;
        incomplete = Some(Incomplete { first, damage });
        None
    };
    let journal = match replayed {
        Replayed::Damaged(error) => damaged(error),
        Replayed::Complete(end) if end.chain.next <= options.durable_through => {
            damaged(cut_short(folders, options, &end))
        }
        Replayed::Complete(end) if broken.is_none() => {
            remove_leftovers(disk, folders, manifest)?;
            is_unmarked = end.is_unmarked;
            let places = (folders.journal.as_path(), folders.cut.as_path());
            match Journal::resume(disk, places, *identity, &end) {
                Ok(journal) => Some(journal),
                // Nothing is cut off before it is kept; reads need no space.
                Err(full @ Error::DiskFull { .. }) => {
                    broken = Some(full);
                    None
                }
                Err(error) => return Err(error),
            }
        }
        Replayed::Complete(_) => None,
    };
    if let Some(Incomplete { damage, .. }) = &incomplete {
        broken.get_or_insert_with(|| damage.again());
    }
    Ok(Recovered {
        visible,
        runs,
        tail,
        journal,
        broken,
        is_unmarked,
        incomplete,
    })
}

/// A journal whose end is missing although nothing in the folder says so.
fn cut_short(folders: &Folders, options: &Options, end: &End) -> Error {
    let path = folders.journal.join(file_name(end.number));
    let (last, through) = (end.chain.next - 1, options.durable_through);
    let reason = format!("usage ends with sequence {last}, and {through} was there before");
    Error::corrupt(&path, end.offset, reason)
}

/// Looks whether the files of all segments are there and of their length: with an older manifest
/// they may be gone, and then the files it does not name are the only ones that hold their rows.
fn check_segments(disk: &Arc<dyn Disk>, folders: &Folders, manifest: &Manifest) -> Result<()> {
    for entry in &manifest.segments {
        let rollups = entry.rollups.iter().map(|it| (&it.file, it.bytes));
        for (name, bytes) in std::iter::once((&entry.file, entry.bytes)).chain(rollups) {
            let path = folders.segments.join(name);
            let opened = disk.open(&path);
            let length = opened
                .map_err(|error| Error::opening(&path, error))?
                .length();
            if length != bytes {
                let reason = format!("it has {length} bytes: expected {bytes}");
                return Err(Error::corrupt(&path, length.min(bytes), reason));
            }
        }
    }
    Ok(())
}

/// Takes the store's lock, or says who has it.
pub(crate) fn take_lock(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    holder: &str,
) -> Result<Box<dyn Held>> {
    let path = folder.join(LOCK_FILE);
    match disk
        .lock(&path, holder)
        .map_err(|error| Error::io("lock", &path, error))?
    {
        Lock::Taken(lock) => Ok(lock),
        Lock::HeldBy(holder) => Err(Error::InUse {
            path: folder.to_owned(),
            holder,
        }),
    }
}

/// Creates an empty store: a journal file first, then the manifest that names it.
fn create(disk: &Arc<dyn Disk>, folders: &Folders) -> Result<Manifest> {
    check_unused(disk, folders)?;
    let identity = Identity::random()?;
    let chain = Chain {
        seed: identity.journal_seed(),
        next: 1,
        previous: 0,
    };
    Journal::create(disk, &folders.journal, identity, 1, chain)?;
    let manifest = Manifest {
        format: MANIFEST_FORMAT,
        store: hex(&identity.store),
        secret: hex(&identity.secret),
        generation: 1,
        flushed_through: 0,
        journal_from: 1,
        segments: Vec::new(),
        runs: Vec::new(),
        counters: BTreeMap::new(),
        retention: Vec::new(),
    };
    file::store(disk, &folders.store, &manifest)?;
    if let Some(above) = folders
        .store
        .parent()
        .filter(|above| !above.as_os_str().is_empty())
    {
        disk.sync_folder(above)
            .map_err(|error| Error::io("sync", above, error))?;
    }
    Ok(manifest)
}

/// A folder without a manifest holds no store, or only what a crash left of its creation.
fn check_unused(disk: &Arc<dyn Disk>, folders: &Folders) -> Result<()> {
    let list = |folder: &Path| {
        disk.list(folder)
            .map_err(|error| Error::io("list", folder, error))
    };
    let mut used = !list(&folders.segments)?.is_empty() || !list(&folders.keys)?.is_empty();
    for number in files(disk, &folders.journal)? {
        let path = folders.journal.join(file_name(number));
        let reader = disk
            .open(&path)
            .map_err(|error| Error::io("open", &path, error))?;
        used |= number != 1 || reader.length() > FILE_HEADER_BYTES as u64;
        if !used {
            disk.remove(&path)
                .map_err(|error| Error::io("remove", &path, error))?;
        }
    }
    if used {
        let path = folders.store.join(file::FILE);
        return Err(Error::corrupt(
            &path,
            0,
            "the file is missing, and the folder is not empty",
        ));
    }
    Ok(())
}

fn open_runs(
    disk: &Arc<dyn Disk>,
    folders: &Folders,
    identity: &Identity,
    manifest: &Manifest,
) -> Result<RunSet> {
    let mut set = RunSet::default();
    for entry in &manifest.runs {
        let path = folders.keys.join(&entry.file);
        set.runs
            .push(Arc::new(Run::open(disk, &path, identity, Filters::Read)?));
        set.lasts.push(entry.last);
        set.through = entry.last;
    }
    Ok(set)
}

fn visible(disk: &Arc<dyn Disk>, folders: &Folders, manifest: &Manifest) -> Result<Visible> {
    let open =
        |entry: &crate::manifest::SegmentEntry| Segment::open(disk, &folders.segments, entry);
    let mut counters = Tally::new();
    for (name, counts) in &manifest.counters {
        let id: Option<OrganizationId> = name.parse().ok();
        if id.is_none() && name != UNATTRIBUTED {
            let path = folders.store.join(file::FILE);
            return Err(Error::corrupt(
                &path,
                0,
                format!("counters of {name:?}, who is nobody"),
            ));
        }
        counters.insert(id, *counts);
    }
    Ok(Visible {
        segments: manifest.segments.iter().map(open).collect::<Result<_>>()?,
        flushed_through: manifest.flushed_through,
        watermark: manifest.flushed_through,
        retention: manifest.retention.clone(),
        counters,
        ..Visible::default()
    })
}

/// Removes files the manifest does not name: a crash left them between two steps.
fn remove_leftovers(disk: &Arc<dyn Disk>, folders: &Folders, manifest: &Manifest) -> Result<()> {
    let segments = manifest
        .segments
        .iter()
        .flat_map(segment::files)
        .collect::<BTreeSet<_>>();
    let keys = manifest
        .runs
        .iter()
        .map(|run| run.file.as_str())
        .collect::<BTreeSet<_>>();
    for (folder, named) in [(&folders.segments, segments), (&folders.keys, keys)] {
        remove_others(disk, folder, |name| named.contains(name))?;
    }
    remove_others(disk, &folders.store, |name| name != file::FILE_NEXT)?;
    let from = manifest.journal_from;
    let flushed = |name: &str| crate::journal::file_number(name).is_some_and(|it| it < from);
    remove_others(disk, &folders.journal, |name| !flushed(name))
}

fn remove_others(disk: &Arc<dyn Disk>, folder: &Path, keep: impl Fn(&str) -> bool) -> Result<()> {
    let names = disk
        .list(folder)
        .map_err(|error| Error::io("list", folder, error))?;
    for name in names.iter().filter(|name| !keep(name)) {
        let path = folder.join(name);
        disk.remove(&path)
            .map_err(|error| Error::io("remove", &path, error))?;
        tracing::info!(path = %path.display(), "removed a file that was never named");
    }
    Ok(())
}

/// What the journal holds that segments and runs do not.
#[derive(Debug, Default)]
struct Tail {
    shown: Visible,
    keys: KeyMap,
    frames: u64,
    rows: u64,
    bytes: u64,
}

impl Tail {
    fn new(manifest: &Manifest) -> Self {
        let watermark = manifest.flushed_through;
        Self {
            shown: Visible {
                watermark,
                ..Visible::default()
            },
            ..Self::default()
        }
    }

    /// Takes one frame; an error says what its valid checksum does not explain.
    fn take(&mut self, frame: &FrameRead<'_>) -> Result<(), String> {
        let mut rows = Vec::new();
        let (keys, bytes) = (&mut self.keys, &mut self.bytes);
        let counters = decode_body(&frame.header, frame.body, |read| {
            let FrameRow {
                key,
                fingerprint,
                row,
            } = read;
            *bytes += held_bytes(&row.texts) as u64;
            if key != 0 {
                let fingerprint = Fingerprint(fingerprint);
                keys.insert(
                    Key(key),
                    Known {
                        fingerprint,
                        sequence: row.sequence,
                    },
                );
            }
            rows.push(row);
        });
        let counters = counters.ok_or("the frame's body cannot be read")?;
        self.rows += rows.len() as u64;
        self.frames += 1;
        self.shown.publish(rows, &counters.into_iter().collect());
        Ok(())
    }

    fn counts(&self) -> Counts {
        Counts {
            unflushed_rows: AtomicU64::new(self.rows),
            unflushed_bytes: AtomicU64::new(self.bytes),
            ..Counts::default()
        }
    }

    fn wishes(&self, options: &Options) -> Wishes {
        Wishes {
            upkeep: true,
            joins_rest_until: None,
            oldest: (self.frames > 0).then(Instant::now),
            flush: self.rows >= options.flush_rows || self.bytes >= options.flush_bytes,
            stop: false,
        }
    }

    fn show(self, visible: &mut Visible) {
        visible.watermark = self.shown.watermark;
        visible.tail = self.shown.tail;
        visible.open = self.shown.open;
        for (organization, counts) in self.shown.counters {
            crate::shared::add(visible.counters.entry(organization).or_default(), &counts);
        }
    }
}
