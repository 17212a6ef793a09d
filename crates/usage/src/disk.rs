//! The seam between the store and the file system.
//!
//! All I/O of the store goes through [`Disk`], so that tests can tear, drop and refuse writes.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

pub mod faulty;
pub mod real;

/// A file system, or something that fails like one.
pub trait Disk: Send + Sync + Debug {
    /// Creates a new file for appending; fails when it exists.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Appender>>;

    /// Opens an existing file for appending after its last byte.
    fn append(&self, path: &Path) -> io::Result<Box<dyn Appender>>;

    /// Opens a file for reading at any offset.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn Reader>>;

    /// Atomically gives `from` the name `to`, replacing what was there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Names of the files in a folder, in no order.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Creates a folder and those above it; fine when it exists.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes creations, renames and removals in a folder durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Takes the lock file, unless another process has it, and writes `holder` into it.
    fn lock(&self, path: &Path, holder: &str) -> io::Result<Lock>;
}

/// What became of an attempt to take a lock file.
#[derive(Debug)]
pub enum Lock {
    /// Ours until the value is dropped, or the process ends however it ends.
    Taken(Box<dyn Held>),
    /// Another's, who wrote this text into it.
    HeldBy(String),
}

/// A lock that lasts as long as the value.
pub trait Held: Send + Sync + Debug {}

/// A file being written at its end.
pub trait Appender: Send + Debug {
    /// Writes all bytes in one go after the last ones.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes all written bytes durable.
    fn sync(&mut self) -> io::Result<()>;

    /// Replaces bytes that are there already, from `offset` on.
    fn overwrite(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file to `length` bytes; the next write goes there.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Bytes in the file.
    fn length(&self) -> u64;
}

/// A file read at any offset, from any thread.
pub trait Reader: Send + Sync + Debug {
    /// Bytes in the file.
    fn length(&self) -> u64;

    /// Reads exactly `length` bytes from `offset`.
    fn read(&self, offset: u64, length: usize) -> io::Result<Bytes>;
}
