//! Bytes of the ZIP around the deflated data.

use std::io::{Read, Seek, SeekFrom, Write};

use domain::Timestamp;
use jiff::tz::TimeZone;

/// Sizes follow the data, and names are UTF-8.
const FLAGS: u16 = 0x0808;
const DEFLATED: u16 = 8;
const VERSION: u16 = 20;
const VERSION_ZIP64: u16 = 45;
/// What stands in 32 bits when the value is in the ZIP64 field.
const ELSEWHERE: u32 = u32::MAX;
const ZIP64_TAG: u16 = 1;
/// Bytes a local header grows by when it gets a ZIP64 field.
const ZIP64_FIELD_BYTES: u64 = 20;
/// Bytes moved at once when a header grows.
const MOVE_BYTES: u64 = 1024 * 1024;
const ENTRIES_MAX: usize = 0xfffe;

/// An instant as ZIP spells it, in UTC and steps of two seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    time: u16,
    date: u16,
}

/// One file of the archive.
#[derive(Debug, Clone)]
pub(super) struct ZipEntry {
    pub(super) name: String,
    pub(super) offset: u64,
    pub(super) crc: u32,
    pub(super) compressed: u64,
    pub(super) bytes: u64,
    pub(super) is_large: bool,
}

impl Stamp {
    /// The stamp of an instant; before 1980 and after 2107 the nearest there is.
    pub(super) fn at(instant: Timestamp) -> Self {
        let at = instant.to_zoned(TimeZone::UTC).datetime();
        let part = |value: i8| u16::try_from(value).expect("parts of a time are positive");
        let time = |hour, minute, second| (hour << 11) | (minute << 5) | (second / 2);
        let date = |year, month, day| (year << 9) | (month << 5) | day;
        let (time, date) = match u16::try_from(at.year() - 1980) {
            Err(_) => (time(0, 0, 0), date(0, 1, 1)),
            Ok(128..) => (time(23, 59, 59), date(127, 12, 31)),
            Ok(year) => (
                time(part(at.hour()), part(at.minute()), part(at.second())),
                date(year, part(at.month()), part(at.day())),
            ),
        };
        Self { time, date }
    }
}

impl ZipEntry {
    pub(super) fn new(name: &str, offset: u64) -> Self {
        Self {
            name: name.to_owned(),
            offset,
            crc: 0,
            compressed: 0,
            bytes: 0,
            is_large: false,
        }
    }

    pub(super) fn needs_zip64(&self, from: u64) -> bool {
        self.compressed >= from || self.bytes >= from
    }

    fn version(&self) -> u16 {
        if self.is_large {
            VERSION_ZIP64
        } else {
            VERSION
        }
    }

    fn name_length(&self) -> u16 {
        u16::try_from(self.name.len()).expect("names are ids and a few letters")
    }

    /// What stands before the data.
    pub(super) fn local_header(&self, stamp: Stamp) -> Vec<u8> {
        let mut header = Record::new(0x0403_4b50);
        header
            .u16(self.version())
            .u16(FLAGS)
            .u16(DEFLATED)
            .u16(stamp.time)
            .u16(stamp.date);
        let sizes = if self.is_large { ELSEWHERE } else { 0 };
        header.u32(0).u32(sizes).u32(sizes).u16(self.name_length());
        header
            .u16(if self.is_large { 20 } else { 0 })
            .bytes(self.name.as_bytes());
        if self.is_large {
            header
                .u16(ZIP64_TAG)
                .u16(16)
                .u64(self.bytes)
                .u64(self.compressed);
        }
        header.0
    }

    /// What stands after the data.
    pub(super) fn descriptor(&self) -> Vec<u8> {
        let mut descriptor = Record::new(0x0807_4b50);
        descriptor.u32(self.crc);
        if self.is_large {
            descriptor.u64(self.compressed).u64(self.bytes);
        } else {
            descriptor
                .u32(small(self.compressed))
                .u32(small(self.bytes));
        }
        descriptor.0
    }

