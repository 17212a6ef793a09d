//! Loading and replacing the manifest: JSON text and a line with its checksum.

use std::path::Path;
use std::sync::Arc;

use super::{MANIFEST_FORMAT, Manifest};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::identity::{checksum, hex_checksum};

/// Name of the manifest in the store's folder.
pub(crate) const FILE: &str = "manifest";
/// Name it has until it is complete.
pub(crate) const FILE_NEXT: &str = "manifest.next";
/// Starts the checksum's line.
const CHECKSUM_LABEL: &str = "xxh3 ";
/// Bytes of the checksum's line: label, 16 digits, line feed.
const CHECKSUM_LINE_BYTES: usize = 22;

/// Reads the manifest of `folder`; `None` when there is none.
pub(crate) fn load(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Option<Manifest>> {
    let path = folder.join(FILE);
    let reader = match disk.open(&path) {
        Ok(reader) => reader,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("open", &path, error)),
    };
    let length = usize::try_from(reader.length()).expect("a file in memory fits its addresses");
    let bytes = reader
        .read(0, length)
        .map_err(|error| Error::io("read", &path, error))?;
    parse(&path, &bytes).map(Some)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Manifest> {
    let split = bytes.len().saturating_sub(CHECKSUM_LINE_BYTES);
    let (text, line) = bytes.split_at(split);
    if line != checksum_line(text).as_bytes() {
        let reason = "the checksum in its last line does not fit its text";
        return Err(Error::corrupt(path, split as u64, reason));
    }
    let unreadable = |error: serde_json::Error| Error::corrupt(path, 0, error.to_string());
    let value: serde_json::Value = serde_json::from_slice(text).map_err(unreadable)?;
    let format = value.get("format").and_then(serde_json::Value::as_u64);
    let found = format
        .and_then(|format| u32::try_from(format).ok())
        .unwrap_or(u32::MAX);
    if found > MANIFEST_FORMAT {
        let known = MANIFEST_FORMAT;
        return Err(Error::NewerFormat {
            path: path.to_owned(),
            found,
            known,
        });
    }
    let manifest: Manifest = serde_json::from_slice(text).map_err(unreadable)?;
    check(&manifest).map_err(|reason| Error::corrupt(path, 0, reason))?;
    Ok(manifest)
}

/// Checks what every manifest keeps: segments follow each other up to `flushed_through`.
fn check(manifest: &Manifest) -> Result<(), String> {
    let mut expected = 1;
    for segment in &manifest.segments {
        if segment.first != expected || segment.last < segment.first {
            let (first, last) = (segment.first, segment.last);
            return Err(format!(
                "segment {first}..={last} does not follow {}",
                expected - 1
            ));
        }
        expected = segment.last + 1;
    }
    if expected != manifest.flushed_through + 1 {
        let through = manifest.flushed_through;
        return Err(format!(
            "segments end at {}: expected {through}",
            expected - 1
        ));
    }
    Ok(())
}

fn checksum_line(text: &[u8]) -> String {
    format!("{CHECKSUM_LABEL}{}\n", hex_checksum(checksum(text)))
}

/// Replaces the manifest.
///
/// After `Ok` it is durable. After `DiskFull` the old one counts; after any other error nobody
/// knows before the next start.
pub(crate) fn store(disk: &Arc<dyn Disk>, folder: &Path, manifest: &Manifest) -> Result<()> {
    debug_assert!(check(manifest).is_ok(), "segments are contiguous");
    let mut text = serde_json::to_string_pretty(manifest)
        .map_err(|error| Error::Internal(format!("the manifest cannot be spelled: {error}")))?;
    text.push('\n');
    let line = checksum_line(text.as_bytes());
    text.push_str(&line);
    let (next, path) = (folder.join(FILE_NEXT), folder.join(FILE));
    if let Err(error) = write(disk, &next, text.as_bytes()) {
        // What is left of it is removed here or, after a crash, at the next start.
        disk.remove(&next).ok();
        return Err(error);
    }
    let unclear = |action, path: &Path, source| {
        let path = path.to_owned();
        Error::Io {
            action,
            path,
            source,
        }
    };
    disk.rename(&next, &path)
        .map_err(|error| unclear("replace", &path, error))?;
    disk.sync_folder(folder)
        .map_err(|error| unclear("sync", folder, error))
}

fn write(disk: &Arc<dyn Disk>, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = match disk.create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            disk.remove(path).and_then(|()| disk.create(path))
        }
        other => other,
    }
    .map_err(|error| Error::io("create", path, error))?;
    file.write(bytes)
        .map_err(|error| Error::io("write", path, error))?;
    file.sync().map_err(|error| Error::io("sync", path, error))
}
