//! Reads ZIP archives: the one entry of an import, and the exports the demo checks.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::DeflateDecoder;

use super::{Error, Result};

/// Bytes at the end of an archive in which its end record must lie.
const END_BYTES_MAX: u64 = 65_557;
/// Bytes of a directory this reader takes; half a million entries fit.
const DIRECTORY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// What 32-bit fields hold when the value is in the ZIP64 field.
const IN_ZIP64: u64 = 0xFFFF_FFFF;

/// An archive and its directory.
#[derive(Debug)]
pub(crate) struct Archive {
    path: PathBuf,
    entries: Vec<Entry>,
}

/// One file inside an archive.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its name, with `\xNN` for each byte that is not UTF-8.
    pub(crate) name: String,
    method: u16,
    crc: u32,
    packed: u64,
    bytes: u64,
    offset: u64,
}

impl Archive {
    /// Reads the directory of an archive.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let read = || -> io::Result<Vec<Entry>> {
            let mut file = File::open(path)?;
            let (offset, bytes) = directory(&mut file)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut text = Vec::new();
            file.take(bytes.min(DIRECTORY_BYTES_MAX))
                .read_to_end(&mut text)?;
            entries(&text).ok_or_else(|| damaged("its directory is cut short"))
        };
        let entries = read().map_err(|error| Error::Zip {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            path: path.to_owned(),
            entries,
        })
    }

    /// The entries in the order of the directory.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The only file of the archive.
    pub(crate) fn only(&self) -> Result<&Entry> {
        let mut files = self
            .entries
            .iter()
            .filter(|entry| !entry.name.ends_with('/'));
        match (files.next(), files.next()) {
            (Some(entry), None) => Ok(entry),
            (first, _) => {
                let count = if first.is_some() {
                    "several files"
                } else {
                    "no file"
                };
                Err(self.refuse(format!("it holds {count}: expected one")))
            }
        }
    }

    /// Reads an entry; the last read fails when length or checksum differ from the directory's.
    pub(crate) fn read(&self, entry: &Entry) -> Result<Box<dyn Read + Send>> {
        let packed = self
            .packed(entry)
            .map_err(|error| self.refuse(error.to_string()))?;
        let input: Box<dyn Read + Send> = match entry.method {
            0 => Box::new(packed),
            8 => Box::new(DeflateDecoder::new(packed)),
            method => return Err(self.refuse(format!("compression method {method} is unknown"))),
        };
        Ok(Box::new(Checked {
            input,
            crc: crc32fast::Hasher::new(),
            bytes: 0,
            entry: entry.clone(),
        }))
    }

    fn packed(&self, entry: &Entry) -> io::Result<impl Read + Send + use<>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(entry.offset))?;
        let mut header = [0; 30];
        file.read_exact(&mut header)?;
        let number = |at| number(&header, at, 2).map(u64::cast_signed);
        let (Some(name), Some(extra), true) =
            (number(26), number(28), header.starts_with(b"PK\x03\x04"))
        else {
            return Err(damaged("an entry does not start where the directory says"));
        };
        file.seek(SeekFrom::Current(name + extra))?;
        Ok(file.take(entry.packed))
    }

    fn refuse(&self, reason: String) -> Error {
        Error::Zip {
            path: self.path.clone(),
            reason,
        }
    }
}

/// Compares what was read with what the directory promises.
struct Checked {
    input: Box<dyn Read + Send>,
    crc: crc32fast::Hasher,
    bytes: u64,
    entry: Entry,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.input.read(buffer)?;
        self.crc.update(&buffer[..bytes]);
        self.bytes += bytes as u64;
        let ended = bytes == 0 && !buffer.is_empty();
        let as_promised =
            self.bytes == self.entry.bytes && self.crc.clone().finalize() == self.entry.crc;
        if ended && !as_promised {
            return Err(damaged("an entry's length or checksum is wrong"));
        }
        Ok(bytes)
    }
}

/// Offset and length of the directory.
fn directory(file: &mut File) -> io::Result<(u64, u64)> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(END_BYTES_MAX);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let end = tail
        .windows(4)
        .rposition(|window| window == b"PK\x05\x06")
        .ok_or_else(|| damaged("it has no end record"))?;
    let cut = || damaged("its end record is cut short");
    let bytes = number(&tail, end + 12, 4).ok_or_else(cut)?;
    let offset = number(&tail, end + 16, 4).ok_or_else(cut)?;
    let locator = end
        .checked_sub(20)
        .filter(|at| tail[*at..].starts_with(b"PK\x06\x07"));
    let Some(locator) = locator else {
        return Ok((offset, bytes));
    };
    file.seek(SeekFrom::Start(
        number(&tail, locator + 8, 8).ok_or_else(cut)?,
    ))?;
    let mut record = [0; 56];
    file.read_exact(&mut record)?;
    let wide = |at| number(&record, at, 8).ok_or_else(cut);
    Ok((wide(48)?, wide(40)?))
}

