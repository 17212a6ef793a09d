//! Foreign Parquet files, given as JSON text: usage in by file, before it is a draft.
//!
//! Numbers keep the digits the file holds, instants become RFC 3339 in UTC.

mod bytes;
mod json;

use std::fs::File;
use std::path::Path;

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, DataType, FieldRef, Fields};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

/// Rows decoded at once.
const BATCH_ROWS: usize = 8192;

/// Why a Parquet file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ParquetError {
    /// The file cannot be opened.
    #[error("the file cannot be opened")]
    Io(#[from] std::io::Error),
    /// The file is damaged or uses what the reader does not know.
    #[error("the file is damaged or of an unknown form")]
    Format(#[from] parquet::errors::ParquetError),
    /// A page is damaged.
    #[error("a page is damaged or of an unknown form")]
    Page(#[from] ArrowError),
    /// A column is needed that is not there.
    #[error("there is no column {column:?}: the file has {columns}")]
    UnknownColumn {
        /// What is needed.
        column: String,
        /// What there is.
        columns: String,
    },
    /// Several columns have the name of one that is needed.
    #[error("{count} columns are called {column:?}: expected one")]
    AmbiguousColumn {
        /// The name.
        column: String,
        /// How many have it.
        count: usize,
    },
    /// A needed column has a type that has no form in JSON here.
    #[error("column {column:?} is of type {column_type}: it cannot be imported")]
    UnknownType {
        /// The column.
        column: String,
        /// Its type.
        column_type: String,
    },
}

/// The rows of a Parquet file, in order.
pub struct Rows {
    reader: ParquetRecordBatchReader,
    pending: Option<RecordBatch>,
}

/// Some consecutive rows.
#[derive(Debug, Clone)]
pub struct RowBatch {
    columns: RecordBatch,
}

impl Rows {
    /// Opens a file for reading the named columns; with `optional`, those of them that are there.
    pub fn open(path: &Path, columns: &[&str], optional: bool) -> Result<Self, ParquetError> {
        let file = File::open(path)?;
        let metadata = bytes::metadata(&file)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
        let mut roots = Vec::new();
        for column in columns {
            match root(builder.schema().fields(), column)? {
                Some(root) => roots.push(root),
                None if optional => {}
                None => return Err(unknown(builder.schema().fields(), column)),
            }
        }
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let builder = builder.with_projection(mask).with_batch_size(BATCH_ROWS);
        let reader = builder.build()?;
        for field in reader.schema().fields() {
            check(field.name(), field.data_type())?;
        }
        Ok(Self {
            reader,
            pending: None,
        })
    }

    /// Whether a column was there to be chosen.
    pub fn has(&self, column: &str) -> bool {
        self.reader.schema().column_with_name(column).is_some()
    }

    /// The next rows, at most `rows_max` of them; `None` at the end.
    pub fn next(&mut self, rows_max: u64) -> Result<Option<RowBatch>, ParquetError> {
        let pending = match self.pending.take() {
            Some(pending) => pending,
            None => match self.reader.next() {
                Some(batch) => batch?,
                None => return Ok(None),
            },
        };
        let rows_max = usize::try_from(rows_max).unwrap_or(usize::MAX);
        if pending.num_rows() > rows_max {
            let rest = pending.num_rows() - rows_max;
            self.pending = Some(pending.slice(rows_max, rest));
        }
        let taken = pending.num_rows().min(rows_max);
        let columns = pending.slice(0, taken);
        Ok(Some(RowBatch { columns }))
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Rows").finish_non_exhaustive()
    }
}

impl RowBatch {
    /// How many rows.
    pub fn rows(&self) -> u64 {
        self.columns.num_rows() as u64
    }

    /// Each row as a JSON object on a line of its own; members without a value are left out.
    pub fn json_lines(&self) -> Lines {
        let schema = self.columns.schema();
        let names: Vec<&str> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        let mut text = String::with_capacity(self.columns.num_rows() * 128);
        let mut not_utf8 = Vec::new();
        for row in 0..self.columns.num_rows() {
            let start = text.len();
            match json::write_object(&names, self.columns.columns(), row, &mut text) {
                Ok(()) => text.push('\n'),
                Err((column, error)) => {
                    text.truncate(start);
                    not_utf8.push((row as u64, format!("{column} is not UTF-8: {error}")));
                }
            }
        }
        Lines { text, not_utf8 }
    }
}

/// Rows as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// One object a line, but for the rows that cannot be written.
    pub text: String,
    /// These rows by number from 0, with what is not UTF-8 in them.
    pub not_utf8: Vec<(u64, String)>,
}

/// Where the only column of a name is.
fn root(fields: &Fields, column: &str) -> Result<Option<usize>, ParquetError> {
    let named = |(_, field): &(usize, &FieldRef)| field.name() == column;
    let mut places = fields.iter().enumerate().filter(named);
    let first = places.next().map(|(place, _)| place);
    match places.count() {
        0 => Ok(first),
        others => Err(ParquetError::AmbiguousColumn {
            column: column.to_owned(),
            count: others + 1,
        }),
    }
}

fn unknown(fields: &Fields, column: &str) -> ParquetError {
    let names: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
    ParquetError::UnknownColumn {
        column: column.to_owned(),
        columns: names.join(", "),
    }
}

fn check(column: &str, column_type: &DataType) -> Result<(), ParquetError> {
    match column_type {
        DataType::List(item) => check(column, item.data_type()),
        DataType::Struct(fields) => fields
            .iter()
            .try_for_each(|field| check(column, field.data_type())),
        known if json::is_scalar(known) => Ok(()),
        unknown => Err(ParquetError::UnknownType {
            column: column.to_owned(),
            column_type: unknown.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{
        ArrayRef, BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, Float64Array,
        Int64Array, StringArray, StructArray, TimestampMicrosecondArray,
    };
    use parquet::arrow::ArrowWriter;

    use super::*;

    fn file(columns: Vec<(&str, ArrayRef)>) -> tempfile::NamedTempFile {
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns
                .into_iter()
                .map(|(name, column)| (name, column, true)),
        )
        .unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer =
            ArrowWriter::try_new(file.reopen().unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        file
    }

    fn sample() -> tempfile::NamedTempFile {
        let decimal = Decimal128Array::from(vec![Some(1_500), None]);
        let decimal = decimal.with_precision_and_scale(20, 3).unwrap();
        let kinds: DictionaryArray<Int32Type> = [Some("a\"b"), None].into_iter().collect();
        let time = TimestampMicrosecondArray::from(vec![Some(1_357_000_000_000_001), None]);
        let inner: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), None]));
        let inner = StructArray::try_from(vec![("n", inner)]).unwrap();
        file(vec![
            (
                "id",
                Arc::new(StringArray::from(vec!["1", "2"])) as ArrayRef,
            ),
            ("time", Arc::new(time.with_timezone("UTC"))),
            ("amount", Arc::new(decimal)),
            (
                "ratio",
                Arc::new(Float64Array::from(vec![Some(0.1), Some(f64::NAN)])),
            ),
            ("kind", Arc::new(kinds)),
            ("yes", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            ("inner", Arc::new(inner)),
        ])
    }

    #[test]
    fn rows_become_json_with_all_their_digits() {
        let file = sample();
        let all = ["id", "time", "amount", "ratio", "kind", "yes", "inner"];
        let mut rows = Rows::open(file.path(), &all, false).unwrap();
        let lines = rows.next(9).unwrap().unwrap().json_lines().text;
        let lines: Vec<_> = lines.lines().collect();
        assert_eq!(
            lines,
            [
                concat!(
                    r#"{"id":"1","time":"2013-01-01T00:26:40.000001Z","amount":1.500,"#,
                    r#""ratio":0.1,"kind":"a\"b","yes":true,"inner":{"n":7}}"#
                ),
                r#"{"id":"2","ratio":"NaN","inner":{}}"#,
            ]
        );
        assert!(rows.next(9).unwrap().is_none());
    }

    #[test]
    fn rows_come_in_pieces_of_the_asked_size() {
        let file = sample();
        let mut rows = Rows::open(file.path(), &["id"], false).unwrap();
        assert_eq!(
            rows.next(1).unwrap().unwrap().json_lines().text,
            "{\"id\":\"1\"}\n"
        );
        assert_eq!(
            rows.next(1).unwrap().unwrap().json_lines().text,
            "{\"id\":\"2\"}\n"
        );
        assert!(rows.next(1).unwrap().is_none());
    }

    #[test]
    fn a_column_that_is_not_there_is_named_unless_it_may_be_missing() {
        let file = sample();
        let refused = Rows::open(file.path(), &["id", "ids"], false).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "there is no column \"ids\": the file has id, time, amount, ratio, kind, yes, inner"
        );
        assert!(Rows::open(file.path(), &["id", "ids"], true).is_ok());
    }

    #[test]
    fn texts_that_are_not_utf8_are_named_by_row_and_byte() {
        let ids: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"a", b"b\xE4r", b"b\xF6r"]));
        let kinds: ArrayRef = Arc::new(StringArray::from(vec!["x", "y", "zebra"]));
        let file = file(vec![("id", ids), ("kind", kinds)]);
        // What says it is text may not be: the reader must not stop at the whole page.
        let bytes = std::fs::read(file.path()).unwrap();
        let place = bytes.windows(5).position(|text| text == b"zebra").unwrap();
        let mut damaged = bytes.clone();
        damaged[place + 1] = 0xFF;
        let read = |bytes: &[u8], column| {
            std::fs::write(file.path(), bytes).unwrap();
            let mut rows = Rows::open(file.path(), &[column], false).unwrap();
            rows.next(9).unwrap().unwrap().json_lines()
        };
        let ids = read(&bytes, "id");
        assert_eq!(ids.text, "{\"id\":\"a\"}\n");
        let named = |row, text: &str| (row, format!("{text} of its value"));
        assert_eq!(
            ids.not_utf8,
            [
                named(1, "id is not UTF-8: byte 0xE4 at offset 1"),
                named(2, "id is not UTF-8: byte 0xF6 at offset 1"),
            ]
        );
        let kinds = read(&damaged, "kind");
        assert_eq!(kinds.text, "{\"kind\":\"x\"}\n{\"kind\":\"y\"}\n");
        let refused = "kind is not UTF-8: byte 0xFF at offset 1";
        assert_eq!(kinds.not_utf8, [named(2, refused)]);
    }

    #[test]
    fn a_needed_column_that_stands_twice_is_refused() {
        let column = |text| Arc::new(StringArray::from(vec![text])) as ArrayRef;
        let twice = file(vec![
            ("id", column("a")),
            ("n", column("1")),
            ("n", column("2")),
        ]);
        let refused = Rows::open(twice.path(), &["id", "n"], false).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "2 columns are called \"n\": expected one"
        );
        assert!(Rows::open(twice.path(), &["id"], false).is_ok());
    }

    #[test]
    fn a_file_that_is_no_parquet_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "id,time\n").unwrap();
        assert!(Rows::open(file.path(), &[], true).is_err());
    }
}