    fn directory_header(&self, stamp: Stamp, zip64_from: u64) -> Vec<u8> {
        let is_far = self.offset >= zip64_from;
        let needs = if is_far {
            VERSION_ZIP64
        } else {
            self.version()
        };
        let mut field = Record(Vec::new());
        if self.is_large {
            field.u64(self.bytes).u64(self.compressed);
        }
        if is_far {
            field.u64(self.offset);
        }
        let field = field.0;
        let field_length = if field.is_empty() {
            0
        } else {
            4 + length16(&field)
        };
        let sizes = |value| {
            if self.is_large {
                ELSEWHERE
            } else {
                small(value)
            }
        };
        let mut header = Record::new(0x0201_4b50);
        header
            .u16(needs)
            .u16(needs)
            .u16(FLAGS)
            .u16(DEFLATED)
            .u16(stamp.time)
            .u16(stamp.date);
        header
            .u32(self.crc)
            .u32(sizes(self.compressed))
            .u32(sizes(self.bytes));
        header.u16(self.name_length()).u16(field_length);
        // No comment, first disk, no attributes.
        header.u16(0).u16(0).u16(0).u32(0);
        header.u32(if is_far {
            ELSEWHERE
        } else {
            small(self.offset)
        });
        header.bytes(self.name.as_bytes());
        if !field.is_empty() {
            header.u16(ZIP64_TAG).u16(length16(&field)).bytes(&field);
        }
        header.0
    }
}

/// The end of the archive, which starts at `offset`.
pub(super) fn directory(
    entries: &[ZipEntry],
    offset: u64,
    stamp: Stamp,
    zip64_from: u64,
) -> Vec<u8> {
    let headers = entries
        .iter()
        .flat_map(|entry| entry.directory_header(stamp, zip64_from));
    let mut end = Record(headers.collect());
    let size = end.0.len() as u64;
    let count = entries.len() as u64;
    let is_large = entries.len() > ENTRIES_MAX || offset >= zip64_from || size >= zip64_from;
    if is_large {
        end.u32(0x0606_4b50)
            .u64(44)
            .u16(VERSION_ZIP64)
            .u16(VERSION_ZIP64)
            .u32(0)
            .u32(0);
        end.u64(count).u64(count).u64(size).u64(offset);
        end.u32(0x0706_4b50).u32(0).u64(offset + size).u32(1);
    }
    let counted = u16::try_from(count)
        .ok()
        .filter(|_| !is_large)
        .unwrap_or(u16::MAX);
    let placed = |value| if is_large { ELSEWHERE } else { small(value) };
    end.u32(0x0605_4b50).u16(0).u16(0).u16(counted).u16(counted);
    end.u32(placed(size)).u32(placed(offset)).u16(0);
    end.0
}

/// Moves an entry's data back and gives its header the ZIP64 field it turned out to need.
///
/// The sink stands after the data before and after; gives the bytes the header grew by.
pub(super) fn widen_header<W: Read + Write + Seek>(
    sink: &mut W,
    entry: &ZipEntry,
    stamp: Stamp,
) -> std::io::Result<u64> {
    let header = entry.local_header(stamp);
    let start = entry.offset + header.len() as u64 - ZIP64_FIELD_BYTES;
    let mut end = start + entry.compressed;
    let mut bytes = Vec::new();
    while end > start {
        let from = end.saturating_sub(MOVE_BYTES).max(start);
        bytes.resize(usize::try_from(end - from).expect("at most 1 MiB"), 0);
        sink.seek(SeekFrom::Start(from))?;
        sink.read_exact(&mut bytes)?;
        sink.seek(SeekFrom::Start(from + ZIP64_FIELD_BYTES))?;
        sink.write_all(&bytes)?;
        end = from;
    }
    sink.seek(SeekFrom::Start(entry.offset))?;
    sink.write_all(&header)?;
    sink.seek(SeekFrom::Start(
        start + ZIP64_FIELD_BYTES + entry.compressed,
    ))?;
    Ok(ZIP64_FIELD_BYTES)
}

fn small(value: u64) -> u32 {
    u32::try_from(value).expect("larger values use ZIP64")
}

fn length16(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).expect("at most three numbers")
}

/// Little-endian numbers one after the other.
struct Record(Vec<u8>);

impl Record {
    fn new(signature: u32) -> Self {
        Self(signature.to_le_bytes().to_vec())
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }
}
