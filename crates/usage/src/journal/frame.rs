//! The bytes of a journal file: its header, frames, and the rows inside them (FORMAT.md).

use domain::event::TextParts;
use domain::ids::{ID_LENGTH, OrganizationId};
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use crate::manifest::Counters;
use crate::row::Row;

/// First bytes of every journal file; the last one is the format's version.
pub(crate) const FILE_MAGIC: [u8; 8] = *b"TPJRNL\0\x01";
/// Bytes of a journal file's header.
pub(crate) const FILE_HEADER_BYTES: usize = 64;
/// First bytes of every frame.
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"TPf1";
/// Bytes of a frame's header.
pub(crate) const FRAME_HEADER_BYTES: usize = 48;
/// Bytes of a row's entry before the row.
const ENTRY_BYTES: usize = 36;
/// Bytes of a row beside its texts: two organizations, two instants, five lengths.
pub(crate) const FIXED_ROW_BYTES: usize = 2 * ID_LENGTH + 2 * 8 + 5 * 4;
/// Length that stands for absent data.
const NO_DATA: u32 = u32::MAX;
/// Name under which events of unknown organizations count.
pub(crate) const UNATTRIBUTED: &str = "unattributed";

/// What a journal file says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileHeader {
    /// Identity of the store.
    pub(crate) store: [u8; 16],
    /// Number of the file.
    pub(crate) number: u64,
    /// Sequence its first frame starts with.
    pub(crate) first: u64,
    /// Checksum of the last frame before it.
    pub(crate) previous: u64,
}

impl FileHeader {
    pub(crate) fn encode(&self, seed: u64) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(FILE_HEADER_BYTES);
        bytes.extend_from_slice(&FILE_MAGIC);
        bytes.extend_from_slice(&self.store);
        for number in [self.number, self.first, self.previous, 0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let checksum = xxh3_64_with_seed(&bytes, seed);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes.try_into().expect("8 + 16 + 4 * 8 + 8 bytes")
    }

    pub(crate) fn decode(bytes: &[u8], seed: u64) -> Result<Self, &'static str> {
        let mut fields = Fields(bytes);
        let magic = fields.take(8).ok_or("the header is cut short")?;
        if magic != FILE_MAGIC {
            return Err("it does not start as a journal file of version 1");
        }
        let header = Self {
            store: fields.array().ok_or("the header is cut short")?,
            number: fields.u64().ok_or("the header is cut short")?,
            first: fields.u64().ok_or("the header is cut short")?,
            previous: fields.u64().ok_or("the header is cut short")?,
        };
        if bytes == header.encode(seed) {
            Ok(header)
        } else {
            Err("the header's checksum does not fit")
        }
    }
}

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// Rows and counters.
    Rows,
    /// The file is complete and the next one exists.
    Seal,
    /// Nothing but a link of the chain: proves that the frame before it was answered.
    Mark,
    /// Written by a newer release; never read past, and never cut.
    Unknown(u32),
}

impl FrameKind {
    fn from_code(code: u32) -> Self {
        match code {
            1 => Self::Rows,
            2 => Self::Seal,
            3 => Self::Mark,
            other => Self::Unknown(other),
        }
    }

    fn code(self) -> u32 {
        match self {
            Self::Rows => 1,
            Self::Seal => 2,
            Self::Mark => 3,
            Self::Unknown(code) => code,
        }
    }
}

/// The fixed part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Bytes after the header.
    pub(crate) length: u32,
    /// What it is for.
    pub(crate) kind: FrameKind,
    /// Rows inside.
    pub(crate) count: u32,
    /// Sequence of the first row, or of the next one when there is none.
    pub(crate) first: u64,
    /// Checksum of the frame before.
    pub(crate) previous: u64,
    /// Checksum over the fields above and the body.
    pub(crate) checksum: u64,
}

