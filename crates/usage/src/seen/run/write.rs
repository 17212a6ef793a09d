//! Writing a run from its entries in order, block by block.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use xorf::{BinaryFuse8, DmaSerializable};
use xxhash_rust::xxh3::Xxh3;

use super::{
    BLOCK_PAGES, Block, ENTRY_BYTES, Entry, FILTER_HEADER_BYTES, Footer, PAGE_BYTES, PAGE_ENTRIES,
    PAGE_HEADER_BYTES, encode_index, filter_key, header_page,
};
use crate::disk::{Appender, Disk};
use crate::error::{Error, Result};
use crate::identity::{Identity, checksum, checksum_stream};

/// Bytes collected before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// What a written run amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// Keys inside.
    pub(crate) keys: u64,
    /// Bytes of the file.
    pub(crate) bytes: u64,
    /// XXH3 of the whole file.
    pub(crate) checksum: u64,
}

/// A run being written. Memory is bounded by one block: its keys' filter.
pub(crate) struct RunWriter {
    path: PathBuf,
    identity: Identity,
    file: Box<dyn Appender>,
    sum: Xxh3,
    pending: Vec<u8>,
    written: u64,
    page: Vec<Entry>,
    block: Block,
    filter_keys: Vec<u64>,
    blocks: Vec<Block>,
    keys: u64,
    last: Option<Entry>,
}

impl std::fmt::Debug for RunWriter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "RunWriter({}, {} keys)",
            self.path.display(),
            self.keys
        )
    }
}

impl RunWriter {
    /// Starts a new file.
    pub(crate) fn create(disk: &Arc<dyn Disk>, path: &Path, identity: &Identity) -> Result<Self> {
        let file = disk
            .create(path)
            .map_err(|error| Error::io("create", path, error))?;
        let mut writer = Self {
            path: path.to_owned(),
            identity: *identity,
            file,
            sum: checksum_stream(),
            pending: Vec::with_capacity(WRITE_BYTES + PAGE_BYTES),
            written: 0,
            page: Vec::with_capacity(PAGE_ENTRIES),
            block: empty_block(PAGE_BYTES as u64),
            filter_keys: Vec::new(),
            blocks: Vec::new(),
            keys: 0,
            last: None,
        };
        writer.put(&header_page(identity))?;
        Ok(writer)
    }

    /// Adds an entry; keys come in ascending order, and of equal ones the first is kept.
    pub(crate) fn push(&mut self, entry: Entry) -> Result<()> {
        if let Some(last) = self.last {
            if last.key == entry.key {
                return Ok(());
            }
            if last.key > entry.key {
                return Err(Error::Internal("keys of a run out of order".to_owned()));
            }
        }
        self.last = Some(entry);
        self.page.push(entry);
        self.keys += 1;
        if self.page.len() == PAGE_ENTRIES {
            self.end_page()?;
            if self.block.fences.len() == BLOCK_PAGES {
                self.end_block()?;
            }
        }
        Ok(())
    }

    /// Ends the file and makes it durable; its name is the caller's to sync.
    pub(crate) fn finish(mut self) -> Result<Written> {
        self.end_page()?;
        self.end_block()?;
        let index = encode_index(&self.blocks);
        let footer = Footer {
            blocks: self.blocks.len() as u64,
            keys: self.keys,
            index_offset: self.written + self.pending.len() as u64,
            index_checksum: checksum(&index),
        };
        self.put(&index)?;
        self.put(&footer.encode(&self.identity))?;
        self.write_pending()?;
        self.file
            .sync()
            .map_err(|error| Error::io("sync", &self.path, error))?;
        Ok(Written {
            keys: self.keys,
            bytes: self.written,
            checksum: self.sum.digest(),
        })
    }

    fn end_page(&mut self) -> Result<()> {
        let Some(first) = self.page.first().copied() else {
            return Ok(());
        };
        let mut bytes = Vec::with_capacity(PAGE_BYTES);
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&(self.page.len() as u64).to_le_bytes());
        for entry in self.page.drain(..) {
            bytes.extend_from_slice(&entry.key.0.to_le_bytes());
            bytes.extend_from_slice(&entry.fingerprint.0.to_le_bytes());
            bytes.extend_from_slice(&entry.sequence.to_le_bytes());
            self.filter_keys.push(filter_key(entry.key));
            self.block.keys += 1;
        }
        debug_assert_eq!((bytes.len() - PAGE_HEADER_BYTES) % ENTRY_BYTES, 0);
        bytes.resize(PAGE_BYTES, 0);
        let (head, rest) = bytes.split_at_mut(8);
        head.copy_from_slice(&checksum(rest).to_le_bytes());
        self.block.fences.push(first.key.0);
        self.put(&bytes)
    }

    fn end_block(&mut self) -> Result<()> {
        if self.block.fences.is_empty() {
            return Ok(());
        }
        let mut filter = encode_filter(&mut self.filter_keys)?;
        self.block.filter_bytes = u32::try_from(filter.len()).expect("9 bits for 2^20 keys");
        filter.resize(filter.len().next_multiple_of(PAGE_BYTES), 0);
        self.put(&filter)?;
        self.filter_keys = Vec::new();
        let next = empty_block(self.written + self.pending.len() as u64);
        self.blocks.push(std::mem::replace(&mut self.block, next));
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= WRITE_BYTES {
            self.write_pending()?;
        }
        Ok(())
    }

    fn write_pending(&mut self) -> Result<()> {
        self.sum.update(&self.pending);
        self.file
            .write(&self.pending)
            .map_err(|error| Error::io("write", &self.path, error))?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

fn empty_block(offset: u64) -> Block {
    Block {
        offset,
        keys: 0,
        filter_bytes: 0,
        fences: Vec::new(),
        filter: Vec::new(),
    }
}

/// A block's filter: checksum, descriptor, fingerprints. Keys come in ascending order.
pub(crate) fn encode_filter(keys: &mut Vec<u64>) -> Result<Vec<u8>> {
    keys.dedup();
    let filter = BinaryFuse8::try_from(keys.as_slice())
        .map_err(|error| Error::Internal(format!("a filter cannot be built: {error}")))?;
    let mut bytes = vec![0; FILTER_HEADER_BYTES];
    filter.dma_copy_descriptor_to(&mut bytes[8..]);
    bytes.extend_from_slice(filter.dma_fingerprints());
    let (head, rest) = bytes.split_at_mut(8);
    head.copy_from_slice(&checksum(rest).to_le_bytes());
    Ok(bytes)
}
