//! A run: the keys of many flushed rows in one immutable, sorted file (FORMAT.md).
//!
//! Blocks of pages, each block with a filter behind it, then an index of blocks and pages, then a
//! footer. In memory are the filters and the first key of every page; pages stay on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::event::Fingerprint;
use xorf::{BinaryFuse8Ref, DmaSerializable, Filter, FilterRef};

use super::key::Key;
use crate::disk::{Disk, Reader};
use crate::error::{Error, Result};
use crate::identity::{Identity, checksum};
use crate::journal::frame::Fields;
use crate::options::FILTER_KEYS_MAX;

pub(crate) mod write;

/// Version of a run's form this release writes.
pub(crate) const RUN_FORMAT: u32 = 1;
/// First bytes of every run.
pub(crate) const MAGIC: [u8; 8] = *b"TPKEYS\0\x01";
/// Bytes of a page, of the header, and the unit filters are padded to.
pub(crate) const PAGE_BYTES: usize = 4096;
/// Bytes of an entry: key, fingerprint, sequence.
pub(crate) const ENTRY_BYTES: usize = 32;
/// Entries in a full page.
pub(crate) const PAGE_ENTRIES: usize = 127;
/// Bytes of a page before its entries: checksum, count, zero.
pub(crate) const PAGE_HEADER_BYTES: usize = 16;
/// Pages in a full block.
pub(crate) const BLOCK_PAGES: usize = FILTER_KEYS_MAX / PAGE_ENTRIES;
/// Bytes of a block's entry in the index.
pub(crate) const BLOCK_INDEX_BYTES: usize = 32;
/// Bytes of a page's first key in the index.
pub(crate) const FENCE_BYTES: usize = 16;
/// Bytes of the footer.
pub(crate) const FOOTER_BYTES: usize = 64;
/// Bytes before a filter's fingerprints: checksum and descriptor.
pub(crate) const FILTER_HEADER_BYTES: usize = 8 + DESCRIPTOR_BYTES;
const DESCRIPTOR_BYTES: usize = <xorf::BinaryFuse8 as DmaSerializable>::DESCRIPTOR_LEN;

const _: () = assert!(PAGE_HEADER_BYTES + PAGE_ENTRIES * ENTRY_BYTES <= PAGE_BYTES);

/// A key as it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: Key,
    /// What its event said.
    pub(crate) fingerprint: Fingerprint,
    /// Sequence of its event.
    pub(crate) sequence: u64,
}

/// A run that can be asked.
#[derive(Debug)]
pub(crate) struct Run {
    path: PathBuf,
    reader: Arc<dyn Reader>,
    pub(crate) keys: u64,
    blocks: Vec<Block>,
}

/// A block: its place, and what of it is kept in memory.
#[derive(Debug)]
pub(crate) struct Block {
    /// Offset of its first page.
    pub(crate) offset: u64,
    /// Keys inside.
    pub(crate) keys: u32,
    /// Bytes of its filter before padding, checksum and descriptor included.
    pub(crate) filter_bytes: u32,
    /// First key of every page.
    pub(crate) fences: Vec<u128>,
    /// Descriptor and fingerprints.
    pub(crate) filter: Vec<u8>,
}

impl Block {
    /// Offset of its filter, behind its pages.
    pub(crate) fn filter_offset(&self) -> u64 {
        self.offset + (self.fences.len() * PAGE_BYTES) as u64
    }

    fn may_hold(&self, key: Key) -> bool {
        let (descriptor, fingerprints) = self.filter.split_at(DESCRIPTOR_BYTES);
        BinaryFuse8Ref::from_dma(descriptor, fingerprints).contains(&filter_key(key))
    }

    /// Which page holds the key, if any does.
    fn page_of(&self, key: Key) -> Option<usize> {
        self.fences
            .partition_point(|fence| *fence <= key.0)
            .checked_sub(1)
    }
}

/// The part of a key its filter knows.
pub(crate) fn filter_key(key: Key) -> u64 {
    (key.0 >> 64) as u64
}

/// Whether filters are read or only the index; repair needs runs whose filters are bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filters {
    /// Read and check them.
    Read,
    /// Leave them out: the run can be walked but not asked.
    Skip,
}

