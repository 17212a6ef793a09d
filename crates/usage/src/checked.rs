//! Parquet files whose every byte is checked before it is believed.
//!
//! A file is cut into blocks of [`BLOCK_BYTES`]; the checksums of all whole blocks before the tail
//! stand in the footer, and the manifest holds the checksum of the tail, footer included.

mod write;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes, BytesMut};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};
use xxhash_rust::xxh3::xxh3_64;

pub(crate) use write::{CheckedWriter, Written};

use crate::disk::{Disk, Reader};
use crate::error::{Error, Result};

/// Bytes of one checked block.
pub(crate) const BLOCK_BYTES: usize = 32 * 1024;
/// Key of the footer's entry that holds the checksums of the blocks.
const BLOCKS_KEY: &str = "tallyport.blocks";

/// A file open for checked reads.
#[derive(Debug, Clone)]
pub(crate) struct CheckedFile {
    inner: Arc<Inner>,
    /// What went wrong first: the Parquet reader would keep only its text.
    failure: Arc<Mutex<Option<Error>>>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    reader: Arc<dyn Reader>,
    /// Checksums of the blocks before the tail.
    blocks: Vec<u64>,
    tail_start: u64,
    tail: Bytes,
}

impl CheckedFile {
    /// Opens a file that was written as `written` and reads its footer.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        path: &Path,
        written: &Written,
    ) -> Result<(Self, ParquetMetaData)> {
        let reader = disk
            .open(path)
            .map_err(|source| Error::opening(path, source))?;
        let tail_start = tail_start(path, reader.length(), written)?;
        let length = usize::try_from(written.tail_bytes).expect("a tail fits in memory");
        let tail = reader
            .read(tail_start, length)
            .map_err(|source| Error::io("read", path, source))?;
        if spell(xxh3_64(&tail)) != written.tail_checksum {
            return Err(Error::corrupt(
                path,
                tail_start,
                "the checksum of the tail differs",
            ));
        }
        let mut inner = Inner {
            path: path.to_owned(),
            reader,
            blocks: Vec::new(),
            tail_start,
            tail,
        };
        let metadata = inner.parse_footer()?;
        inner.blocks = inner.block_checksums(&metadata)?;
        let file = Self {
            inner: Arc::new(inner),
            failure: Arc::default(),
        };
        Ok((file, metadata))
    }

    /// The same open file for another read, with failures of its own.
    pub(crate) fn again(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            failure: Arc::default(),
        }
    }

    /// Turns what the Parquet reader says into the error it stands for.
    pub(crate) fn error(&self, error: impl Into<ParquetError>) -> Error {
        let failure = self.failure.lock();
        let first = failure.unwrap_or_else(PoisonError::into_inner).take();
        first.unwrap_or_else(|| from_parquet(&self.inner.path, error.into()))
    }

    fn read_or_keep(&self, start: u64, length: usize) -> Result<Bytes, String> {
        self.read(start, length).map_err(|error| {
            let text = error.to_string();
            let failure = self.failure.lock();
            let mut failure = failure.unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(error);
            text
        })
    }

    fn read(&self, start: u64, length: usize) -> Result<Bytes> {
        let file = &self.inner;
        let end = start + length as u64;
        if end > file.tail_start + file.tail.len() as u64 {
            return Err(Error::corrupt(
                &file.path,
                start,
                "a page lies beyond the end",
            ));
        }
        if start >= file.tail_start {
            let from = usize::try_from(start - file.tail_start).expect("inside the tail");
            return Ok(file.tail.slice(from..from + length));
        }
        if end <= file.tail_start {
            return file.blocks(start, length);
        }
        let before = usize::try_from(file.tail_start - start).expect("inside the read");
        let mut joined = BytesMut::from(file.blocks(start, before)?);
        joined.extend_from_slice(&file.tail[..length - before]);
        Ok(joined.freeze())
    }
}

fn tail_start(path: &Path, length: u64, written: &Written) -> Result<u64> {
    if length != written.bytes {
        let reason = format!("it has {length} bytes: expected {}", written.bytes);
        return Err(Error::corrupt(path, length.min(written.bytes), reason));
    }
    length
        .checked_sub(written.tail_bytes)
        .filter(|start| start % BLOCK_BYTES as u64 == 0)
        .ok_or_else(|| Error::corrupt(path, 0, "its tail starts inside a block"))
}

