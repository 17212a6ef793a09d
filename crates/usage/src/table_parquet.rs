//! Writes rows of typed cells as a Parquet file, into memory that is emptied meanwhile.
//!
//! The bytes depend on the rows and columns alone: a fixed author, one codec at one level, row
//! groups cut by their number of rows, no times.

use std::fmt;
use std::sync::Arc;

use arrow_array::builder::{
    Date32Builder, Decimal128Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use domain::export::{DECIMAL_DIGITS, Form, Value};
use jiff::civil::Date;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::error::{Error, Result};

/// Rows of a row group.
const GROUP_ROWS: usize = 64 * 1024;
/// Rows turned into columns at once.
const BATCH_ROWS: usize = 1024;
/// Level of the codec: another one gives other bytes.
const ZSTD_LEVEL: i32 = 3;

/// A Parquet file in the making.
pub struct TableWriter {
    schema: SchemaRef,
    writer: ArrowWriter<Vec<u8>>,
    builders: Vec<Builder>,
    rows: usize,
}

impl fmt::Debug for TableWriter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TableWriter")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

enum Builder {
    Text(StringBuilder),
    Date(Date32Builder),
    Instant(TimestampMicrosecondBuilder),
    Count(Int64Builder),
    Decimal(Decimal128Builder),
}

impl TableWriter {
    /// Starts a file with these columns, by name and form.
    pub fn new(columns: &[(&str, Form)]) -> Result<Self> {
        let field = |(name, form): &(&str, Form)| {
            Ok(Field::new((*name).to_owned(), data_type(*form)?, true))
        };
        let fields = columns.iter().map(field).collect::<Result<Vec<_>>>()?;
        let schema = Arc::new(Schema::new(fields));
        let zstd = ZstdLevel::try_new(ZSTD_LEVEL).map_err(failed)?;
        let properties = WriterProperties::builder()
            .set_created_by("tallyport".into())
            .set_compression(Compression::ZSTD(zstd))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .build();
        let options = ArrowWriterOptions::new()
            .with_properties(properties)
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&schema), options);
        let builders = columns.iter().map(|(_, form)| Builder::new(*form));
        Ok(Self {
            writer: writer.map_err(failed)?,
            builders: builders.collect::<Result<_>>()?,
            schema,
            rows: 0,
        })
    }

    /// Sets the next row's cell of one column; each is set once, in any order.
    pub fn set(&mut self, column: usize, value: Value<'_>) -> Result<()> {
        let builder = self.builders.get_mut(column);
        let taken = builder.and_then(|builder| builder.push(value));
        taken.ok_or_else(|| Error::Internal(format!("column {column} is of another form")))
    }

    /// Ends the row whose cells are all set.
    pub fn end_row(&mut self) -> Result<()> {
        self.rows += 1;
        if self.rows >= BATCH_ROWS {
            self.write_batch()?;
        }
        Ok(())
    }

    /// Takes the bytes that are ready; they follow those taken before.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.inner_mut())
    }

    /// Ends the file and gives its last bytes.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        self.write_batch()?;
        self.writer.into_inner().map_err(failed)
    }

    fn write_batch(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        self.rows = 0;
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        let batch = batch.map_err(|error| Error::Internal(error.to_string()))?;
        self.writer.write(&batch).map_err(failed)
    }
}

fn data_type(form: Form) -> Result<DataType> {
    Ok(match form {
        Form::Text => DataType::Utf8,
        Form::Date => DataType::Date32,
        Form::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Form::Count => DataType::Int64,
        Form::Decimal(places) => {
            let (digits, places) = digits(places)?;
            DataType::Decimal128(digits, places)
        }
    })
}

fn digits(places: u32) -> Result<(u8, i8)> {
    let digits = u8::try_from(DECIMAL_DIGITS).ok();
    let found = digits.zip(i8::try_from(places).ok());
    found.ok_or_else(|| Error::Internal(format!("no decimal has {places} places")))
}

fn failed(error: ParquetError) -> Error {
    Error::Internal(format!("a table could not be written: {error}"))
}

