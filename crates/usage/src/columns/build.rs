//! Fills columns from rows, parsing each row's data once.

use std::sync::Arc;

use arrow_array::builder::{
    Decimal128Builder, StringBuilder, StringDictionaryBuilder, TimestampNanosecondBuilder,
    UInt64Builder,
};
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_schema::DataType;
use domain::aggregation::Value;
use domain::dimension::Dimension;
use domain::json::Json;
use domain::limits::DIMENSION_BYTES_MAX;
use domain::number::NumberRule;
use domain::path::JsonPath;

use super::members::{Dimensions, Members};
use super::{Column, Holds, PRECISION, SCALE, Strings, Texts, schema};
use crate::error::{Error, Result};
use crate::row::Row;

/// Room for a text of a row other than its data, to begin with.
const TEXT_BYTES: usize = 12;

/// Builds the columns of some rows, in the rows' order.
pub(crate) fn build<'r>(
    rows: impl ExactSizeIterator<Item = &'r Row> + Clone,
    columns: &[Column],
    texts: Texts,
) -> Result<RecordBatch> {
    let derives = columns.iter().any(Column::is_derived);
    let data = rows.clone().filter_map(|row| row.texts.data());
    let data_bytes = data.map(str::len).sum();
    let mut members = Members::of(columns);
    let mut builders = builders(columns, texts, rows.len(), data_bytes);
    for row in rows {
        let text = row.texts.data().filter(|_| derives);
        let conflicts = row.conflict_with.is_some();
        with_fact(&mut members, text, row.sequence, |dimensions, data| {
            let fact = Fact {
                event_type: row.texts.event_type(),
                conflicts,
                dimensions,
                data,
            };
            for (builder, column) in builders.iter_mut().zip(columns) {
                builder.push(column, row, &fact);
            }
        })?;
    }
    let arrays = builders.into_iter().map(Builder::finish).collect();
    RecordBatch::try_new(schema(columns, texts), arrays)
        .map_err(|error| Error::Internal(format!("columns do not fit their schema: {error}")))
}

/// Folds derived columns from the stored columns of the same rows.
pub(crate) fn derive(
    columns: &[Column],
    texts: Texts,
    stored: &Stored<'_>,
) -> Result<Vec<ArrayRef>> {
    let mut builders = builders(columns, texts, stored.conflict_with.len(), 0);
    let mut members = Members::of(columns);
    for row in 0..stored.conflict_with.len() {
        let (event_type, conflicts) = (
            stored.event_type.at(row),
            stored.conflict_with.is_valid(row),
        );
        with_fact(
            &mut members,
            stored.data.get(row),
            stored.sequence[row],
            |dimensions, data| {
                let fact = Fact {
                    event_type,
                    conflicts,
                    dimensions,
                    data,
                };
                for (builder, column) in builders.iter_mut().zip(columns) {
                    builder.push_derived(column, &fact);
                }
            },
        )?;
    }
    Ok(builders.into_iter().map(Builder::finish).collect())
}

/// The stored columns that others are folded from.
#[derive(Debug)]
pub(crate) struct Stored<'a> {
    pub(crate) sequence: &'a [u64],
    pub(crate) event_type: Strings<'a>,
    pub(crate) conflict_with: &'a ArrayRef,
    pub(crate) data: Strings<'a>,
}

/// What derived columns look at in one row.
struct Fact<'a> {
    event_type: &'a str,
    conflicts: bool,
    dimensions: &'a Dimensions<'a>,
    data: &'a Json<'a>,
}

/// Calls `seen` with what the data of a row holds for columns.
fn with_fact(
    members: &mut Members,
    data: Option<&str>,
    sequence: u64,
    seen: impl FnOnce(&Dimensions<'_>, &Json<'_>),
) -> Result<()> {
    if let Some(found) = data.and_then(|data| members.find(data)) {
        seen(&found.dimensions, &found.data);
        return Ok(());
    }
    let json = parse(data, sequence)?;
    seen(&Dimension::scalars(&json), &json);
    Ok(())
}

/// Parses the data of a row; a row without any reads as `null`.
pub(crate) fn parse(data: Option<&str>, sequence: u64) -> Result<Json<'_>> {
    data.map_or(Ok(Json::Null), Json::parse)
        .map_err(|error| Error::Internal(format!("data of event {sequence} is no JSON: {error}")))
}

enum Builder {
    Number(UInt64Builder),
    Instant(TimestampNanosecondBuilder),
    Decimal(Decimal128Builder),
    Plain(Plain),
    Coded(StringDictionaryBuilder<Int32Type>),
}

/// Texts spelled out. Many columns hold nothing but nulls: those cost no more than a count.
struct Plain {
    builder: Option<StringBuilder>,
    /// Nulls after the last value.
    nulls: usize,
    rows: usize,
    bytes: usize,
}

impl Plain {
    fn push(&mut self, text: Option<&str>) {
        let Some(text) = text else {
            self.nulls += 1;
            return;
        };
        let (rows, bytes) = (self.rows, self.bytes);
        let new = || StringBuilder::with_capacity(rows, bytes);
        let builder = self.builder.get_or_insert_with(new);
        if self.nulls > 0 {
            builder.append_nulls(std::mem::take(&mut self.nulls));
        }
        builder.append_value(text);
    }