impl Inner {
    fn parse_footer(&self) -> Result<ParquetMetaData> {
        let mut parser = ParquetMetaDataReader::new()
            .with_column_index_policy(PageIndexPolicy::Skip)
            .with_offset_index_policy(PageIndexPolicy::Optional);
        let length = self.tail_start + self.tail.len() as u64;
        parser
            .try_parse_sized(&self.tail, length)
            .and_then(|()| parser.finish())
            .map_err(|error| from_parquet(&self.path, error))
    }

    fn block_checksums(&self, metadata: &ParquetMetaData) -> Result<Vec<u64>> {
        let entries = metadata.file_metadata().key_value_metadata();
        let text = entries
            .into_iter()
            .flatten()
            .find(|entry| entry.key == BLOCKS_KEY)
            .and_then(|entry| entry.value.as_deref())
            .unwrap_or_default();
        let digits = |index: usize| text.get(index * 16..index * 16 + 16);
        let sums: Option<Vec<u64>> = (0..text.len().div_ceil(16))
            .map(|index| u64::from_str_radix(digits(index)?, 16).ok())
            .collect();
        let expected = self.tail_start / BLOCK_BYTES as u64;
        sums.filter(|sums| sums.len() as u64 == expected)
            .ok_or_else(|| {
                Error::corrupt(
                    &self.path,
                    self.tail_start,
                    "its block checksums are no list",
                )
            })
    }

    /// Reads bytes before the tail, checking every block they lie in.
    fn blocks(&self, start: u64, length: usize) -> Result<Bytes> {
        let size = BLOCK_BYTES as u64;
        let (first, after) = (start / size, (start + length as u64).div_ceil(size));
        let offset = first * size;
        let whole = usize::try_from((after - first) * size).expect("a page fits in memory");
        let bytes = self
            .reader
            .read(offset, whole)
            .map_err(|source| Error::io("read", &self.path, source))?;
        let expected = &self.blocks[usize_of(first)..usize_of(after)];
        for (index, (block, sum)) in bytes.chunks(BLOCK_BYTES).zip(expected).enumerate() {
            if xxh3_64(block) != *sum {
                let at = offset + (index * BLOCK_BYTES) as u64;
                return Err(Error::corrupt(
                    &self.path,
                    at,
                    "the checksum of its block differs",
                ));
            }
        }
        let from = usize_of(start - offset);
        Ok(bytes.slice(from..from + length))
    }
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).expect("offsets in memory fit")
}

impl Length for CheckedFile {
    fn len(&self) -> u64 {
        self.inner.tail_start + self.inner.tail.len() as u64
    }
}

impl ChunkReader for CheckedFile {
    type T = Sequential;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Sequential> {
        Ok(Sequential {
            file: self.clone(),
            next: start,
            ahead: Bytes::new(),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.read_or_keep(start, length)
            .map_err(ParquetError::General)
    }
}

/// Reads on from an offset, block by block.
#[derive(Debug)]
pub(crate) struct Sequential {
    file: CheckedFile,
    next: u64,
    ahead: Bytes,
}

impl Read for Sequential {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            let left = usize_of(self.file.len().saturating_sub(self.next));
            let inside = usize_of(self.next % BLOCK_BYTES as u64);
            let length = left.min(BLOCK_BYTES - inside);
            let read = self.file.read_or_keep(self.next, length);
            self.ahead = read.map_err(io::Error::other)?;
            self.next += length as u64;
        }
        let count = into.len().min(self.ahead.len());
        self.ahead.copy_to_slice(&mut into[..count]);
        Ok(count)
    }
}

/// A checksum as the manifest spells it.
fn spell(checksum: u64) -> String {
    format!("{checksum:016x}")
}

/// What a Parquet error stands for: a refusal of the disk, or damage.
fn from_parquet(path: &Path, error: ParquetError) -> Error {
    let reason = error.to_string();
    let ParquetError::External(cause) = error else {
        return Error::corrupt(path, 0, reason);
    };
    match cause.downcast::<io::Error>() {
        Ok(error) => Error::io("write", path, *error),
        Err(_) => Error::corrupt(path, 0, reason),
    }
}