impl Run {
    /// Opens a run and reads its index and filters.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        path: &Path,
        identity: &Identity,
        filters: Filters,
    ) -> Result<Self> {
        let reader = disk.open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::corrupt(path, 0, "the file is missing"),
            _ => Error::io("open", path, error),
        })?;
        let mut run = Self {
            path: path.to_owned(),
            reader,
            keys: 0,
            blocks: Vec::new(),
        };
        run.check_header(identity)?;
        run.read_index(identity)?;
        if filters == Filters::Read {
            run.read_filters()?;
        }
        Ok(run)
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    fn corrupt(&self, offset: u64, reason: &str) -> Error {
        Error::corrupt(&self.path, offset, reason)
    }

    pub(crate) fn read(&self, offset: u64, length: usize) -> Result<bytes::Bytes> {
        if offset
            .checked_add(length as u64)
            .is_none_or(|end| end > self.reader.length())
        {
            return Err(self.corrupt(offset, "the file ends before its contents do"));
        }
        self.reader
            .read(offset, length)
            .map_err(|error| Error::io("read", &self.path, error))
    }

    fn check_header(&self, identity: &Identity) -> Result<()> {
        let header = self.read(0, PAGE_BYTES)?;
        if header.get(..8) != Some(&MAGIC) {
            return Err(self.corrupt(0, "it does not start as a run of keys of version 1"));
        }
        if header[..] != header_page(identity)[..] {
            return Err(self.corrupt(8, "it belongs to another store, or its header is damaged"));
        }
        Ok(())
    }

    fn read_index(&mut self, identity: &Identity) -> Result<()> {
        let at = self.reader.length().saturating_sub(FOOTER_BYTES as u64);
        let bytes = self.read(at, FOOTER_BYTES)?;
        let footer = Footer::decode(&bytes, identity)
            .ok_or_else(|| self.corrupt(at, "the footer's checksum does not fit"))?;
        let length = usize::try_from(at.saturating_sub(footer.index_offset)).unwrap_or(usize::MAX);
        let index = self.read(footer.index_offset, length)?;
        if checksum(&index) != footer.index_checksum {
            return Err(self.corrupt(footer.index_offset, "the index's checksum does not fit"));
        }
        self.keys = footer.keys;
        self.blocks = decode_index(&index, footer.blocks)
            .ok_or_else(|| self.corrupt(footer.index_offset, "the index cannot be read"))?;
        Ok(())
    }

    fn read_filters(&mut self) -> Result<()> {
        let mut filters = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let offset = block.filter_offset();
            let bytes = self.read(offset, block.filter_bytes as usize)?;
            let filter = decode_filter(&bytes)
                .ok_or_else(|| self.corrupt(offset, "the filter's checksum does not fit"))?;
            filters.push(filter.to_vec());
        }
        for (block, filter) in self.blocks.iter_mut().zip(filters) {
            block.filter = filter;
        }
        Ok(())
    }

    /// Whether the key may be inside; false positives are about 1 in 256. Reads memory only.
    pub(crate) fn may_hold(&self, key: Key) -> bool {
        self.block_of(key).is_some_and(|block| block.may_hold(key))
    }

    fn block_of(&self, key: Key) -> Option<&Block> {
        let first = |block: &Block| block.fences.first().copied().unwrap_or(u128::MAX);
        let after = self.blocks.partition_point(|block| first(block) <= key.0);
        self.blocks.get(after.checked_sub(1)?)
    }

    /// Finds a key, reading at most one page.
    pub(crate) fn find(&self, key: Key) -> Result<Option<Entry>> {
        let Some(block) = self.block_of(key).filter(|block| block.may_hold(key)) else {
            return Ok(None);
        };
        let Some(page) = block.page_of(key) else {
            return Ok(None);
        };
        let entries = self.page(block.offset + (page * PAGE_BYTES) as u64)?;
        Ok(entries.find(key))
    }

    /// Reads and checks the page at `offset`.
    pub(crate) fn page(&self, offset: u64) -> Result<Page> {
        let bytes = self.read(offset, PAGE_BYTES)?;
        Page::decode(bytes).ok_or_else(|| self.corrupt(offset, "the page's checksum does not fit"))
    }
}

/// A checked page.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    bytes: bytes::Bytes,
    count: usize,
}