impl Builder {
    fn new(form: Form) -> Result<Self> {
        Ok(match form {
            Form::Text => Self::Text(StringBuilder::new()),
            Form::Date => Self::Date(Date32Builder::new()),
            Form::Instant => Self::Instant(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            Form::Count => Self::Count(Int64Builder::new()),
            Form::Decimal(places) => {
                let (digits, places) = digits(places)?;
                let builder = Decimal128Builder::new().with_precision_and_scale(digits, places);
                Self::Decimal(builder.map_err(|error| Error::Internal(error.to_string()))?)
            }
        })
    }

    /// Appends a cell; `None` when it is of another form.
    fn push(&mut self, value: Value<'_>) -> Option<()> {
        match (self, value) {
            (Self::Text(builder), Value::Text(text)) => builder.append_value(text),
            (Self::Text(builder), Value::Null) => builder.append_null(),
            (Self::Date(builder), Value::Date(date)) => builder.append_value(days(date)),
            (Self::Date(builder), Value::Null) => builder.append_null(),
            (Self::Instant(builder), Value::Instant(instant)) => {
                builder.append_value(instant.as_microsecond());
            }
            (Self::Instant(builder), Value::Null) => builder.append_null(),
            (Self::Count(builder), Value::Count(count)) => builder.append_value(count),
            (Self::Count(builder), Value::Null) => builder.append_null(),
            (Self::Decimal(builder), Value::Decimal(units)) => builder.append_value(units),
            (Self::Decimal(builder), Value::Null) => builder.append_null(),
            _ => return None,
        }
        Some(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Instant(builder) => Arc::new(builder.finish()),
            Self::Count(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder) => Arc::new(builder.finish()),
        }
    }
}

/// Days since 1970.
fn days(date: Date) -> i32 {
    const EPOCH: Date = Date::constant(1970, 1, 1);
    date.since(EPOCH).map_or(0, |span| span.get_days())
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
    use bytes::Bytes;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    const COLUMNS: [(&str, Form); 5] = [
        ("name", Form::Text),
        ("day", Form::Date),
        ("at", Form::Instant),
        ("count", Form::Count),
        ("sum", Form::Decimal(12)),
    ];

    fn table(rows: usize, empties_after: usize) -> Vec<u8> {
        let mut writer = TableWriter::new(&COLUMNS).unwrap();
        let mut bytes = Vec::new();
        for row in 0..rows {
            let name = format!("row {row}");
            let cells = [
                Form::Text.read(&name),
                Form::Date.read("2013-01-31"),
                Form::Instant.read("2013-01-31 16:30:00.9"),
                Form::Count.read("7"),
                Form::Decimal(12).read(if row == 0 { "null" } else { "-0.000000000001" }),
            ];
            for (column, cell) in cells.into_iter().enumerate() {
                writer.set(column, cell.unwrap()).unwrap();
            }
            writer.end_row().unwrap();
            if row.is_multiple_of(empties_after) {
                bytes.extend(writer.take());
            }
        }
        bytes.extend(writer.finish().unwrap());
        bytes
    }

    #[test]
    fn typed_cells_are_read_back() {
        let file = Bytes::from(table(2, 1));
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let batch = reader.build().unwrap().next().unwrap().unwrap();
        assert_eq!(batch.column(0).as_string::<i32>().value(1), "row 1");
        assert_eq!(
            batch.column(1).as_primitive::<Date32Type>().value(0),
            15_736
        );
        let instant = batch.column(2).as_primitive::<TimestampMicrosecondType>();
        assert_eq!(instant.value(0), 1_359_649_800_900_000);
        assert_eq!(instant.timezone(), Some("UTC"));
        assert_eq!(batch.column(3).as_primitive::<Int64Type>().value(0), 7);
        let sum = batch.column(4).as_primitive::<Decimal128Type>();
        assert!(sum.is_null(0));
        assert_eq!((sum.value(1), sum.precision(), sum.scale()), (-1, 38, 12));
    }

    #[test]
    fn the_bytes_depend_on_the_rows_alone() {
        let rows = GROUP_ROWS + 10;
        let file = table(rows, 1);
        assert_eq!(file, table(rows, 1_000_000));
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
        let groups = reader.metadata().row_groups().iter();
        let rows: Vec<_> = groups.map(|group| group.num_rows()).collect();
        assert_eq!(rows, [65_536, 10]);
    }

    #[test]
    fn a_cell_of_another_form_is_refused() {
        let mut writer = TableWriter::new(&COLUMNS).unwrap();
        assert!(writer.set(0, Value::Count(1)).is_err());
        assert!(writer.set(9, Value::Null).is_err());
    }
}
