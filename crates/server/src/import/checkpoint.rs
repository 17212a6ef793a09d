//! How far an interrupted import of one file into one place came.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{CHECKPOINT_BLOCKS, Error, Result};

/// Bytes at each end of a file that tell it from others, together with its length.
const IDENTITY_BYTES: u64 = 64 * 1024;

/// Days after which a checkpoint that nobody went on from is removed.
const CHECKPOINT_DAYS_MAX: u64 = 30;
/// Hexadecimal digits of a checkpoint's name.
const NAME_DIGITS: usize = 64;

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

    /// Finds where the import of `file` by `plan` (store, organization, mapping) was interrupted.
    ///
    /// The file is known by its length and both its ends, whatever it is called.
    pub(crate) fn open(folder: &Path, file: &Path, plan: &str) -> Result<Self> {
        let name = identity(file, plan).map_err(|source| io("read", file, source))?;
        let path = folder.join(format!("{name}.json"));
        let stored = read(&path)?.unwrap_or_else(|| Stored {
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
            Some((path, Err(source))) if source.kind() != ErrorKind::NotFound => {
                Err(io("remove", path, source))
            }
            _ => Ok(()),
        }
    }
}

/// Reads a checkpoint; one that is damaged is no reason to stop, since all may be sent again.
fn read(path: &Path) -> Result<Option<Stored>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(io("read", path, source)),
    };
    let stored = serde_json::from_slice(&text);
    let damaged = |error: &serde_json::Error| {
        let path = path.display();
        tracing::warn!(%path, "the checkpoint is damaged, all records are sent again: {error}");
    };
    Ok(stored.inspect_err(damaged).ok())
}

/// Removes checkpoints nobody went on from for [`CHECKPOINT_DAYS_MAX`] days.
pub(crate) fn sweep(folder: &Path, now: SystemTime) {
    let age_max = Duration::from_secs(CHECKPOINT_DAYS_MAX * 24 * 60 * 60);
    let Ok(files) = std::fs::read_dir(folder) else {
        // There was no import yet.
        return;
    };
    for file in files.flatten().filter(|file| is_checkpoint(&file.path())) {
        let changed = file.metadata().and_then(|found| found.modified());
        let age = changed.map(|changed| now.duration_since(changed).unwrap_or_default());
        let path = file.path();
        let removed = match age {
            Ok(age) if age > age_max => std::fs::remove_file(&path),
            Ok(_) => continue,
            Err(error) => Err(error),
        };
        let path = path.display();
        match removed {
            Ok(()) => tracing::info!(%path, "removed a checkpoint of an import long given up"),
            Err(error) => tracing::warn!(%path, "could not remove an old checkpoint: {error}"),
        }
    }
}

/// Whether a file is a checkpoint or one that was being written.
fn is_checkpoint(path: &Path) -> bool {
    let ending = path
        .extension()
        .is_some_and(|ending| ending == "json" || ending == "new");
    let name = path
        .file_stem()
        .and_then(|name| name.to_str())
        .unwrap_or("");
    ending && name.len() == NAME_DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_checkpoints_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let days = |days: u64| now - Duration::from_secs(days * 24 * 60 * 60);
        let name = |digit: &str, ending: &str| format!("{}.{ending}", digit.repeat(NAME_DIGITS));
        let files = [
            (name("a", "json"), days(31)),
            (name("b", "json"), days(29)),
            (name("c", "new"), days(31)),
            ("notes.json".to_owned(), days(31)),
        ];
        for (name, changed) in &files {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(*changed).unwrap();
        }
        sweep(folder.path(), now);
        let left = files
            .iter()
            .filter(|(name, _)| folder.path().join(name).exists());
        let left: Vec<_> = left.map(|(name, _)| name.clone()).collect();
        assert_eq!(left, [name("b", "json"), "notes.json".to_owned()]);
        sweep(&folder.path().join("none"), now);
    }
}
