//! The file system of the machine.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::{Appender, Disk, Held, Lock, Reader};

/// Bytes of a lock file's text that are read back.
const HOLDER_BYTES_MAX: u64 = 1024;

/// The file system of the machine: `fdatasync` for files, `fsync` for folders.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Appender>> {
        let mut options = private();
        let file = options.read(true).write(true).create_new(true).open(path)?;
        Ok(Box::new(RealAppender { file, length: 0 }))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn Appender>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let length = file.metadata()?.len();
        Ok(Box::new(RealAppender { file, length }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn Reader>> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Arc::new(RealReader { file, length }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Lock> {
        let mut options = private();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                file.seek(SeekFrom::Start(0))?;
                file.write_all(holder.as_bytes())?;
                Ok(Lock::Taken(Box::new(RealLock { _file: file })))
            }
            Err(TryLockError::WouldBlock) => {
                let mut text = Vec::new();
                file.take(HOLDER_BYTES_MAX).read_to_end(&mut text)?;
                Ok(Lock::HeldBy(String::from_utf8_lossy(&text).into_owned()))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// New files are for the owner alone: the manifest holds a secret, the rest usage.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[derive(Debug)]
struct RealAppender {
    file: File,
    length: u64,
}

impl Appender for RealAppender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.length)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn overwrite(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset + bytes.len() as u64 > self.length {
            return Err(io::Error::other("an overwrite beyond the end of the file"));
        }
        self.file.write_all_at(bytes, offset)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.length = length;
        Ok(())
    }

    fn length(&self) -> u64 {
        self.length
    }
}

#[derive(Debug)]
struct RealReader {
    file: File,
    length: u64,
}

impl Reader for RealReader {
    fn length(&self) -> u64 {
        self.length
    }

    fn read(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.into())
    }
}

/// The operating system lets go of the lock when the file closes.
#[derive(Debug)]
struct RealLock {
    _file: File,
}

impl Held for RealLock {}
