//! Opens a file whatever its compression and gives its records in blocks.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use usage::import_parquet::{RowBatch, Rows};

use super::cutter::{CutError, Cutter};
use super::encoding::{Encoding, Wanted};
use super::table::{Table, TableReader};
use super::text::TextError;
use super::zip::Archive;
use super::{BLOCK_RECORDS_MAX, Block, Error, Progress, RECORD_BYTES_MAX, Result};

/// Form of an input file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One CloudEvent, or with a mapping any object, a line.
    Ndjson,
    /// Comma-separated values with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// Records on their way to a converter.
#[derive(Debug)]
pub(crate) enum Raw {
    /// Lines, as they were in the file.
    Text(Block),
    /// Records of a CSV file.
    Table(Table),
    /// Rows of a Parquet file.
    Rows {
        /// Rows before them.
        first: u64,
        /// The rows.
        rows: RowBatch,
    },
}

/// An open input file.
pub(crate) struct Source {
    path: PathBuf,
    format: Format,
    records: Records,
    skip: u64,
    end: u64,
    done: u64,
}

enum Records {
    Lines(Cutter),
    Table(Box<TableReader>),
    Rows(Box<Rows>),
    /// A text of which it is not said yet how it is read.
    Unread(Box<dyn Read + Send>),
    /// A Parquet file whose columns are not chosen yet.
    Closed,
}

impl Source {
    /// Opens a file: gzip, zstd and ZIP of one entry are known by their first bytes.
    pub(crate) fn open(path: &Path, format: Option<Format>, progress: &Progress) -> Result<Self> {
        let (name, input) = open(path, progress)?;
        let format = format.or_else(|| Format::of(&name));
        let format = format.ok_or_else(|| Error::UnknownFormat {
            path: path.to_owned(),
        })?;
        match format {
            Format::Ndjson | Format::Csv => Ok(Self::of_text(path, format, input)),
            Format::Parquet => Ok(Self::new(path, format, Records::Closed)),
        }
    }

    /// Reads text that is already open; `path` only names it.
    pub(crate) fn of_text(path: &Path, format: Format, input: Box<dyn Read + Send>) -> Self {
        Self::new(path, format, Records::Unread(input))
    }

    fn new(path: &Path, format: Format, records: Records) -> Self {
        Self {
            path: path.to_owned(),
            format,
            records,
            skip: 0,
            end: u64::MAX,
            done: 0,
        }
    }

    /// What the records look like.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Reads a text by lines. Without an encoding bytes stay as they are: whether a line is UTF-8
    /// is then looked at with the line.
    pub(crate) fn read_lines(&mut self, encoding: Option<Encoding>) {
        let wanted = encoding.map_or(Wanted::AsIs, Wanted::Whole);
        if let Some(input) = self.unread() {
            self.records = Records::Lines(Cutter::new(input, wanted));
        }
    }

    /// Reads a text as CSV and takes its header.
    pub(crate) fn read_table(
        &mut self,
        encoding: Option<Encoding>,
        delimiter: u8,
    ) -> Result<Vec<String>> {
        let Some(input) = self.unread() else {
            return Ok(Vec::new());
        };
        let encoding = encoding.unwrap_or(Encoding::Utf8);
        let mut table = TableReader::new(input, encoding, delimiter);
        let header = table.header().map_err(|error| cut(&self.path, error))?;
        self.records = Records::Table(Box::new(table));
        Ok(header)
    }

    fn unread(&mut self) -> Option<Box<dyn Read + Send>> {
        match std::mem::replace(&mut self.records, Records::Closed) {
            Records::Unread(input) => Some(input),
            other => {
                self.records = other;
                None
            }
        }
    }

    /// Whether a Parquet file has a column that was chosen.
    pub(crate) fn has(&self, column: &str) -> bool {
        matches!(&self.records, Records::Rows(rows) if rows.has(column))
    }

    /// Chooses the columns of a Parquet file; with `optional`, those of them that are there.
    pub(crate) fn choose(&mut self, columns: &[&str], optional: bool) -> Result<()> {
        let rows = Rows::open(&self.path, columns, optional).map_err(|source| Error::Parquet {
            path: self.path.clone(),
            source,
        })?;
        self.records = Records::Rows(Box::new(rows));
        Ok(())
    }