fn entries(directory: &[u8]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut at = 0;
    while directory.get(at..)?.starts_with(b"PK\x01\x02") {
        let field = |offset, width| number(directory, at + offset, width);
        let length = |offset| field(offset, 2).and_then(|number| usize::try_from(number).ok());
        let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
        let text = directory.get(at + 46..at + 46 + name)?;
        let extras = directory.get(at + 46 + name..at + 46 + name + extra)?;
        let mut wide = zip64(extras);
        let mut value = |offset| match field(offset, 4)? {
            IN_ZIP64 => {
                let value = number(wide, 0, 8)?;
                wide = wide.get(8..)?;
                Some(value)
            }
            value => Some(value),
        };
        let (bytes, packed, offset) = (value(24)?, value(20)?, value(42)?);
        entries.push(Entry {
            name: readable(text),
            method: u16::try_from(field(10, 2)?).ok()?,
            crc: u32::try_from(field(16, 4)?).ok()?,
            packed,
            bytes,
            offset,
        });
        at += 46 + name + extra + comment;
    }
    Some(entries)
}

/// A name, with `\xNN` for each byte that is not UTF-8: archives need not say what else it is.
fn readable(name: &[u8]) -> String {
    let parts = name.utf8_chunks();
    let readable = parts.map(|part| format!("{}{}", part.valid(), part.invalid().escape_ascii()));
    readable.collect()
}

/// The body of the ZIP64 field among the extra fields; empty when there is none.
fn zip64(mut extras: &[u8]) -> &[u8] {
    while let (Some(id), Some(length)) = (number(extras, 0, 2), number(extras, 2, 2)) {
        let end = 4 + usize::try_from(length).unwrap_or(usize::MAX - 4);
        let Some(body) = extras.get(4..end) else {
            break;
        };
        if id == 1 {
            return body;
        }
        extras = &extras[end..];
    }
    &[]
}

/// A little-endian number of `width` bytes.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + width)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

fn damaged(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of one stored file `a.txt` holding "hello", made by hand.
    fn archive(crc: u32) -> Vec<u8> {
        let mut bytes = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0".to_vec();
        bytes.extend(crc.to_le_bytes());
        bytes.extend(b"\x05\0\0\0\x05\0\0\0\x05\0\0\0a.txthello");
        let directory = bytes.len();
        bytes.extend(b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0");
        bytes.extend(crc.to_le_bytes());
        bytes.extend(b"\x05\0\0\0\x05\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a.txt");
        let length = bytes.len() - directory;
        bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
        bytes.extend(u32::try_from(length).unwrap().to_le_bytes());
        bytes.extend(u32::try_from(directory).unwrap().to_le_bytes());
        bytes.extend(b"\0\0");
        bytes
    }

    fn read(bytes: &[u8]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zip");
        std::fs::write(&path, bytes).unwrap();
        let archive = Archive::open(&path).map_err(|error| error.to_string())?;
        let mut text = String::new();
        let entry = archive.only().map_err(|error| error.to_string())?;
        let mut input = archive.read(entry).unwrap();
        input
            .read_to_string(&mut text)
            .map_err(|error| error.to_string())?;
        Ok(format!("{}: {text}", entry.name))
    }

    #[test]
    fn an_entry_is_read_whole_and_checked() {
        assert_eq!(read(&archive(0x3610_a686)), Ok("a.txt: hello".into()));
        assert_eq!(
            read(&archive(1)),
            Err("an entry's length or checksum is wrong".into())
        );
    }

    #[test]
    fn names_that_are_not_utf8_stay_apart_and_keep_their_ending() {
        assert_eq!(readable(b"M\x84rz.csv"), "M\\x84rz.csv");
        assert_eq!(readable(b"M\x85rz.csv"), "M\\x85rz.csv");
        assert_eq!(readable("M\u{e4}rz.csv".as_bytes()), "M\u{e4}rz.csv");
    }

    #[test]
    fn what_is_no_archive_says_so() {
        let refused = read(b"no archive").unwrap_err();
        assert!(refused.ends_with("it has no end record"), "{refused}");
        for length in 0..archive(0).len() {
            assert!(read(&archive(0)[..length]).is_err(), "{length}");
        }
    }
}
