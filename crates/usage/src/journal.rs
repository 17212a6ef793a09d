//! Step 4 of usage in: frames appended to files, durable before anyone is answered.
//!
//! One frame holds the rows of many requests. Files follow each other by number; each frame names
//! the checksum of the one before, across files. [`recovery`] reads them back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Appender, Disk};
use crate::error::{Error, Result};
use crate::identity::Identity;

pub(crate) mod cut;
pub(crate) mod frame;
pub(crate) mod recovery;

use frame::{Chain, FileHeader, FinishedFrame, FrameBuilder, FrameKind};

/// Folder of the journal inside the store's.
pub(crate) const FOLDER: &str = "journal";
/// Bytes of a frame without rows and counters.
pub(crate) const BARE_FRAME_BYTES: u64 = frame::FRAME_HEADER_BYTES as u64 + 4;

/// The name of journal file `number`.
pub(crate) fn file_name(number: u64) -> String {
    format!("{number:012}.journal")
}

/// The number in a journal file's name.
pub(crate) fn file_number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".journal")?.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

/// Why an append did not happen.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No space: the file ends with the last good frame again and takes frames once there is room.
    Full(Error),
    /// Nobody knows what is durable: no more writes until the next start.
    Broken(Error),
}

impl Failure {
    /// The error behind it.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Full(error) | Self::Broken(error) => error,
        }
    }
}

/// The journal's end, where frames are appended.
#[derive(Debug)]
pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    identity: Identity,
    file: Box<dyn Appender>,
    path: PathBuf,
    number: u64,
    chain: Chain,
}

impl Journal {
    /// Creates file `number` with its header, durable; frames start at `chain`.
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        identity: Identity,
        number: u64,
        chain: Chain,
    ) -> Result<Self> {
        let path = folder.join(file_name(number));
        let header = FileHeader {
            store: identity.store,
            number,
            first: chain.next,
            previous: chain.previous,
        };
        let mut file = disk
            .create(&path)
            .map_err(|error| Error::io("create", &path, error))?;
        let written = file
            .write(&header.encode(chain.seed))
            .and_then(|()| file.sync())
            .and_then(|()| disk.sync_folder(folder));
        if let Err(error) = written {
            let removed = disk.remove(&path).and_then(|()| disk.sync_folder(folder));
            return Err(match removed {
                Ok(()) => Error::io("begin", &path, error),
                // It may come back after a crash: no frame may follow in the file before it.
                Err(source) => Error::Io {
                    action: "remove",
                    path,
                    source,
                },
            });
        }
        Ok(Self {
            disk: Arc::clone(disk),
            folder: folder.to_owned(),
            identity,
            file,
            path,
            number,
            chain,
        })
    }

    /// Goes on where recovery ended, after making durable what it read and keeping in the folder
    /// `kept` what it cuts off.
    ///
    /// The last frame is written over itself: after a failed sync the system may show bytes that
    /// the disk does not hold.
    pub(crate) fn resume(
        disk: &Arc<dyn Disk>,
        (folder, kept): (&Path, &Path),
        identity: Identity,
        end: &recovery::End,
    ) -> Result<Self> {
        if let Some(unused) = &end.unused {
            disk.remove(unused)
                .map_err(|error| Error::io("remove", unused, error))?;
        }
        for cut in &end.cuts {
            cut::cut_off(disk, kept, cut)?;
        }
        let path = folder.join(file_name(end.number));
        let mut file = disk
            .append(&path)
            .map_err(|error| Error::io("open", &path, error))?;
        let again = |file: &mut Box<dyn Appender>| {
            if let Some((offset, bytes)) = &end.last_frame {
                file.overwrite(*offset, bytes)?;
            }
            file.sync()
        };
        again(&mut file).map_err(|error| Error::io("write again", &path, error))?;
        Ok(Self {
            disk: Arc::clone(disk),
            folder: folder.to_owned(),
            identity,
            file,
            path,
            number: end.number,
            chain: end.chain,
        })
    }

    /// Where the next frame goes in the chain.
    pub(crate) fn chain(&self) -> Chain {
        self.chain
    }

    /// Number of the file being written.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Writes one frame and makes it durable.
    pub(crate) fn append(&mut self, frame: FinishedFrame<'_>) -> Result<(), Failure> {
        let good = self.file.length();
        if let Err(error) = self.file.write(frame.bytes) {
            return Err(self.refuse(good, error));
        }
        if let Err(error) = self.file.sync() {
            return Err(Failure::Broken(Error::io("sync", &self.path, error)));
        }
        self.chain.previous = frame.checksum;
        self.chain.next += u64::from(frame.count);
        Ok(())
    }

    /// Writes a frame without rows behind one that was answered, so that damage to that one is
    /// told apart from a write that a stop tore.
    pub(crate) fn mark(&mut self) -> Result<(), Failure> {
        let mut builder = FrameBuilder::default();
        self.append(bare(&mut builder, FrameKind::Mark, self.chain))
    }

    /// Cuts a frame written in part; only a full disk is a failure that passes.
    fn refuse(&mut self, good: u64, error: std::io::Error) -> Failure {
        let cut = self.file.truncate(good);
        let error = Error::io("append to", &self.path, error);
        match (error, cut) {
            (error @ Error::DiskFull { .. }, Ok(())) => Failure::Full(error),
            (error, _) => Failure::Broken(error),
        }
    }

    /// Goes on in a new file, so that the ones before can be removed once they are flushed.
    ///
    /// The new file exists before the old one is sealed: a sealed file without a successor means
    /// that the successor is lost.
    pub(crate) fn rotate(&mut self) -> Result<(), Failure> {
        let (folder, identity) = (self.folder.clone(), self.identity);
        let next = Self::create(&self.disk, &folder, identity, self.number + 1, self.chain)
            .map_err(|error| match error {
                Error::DiskFull { .. } => Failure::Full(error),
                error => Failure::Broken(error),
            })?;
        let mut builder = FrameBuilder::default();
        let seal = bare(&mut builder, FrameKind::Seal, self.chain);
        match self.append(seal) {
            Ok(()) => {}
            Err(Failure::Full(error)) => return Err(self.give_up(&next, error)),
            // The seal may be there after the next start: then its successor must be, too.
            Err(broken) => return Err(broken),
        }
        *self = next;
        Ok(())
    }

    /// Removes a successor whose predecessor found no room for its seal.
    ///
    /// Frames go on in the predecessor, so a crash must not bring the successor back.
    fn give_up(&self, next: &Self, full: Error) -> Failure {
        let removed = self.disk.remove(&next.path);
        match removed.and_then(|()| self.disk.sync_folder(&self.folder)) {
            Ok(()) => Failure::Full(full),
            Err(error) => Failure::Broken(Error::io("remove", &next.path, error)),
        }
    }
}

#[cfg(test)]
mod tests;

/// A frame without rows and counters.
fn bare(builder: &mut FrameBuilder, kind: FrameKind, chain: Chain) -> FinishedFrame<'_> {
    builder.clear();
    builder.finish(kind, chain, [].into_iter())
}
