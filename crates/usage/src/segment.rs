//! Segments: immutable Parquet files of rows, sorted for reads (step 6 of usage in).
//!
//! Written by [`write()`] and [`crate::compact`], read by [`crate::scan`] and its neighbours.

mod read;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::manifest::SegmentEntry;
use crate::rollup::RollupFile;

use read::Footer;
pub(crate) use read::{Ask, Bounds, GroupBounds, number_bounds, text_bounds};
pub(crate) use write::{Packing, SegmentWriter, write_rows};
pub use write::{Shape, write, write_shaped};

/// Version of the segment's form this release writes. Version 1 had no columns of numbers by value:
/// a release that knows no others must not read them.
pub const SEGMENT_FORMAT: u32 = 2;

/// Key of the footer's entry that names the columns which hold nothing but nulls.
const EMPTY_KEY: &str = "tallyport.empty";

/// A segment file that reads go to. Nothing is read before it is needed.
#[derive(Debug)]
pub struct Segment {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    entry: SegmentEntry,
    footer: OnceLock<Footer>,
    /// By level, from 1.
    rollups: [OnceLock<RollupFile>; 2],
}

impl Segment {
    /// Prepares a segment for reading; the file itself is opened by the first read.
    pub fn open(disk: &Arc<dyn Disk>, folder: &Path, entry: &SegmentEntry) -> Result<Arc<Self>> {
        let path = folder.join(&entry.file);
        if entry.format > SEGMENT_FORMAT {
            return Err(Error::NewerFormat {
                path,
                found: entry.format,
                known: SEGMENT_FORMAT,
            });
        }
        Ok(Arc::new(Self {
            disk: Arc::clone(disk),
            folder: folder.to_owned(),
            entry: entry.clone(),
            footer: OnceLock::new(),
            rollups: [const { OnceLock::new() }; 2],
        }))
    }

    /// What the manifest says of it.
    pub fn entry(&self) -> &SegmentEntry {
        &self.entry
    }

    /// The rollup of a level, where there is one; its footer is read once.
    pub(crate) fn rollup(&self, level: u8) -> Result<Option<&RollupFile>> {
        let entries = &self.entry.rollups;
        let entry = entries.iter().find(|entry| entry.level == level);
        let slot = self.rollups.get(usize::from(level).wrapping_sub(1));
        let Some((entry, slot)) = entry.zip(slot) else {
            return Ok(None);
        };
        if let Some(file) = slot.get() {
            return Ok(Some(file));
        }
        let file = RollupFile::open(&self.disk, &self.folder, entry)?;
        Ok(Some(slot.get_or_init(|| file)))
    }
}

/// Names of all files of a segment, which come and go together: its own and its rollups'.
pub fn files(entry: &SegmentEntry) -> impl Iterator<Item = &str> {
    let rollups = entry.rollups.iter().map(|rollup| rollup.file.as_str());
    std::iter::once(entry.file.as_str()).chain(rollups)
}