    fn finish(self) -> ArrayRef {
        let Some(mut builder) = self.builder else {
            return new_null_array(&DataType::Utf8, self.nulls);
        };
        builder.append_nulls(self.nulls);
        Arc::new(builder.finish())
    }
}

fn builders(columns: &[Column], texts: Texts, rows: usize, data_bytes: usize) -> Vec<Builder> {
    let builder = |column: &Column| match column.holds() {
        Holds::Number => Builder::Number(UInt64Builder::with_capacity(rows)),
        Holds::Instant => {
            Builder::Instant(TimestampNanosecondBuilder::with_capacity(rows).with_timezone("UTC"))
        }
        Holds::Decimal => Builder::Decimal(
            Decimal128Builder::with_capacity(rows)
                .with_precision_and_scale(PRECISION, SCALE)
                .expect("a decimal of 38 digits and 12 places exists"),
        ),
        Holds::Text if texts == Texts::Coded && column.repeats() => {
            Builder::Coded(StringDictionaryBuilder::new())
        }
        Holds::Text => {
            let bytes = if *column == Column::Data {
                data_bytes
            } else {
                rows * TEXT_BYTES
            };
            Builder::Plain(Plain {
                builder: None,
                nulls: 0,
                rows,
                bytes,
            })
        }
    };
    columns.iter().map(builder).collect()
}

impl Builder {
    fn push(&mut self, column: &Column, row: &Row, fact: &Fact<'_>) {
        match column {
            Column::Sequence => self.push_number(Some(row.sequence)),
            Column::ConflictWith => self.push_number(row.conflict_with),
            Column::Time => self.push_instant(row.time_ns),
            Column::Received => self.push_instant(row.received_ns),
            Column::Namespace => self.push_text(Some(row.namespace.as_str())),
            Column::Organization => self.push_text(Some(row.organization.as_str())),
            Column::EventType => self.push_text(Some(row.texts.event_type())),
            Column::Subject => self.push_text(Some(row.texts.subject())),
            Column::Source => self.push_text(Some(row.texts.source())),
            Column::Id => self.push_text(Some(row.texts.id())),
            Column::Data => self.push_text(row.texts.data()),
            _ => self.push_derived(column, fact),
        }
    }

    fn push_derived(&mut self, column: &Column, fact: &Fact<'_>) {
        match column {
            Column::Dimension(dimension) => {
                self.push_dimension(*dimension, fact, NumberRule::Spelling);
            }
            Column::SentDimension(dimension) => {
                self.push_dimension(*dimension, fact, NumberRule::Value);
            }
            Column::Path(path) => self.push_path(path, fact, NumberRule::Spelling),
            Column::PathValue(path) => self.push_path(path, fact, NumberRule::Value),
            Column::Reading(rule) => {
                let read = if fact.conflicts {
                    None
                } else {
                    // What a rule cannot read counts nowhere; lists of events say why.
                    rule.read(fact.event_type, fact.data).unwrap_or_default()
                };
                self.push_reading(read);
            }
            _ => self.push_reading(None),
        }
    }

    fn push_dimension(&mut self, dimension: Dimension, fact: &Fact<'_>, rule: NumberRule) {
        let text = Dimension::text(fact.dimensions[dimension as usize], rule);
        self.push_text(text.as_deref());
    }

    fn push_path(&mut self, path: &JsonPath, fact: &Fact<'_>, rule: NumberRule) {
        let found = path.find(fact.data).and_then(Json::scalar);
        let text = found.map(|found| found.counted(rule));
        self.push_text(
            text.as_deref()
                .filter(|text| text.len() <= DIMENSION_BYTES_MAX),
        );
    }

    fn push_reading(&mut self, read: Option<Value>) {
        match (self, read) {
            (Self::Decimal(builder), Some(Value::Number(quantity))) => {
                builder.append_value(quantity.units());
            }
            (Self::Decimal(builder), _) => builder.append_null(),
            (builder, Some(Value::Text(text))) => builder.push_text(Some(&text)),
            (builder, Some(Value::Number(number))) => builder.push_text(Some(&number.to_string())),
            (builder, _) => builder.push_text(None),
        }
    }

    fn push_number(&mut self, number: Option<u64>) {
        if let Self::Number(builder) = self {
            builder.append_option(number);
        }
    }

    fn push_instant(&mut self, nanoseconds: i64) {
        if let Self::Instant(builder) = self {
            builder.append_value(nanoseconds);
        }
    }

    fn push_text(&mut self, text: Option<&str>) {
        match self {
            Self::Plain(builder) => builder.push(text),
            Self::Coded(builder) => builder.append_option(text),
            _ => {}
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Number(mut builder) => Arc::new(builder.finish()),
            Self::Instant(mut builder) => Arc::new(builder.finish()),
            Self::Decimal(mut builder) => Arc::new(builder.finish()),
            Self::Plain(builder) => builder.finish(),
            Self::Coded(mut builder) => Arc::new(builder.finish()),
        }
    }
}
