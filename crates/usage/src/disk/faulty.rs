//! A file system in memory that fails like a real one: it tears and drops what was not synced when
//! the power goes, refuses chosen operations, runs out of space, and can have its bits flipped.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Appender, Disk, Held, Lock, Reader};

mod state;

use state::{Change, NameChange, State};

/// How a chosen operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An input/output error. A failed sync loses what it should have made durable, although
    /// reads still show it.
    Error,
    /// No space; a write leaves a part of its bytes.
    Full,
    /// The power goes: this and every later operation fails until [`FaultyDisk::restart`].
    PowerCut,
}

/// A file system in memory. Clones share it.
#[derive(Debug, Clone)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
    syncs: Arc<Syncs>,
}

/// Syncs of files, which may be made to hang.
#[derive(Debug, Default)]
struct Syncs {
    /// Whether they hang, and how many do.
    frozen: Mutex<(bool, usize)>,
    changed: Condvar,
}

/// While it lives, syncs of files hang.
#[derive(Debug)]
pub struct Frozen(Arc<Syncs>);

impl Syncs {
    fn wait(&self) {
        let mut frozen = self.frozen.lock().unwrap_or_else(PoisonError::into_inner);
        frozen.1 += 1;
        self.changed.notify_all();
        let thawed = self.changed.wait_while(frozen, |(frozen, _)| *frozen);
        thawed.unwrap_or_else(PoisonError::into_inner).1 -= 1;
    }
}

impl Frozen {
    /// Blocks until a sync hangs.
    pub fn until_a_sync_hangs(&self) {
        let frozen = self.0.frozen.lock().unwrap_or_else(PoisonError::into_inner);
        drop(
            self.0
                .changed
                .wait_while(frozen, |(_, hanging)| *hanging == 0),
        );
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let mut frozen = self.0.frozen.lock().unwrap_or_else(PoisonError::into_inner);
        frozen.0 = false;
        self.0.changed.notify_all();
    }
}

