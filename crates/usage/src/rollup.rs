//! Hourly totals beside each segment, so that long ranges need no rows (step 7).
//!
//! A rollup equals the fold of its rows. [`Rollups`] makes them while a segment is written;
//! [`crate::totals`] reads whole UTC hours from them.

mod build;
mod feed;
mod group;
mod read;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use domain::dimension::Dimension;

use crate::columns::{PRECISION, SCALE};

use build::RollupWriter;
pub(crate) use feed::Rollups;
pub(crate) use group::Rolled;
pub(crate) use read::{RollupFile, RollupRow};

/// Nanoseconds of an hour.
pub(crate) const HOUR_NS: i64 = 3_600_000_000_000;

/// What level 2 tells apart besides organization, rule and hour.
pub(crate) const FINE_DIMENSIONS: [Dimension; 6] = [
    Dimension::Project,
    Dimension::Folder,
    Dimension::Asset,
    Dimension::Environment,
    Dimension::BillingTag,
    Dimension::AppId,
];

/// Version of the form of rollups this release writes.
const ROLLUP_FORMAT: u32 = 1;

/// Digits of a sum's column.
const SUM_PRECISION: u8 = 76;

/// The dimensions of a level.
pub(crate) fn dimensions(level: u8) -> &'static [Dimension] {
    if level == 2 { &FINE_DIMENSIONS } else { &[] }
}

/// The first instant of the UTC hour around `time`.
pub(crate) fn hour_of(time: i64) -> i64 {
    time.div_euclid(HOUR_NS).saturating_mul(HOUR_NS)
}

/// The columns of a level, in order.
fn schema(level: u8) -> SchemaRef {
    let instant = || DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let quantity = || DataType::Decimal128(PRECISION, SCALE);
    let field = |name: &str, holds: DataType| Field::new(name, holds, false);
    let mut fields = vec![
        field("organization", DataType::Utf8),
        field("event_type", DataType::Utf8),
        field("hour", instant()),
        field("rule", DataType::Utf8),
        field("sum", DataType::Decimal256(SUM_PRECISION, SCALE)),
        field("count", DataType::UInt64),
        field("min", quantity()),
        field("max", quantity()),
        field("latest", quantity()),
        field("latest_time", instant()),
        field("latest_sequence", DataType::UInt64),
    ];
    let dimensions = dimensions(level).iter();
    fields.extend(dimensions.map(|held| Field::new(held.column(), DataType::Utf8, true)));
    SchemaRef::new(Schema::new(fields))
}