impl FrameHeader {
    /// Reads a header; the reason says why the bytes are none.
    pub(crate) fn decode(bytes: &[u8], seed: u64) -> Result<Self, &'static str> {
        let short = "the frame's header is cut short";
        let header = bytes.get(..FRAME_HEADER_BYTES).ok_or(short)?;
        let mut fields = Fields(header);
        if fields.take(4) != Some(&FRAME_MAGIC) {
            return Err("no frame starts here");
        }
        let length = fields.u32().ok_or(short)?;
        let kind = fields.u32().ok_or(short)?;
        let count = fields.u32().ok_or(short)?;
        let first = fields.u64().ok_or(short)?;
        let previous = fields.u64().ok_or(short)?;
        let checksum = fields.u64().ok_or(short)?;
        let own = fields.u64().ok_or(short)?;
        let covered = header.get(..FRAME_HEADER_BYTES - 8).ok_or(short)?;
        if own != xxh3_64_with_seed(covered, seed) {
            return Err("the checksum of the frame's header does not fit");
        }
        Ok(Self {
            length,
            kind: FrameKind::from_code(kind),
            count,
            first,
            previous,
            checksum,
        })
    }

    fn fields(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&FRAME_MAGIC);
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.kind.code().to_le_bytes());
        bytes[12..16].copy_from_slice(&self.count.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        bytes[24..].copy_from_slice(&self.previous.to_le_bytes());
        bytes
    }

    /// The checksum that belongs to these fields and `body`.
    pub(crate) fn checksum_with(&self, body: &[u8], seed: u64) -> u64 {
        let mut hasher = Xxh3::with_seed(seed);
        hasher.update(&self.fields());
        hasher.update(body);
        hasher.digest()
    }

    fn encode(&self, seed: u64) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[..32].copy_from_slice(&self.fields());
        bytes[32..40].copy_from_slice(&self.checksum.to_le_bytes());
        let own = xxh3_64_with_seed(&bytes[..40], seed);
        bytes[40..].copy_from_slice(&own.to_le_bytes());
        bytes
    }
}

/// A frame being put together; its buffer is used again for the next one.
#[derive(Debug, Default)]
pub(crate) struct FrameBuilder {
    bytes: Vec<u8>,
    count: u32,
}

impl FrameBuilder {
    /// Starts over.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(FRAME_HEADER_BYTES, 0);
        self.count = 0;
    }

    /// Adds a row; `key` 0 stands for a row whose key is not kept.
    pub(crate) fn push(&mut self, key: u128, fingerprint: u64, conflict: Option<u64>, row: &[u8]) {
        let length = u32::try_from(row.len()).expect("attributes and data are limited");
        self.bytes.extend_from_slice(&key.to_le_bytes());
        self.bytes.extend_from_slice(&fingerprint.to_le_bytes());
        self.bytes
            .extend_from_slice(&conflict.unwrap_or(0).to_le_bytes());
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(row);
        self.count += 1;
    }

    /// Rows so far.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Ends the frame.
    pub(crate) fn finish<'a>(
        &mut self,
        kind: FrameKind,
        chain: Chain,
        counters: impl ExactSizeIterator<Item = (&'a Option<OrganizationId>, &'a Counters)>,
    ) -> FinishedFrame<'_> {
        let number = u32::try_from(counters.len()).expect("fewer than a frame has events");
        self.bytes.extend_from_slice(&number.to_le_bytes());
        for (organization, counters) in counters {
            let organization = organization
                .as_ref()
                .map_or(&[0; ID_LENGTH][..], |id| id.as_str().as_bytes());
            self.bytes.extend_from_slice(organization);
            let Counters {
                received,
                stored,
                duplicate,
                conflict,
                refused,
            } = *counters;
            for count in [received, stored, duplicate, conflict, refused] {
                self.bytes.extend_from_slice(&count.to_le_bytes());
            }
        }
        let body = self.bytes.len() - FRAME_HEADER_BYTES;
        let mut header = FrameHeader {
            length: u32::try_from(body).expect("a frame is limited"),
            kind,
            count: self.count,
            first: chain.next,
            previous: chain.previous,
            checksum: 0,
        };
        header.checksum = header.checksum_with(&self.bytes[FRAME_HEADER_BYTES..], chain.seed);
        self.bytes[..FRAME_HEADER_BYTES].copy_from_slice(&header.encode(chain.seed));
        FinishedFrame {
            bytes: &self.bytes,
            checksum: header.checksum,
            count: self.count,
        }
    }
}

/// A frame ready to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FinishedFrame<'a> {
    /// All its bytes.
    pub(crate) bytes: &'a [u8],
    /// Its checksum, named by the next one.
    pub(crate) checksum: u64,
    /// Rows inside.
    pub(crate) count: u32,
}

