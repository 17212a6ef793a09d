//! Step 6 of usage out: files become one ZIP, or one file becomes a gzip: the same bytes wherever
//! and however it is made.
//!
//! Lines are cut into pieces by their days alone (`pieces`); each piece is deflated on its own by
//! any thread (`deflate`) and written in order (`zip`). FORMAT.md describes archive format 1.

mod deflate;
mod gzip;
mod pieces;
mod zip;

use std::collections::VecDeque;
use std::io::{Read, Seek, Write};

use domain::Timestamp;
use domain::export::Packing;
use jiff::civil::Date;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use deflate::{Deflater, Pending};
use pieces::Cutter;
use zip::{Stamp, ZipEntry};

/// Version of the archive's form: it changes with any byte of any archive.
pub const ARCHIVE_FORMAT: u32 = 1;

/// First size in bytes that needs ZIP64.
const ZIP64_FROM: u64 = u32::MAX as u64;

/// Pieces on their way per thread; each is at most a little over 1 MiB, or one run of small days.
const PIECES_PER_THREAD_MAX: usize = 2;

/// A ZIP or gzip being written.
#[derive(Debug)]
pub struct Archive<W> {
    sink: W,
    packing: Packing,
    time: Timestamp,
    position: u64,
    stamp: Stamp,
    zip64_from: u64,
    deflater: Deflater,
    pending: VecDeque<Pending>,
    pending_max: usize,
    entry: Option<Open>,
    entries: Vec<ZipEntry>,
}

/// The file being written.
#[derive(Debug)]
struct Open {
    zip: ZipEntry,
    cutter: Cutter,
    crc: crc32fast::Hasher,
    sha256: Sha256,
}

/// A file as it lies in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryFacts {
    /// Its name.
    pub name: String,
    /// Its length in bytes, unpacked.
    pub bytes: u64,
    /// SHA-256 of its bytes, unpacked.
    pub sha256: [u8; 32],
}

impl<W: Read + Write + Seek> Archive<W> {
    /// Starts an archive at the start of an empty `sink`; every entry gets `time`.
    ///
    /// `threads` deflate at once and have no influence on the bytes.
    pub fn new(sink: W, time: Timestamp, threads: usize, packing: Packing) -> Result<Self> {
        let zip = Self::with_zip64_from(sink, time, threads, ZIP64_FROM)?;
        Ok(Self { packing, ..zip })
    }

    fn with_zip64_from(sink: W, time: Timestamp, threads: usize, zip64_from: u64) -> Result<Self> {
        let threads = threads.max(1);
        Ok(Self {
            sink,
            packing: Packing::Zip,
            time,
            position: 0,
            stamp: Stamp::at(time),
            zip64_from,
            deflater: Deflater::new(threads)?,
            pending: VecDeque::new(),
            pending_max: threads * PIECES_PER_THREAD_MAX,
            entry: None,
            entries: Vec::new(),
        })
    }

    /// Starts a file; the one before has ended.
    pub fn start(&mut self, name: &str) -> Result<()> {
        if self.entry.is_some() {
            return Err(Error::Internal(
                "a file starts before the last one ended".into(),
            ));
        }
        let zip = ZipEntry::new(name, self.position);
        let header = match self.packing {
            Packing::Zip => zip.local_header(self.stamp),
            Packing::Gzip if self.position == 0 => gzip::header(self.time),
            Packing::Gzip => return Err(Error::Internal("gzip holds one file".into())),
        };
        self.put(&header)?;
        self.entry = Some(Open {
            zip,
            cutter: Cutter::default(),
            crc: crc32fast::Hasher::new(),
            sha256: Sha256::new(),
        });
        Ok(())
    }

    /// Appends one whole line of a day to the file; `None` for lines of no day, such as a header.
    pub fn write(&mut self, day: Option<Date>, line: &[u8]) -> Result<()> {
        let open = self.entry.as_mut().ok_or_else(no_entry)?;
        let pieces = open.cutter.line(day, line);
        self.take(pieces)
    }

    /// Ends the file.
    pub fn end(&mut self) -> Result<EntryFacts> {
        let open = self.entry.as_mut().ok_or_else(no_entry)?;
        let rest = open.cutter.finish();
        self.take(rest)?;
        while let Some(pending) = self.pending.pop_front() {
            self.put_piece(pending)?;
        }
        self.put_compressed(&deflate::LAST_BLOCK)?;
        let mut open = self.entry.take().ok_or_else(no_entry)?;
        open.zip.crc = open.crc.finalize();
        self.put_end(&mut open.zip)?;
        let facts = EntryFacts {
            name: open.zip.name.clone(),
            bytes: open.zip.bytes,
            sha256: open.sha256.finalize().into(),
        };
        self.entries.push(open.zip);
        Ok(facts)
    }

    /// Ends the archive and gives the sink back.
    pub fn finish(mut self) -> Result<W> {
        if self.packing == Packing::Zip {
            let (entries, stamp) = (&self.entries, self.stamp);
            let directory = zip::directory(entries, self.position, stamp, self.zip64_from);
            self.put(&directory)?;
        }
        self.sink.flush()?;
        Ok(self.sink)
    }

    /// Puts what stands after a file's data.
    fn put_end(&mut self, zip: &mut ZipEntry) -> Result<()> {
        if self.packing == Packing::Gzip {
            return self.put(&gzip::trailer(zip.crc, zip.bytes));
        }
        zip.is_large = zip.needs_zip64(self.zip64_from);
        if zip.is_large {
            self.position += zip::widen_header(&mut self.sink, zip, self.stamp)?;
        }
        self.put(&zip.descriptor())
    }

    fn take(&mut self, pieces: impl IntoIterator<Item = Vec<u8>>) -> Result<()> {
        for piece in pieces {
            let open = self.entry.as_mut().ok_or_else(no_entry)?;
            open.sha256.update(&piece);
            open.zip.bytes += piece.len() as u64;
            if self.pending.len() >= self.pending_max
                && let Some(pending) = self.pending.pop_front()
            {
                self.put_piece(pending)?;
            }
            let pending = self.deflater.deflate(piece)?;
            self.pending.push_back(pending);
        }
        Ok(())
    }

    fn put_piece(&mut self, pending: Pending) -> Result<()> {
        let deflated = pending.wait()?;
        let open = self.entry.as_mut().ok_or_else(no_entry)?;
        open.crc.combine(&deflated.crc);
        self.put_compressed(&deflated.bytes)
    }

    fn put_compressed(&mut self, bytes: &[u8]) -> Result<()> {
        let open = self.entry.as_mut().ok_or_else(no_entry)?;
        open.zip.compressed += bytes.len() as u64;
        self.put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.sink.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

fn no_entry() -> Error {
    Error::Internal("no file of the archive is open".into())
}

#[cfg(test)]
mod tests;
