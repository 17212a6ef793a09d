//! How far an interrupted import of one file into one place came.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{CHECKPOINT_BLOCKS, Error, Result};

/// Bytes at each end of a file that tell it from others, together with its length.
const IDENTITY_BYTES: u64 = 64 * 1024;

/// The number of records that are done, kept until the whole file is.
///
/// A checkpoint that is lost or old only makes the next run send events that come back as
/// duplicates.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    path: Option<PathBuf>,
    stored: Stored,
    blocks: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    /// The file's name, for people.
    file: String,
    /// Records that need not be read again.
    records: u64,
}

impl Checkpoint {
    /// Remembers nothing.
    pub(crate) fn none() -> Self {
        Self {
            path: None,
            stored: Stored::default(),
            blocks: 0,
        }
    }

    /// Finds where the import of `file` by `plan` (place, mapping) was interrupted.
    ///
    /// The file is known by its length and both its ends, whatever it is called.
    pub(crate) fn open(folder: &Path, file: &Path, plan: &str) -> Result<Self> {
        let name = identity(file, plan).map_err(|source| io("read", file, source))?;
        let path = folder.join(format!("{name}.json"));
        let stored = std::fs::read(&path)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_else(|| Stored {
                file: file.display().to_string(),
                records: 0,
            });
        Ok(Self {
            path: Some(path),
            stored,
            blocks: 0,
        })
    }

    /// Records that need not be read again.
    pub(crate) fn records(&self) -> u64 {
        self.stored.records
    }

    /// Notes that all records before `records` are durable; writes it down now and then.
    pub(crate) fn advance(&mut self, records: u64) -> Result<()> {
        self.stored.records = records;
        self.blocks += 1;
        if self.blocks.is_multiple_of(CHECKPOINT_BLOCKS) {
            self.write()?;
        }
        Ok(())
    }

    /// Writes it down now.
    pub(crate) fn write(&self) -> Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let write = || {
            path.parent().map(std::fs::create_dir_all).transpose()?;
            let fresh = path.with_extension("new");
            std::fs::write(&fresh, serde_json::to_vec(&self.stored)?)?;
            std::fs::rename(&fresh, path)
        };
        write().map_err(|source| io("write", path, source))
    }

    /// Forgets it: the file is done.
    pub(crate) fn remove(&self) -> Result<()> {
        match self
            .path
            .as_ref()
            .map(|path| (path, std::fs::remove_file(path)))
        {
            Some((path, Err(source))) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(io("remove", path, source))
            }
            _ => Ok(()),
        }
    }
}

fn identity(path: &Path, plan: &str) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut hasher = Sha256::new();
    hasher.update(plan.as_bytes());
    hasher.update(length.to_le_bytes());
    for start in [0, length.saturating_sub(IDENTITY_BYTES)] {
        let mut end = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.by_ref().take(IDENTITY_BYTES).read_to_end(&mut end)?;
        hasher.update(&end);
    }
    let digest = hasher.finalize();
    Ok(digest
        .iter()
        .fold(String::new(), |name, byte| format!("{name}{byte:02x}")))
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
