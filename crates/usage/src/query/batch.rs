//! Rows of a scan, read by column without knowing how they are held.

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, TimestampNanosecondType, UInt64Type};
use arrow_array::{Array, RecordBatch, StringArray};
use arrow_schema::DataType;
use domain::Timestamp;
use domain::quantity::Quantity;

use crate::row::instant;

/// Some consecutive rows of a scan, by column.
///
/// Columns: `sequence` (UInt64), `organization`, `event_type` (Utf8), `time` (Timestamp ns, UTC),
/// `subject` (Utf8), then each asked dimension (Utf8, null where absent), then each asked reading
/// (Decimal128(38, 12), or Utf8 for UNIQUE_COUNT; null where the rule does not read the row).
#[derive(Debug, Clone)]
pub struct Batch {
    pub(crate) columns: RecordBatch,
    pub(crate) dimensions: usize,
}

/// Columns before the first dimension.
const FIXED: usize = 5;

impl Batch {
    /// Rows in the batch.
    pub fn len(&self) -> usize {
        self.columns.num_rows()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of the row's event.
    pub fn sequence(&self, row: usize) -> u64 {
        let column = self.columns.column(0).as_primitive::<UInt64Type>();
        column.value(row)
    }

    /// Organization the use belongs to.
    pub fn organization(&self, row: usize) -> &str {
        self.strings(1).value(row)
    }

    /// CloudEvents `type`.
    pub fn event_type(&self, row: usize) -> &str {
        self.strings(2).value(row)
    }

    /// Event time.
    pub fn time(&self, row: usize) -> Timestamp {
        let column = self.columns.column(3);
        let column = column.as_primitive::<TimestampNanosecondType>();
        instant(column.value(row))
    }

    /// CloudEvents `subject`.
    pub fn subject(&self, row: usize) -> &str {
        self.strings(4).value(row)
    }

    /// The value of the asked dimension with this index.
    pub fn dimension(&self, row: usize, index: usize) -> Option<&str> {
        let column = self.strings(FIXED + index);
        column.is_valid(row).then(|| column.value(row))
    }

    /// What the asked rule with this index reads; `None` for rules of UNIQUE_COUNT.
    pub fn quantity(&self, row: usize, index: usize) -> Option<Quantity> {
        let column = self.columns.column(FIXED + self.dimensions + index);
        let column = column.as_primitive_opt::<Decimal128Type>()?;
        if column.is_null(row) {
            return None;
        }
        Quantity::from_units(column.value(row))
    }

    /// The text the asked rule of UNIQUE_COUNT with this index reads.
    pub fn text(&self, row: usize, index: usize) -> Option<&str> {
        let column = self.columns.column(FIXED + self.dimensions + index);
        if *column.data_type() != DataType::Utf8 {
            return None;
        }
        let column = column.as_string::<i32>();
        column.is_valid(row).then(|| column.value(row))
    }

    fn strings(&self, column: usize) -> &StringArray {
        self.columns.column(column).as_string()
    }
}