/// Where in the chain of frames the next one goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Seed of the checksums.
    pub(crate) seed: u64,
    /// Sequence of the next row.
    pub(crate) next: u64,
    /// Checksum of the last frame.
    pub(crate) previous: u64,
}

/// A row as a frame holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FrameRow {
    /// Key under which it was told apart; 0 for none.
    pub(crate) key: u128,
    /// Fingerprint kept with the key.
    pub(crate) fingerprint: u64,
    /// The row.
    pub(crate) row: Row,
}

/// Counters of one frame, by organization; `None` for unknown ones.
pub(crate) type FrameCounters = Vec<(Option<OrganizationId>, Counters)>;

/// Reads the body of a frame whose checksum fits.
pub(crate) fn decode_body(
    header: &FrameHeader,
    body: &[u8],
    mut sink: impl FnMut(FrameRow),
) -> Option<FrameCounters> {
    let mut fields = Fields(body);
    for index in 0..header.count {
        let mut entry = Fields(fields.take(ENTRY_BYTES)?);
        let key = u128::from_le_bytes(entry.array()?);
        let (fingerprint, conflict_with) = (entry.u64()?, entry.u64()?);
        let length = entry.u32()?;
        let row = fields.take(usize::try_from(length).ok()?)?;
        let mut row = decode_row(row)?;
        row.sequence = header.first + u64::from(index);
        row.conflict_with = (conflict_with != 0).then_some(conflict_with);
        sink(FrameRow {
            key,
            fingerprint,
            row,
        });
    }
    let mut counters = FrameCounters::new();
    for _ in 0..fields.u32()? {
        let organization: [u8; ID_LENGTH] = fields.array()?;
        let organization = match organization {
            [0, ..] => None,
            text => Some(std::str::from_utf8(&text).ok()?.parse().ok()?),
        };
        let counts = Counters {
            received: fields.u64()?,
            stored: fields.u64()?,
            duplicate: fields.u64()?,
            conflict: fields.u64()?,
            refused: fields.u64()?,
        };
        counters.push((organization, counts));
    }
    fields.0.is_empty().then_some(counters)
}

/// Writes everything of a row that its sender decides: not its sequence, not its conflict.
pub(crate) fn encode_row(row: &Row, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(row.namespace.as_str().as_bytes());
    bytes.extend_from_slice(row.organization.as_str().as_bytes());
    bytes.extend_from_slice(&row.time_ns.to_le_bytes());
    bytes.extend_from_slice(&row.received_ns.to_le_bytes());
    let texts = row.texts.parts();
    for text in [texts.event_type, texts.subject, texts.source, texts.id] {
        encode_text(text, bytes);
    }
    match texts.data {
        Some(data) => encode_text(data, bytes),
        None => bytes.extend_from_slice(&NO_DATA.to_le_bytes()),
    }
}

fn encode_text(text: &str, bytes: &mut Vec<u8>) {
    let length = u32::try_from(text.len()).expect("attributes and data are limited");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn decode_row(bytes: &[u8]) -> Option<Row> {
    let mut fields = Fields(bytes);
    let (namespace, organization) = (fields.organization()?, fields.organization()?);
    let time_ns = i64::from_le_bytes(fields.array()?);
    let received_ns = i64::from_le_bytes(fields.array()?);
    let texts = TextParts {
        event_type: fields.text()?,
        subject: fields.text()?,
        source: fields.text()?,
        id: fields.text()?,
        data: match fields.clone().u32()? {
            NO_DATA => {
                fields.u32()?;
                None
            }
            _ => Some(fields.text()?),
        },
    };
    let row = Row {
        sequence: 0,
        namespace,
        organization,
        texts: texts.into(),
        time_ns,
        received_ns,
        conflict_with: None,
    };
    fields.0.is_empty().then_some(row)
}

/// Little-endian fields read one after the other; `None` past the end.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.u32()?;
        std::str::from_utf8(self.take(usize::try_from(length).ok()?)?).ok()
    }

    fn organization(&mut self) -> Option<OrganizationId> {
        std::str::from_utf8(self.take(ID_LENGTH)?)
            .ok()?
            .parse()
            .ok()
    }
}