impl Page {
    fn decode(bytes: bytes::Bytes) -> Option<Self> {
        let mut fields = Fields(&bytes);
        let (sum, count) = (fields.u64()?, fields.u32()? as usize);
        let fits = checksum(bytes.get(8..)?) == sum && count <= PAGE_ENTRIES;
        fits.then_some(Self { bytes, count })
    }

    /// Entry `index`, in order of keys.
    pub(crate) fn entry(&self, index: usize) -> Option<Entry> {
        let start = PAGE_HEADER_BYTES + index * ENTRY_BYTES;
        let mut fields = Fields(self.bytes.get(start..start + ENTRY_BYTES)?);
        let key = Key(u128::from_le_bytes(fields.array()?));
        let (fingerprint, sequence) = (Fingerprint(fields.u64()?), fields.u64()?);
        (index < self.count).then_some(Entry {
            key,
            fingerprint,
            sequence,
        })
    }

    fn find(&self, key: Key) -> Option<Entry> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            let entry = self.entry(middle)?;
            match entry.key.cmp(&key) {
                std::cmp::Ordering::Equal => return Some(entry),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

/// The first page of every run of a store.
pub(crate) fn header_page(identity: &Identity) -> Vec<u8> {
    let mut page = Vec::with_capacity(PAGE_BYTES);
    page.extend_from_slice(&MAGIC);
    page.extend_from_slice(&identity.store);
    page.resize(PAGE_BYTES, 0);
    page
}

/// Where things are in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) blocks: u64,
    pub(crate) keys: u64,
    pub(crate) index_offset: u64,
    pub(crate) index_checksum: u64,
}

impl Footer {
    pub(crate) fn encode(&self, identity: &Identity) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FOOTER_BYTES);
        bytes.extend_from_slice(&identity.store);
        for number in [
            self.blocks,
            self.keys,
            self.index_offset,
            self.index_checksum,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&MAGIC);
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8], identity: &Identity) -> Option<Self> {
        let mut fields = Fields(bytes);
        fields.take(16)?;
        let footer = Self {
            blocks: fields.u64()?,
            keys: fields.u64()?,
            index_offset: fields.u64()?,
            index_checksum: fields.u64()?,
        };
        (footer.encode(identity) == bytes).then_some(footer)
    }
}

/// Descriptor and fingerprints of a filter whose checksum fits.
pub(crate) fn decode_filter(bytes: &[u8]) -> Option<&[u8]> {
    let (sum, filter) = bytes.split_at_checked(8)?;
    let fits = sum == checksum(filter).to_le_bytes() && filter.len() > DESCRIPTOR_BYTES;
    fits.then_some(filter)
}

/// Spells the index: blocks, then the first keys of all pages.
pub(crate) fn encode_index(blocks: &[Block]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for block in blocks {
        bytes.extend_from_slice(&block.offset.to_le_bytes());
        bytes.extend_from_slice(&(block.fences.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&block.keys.to_le_bytes());
        bytes.extend_from_slice(&block.filter_bytes.to_le_bytes());
        bytes.extend_from_slice(&0_u64.to_le_bytes());
    }
    for fence in blocks.iter().flat_map(|block| &block.fences) {
        bytes.extend_from_slice(&fence.to_le_bytes());
    }
    bytes
}

fn decode_index(bytes: &[u8], count: u64) -> Option<Vec<Block>> {
    let split = usize::try_from(count)
        .ok()?
        .checked_mul(BLOCK_INDEX_BYTES)?;
    let (heads, fences) = bytes.split_at_checked(split)?;
    let mut fences = Fields(fences);
    let mut blocks = Vec::new();
    for head in heads.chunks_exact(BLOCK_INDEX_BYTES) {
        let mut fields = Fields(head);
        let (offset, pages) = (fields.u64()?, usize::try_from(fields.u64()?).ok()?);
        let (keys, filter_bytes) = (fields.u32()?, fields.u32()?);
        let own = fences.take(pages.checked_mul(FENCE_BYTES)?)?;
        let fence = |bytes: &[u8]| bytes.try_into().ok().map(u128::from_le_bytes);
        let fences = own
            .chunks_exact(FENCE_BYTES)
            .map(fence)
            .collect::<Option<_>>()?;
        blocks.push(Block {
            offset,
            keys,
            filter_bytes,
            fences,
            filter: Vec::new(),
        });
    }
    fences.0.is_empty().then_some(blocks)
}