impl FaultyDisk {
    /// An empty disk; equal seeds tear and drop alike.
    pub fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(seed))),
            syncs: Arc::default(),
        }
    }

    /// Lets syncs of files hang for as long as the value lives.
    #[must_use]
    pub fn freeze(&self) -> Frozen {
        let mut frozen = self.syncs.frozen.lock();
        frozen.as_mut().unwrap_or_else(|error| error.get_mut()).0 = true;
        Frozen(Arc::clone(&self.syncs))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changing operations so far: creations, writes, syncs, cuts, renames, removals.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Lets the changing operation number `operation`, counted from 0, fail.
    pub fn fail(&self, operation: u64, fault: Fault) {
        self.state().plan.insert(operation, fault);
    }

    /// Forgets planned failures.
    pub fn forget_plan(&self) {
        self.state().plan.clear();
    }

    /// Bytes that may still be written; `None` for any number.
    pub fn set_space(&self, bytes: Option<u64>) {
        self.state().space = bytes;
    }

    /// Whether a planned cut of the power has happened.
    pub fn is_off(&self) -> bool {
        self.state().off
    }

    /// Cuts the power and switches it on again: what was not synced is gone, torn, or there by
    /// luck. Files and locks held from before fail.
    pub fn restart(&self) {
        self.state().restart();
    }

    /// Ends every handle as a killed process would: what was written stays, synced or not.
    pub fn kill(&self) {
        let mut state = self.state();
        state.epoch += 1;
        state.locks.clear();
        state.off = false;
    }

    /// Paths of all files, sorted.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    /// All bytes of a file, as reads show them.
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let inode = state.names.get(path)?;
        Some(state.inodes.get(inode)?.shown.clone())
    }

    /// Replaces a file, durably: damage, or its repair.
    pub fn replace(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        let inode = state.new_inode(bytes.to_vec());
        state.names.insert(path.to_owned(), inode);
        state.durable_names.insert(path.to_owned(), inode);
    }

    /// Removes a file, durably.
    pub fn lose(&self, path: &Path) {
        let mut state = self.state();
        state.names.remove(path);
        state.durable_names.remove(path);
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Appender>> {
        let mut state = self.state();
        state.operate()?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.new_inode(Vec::new());
        state.change_name(NameChange::Set(path.to_owned(), inode));
        Ok(self.appender(&state, inode))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn Appender>> {
        let state = self.state();
        let inode = state.find(path)?;
        Ok(self.appender(&state, inode))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn Reader>> {
        let state = self.state();
        let inode = state.find(path)?;
        let length = state.inode(inode)?.shown.len() as u64;
        Ok(Arc::new(Handle {
            disk: self.clone(),
            inode,
            epoch: state.epoch,
            length,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        state.find(from)?;
        state.change_name(NameChange::Move(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        state.find(path)?;
        state.change_name(NameChange::Unset(path.to_owned()));
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        state.check_power()?;
        let inside = state
            .names
            .keys()
            .filter(|path| path.parent() == Some(folder));
        let name = |path: &PathBuf| Some(path.file_name()?.to_string_lossy().into_owned());
        Ok(inside.filter_map(name).collect())
    }

    fn create_folder(&self, _folder: &Path) -> io::Result<()> {
        self.state().check_power()
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        state.sync_names(folder);
        Ok(())
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Lock> {
        let mut state = self.state();
        state.check_power()?;
        if let Some((_, other)) = state.locks.get(path) {
            return Ok(Lock::HeldBy(other.clone()));
        }
        let epoch = state.epoch;
        state
            .locks
            .insert(path.to_owned(), (epoch, holder.to_owned()));
        let (disk, path) = (self.clone(), path.to_owned());
        Ok(Lock::Taken(Box::new(FaultyLock { disk, path, epoch })))
    }
}

impl FaultyDisk {
    fn appender(&self, state: &State, inode: u64) -> Box<dyn Appender> {
        let length = state
            .inode(inode)
            .map_or(0, |inode| inode.shown.len() as u64);
        Box::new(Handle {
            disk: self.clone(),
            inode,
            epoch: state.epoch,
            length,
        })
    }
}

/// An open file; `length` is what its owner believes it to be.
#[derive(Debug)]
struct Handle {
    disk: FaultyDisk,
    inode: u64,
    epoch: u64,
    length: u64,
}

impl Handle {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.epoch != self.epoch {
            return Err(io::Error::other(
                "the process that opened the file has ended",
            ));
        }
        Ok(state)
    }
}

impl Appender for Handle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = self.length;
        let (written, result) = self.state()?.write(self.inode, length, bytes);
        // Like the real one, it goes on at the old place after a write that failed.
        if result.is_ok() {
            self.length += written;
        }
        result
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.syncs.wait();
        self.state()?.sync(self.inode)
    }

    fn overwrite(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset + bytes.len() as u64 > self.length {
            return Err(io::Error::other("an overwrite beyond the end of the file"));
        }
        self.state()?.write(self.inode, offset, bytes).1
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let inode = self.inode;
        let mut state = self.state()?;
        state.operate()?;
        state.change(inode, Change::Cut(length))?;
        drop(state);
        self.length = length;
        Ok(())
    }

    fn length(&self) -> u64 {
        self.length
    }
}

impl Reader for Handle {
    fn length(&self) -> u64 {
        self.length
    }

    fn read(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let state = self.state()?;
        state.check_power()?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(length);
        let bytes = state.inode(self.inode)?.shown.get(start..end);
        let bytes = bytes.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(Bytes::copy_from_slice(bytes))
    }
}

#[derive(Debug)]
struct FaultyLock {
    disk: FaultyDisk,
    path: PathBuf,
    epoch: u64,
}

impl Held for FaultyLock {}

impl Drop for FaultyLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state
            .locks
            .get(&self.path)
            .is_some_and(|(epoch, _)| *epoch == self.epoch)
        {
            state.locks.remove(&self.path);
        }
    }
}
