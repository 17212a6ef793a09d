//! Bad ends of journal files: kept in files of their own before they are cut off.
//!
//! The last frame may have been answered a moment before a stop, so its bytes are never thrown
//! away unread. FORMAT.md has the names and the bounds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::recovery::Cut;
use crate::disk::{Disk, Reader};
use crate::error::{Error, Result};
use crate::identity::hex;

/// Folder of kept ends inside the store's.
pub(crate) const FOLDER: &str = "cut";
/// Ends kept at most; the oldest goes first.
pub(crate) const KEPT_FILES_MAX: usize = 16;
/// Bytes of kept ends at most; the newest is kept whatever it holds.
pub(crate) const KEPT_BYTES_MAX: u64 = 256 << 20;
/// Bytes copied at once.
const COPY_BYTES: usize = 1 << 20;
/// Ends every name.
const ENDING: &str = ".cut";

/// The end of a journal file, cut off at a start and kept since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The file it is kept in.
    pub path: PathBuf,
    /// Its length.
    pub size_bytes: u64,
}

/// Keeps a bad end and cuts it off, both durably, and says so in the log.
pub(crate) fn cut_off(disk: &Arc<dyn Disk>, folder: &Path, cut: &Cut) -> Result<()> {
    let kept = keep(disk, folder, cut)?;
    tracing::warn!(
        path = %cut.path.display(),
        offset = cut.offset,
        size_bytes = cut.size_bytes,
        first_bytes = hex(&cut.head),
        kept = %kept.display(),
        "cut the end of the journal off: {}; its bytes are kept in {}",
        cut.reason,
        kept.display()
    );
    let shorten = || {
        let mut file = disk.append(&cut.path)?;
        file.truncate(cut.offset)?;
        file.sync()
    };
    shorten().map_err(|error| Error::io("cut", &cut.path, error))?;
    if let Err(error) = sweep(disk, folder, &kept) {
        tracing::warn!("kept ends of the journal over their bound are still there: {error}");
    }
    Ok(())
}

/// Ends kept in `folder`, the oldest first.
pub(crate) fn kept(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Vec<Kept>> {
    let mut found = Vec::new();
    for (_, name) in names(disk, folder)? {
        let path = folder.join(name);
        let reader = open(disk, &path)?;
        let size_bytes = reader.length();
        found.push(Kept { path, size_bytes });
    }
    Ok(found)
}

/// Number and name of each kept end, in order; none where the folder is missing.
fn names(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Vec<(u64, String)>> {
    let names = match disk.list(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        listed => listed.map_err(|error| Error::io("list", folder, error))?,
    };
    let number = |name: &String| -> Option<u64> {
        let (number, rest) = name.split_once('-')?;
        rest.ends_with(ENDING).then(|| number.parse().ok())?
    };
    let mut numbered: Vec<_> = names
        .into_iter()
        .filter_map(|name| Some((number(&name)?, name)))
        .collect();
    numbered.sort_unstable();
    Ok(numbered)
}

/// Copies a bad end into a file of its own, unless a start before this one has done so.
fn keep(disk: &Arc<dyn Disk>, folder: &Path, cut: &Cut) -> Result<PathBuf> {
    let from = open(disk, &cut.path)?;
    let last = names(disk, folder)?.pop();
    let place = format!("{}-{:012}{ENDING}", file_stem(&cut.path), cut.offset);
    if let Some((_, name)) = &last
        && name.ends_with(&place)
    {
        let path = folder.join(name);
        if is_copy(disk, &path, from.as_ref(), cut)? {
            return Ok(path);
        }
    }
    let number = last.map_or(0, |(number, _)| number) + 1;
    let path = folder.join(format!("{number:06}-{place}"));
    copy(disk, &path, from.as_ref(), cut)?;
    disk.sync_folder(folder)
        .map_err(|error| Error::io("sync", folder, error))?;
    Ok(path)
}

fn file_stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

fn copy(disk: &Arc<dyn Disk>, path: &Path, from: &dyn Reader, cut: &Cut) -> Result<()> {
    let mut to = disk
        .create(path)
        .map_err(|error| Error::io("create", path, error))?;
    let written = pieces(cut)
        .try_for_each(|(offset, length)| to.write(&from.read(cut.offset + offset, length)?))
        .and_then(|()| to.sync());
    written.map_err(|error| {
        // A part of it would pass for the whole; left behind, its length says that it is none.
        disk.remove(path).ok();
        Error::io("keep", path, error)
    })
}

fn is_copy(disk: &Arc<dyn Disk>, path: &Path, from: &dyn Reader, cut: &Cut) -> Result<bool> {
    let copy = open(disk, path)?;
    if copy.length() != cut.size_bytes {
        return Ok(false);
    }
    for (offset, length) in pieces(cut) {
        let same = copy
            .read(offset, length)
            .and_then(|copied| Ok(copied == from.read(cut.offset + offset, length)?))
            .map_err(|error| Error::io("read", path, error))?;
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Offsets and lengths of the pieces of a bad end that are copied one after the other.
fn pieces(cut: &Cut) -> impl Iterator<Item = (u64, usize)> {
    let size = cut.size_bytes;
    (0..size).step_by(COPY_BYTES).map(move |offset| {
        let rest = usize::try_from(size - offset).unwrap_or(usize::MAX);
        (offset, rest.min(COPY_BYTES))
    })
}

/// Removes the oldest kept ends that are over a bound, and names them.
fn sweep(disk: &Arc<dyn Disk>, folder: &Path, newest: &Path) -> Result<()> {
    let kept = kept(disk, folder)?;
    let (mut files, mut bytes) = (0, 0);
    for Kept { path, size_bytes } in kept.iter().rev() {
        files += 1;
        bytes += size_bytes;
        if path == newest || (files <= KEPT_FILES_MAX && bytes <= KEPT_BYTES_MAX) {
            continue;
        }
        disk.remove(path)
            .map_err(|error| Error::io("remove", path, error))?;
        let (path, size_bytes) = (path.display(), *size_bytes);
        tracing::warn!(%path, size_bytes, "removed the oldest kept end of the journal: {path}");
    }
    Ok(())
}

fn open(disk: &Arc<dyn Disk>, path: &Path) -> Result<Arc<dyn Reader>> {
    disk.open(path)
        .map_err(|error| Error::io("open", path, error))
}
