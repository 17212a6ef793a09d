//! Reads hourly totals back.

use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Decimal256Type, TimestampNanosecondType, UInt64Type};
use domain::quantity::Total;
use ethnum::I256;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};

use super::{Rolled, dimensions};
use crate::checked::{CheckedFile, Written};
use crate::columns::Strings;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::manifest::RollupEntry;
use crate::segment::{Bounds, number_bounds, text_bounds};

/// Rows read at once.
const BATCH_ROWS: usize = 8 * 1024;
/// Columns before the first dimension.
const FIXED: usize = 11;

/// A file of hourly totals, its footer read.
#[derive(Debug)]
pub(crate) struct RollupFile {
    file: CheckedFile,
    metadata: ArrowReaderMetadata,
    level: u8,
    /// Organizations and hours of each row group.
    groups: Vec<(Bounds<Vec<u8>>, Bounds<i64>)>,
}

/// One row of a rollup.
#[derive(Debug)]
pub(crate) struct RollupRow<'b> {
    pub(crate) organization: &'b str,
    pub(crate) rule: &'b str,
    pub(crate) hour: i64,
    pub(crate) dimensions: Vec<Option<&'b str>>,
    pub(crate) rolled: Rolled,
}

impl RollupFile {
    /// Opens the file an entry names.
    pub(crate) fn open(disk: &Arc<dyn Disk>, folder: &Path, entry: &RollupEntry) -> Result<Self> {
        let written = Written {
            bytes: entry.bytes,
            checksum: entry.checksum.clone(),
            tail_bytes: entry.tail_bytes,
            tail_checksum: entry.tail_checksum.clone(),
        };
        let path = folder.join(&entry.file);
        let (file, metadata) = CheckedFile::open(disk, &path, &written)?;
        let groups = metadata.row_groups().iter();
        let groups: Option<Vec<_>> = groups
            .map(|group| Some((text_bounds(group, 0)?, number_bounds(group, 2)?)))
            .collect();
        let offset = entry.bytes - entry.tail_bytes;
        let unbounded = || Error::corrupt(&path, offset, "a row group has no bounds");
        let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())
            .map_err(|error| file.error(error))?;
        Ok(Self {
            file,
            metadata,
            level: entry.level,
            groups: groups.ok_or_else(unbounded)?,
        })
    }

    /// Calls `seen` with each row of the row groups that `wanted` takes by their bounds.
    pub(crate) fn each_row(
        &self,
        wanted: impl Fn(&Bounds<Vec<u8>>, Bounds<i64>) -> bool,
        mut seen: impl FnMut(&RollupRow<'_>) -> Result<()>,
    ) -> Result<()> {
        let groups = self.groups.iter().enumerate();
        let groups = groups.filter(|(_, (organization, hour))| wanted(organization, *hour));
        let groups: Vec<usize> = groups.map(|(index, _)| index).collect();
        let file = self.file.again();
        let metadata = self.metadata.clone();
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), metadata)
            .with_batch_size(BATCH_ROWS)
            .with_row_groups(groups)
            .build()
            .map_err(|error| file.error(error))?;
        for batch in reader {
            let batch = batch.map_err(|error| file.error(error))?;
            rows_of(&batch, self.level, &mut seen)?;
        }
        Ok(())
    }
}

fn rows_of(
    batch: &RecordBatch,
    level: u8,
    seen: &mut impl FnMut(&RollupRow<'_>) -> Result<()>,
) -> Result<()> {
    let text = |column: usize| Strings::of(batch.column(column));
    let number = |column: usize| batch.column(column).as_primitive::<UInt64Type>();
    let instant = |column: usize| {
        batch
            .column(column)
            .as_primitive::<TimestampNanosecondType>()
    };
    let quantity = |column: usize| batch.column(column).as_primitive::<Decimal128Type>();
    let (organization, hour, rule) = (text(0), instant(2), text(3));
    let sum = batch.column(4).as_primitive::<Decimal256Type>();
    let (count, min, max) = (number(5), quantity(6), quantity(7));
    let (latest, latest_time, latest_sequence) = (quantity(8), instant(9), number(10));
    let dimensions = (FIXED..FIXED + dimensions(level).len()).map(text);
    let dimensions: Vec<Strings<'_>> = dimensions.collect();
    for row in 0..batch.num_rows() {
        let units = I256::from_le_bytes(sum.value(row).to_le_bytes());
        let rolled = Rolled {
            sum: Total::from_units(units),
            count: count.value(row),
            min: min.value(row),
            max: max.value(row),
            latest: (
                latest_time.value(row),
                latest_sequence.value(row),
                latest.value(row),
            ),
        };
        seen(&RollupRow {
            organization: organization.at(row),
            rule: rule.at(row),
            hour: hour.value(row),
            dimensions: dimensions.iter().map(|held| held.get(row)).collect(),
            rolled,
        })?;
    }
    Ok(())
}
