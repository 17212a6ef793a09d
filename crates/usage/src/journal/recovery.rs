//! Reading the journal back after a stop of any kind.
//!
//! A bad end without a valid frame behind it is a write that was not answered, or answered a moment
//! before the end: it is cut, and its bytes are kept. A bad frame with a valid one behind it, or a
//! missing file, is damage: rows before it are read, and the store stays read-only.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::frame::{
    Chain, FILE_HEADER_BYTES, FRAME_HEADER_BYTES, FRAME_MAGIC, FileHeader, FrameHeader, FrameKind,
};
use super::{file_name, file_number};
use crate::disk::{Disk, Reader};
use crate::error::{Error, Result};
use crate::identity::Identity;

/// Bytes read at once while looking for a frame behind a bad one.
const SCAN_BYTES: usize = 1 << 20;

/// Where the journal ends and goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    /// Number of the last file.
    pub(crate) number: u64,
    /// Bytes of it that are good.
    pub(crate) offset: u64,
    /// Where the next frame goes in the chain.
    pub(crate) chain: Chain,
    /// Offset and bytes of the last frame in that file.
    pub(crate) last_frame: Option<(u64, Bytes)>,
    /// Whether nothing valid follows the last frame with rows or counters.
    pub(crate) is_unmarked: bool,
    /// Bad ends of files, to be cut off.
    pub(crate) cuts: Vec<Cut>,
    /// A file that a crash left before its first use.
    pub(crate) unused: Option<PathBuf>,
}

/// A bad end of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The file.
    pub(crate) path: PathBuf,
    /// Where its good part ends.
    pub(crate) offset: u64,
    /// Bytes behind it.
    pub(crate) size_bytes: u64,
    /// The first of them.
    pub(crate) head: Bytes,
    /// Why the rest is no frame.
    pub(crate) reason: String,
}

/// What reading the journal came to.
#[derive(Debug)]
pub(crate) enum Replayed {
    /// Every frame that was ever answered has been read.
    Complete(End),
    /// Damage: frames before it have been read.
    Damaged(Error),
}

/// One frame as read back.
#[derive(Debug)]
pub(crate) struct FrameRead<'a> {
    /// Its header.
    pub(crate) header: FrameHeader,
    /// Its body.
    pub(crate) body: &'a [u8],
}

