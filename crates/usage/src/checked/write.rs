//! Writes a checked Parquet file in one pass.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{BLOCK_BYTES, BLOCKS_KEY, from_parquet, spell};
use crate::disk::{Appender, Disk};
use crate::error::{Error, Result};

/// What the manifest must know of a checked file to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// Bytes of the file.
    pub(crate) bytes: u64,
    /// XXH3 of the whole file.
    pub(crate) checksum: String,
    /// Bytes after the last block whose checksum the footer holds.
    pub(crate) tail_bytes: u64,
    /// XXH3 of these.
    pub(crate) tail_checksum: String,
}

/// A checked Parquet file in the making.
pub(crate) struct CheckedWriter {
    path: PathBuf,
    writer: ArrowWriter<Sink>,
}

impl fmt::Debug for CheckedWriter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CheckedWriter")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl CheckedWriter {
    /// Creates the file; it must not exist.
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        path: &Path,
        schema: SchemaRef,
        properties: WriterProperties,
    ) -> Result<Self> {
        let appender = disk
            .create(path)
            .map_err(|source| Error::io("create", path, source))?;
        let options = ArrowWriterOptions::new()
            .with_properties(properties)
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Sink::new(appender), schema, options)
            .map_err(|error| from_parquet(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            writer,
        })
    }

    /// Adds rows; full row groups go to the file.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer
            .write(batch)
            .map_err(|error| from_parquet(&self.path, error))
    }

    /// Writes what is left, the footer with `entries`, and syncs the file.
    pub(crate) fn finish(mut self, entries: Vec<(&str, String)>) -> Result<Written> {
        let path = self.path.clone();
        self.seal(entries)
            .map_err(|error| from_parquet(&path, error))?;
        let sink = self
            .writer
            .into_inner()
            .map_err(|error| from_parquet(&path, error))?;
        sink.finish()
            .map_err(|source| Error::io("write", &path, source))
    }

    fn seal(&mut self, entries: Vec<(&str, String)>) -> parquet::errors::Result<()> {
        self.writer.flush()?;
        self.writer.sync()?;
        let blocks = self.writer.inner_mut().seal();
        for (key, value) in entries.into_iter().chain([(BLOCKS_KEY, blocks)]) {
            let entry = KeyValue::new(key.to_owned(), value);
            self.writer.append_key_value_metadata(entry);
        }
        Ok(())
    }
}

/// Gathers whole blocks, checks them, and hands them to the disk.
struct Sink {
    appender: Box<dyn Appender>,
    /// Bytes not yet written, from a block border on.
    pending: Vec<u8>,
    blocks: Vec<u64>,
    whole: Xxh3,
    tail: Option<Tail>,
}

struct Tail {
    hasher: Xxh3,
    bytes: u64,
}

/// Bytes gathered before a write.
const WRITE_BYTES: usize = 16 * BLOCK_BYTES;

impl Sink {
    fn new(appender: Box<dyn Appender>) -> Self {
        Self {
            appender,
            pending: Vec::with_capacity(WRITE_BYTES),
            blocks: Vec::new(),
            whole: Xxh3::new(),
            tail: None,
        }
    }

    /// Ends the list of blocks and spells it; whatever follows belongs to the tail.
    fn seal(&mut self) -> String {
        self.tail = Some(Tail {
            hasher: Xxh3::new(),
            bytes: 0,
        });
        let whole = self.pending.len() - self.pending.len() % BLOCK_BYTES;
        let sums = self.pending[..whole].chunks(BLOCK_BYTES).map(xxh3_64);
        self.blocks.extend(sums);
        if let Some(tail) = &mut self.tail {
            tail.hasher.update(&self.pending[whole..]);
            tail.bytes = (self.pending.len() - whole) as u64;
        }
        self.blocks.iter().copied().map(spell).collect()
    }

    fn write_pending(&mut self, length: usize) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        self.whole.update(&self.pending[..length]);
        self.appender.write(&self.pending[..length])?;
        self.pending.drain(..length);
        Ok(())
    }

    fn finish(mut self) -> io::Result<Written> {
        self.write_pending(self.pending.len())?;
        self.appender.sync()?;
        let tail = self.tail.take();
        let tail = tail.ok_or_else(|| io::Error::other("the file was not sealed"))?;
        Ok(Written {
            bytes: self.appender.length(),
            checksum: spell(self.whole.digest()),
            tail_bytes: tail.bytes,
            tail_checksum: spell(tail.hasher.digest()),
        })
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(tail) = &mut self.tail {
            tail.hasher.update(bytes);
            tail.bytes += bytes.len() as u64;
        }
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= WRITE_BYTES {
            let whole = self.pending.len() - self.pending.len() % BLOCK_BYTES;
            if self.tail.is_none() {
                let sums = self.pending[..whole].chunks(BLOCK_BYTES).map(xxh3_64);
                self.blocks.extend(sums);
            }
            self.write_pending(whole)?;
        }
        Ok(bytes.len())
    }

    /// Only [`Sink::finish`] makes anything durable.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