    /// Passes over the first `skip` records and stops `records_max` later.
    pub(crate) fn limit(&mut self, skip: u64, records_max: Option<u64>) {
        self.skip = skip;
        self.end = records_max.map_or(u64::MAX, |records| skip.saturating_add(records));
    }

    /// Whether the input ended, rather than the limit.
    pub(crate) fn is_complete(&self) -> bool {
        self.done < self.end
    }

    /// The next records; `None` at the end or at the limit.
    pub(crate) fn next(&mut self) -> Result<Option<Raw>> {
        loop {
            let border = if self.done < self.skip {
                self.skip
            } else {
                self.end
            };
            if self.done == border {
                return Ok(None);
            }
            let records_max = (border - self.done).min(BLOCK_RECORDS_MAX);
            let Some((raw, records)) = self.take(records_max)? else {
                return Ok(None);
            };
            let skipped = self.done < self.skip;
            self.done += records;
            if !skipped {
                return Ok(Some(raw));
            }
        }
    }

    fn take(&mut self, records_max: u64) -> Result<Option<(Raw, u64)>> {
        let (path, first) = (&self.path, self.done);
        match &mut self.records {
            Records::Lines(cutter) => {
                let block = cutter.next(records_max).map_err(|error| cut(path, error))?;
                Ok(block.map(|block| {
                    let records = block.records;
                    (Raw::Text(block), records)
                }))
            }
            Records::Table(reader) => {
                let table = reader.next(records_max);
                let table = table.map_err(|error| cut(path, error))?;
                Ok(table.map(|table| {
                    let records = table.records();
                    (Raw::Table(table), records)
                }))
            }
            Records::Rows(rows) => {
                let rows = rows.next(records_max).map_err(|source| Error::Parquet {
                    path: path.clone(),
                    source,
                })?;
                Ok(rows.map(|rows| {
                    let records = rows.rows();
                    (Raw::Rows { first, rows }, records)
                }))
            }
            Records::Unread(_) | Records::Closed => Ok(None),
        }
    }
}

impl Format {
    /// The form a name tells, after its compression's ending.
    fn of(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = [".gz", ".zst", ".zip"]
            .iter()
            .find_map(|ending| name.strip_suffix(ending))
            .unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "ndjson" | "jsonl" | "json" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Opens a file and takes its compression away; the name is the entry's for a ZIP.
fn open(path: &Path, progress: &Progress) -> Result<(String, Box<dyn Read + Send>)> {
    let failed = |source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let name = path.display().to_string();
    let mut file = File::open(path).map_err(failed)?;
    let mut magic = [0; 4];
    let length = read_up_to(&mut file, &mut magic).map_err(failed)?;
    file.rewind().map_err(failed)?;
    let input = progress.count(file);
    match &magic[..length] {
        [0x1f, 0x8b, ..] => Ok((name, Box::new(flate2::read::MultiGzDecoder::new(input)))),
        [0x28, 0xb5, 0x2f, 0xfd] => {
            let decoder = zstd::Decoder::new(input).map_err(failed)?;
            Ok((name, Box::new(decoder)))
        }
        b"PK\x03\x04" => {
            let archive = Archive::open(path)?;
            let entry = archive.only()?;
            Ok((entry.name.clone(), archive.read(entry)?))
        }
        _ => Ok((name, Box::new(input))),
    }
}

fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match input.read(&mut buffer[length..])? {
            0 => break,
            bytes => length += bytes,
        }
    }
    Ok(length)
}

fn cut(path: &Path, error: CutError) -> Error {
    let path = path.to_owned();
    match error {
        CutError::Text { record, error } => match error {
            TextError::Io(source) => Error::Io {
                action: "read",
                path,
                source,
            },
            TextError::Mark(reason) => Error::Mark { path, reason },
            TextError::Malformed(malformed) => Error::Malformed { record, malformed },
        },
        CutError::TooLong { record } => Error::RecordTooLong {
            record,
            limit: RECORD_BYTES_MAX,
        },
        CutError::OpenQuote { record } => Error::OpenQuote { record },
    }
}
