//! Turns records of a file into lines of CloudEvents, on any thread.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

use super::source::Raw;
use super::{Block, Error, Format, Mapping, Result, Source};
use crate::flights::FlightRows;

/// How the records of one file become CloudEvents.
#[derive(Debug)]
pub(crate) enum Convert {
    /// They are.
    Plain,
    /// Fields of CSV records by a mapping.
    Csv {
        /// What is what.
        mapping: Mapping,
        /// Where the mapping's columns are.
        places: Vec<usize>,
    },
    /// Members of JSON objects by a mapping.
    Json {
        /// What is what.
        mapping: Mapping,
    },
    /// Rows of the flights table.
    Flights(Box<FlightRows>),
}

impl Convert {
    /// Chooses by the source's form; a CSV source loses its header.
    pub(crate) fn of(source: &mut Source, mapping: Option<Mapping>) -> Result<Self> {
        match (source.format(), mapping) {
            (Format::Ndjson, None) => Ok(Self::Plain),
            (Format::Ndjson, Some(mapping)) => Ok(Self::Json { mapping }),
            (Format::Csv, None) => Err(Error::MappingMissing),
            (Format::Csv, Some(mapping)) => {
                let header = split(&source.header()?, mapping.delimiter);
                let places = mapping
                    .columns()
                    .into_iter()
                    .map(|column| place(&header, column));
                Ok(Self::Csv {
                    places: places.collect::<Result<_>>()?,
                    mapping,
                })
            }
            (Format::Parquet, mapping) => {
                let optional = mapping.is_none();
                let mapping = mapping.unwrap_or_else(Mapping::of_cloud_events);
                source.choose(&mapping.columns(), optional)?;
                Ok(Self::Json { mapping })
            }
        }
    }

    /// What tells two ways of reading the same file apart.
    pub(crate) fn identity(&self) -> &str {
        match self {
            Self::Plain => "",
            Self::Csv { mapping, .. } | Self::Json { mapping } => &mapping.text,
            Self::Flights(_) => "flights",
        }
    }

    /// The records as lines of CloudEvents; numbers of records stay.
    pub(crate) fn lines(&self, raw: Raw) -> Block {
        let block = match raw {
            Raw::Text(block) => block,
            Raw::Rows { first, rows } => Block {
                first,
                records: rows.rows(),
                text: rows.json_lines().into_bytes(),
            },
        };
        let text = match self {
            Self::Plain => return block,
            Self::Csv { mapping, places } => csv_lines(mapping, places, &block),
            Self::Json { mapping } => json_lines(mapping, &block),
            Self::Flights(flights) => flights.lines(&block),
        };
        Block { text, ..block }
    }
}

/// Writes a text in the place of an event, which the intake refuses with it.
pub(crate) fn write_refused(lines: &mut Vec<u8>, reason: &str) {
    serde_json::to_writer(lines, reason).expect("writing to memory cannot fail");
}

/// The fields of a header line.
pub(crate) fn split(header: &[u8], delimiter: u8) -> csv::StringRecord {
    let header = header.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(header);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .from_reader(header);
    let mut record = csv::ByteRecord::new();
    // A header that is no CSV has no columns, which is what the mapping then hears.
    let read = reader.read_byte_record(&mut record).unwrap_or(false);
    let fields = record.iter().filter(|_| read);
    fields
        .map(|field| String::from_utf8_lossy(field).trim().to_owned())
        .collect()
}

fn place(header: &csv::StringRecord, column: &str) -> Result<usize> {
    let place = header.iter().position(|name| name == column);
    place.ok_or_else(|| Error::UnknownColumn {
        column: column.to_owned(),
        header: header.iter().collect::<Vec<_>>().join(", "),
    })
}

fn csv_lines(mapping: &Mapping, places: &[usize], block: &Block) -> Vec<u8> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(mapping.delimiter)
        .from_reader(block.text.as_slice());
    let mut lines = Vec::with_capacity(block.text.len() * 3);
    for (row, record) in (block.first + 1..).zip(reader.byte_records()) {
        let record = record.unwrap_or_default();
        let value = |place: &usize| record.get(*place).map(String::from_utf8_lossy);
        let values: Vec<_> = places.iter().map(value).collect();
        mapping.write(row, &values, &mut lines);
    }
    lines
}

fn json_lines(mapping: &Mapping, block: &Block) -> Vec<u8> {
    let columns = mapping.columns();
    let mut lines = Vec::with_capacity(block.text.len() * 2);
    let records = block.text.split(|byte| *byte == b'\n');
    let records = records.filter(|line| !line.trim_ascii().is_empty());
    for (row, record) in (block.first + 1..).zip(records) {
        match serde_json::from_slice::<HashMap<Cow<'_, str>, &RawValue>>(record) {
            Ok(members) => {
                let value = |column: &&str| members.get(*column).and_then(|value| cell(value));
                let values: Vec<_> = columns.iter().map(value).collect();
                mapping.write(row, &values, &mut lines);
            }
            Err(error) => {
                write_refused(&mut lines, &error.to_string());
                lines.push(b'\n');
            }
        }
    }
    lines
}

/// A member as the text a CSV cell would hold.
fn cell(value: &RawValue) -> Option<Cow<'_, str>> {
    match value.get() {
        "null" => None,
        text if text.starts_with('"') => serde_json::from_str(text).ok().map(Cow::Owned),
        text => Some(Cow::Borrowed(text)),
    }
}
