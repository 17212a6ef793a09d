//! Rebuilding what is derived: the filters of key runs, from the entries beside them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::identity::{Identity, hex_checksum};
use crate::manifest::{Manifest, RunEntry, file};
use crate::seen::merge::merge;
use crate::seen::run::{Filters, Run};
use crate::shared::Folders;
use crate::store::open::take_lock;

/// Writes runs whose filters are damaged again, from their pages; gives their old paths.
///
/// Pages, index and footer must be whole: damage there is an error, for nothing holds these keys
/// twice. Takes the lock of the store. Blocks.
pub fn repair(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Vec<PathBuf>> {
    let _lock = take_lock(disk, folder, "repair")?;
    let folders = Folders::new(folder);
    let path = folder.join(file::FILE);
    let missing = || Error::corrupt(&path, 0, "the file is missing");
    let mut manifest = file::load(disk, folder)?.ok_or_else(missing)?;
    let identity = Identity::parse(&manifest.store, &manifest.secret)
        .ok_or_else(|| Error::corrupt(&path, 0, "identity or secret cannot be read"))?;
    let mut replaced = Vec::new();
    for index in 0..manifest.runs.len() {
        replaced.extend(repair_run(disk, &folders, &identity, &mut manifest, index)?);
    }
    if replaced.is_empty() {
        return Ok(replaced);
    }
    let keys = &folders.keys;
    disk.sync_folder(keys)
        .map_err(|error| Error::io("sync", keys, error))?;
    manifest.generation += 1;
    file::store(disk, folder, &manifest)?;
    for path in &replaced {
        disk.remove(path)
            .map_err(|error| Error::io("remove", path, error))?;
    }
    Ok(replaced)
}

/// Writes one run again when its filters cannot be read; gives its old path.
fn repair_run(
    disk: &Arc<dyn Disk>,
    folders: &Folders,
    identity: &Identity,
    manifest: &mut Manifest,
    index: usize,
) -> Result<Option<PathBuf>> {
    let generation = manifest.generation;
    let Some(entry) = manifest.runs.get_mut(index) else {
        return Ok(None);
    };
    let path = folders.keys.join(&entry.file);
    if Run::open(disk, &path, identity, Filters::Read).is_ok() {
        return Ok(None);
    }
    let run = Arc::new(Run::open(disk, &path, identity, Filters::Skip)?);
    let name = format!(
        "{:012}-{:012}-{generation:x}r.keys",
        entry.first, entry.last
    );
    let again = folders.keys.join(&name);
    if disk.open(&again).is_ok() {
        disk.remove(&again)
            .map_err(|error| Error::io("remove", &again, error))?;
    }
    let written = merge(disk, &again, identity, &[run])?;
    if written.keys != entry.keys {
        let reason = format!("it holds {} keys: expected {}", written.keys, entry.keys);
        return Err(Error::corrupt(&path, 0, reason));
    }
    *entry = RunEntry {
        file: name,
        bytes: written.bytes,
        checksum: hex_checksum(written.checksum),
        ..entry.clone()
    };
    Ok(Some(path))
}
