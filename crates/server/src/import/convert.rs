//! Turns records of a file into lines of CloudEvents, on any thread.

use std::borrow::Cow;

use usage::import_parquet::RowBatch;

use super::cutter::Refused;
use super::source::Raw;
use super::table::{Row, Table};
use super::{Block, Error, Format, Mapping, Result, Source, members};
use crate::flights::FlightRows;

/// The code of a record that cannot be taken apart.
const MALFORMED_RECORD: &str = "malformed_record";
/// The code of a record with bytes that are not UTF-8 where text is needed.
const NOT_UTF8: &str = "not_utf8";
/// What reads CSV, as the plan of a checkpoint names it: another one may count other records.
const CSV_READER: &str = "csv-core";

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
        /// Columns of the header.
        width: usize,
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
            (Format::Ndjson, None) => {
                source.read_lines(None);
                Ok(Self::Plain)
            }
            (Format::Ndjson, Some(mapping)) => {
                source.read_lines(mapping.encoding);
                Ok(Self::Json { mapping })
            }
            (Format::Csv, None) => Err(Error::MappingMissing),
            (Format::Csv, Some(mapping)) => Self::of_table(source, mapping),
            (Format::Parquet, mapping) => Self::of_rows(source, mapping),
        }
    }

    fn of_table(source: &mut Source, mapping: Mapping) -> Result<Self> {
        let header = source.read_table(mapping.encoding, mapping.delimiter)?;
        let columns = mapping.columns().into_iter();
        let places = columns.map(|column| place(&header, column));
        Ok(Self::Csv {
            places: places.collect::<Result<_>>()?,
            width: header.len(),
            mapping,
        })
    }

    fn of_rows(source: &mut Source, mapping: Option<Mapping>) -> Result<Self> {
        let Some(mapping) = mapping else {
            let mut mapping = Mapping::of_cloud_events();
            source.choose(&mapping.columns(), true)?;
            mapping.keep_columns(|column| source.has(column));
            return Ok(Self::Json { mapping });
        };
        if let Some(encoding) = mapping.encoding {
            let encoding = encoding.name();
            return Err(Error::UnusedEncoding { encoding });
        }
        source.choose(&mapping.columns(), false)?;
        Ok(Self::Json { mapping })
    }

    /// What tells two readings of the same file apart.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Plain => String::new(),
            Self::Csv { mapping, .. } => format!("{CSV_READER} {}", mapping.text),
            Self::Json { mapping } => mapping.text.clone(),
            Self::Flights(_) => "flights".to_owned(),
        }
    }

    /// The records as lines of CloudEvents, but for those that are refused; numbers stay.
    pub(crate) fn lines(&self, raw: Raw) -> Block {
        let block = match raw {
            Raw::Text(block) => block,
            Raw::Table(table) => return self.table_lines(&table),
            Raw::Rows { first, rows } => row_lines(first, &rows),
        };
        match self {
            Self::Json { mapping } => json_lines(mapping, block),
            Self::Plain | Self::Csv { .. } | Self::Flights(_) => block,
        }
    }

    fn table_lines(&self, table: &Table) -> Block {
        match self {
            Self::Csv {
                mapping,
                places,
                width,
            } => {
                let mut values = Vec::with_capacity(places.len());
                rows_of(table, *width, |number, row, lines| {
                    values.clear();
                    let fields = places.iter().map(|place| row.get(*place));
                    values.extend(fields.map(|field| field.map(Cow::Borrowed)));
                    mapping.write(number, &values, lines);
                    Ok(())
                })
            }
            Self::Flights(flights) => rows_of(table, flights.width(), |number, row, lines| {
                flights.line(number, row, lines)
            }),
            Self::Plain | Self::Json { .. } => Block::default(),
        }
    }
}

fn refuse(record: u64, code: &'static str, message: String) -> Refused {
    Refused {
        record,
        code,
        message,
    }
}

/// Where the only column of a name is.
fn place(header: &[String], column: &str) -> Result<usize> {
    let mut places = (0..header.len()).filter(|place| header[*place] == column);
    let first = places.next().ok_or_else(|| Error::UnknownColumn {
        column: column.to_owned(),
        header: header.join(", "),
    })?;
    match places.count() {
        0 => Ok(first),
        others => Err(Error::AmbiguousColumn {
            column: column.to_owned(),
            count: others + 1,
        }),
    }
}

/// Writes the lines of whole records; any other is refused.
fn rows_of<'t>(
    table: &'t Table,
    width: usize,
    mut write: impl FnMut(u64, Row<'t>, &mut Vec<u8>) -> Result<(), String>,
) -> Block {
    let mut text = Vec::with_capacity(table.bytes() * 3);
    let mut refused = Vec::new();
    for (record, row) in (1..).zip(table.rows()) {
        let written = check(row, width);
        let written = written.and_then(|()| write(table.first + record, row, &mut text));
        if let Err(reason) = written {
            refused.push(refuse(record, MALFORMED_RECORD, reason));
        }
    }
    Block {
        first: table.first,
        records: table.records(),
        text,
        refused,
    }
}

/// Whether a record has what the header says.
fn check(row: Row<'_>, width: usize) -> Result<(), String> {
    let fields = row.len();
    if fields != width {
        return Err(format!(
            "the record has {fields} fields: expected {width}, as many as the header; a field that \
             holds a delimiter must stand in quotes"
        ));
    }
    if row.is_empty() {
        return Err(format!(
            "each of the {width} fields of the record is empty: expected values"
        ));
    }
    Ok(())
}

fn row_lines(first: u64, rows: &RowBatch) -> Block {
    let lines = rows.json_lines();
    let refused = lines.not_utf8.into_iter();
    Block {
        first,
        records: rows.rows(),
        text: lines.text.into_bytes(),
        refused: refused
            .map(|(row, reason)| refuse(row + 1, NOT_UTF8, reason))
            .collect(),
    }
}

fn json_lines(mapping: &Mapping, block: Block) -> Block {
    let columns = mapping.columns();
    let mut text = Vec::with_capacity(block.text.len() * 2);
    let mut malformed = Vec::new();
    let records = block.text.split(|byte| *byte == b'\n');
    let records = records.filter(|line| !line.trim_ascii().is_empty());
    for (record, line) in block.numbers().zip(records) {
        match members::read(line, &columns) {
            Ok(values) => mapping.write(block.first + record, &values, &mut text),
            Err(reason) => malformed.push(refuse(record, MALFORMED_RECORD, reason)),
        }
    }
    let mut refused = block.refused;
    refused.append(&mut malformed);
    refused.sort_by_key(|refused| refused.record);
    Block {
        first: block.first,
        records: block.records,
        text,
        refused,
    }
}
