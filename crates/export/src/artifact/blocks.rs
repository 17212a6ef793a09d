//! Checksums of an artifact's blocks, as they lie beside it. FORMAT.md describes the bytes.

use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of an artifact under one checksum; the last block may be shorter.
pub(super) const BLOCK_BYTES: usize = STORED_BLOCK_BYTES as usize;
/// The same as it is stored.
const STORED_BLOCK_BYTES: u32 = 1024 * 1024;
/// The same where bytes of an artifact are counted.
const BLOCK: u64 = STORED_BLOCK_BYTES as u64;

const MAGIC: [u8; 8] = *b"TPBLOCKS";
const VERSION: u32 = 1;
/// Bytes before the checksums of the blocks.
const HEADER_BYTES: usize = 8 + 4 + 4 + 8 + 32 + 32;
/// Bytes of the SHA-256 at the end.
const TRAILER_BYTES: usize = 32;

/// What an artifact and its manifest must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blocks {
    pub(super) size_bytes: u64,
    pub(super) sha256: [u8; 32],
    pub(super) manifest_sha256: [u8; 32],
    /// XXH3 of each block.
    pub(super) sums: Vec<u64>,
}

impl Blocks {
    /// The bytes that lie beside the artifact.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.sums.len() * 8 + TRAILER_BYTES);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(STORED_BLOCK_BYTES.to_le_bytes());
        bytes.extend(self.size_bytes.to_le_bytes());
        bytes.extend(self.sha256);
        bytes.extend(self.manifest_sha256);
        bytes.extend(self.sums.iter().flat_map(|sum| sum.to_le_bytes()));
        let end = Sha256::digest(&bytes);
        bytes.extend(end);
        bytes
    }

    /// What lies beside an artifact, when it is sound and of this version.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let body = bytes.len().checked_sub(TRAILER_BYTES)?;
        let (body, end) = bytes.split_at(body);
        if Sha256::digest(body).as_slice() != end {
            return None;
        }
        let (head, sums) = body.split_at_checked(HEADER_BYTES)?;
        let (start, digests) = head.split_at(HEADER_BYTES - 64);
        let size_bytes = u64::from_le_bytes(start[16..24].try_into().ok()?);
        let found = Self {
            size_bytes,
            sha256: digests[..32].try_into().ok()?,
            manifest_sha256: digests[32..].try_into().ok()?,
            sums: sums
                .chunks_exact(8)
                .map(|sum| sum.try_into().map(u64::from_le_bytes))
                .collect::<Result<_, _>>()
                .ok()?,
        };
        let fits = size_bytes.div_ceil(BLOCK) == found.sums.len() as u64;
        (fits && found.to_bytes() == bytes).then_some(found)
    }

    /// Whether a block is as it was written.
    pub(super) fn fits(&self, index: u64, block: &[u8]) -> bool {
        let sum = usize::try_from(index)
            .ok()
            .and_then(|index| self.sums.get(index));
        sum == Some(&xxh3_64(block))
    }

    /// Where a block lies.
    pub(super) fn place(&self, index: u64) -> std::ops::Range<u64> {
        let start = index * BLOCK;
        start..(start + BLOCK).min(self.size_bytes)
    }

    /// The block a byte lies in.
    pub(super) fn index_of(byte: u64) -> u64 {
        byte / BLOCK
    }
}

/// Sums blocks up as their bytes come in.
#[derive(Debug, Default)]
pub(super) struct Summing {
    block: Vec<u8>,
    sums: Vec<u64>,
    size_bytes: u64,
    sha256: Sha256,
}

impl Summing {
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        self.size_bytes += bytes.len() as u64;
        self.sha256.update(bytes);
        while !bytes.is_empty() {
            let room = BLOCK_BYTES - self.block.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.block.extend_from_slice(now);
            bytes = later;
            if self.block.len() == BLOCK_BYTES {
                self.sums.push(xxh3_64(&self.block));
                self.block.clear();
            }
        }
    }

    /// The length, the SHA-256 and the checksums of all that came in.
    pub(super) fn finish(mut self) -> (u64, [u8; 32], Vec<u64>) {
        if !self.block.is_empty() {
            self.sums.push(xxh3_64(&self.block));
        }
        (self.size_bytes, self.sha256.finalize().into(), self.sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_the_checksums_is_noticed() {
        let mut summing = Summing::default();
        summing.update(&vec![7; BLOCK_BYTES - 1]);
        summing.update(&[8; 3]);
        let (size_bytes, sha256, sums) = summing.finish();
        assert_eq!((size_bytes, sums.len()), (BLOCK + 2, 2));
        let blocks = Blocks {
            size_bytes,
            sha256,
            manifest_sha256: [3; 32],
            sums,
        };
        assert!(blocks.fits(1, &[8, 8]) && !blocks.fits(1, &[8, 9]) && !blocks.fits(2, &[]));
        let bytes = blocks.to_bytes();
        assert_eq!(Blocks::from_bytes(&bytes), Some(blocks));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Blocks::from_bytes(&flipped), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(Blocks::from_bytes(&bytes[..length]), None, "{length}");
        }
    }
}