/// Reads all frames from file `from` on, whose first row is `first`, and hands them to `sink`.
///
/// Fails only when the disk does; damage is an answer.
pub(crate) fn replay(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    identity: &Identity,
    from: u64,
    first: u64,
    mut sink: impl FnMut(&FrameRead<'_>) -> Result<(), String>,
) -> Result<Replayed> {
    let mut replay = Replay::new(disk, folder, identity, from, first)?;
    match replay.run(&mut sink) {
        Ok(end) => Ok(Replayed::Complete(end)),
        Err(error @ (Error::Corrupt { .. } | Error::NewerFormat { .. })) => {
            Ok(Replayed::Damaged(error))
        }
        Err(error) => Err(error),
    }
}

/// Numbers of the journal files in a folder, ascending.
pub(crate) fn files(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Vec<u64>> {
    let names = disk
        .list(folder)
        .map_err(|error| Error::io("list", folder, error))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| file_number(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

struct Replay<'a> {
    disk: &'a Arc<dyn Disk>,
    folder: &'a Path,
    identity: &'a Identity,
    numbers: Vec<u64>,
    chain: Chain,
    sealed: bool,
    unmarked: bool,
    last_frame: Option<(u64, Bytes)>,
    cuts: Vec<Cut>,
    unused: Option<PathBuf>,
}

/// A journal file being read.
struct File {
    path: PathBuf,
    reader: Arc<dyn Reader>,
}

impl<'a> Replay<'a> {
    fn new(
        disk: &'a Arc<dyn Disk>,
        folder: &'a Path,
        identity: &'a Identity,
        from: u64,
        first: u64,
    ) -> Result<Self> {
        let mut numbers = files(disk, folder)?;
        numbers.retain(|number| *number >= from);
        if numbers.first() != Some(&from) {
            numbers.insert(0, from);
        }
        let chain = Chain {
            seed: identity.journal_seed(),
            next: first,
            previous: 0,
        };
        Ok(Self {
            disk,
            folder,
            identity,
            numbers,
            chain,
            sealed: false,
            unmarked: false,
            last_frame: None,
            cuts: Vec::new(),
            unused: None,
        })
    }

    fn run(&mut self, sink: &mut impl FnMut(&FrameRead<'_>) -> Result<(), String>) -> Result<End> {
        let mut end: Option<End> = None;
        for (index, number) in self.numbers.clone().into_iter().enumerate() {
            if let Some(end) = &end
                && number != end.number + 1
            {
                return Err(missing(&self.folder.join(file_name(end.number + 1))));
            }
            let file = self.open(number)?;
            if !self.enter(&file, number, index, end.as_ref())? {
                break;
            }
            let offset = self.frames(&file, index, sink)?;
            let (chain, last_frame) = (self.chain, self.last_frame.take());
            end = Some(End {
                number,
                offset,
                chain,
                last_frame,
                is_unmarked: self.unmarked,
                cuts: Vec::new(),
                unused: None,
            });
        }
        let mut end = end.ok_or_else(|| Error::Internal("a journal without files".to_owned()))?;
        if self.sealed {
            return Err(missing(&self.folder.join(file_name(end.number + 1))));
        }
        (end.cuts, end.unused) = (std::mem::take(&mut self.cuts), self.unused.take());
        Ok(end)
    }

    fn open(&self, number: u64) -> Result<File> {
        let path = self.folder.join(file_name(number));
        match self.disk.open(&path) {
            Ok(reader) => Ok(File { path, reader }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(missing(&path)),
            Err(error) => Err(Error::io("open", &path, error)),
        }
    }

    /// Checks a file's header against the chain; `false` for a file that never came into use.
    fn enter(&mut self, file: &File, number: u64, index: usize, end: Option<&End>) -> Result<bool> {
        let header = file.read(0, FILE_HEADER_BYTES)?;
        let header = match FileHeader::decode(&header, self.chain.seed) {
            Ok(header) => header,
            Err(reason) => {
                let unused = end.is_some() && !self.sealed && index + 1 == self.numbers.len();
                if unused && self.frame_behind(file, 1)?.is_none() {
                    self.unused = Some(file.path.clone());
                    return Ok(false);
                }
                return Err(Error::corrupt(&file.path, 0, reason));
            }
        };
        if header.store != self.identity.store || header.number != number {
            return Err(Error::corrupt(
                &file.path,
                0,
                "it belongs to another store or place",
            ));
        }
        if index == 0 {
            self.chain.previous = header.previous;
        }
        if header.first != self.chain.next || header.previous != self.chain.previous {
            let before = self.folder.join(file_name(number.saturating_sub(1)));
            let (path, offset) = end.map_or((&file.path, 0), |end| (&before, end.offset));
            let next = self.chain.next;
            let reason = format!("frames are missing: rows {next} and up to {}", header.first);
            return Err(Error::corrupt(path, offset, reason));
        }
        self.sealed = false;
        Ok(true)
    }

    /// Reads frames until the file's good end, and gives its offset.
    fn frames(
        &mut self,
        file: &File,
        index: usize,
        sink: &mut impl FnMut(&FrameRead<'_>) -> Result<(), String>,
    ) -> Result<u64> {
        let mut offset = FILE_HEADER_BYTES as u64;
        let length = file.reader.length();
        while offset < length {
            let (header, frame) = match self.frame(file, offset)? {
                Ok(frame) => frame,
                Err(reason) => {
                    self.cut_or_fail(file, index, offset, reason)?;
                    return Ok(offset);
                }
            };
            let end = offset + frame.len() as u64;
            let corrupt = |reason: String| Error::corrupt(&file.path, offset, reason);
            if header.kind != FrameKind::Rows && header.count > 0 {
                return Err(corrupt("a frame without rows names some".to_owned()));
            }
            match header.kind {
                FrameKind::Rows => {
                    let body = frame.get(FRAME_HEADER_BYTES..).unwrap_or_default();
                    sink(&FrameRead { header, body }).map_err(corrupt)?;
                }
                FrameKind::Mark => {}
                FrameKind::Seal if end == length => {
                    (self.sealed, self.unmarked) = (true, false);
                    return Ok(offset);
                }
                FrameKind::Seal => {
                    return Err(Error::corrupt(&file.path, end, "bytes follow the seal"));
                }
                FrameKind::Unknown(kind) => {
                    return Err(corrupt(format!(
                        "the frame is of kind {kind}: expected 1, 2 or 3; a newer release wrote it"
                    )));
                }
            }
            self.unmarked = header.kind == FrameKind::Rows;
            self.chain.previous = header.checksum;
            self.chain.next += u64::from(header.count);
            self.last_frame = Some((offset, frame));
            offset = end;
        }
        Ok(offset)
    }

    /// The frame at `offset` with all its bytes, or why there is none that continues the chain.
    fn frame(
        &self,
        file: &File,
        offset: u64,
    ) -> Result<Result<(FrameHeader, Bytes), &'static str>> {
        let Some((header, frame)) = (match self.valid_frame(file, offset)? {
            Ok(found) => Some(found),
            Err(reason) => return Ok(Err(reason)),
        }) else {
            return Ok(Err("no frame starts here"));
        };
        if header.previous != self.chain.previous || header.first != self.chain.next {
            return Ok(Err("the frame does not continue the one before"));
        }
        Ok(Ok((header, frame)))
    }

    /// A frame whose checksums fit, wherever it belongs.
    fn valid_frame(
        &self,
        file: &File,
        offset: u64,
    ) -> Result<Result<(FrameHeader, Bytes), &'static str>> {
        let head = file.read(offset, FRAME_HEADER_BYTES)?;
        let header = match FrameHeader::decode(&head, self.chain.seed) {
            Ok(header) => header,
            Err(reason) => return Ok(Err(reason)),
        };
        let length = FRAME_HEADER_BYTES + header.length as usize;
        let frame = file.read(offset, length)?;
        let body = frame.get(FRAME_HEADER_BYTES..).unwrap_or_default();
        if frame.len() < length {
            return Ok(Err("the frame is cut short"));
        }
        if header.checksum != header.checksum_with(body, self.chain.seed) {
            return Ok(Err("the checksum of the frame does not fit"));
        }
        Ok(Ok((header, frame)))
    }

    /// Takes a bad end for one to cut when nothing valid follows it, here or in later files.
    fn cut_or_fail(&mut self, file: &File, index: usize, offset: u64, reason: &str) -> Result<()> {
        let mut behind = self.frame_behind(file, offset + 1)?;
        if self.valid_frame(file, offset)?.is_ok() {
            behind = Some(offset);
        }
        let mut place = file.path.clone();
        for number in self.numbers.iter().skip(index + 1) {
            if behind.is_some() {
                break;
            }
            let later = self.open(*number)?;
            behind = self.frame_behind(&later, 0)?;
            place.clone_from(&later.path);
        }
        if let Some(behind) = behind {
            let place = place.display();
            let reason = format!("{reason}, and a valid one is at byte {behind} of {place}");
            return Err(Error::corrupt(&file.path, offset, reason));
        }
        let size_bytes = file.reader.length() - offset;
        let head = file.read(offset, FRAME_HEADER_BYTES)?;
        let (path, reason) = (file.path.clone(), reason.to_owned());
        self.cuts.push(Cut {
            path,
            offset,
            size_bytes,
            head,
            reason,
        });
        Ok(())
    }

    /// The offset of the first valid frame at or behind `offset`.
    fn frame_behind(&self, file: &File, mut offset: u64) -> Result<Option<u64>> {
        while offset < file.reader.length() {
            let window = file.read(offset, SCAN_BYTES)?;
            for (at, start) in window.windows(FRAME_MAGIC.len()).enumerate() {
                if start == FRAME_MAGIC && self.valid_frame(file, offset + at as u64)?.is_ok() {
                    return Ok(Some(offset + at as u64));
                }
            }
            if window.len() < SCAN_BYTES {
                break;
            }
            offset += (SCAN_BYTES - FRAME_MAGIC.len() + 1) as u64;
        }
        Ok(None)
    }
}

impl File {
    /// Reads `length` bytes, or fewer at the end of the file.
    fn read(&self, offset: u64, length: usize) -> Result<Bytes> {
        let left = self.reader.length().saturating_sub(offset);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(length);
        self.reader
            .read(offset, length)
            .map_err(|error| Error::io("read", &self.path, error))
    }
}

fn missing(path: &Path) -> Error {
    Error::corrupt(path, 0, "the file is missing")
}
