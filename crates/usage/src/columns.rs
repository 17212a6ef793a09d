//! Rows as Arrow columns: what a segment stores and what reads work on.

mod build;
mod members;
mod strings;

use std::hash::Hasher;

use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampNanosecondType, UInt64Type};
use arrow_array::{RecordBatch, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use domain::dimension::Dimension;
use domain::meter::ReadingRule;
use domain::number::NumberRule;
use domain::path::JsonPath;
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::manifest::Layout;

pub(crate) use build::{Stored, build, derive, parse};
pub(crate) use strings::Strings;

/// Digits of a reading's column, before and after the point together.
pub(crate) const PRECISION: u8 = 38;
/// Places of a reading's column.
pub(crate) const SCALE: i8 = 12;

/// The columns every read starts with: they decide order and visibility.
pub(crate) const KEY_COLUMNS: [Column; 5] = [
    Column::Organization,
    Column::EventType,
    Column::Time,
    Column::Sequence,
    Column::ConflictWith,
];

/// One column of a segment or of a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Column {
    Sequence,
    Namespace,
    Organization,
    EventType,
    Time,
    Received,
    Subject,
    Source,
    Id,
    ConflictWith,
    Data,
    /// A dimension as segments store it: exponents are spelled as in the first release.
    Dimension(Dimension),
    /// A dimension as it was sent. It shares the stored column wherever both are the same.
    SentDimension(Dimension),
    Reading(ReadingRule),
    /// The scalar at a path, numbers as they were spelled.
    Path(JsonPath),
    /// The scalar at a path, numbers by value.
    PathValue(JsonPath),
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Number,
    Instant,
    Text,
    Decimal,
}

/// How texts are held in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Texts {
    /// Each value spelled out.
    Plain,
    /// Each distinct value once, with a code per row.
    Coded,
}

impl Column {
    /// The columns of a segment with `layout`, in order; of its rules those that `reads` takes.
    pub(crate) fn all(layout: &Layout, reads: impl Fn(&ReadingRule) -> bool) -> Vec<Self> {
        let mut columns = KEY_COLUMNS.to_vec();
        columns.extend([
            Self::Namespace,
            Self::Received,
            Self::Subject,
            Self::Source,
            Self::Id,
            Self::Data,
        ]);
        columns.extend(Dimension::ALL.iter().copied().map(Self::Dimension));
        for rule in layout.rules.iter().filter(|rule| reads(rule)) {
            let column = Self::Reading(rule.clone());
            let name = column.name();
            if columns.iter().all(|known| known.name() != name) {
                columns.push(column);
            }
        }
        columns.extend(layout.paths.iter().cloned().map(Self::Path));
        columns.extend(layout.values.iter().cloned().map(Self::PathValue));
        columns
    }

    /// A dimension as meters of a rule for numbers show it.
    pub(crate) fn dimension(dimension: Dimension, rule: NumberRule) -> Self {
        match rule {
            NumberRule::Spelling => Self::Dimension(dimension),
            NumberRule::Value => Self::SentDimension(dimension),
        }
    }

    /// The scalar at a path as meters of a rule for numbers compare it.
    pub(crate) fn path(path: JsonPath, rule: NumberRule) -> Self {
        match rule {
            NumberRule::Spelling => Self::Path(path),
            NumberRule::Value => Self::PathValue(path),
        }
    }

    /// The column's name in a segment.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Sequence => "sequence".into(),
            Self::Namespace => "namespace".into(),
            Self::Organization => "organization".into(),
            Self::EventType => "event_type".into(),
            Self::Time => "time".into(),
            Self::Received => "received".into(),
            Self::Subject => "subject".into(),
            Self::Source => "source".into(),
            Self::Id => "id".into(),
            Self::ConflictWith => "conflict_with".into(),
            Self::Data => "data".into(),
            Self::Dimension(dimension) | Self::SentDimension(dimension) => {
                dimension.column().into()
            }
            Self::Reading(rule) => format!("r_{}", rule.key()),
            Self::Path(path) => format!("p_{}", path_key(path)),
            Self::PathValue(path) => format!("v_{}", path_key(path)),
        }
    }

    pub(crate) fn holds(&self) -> Holds {
        match self {
            Self::Sequence | Self::ConflictWith => Holds::Number,
            Self::Time | Self::Received => Holds::Instant,
            Self::Reading(rule) if !rule.aggregation.reads_text() => Holds::Decimal,
            _ => Holds::Text,
        }
    }

    /// Whether the column is folded from `data`.
    pub(crate) fn is_derived(&self) -> bool {
        matches!(
            self,
            Self::Dimension(_)
                | Self::SentDimension(_)
                | Self::Reading(_)
                | Self::Path(_)
                | Self::PathValue(_)
        )
    }

    pub(crate) fn is_nullable(&self) -> bool {
        self.is_derived() || matches!(self, Self::ConflictWith | Self::Data)
    }

    /// Whether few distinct values are to be expected.
    pub(crate) fn repeats(&self) -> bool {
        !matches!(
            self,
            Self::Sequence
                | Self::Time
                | Self::Received
                | Self::Id
                | Self::Data
                | Self::Dimension(Dimension::TaskRunId)
                | Self::SentDimension(Dimension::TaskRunId)
        )
    }

    pub(crate) fn data_type(&self, texts: Texts) -> DataType {
        match self.holds() {
            Holds::Number => DataType::UInt64,
            Holds::Instant => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            Holds::Decimal => DataType::Decimal128(PRECISION, SCALE),
            Holds::Text if texts == Texts::Coded && self.repeats() => coded(),
            Holds::Text => DataType::Utf8,
        }
    }

    fn field(&self, texts: Texts) -> Field {
        Field::new(self.name(), self.data_type(texts), self.is_nullable())
    }
}

/// The type of texts held as codes.
pub(crate) fn coded() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The schema of batches with these columns.
pub(crate) fn schema(columns: &[Column], texts: Texts) -> SchemaRef {
    let fields: Vec<Field> = columns.iter().map(|column| column.field(texts)).collect();
    SchemaRef::new(Schema::new(fields))
}

/// A name for a path: 32 hexadecimal digits.
fn path_key(path: &JsonPath) -> String {
    let mut hasher = SipHasher13::new();
    hasher.write(path.as_str().as_bytes());
    let hash = hasher.finish128();
    format!("{:016x}{:016x}", hash.h1, hash.h2)
}

/// The key columns of a batch that starts with [`KEY_COLUMNS`], typed.
#[derive(Debug, Clone)]
pub(crate) struct Keys<'a> {
    pub(crate) organization: Strings<'a>,
    pub(crate) event_type: Strings<'a>,
    pub(crate) time: &'a [i64],
    pub(crate) sequence: &'a [u64],
    pub(crate) conflict: &'a UInt64Array,
}

impl<'a> Keys<'a> {
    pub(crate) fn of(batch: &'a RecordBatch) -> Self {
        Self {
            organization: Strings::of(batch.column(0)),
            event_type: Strings::of(batch.column(1)),
            time: batch
                .column(2)
                .as_primitive::<TimestampNanosecondType>()
                .values(),
            sequence: batch.column(3).as_primitive::<UInt64Type>().values(),
            conflict: batch.column(4).as_primitive(),
        }
    }
}
