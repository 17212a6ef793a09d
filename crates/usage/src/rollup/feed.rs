//! Leads the batches of a segment past the rollups of each level.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, Decimal128Array, RecordBatch};

use super::{FINE_DIMENSIONS, RollupWriter, dimensions, hour_of};
use crate::columns::{Column, Holds, Keys, Strings};
use crate::disk::Disk;
use crate::error::Result;
use crate::manifest::RollupEntry;
use crate::visible::runs;

/// The rollups of a segment in the making.
#[derive(Debug)]
pub(crate) struct Rollups {
    levels: Vec<RollupWriter>,
    /// Event type and column of each rule.
    rules: Vec<(String, usize)>,
    /// Columns of [`FINE_DIMENSIONS`]; `None` for those that hold nothing.
    fine: Vec<Option<usize>>,
}

impl Rollups {
    /// Creates the files; `rows` are those of the segment with these columns. From
    /// `fine_rows_min` rows on there is a level 2.
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        segment_file: &str,
        columns: &[Column],
        (rows, fine_rows_min): (u64, u64),
    ) -> Result<Self> {
        let (mut rules, mut names) = (Vec::new(), Vec::new());
        for (index, column) in columns.iter().enumerate() {
            if let Column::Reading(rule) = column
                && column.holds() == Holds::Decimal
            {
                rules.push((rule.event_type.clone(), index));
                names.push(rule.key());
            }
        }
        let place = |wanted| columns.iter().position(|column| *column == wanted);
        let fine = FINE_DIMENSIONS.map(Column::Dimension).into_iter();
        let fine = fine.map(place).collect();
        let mut levels = Vec::new();
        // A rollup of level 2 as long as half the rows is no shorter way than the rows.
        let worth = [(1, u64::MAX), (2, rows / 2)].into_iter();
        let levels_made = if rows < fine_rows_min { 1 } else { 2 };
        for (level, rows_max) in worth.take(levels_made).filter(|_| !rules.is_empty()) {
            let names = names.clone();
            let writer = RollupWriter::create(disk, folder, segment_file, level, names, rows_max)?;
            levels.push(writer);
        }
        Ok(Self {
            levels,
            rules,
            fine,
        })
    }

    /// Rolls up rows that come after all earlier ones.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let keys = Keys::of(batch);
        let fine = self.fine.iter();
        let fine = fine.map(|column| column.map(|column| Strings::of(batch.column(column))));
        let fine: Vec<Option<Strings<'_>>> = fine.collect();
        for run in runs(&keys) {
            let rules = self.rules.iter().enumerate();
            let units: Vec<(usize, &Decimal128Array)> = rules
                .filter(|(_, (event_type, _))| event_type == run.event_type)
                .map(|(rule, (_, column))| (rule, batch.column(*column).as_primitive()))
                .collect();
            let mut rest = run.rows.clone();
            while !rest.is_empty() {
                let hour = hour_of(keys.time[rest.start]);
                let times = &keys.time[rest.clone()];
                let end = rest.start + times.partition_point(|time| hour_of(*time) == hour);
                for level in &mut self.levels {
                    level.turn_to(run.organization, run.event_type, hour)?;
                    add(level, &units, &keys, &fine, rest.start..end)?;
                }
                rest = end..rest.end;
            }
        }
        Ok(())
    }

    /// Ends the files and names those that were worth it.
    pub(crate) fn finish(self) -> Result<Vec<RollupEntry>> {
        let entries = self.levels.into_iter().map(RollupWriter::finish);
        entries.filter_map(Result::transpose).collect()
    }
}

fn add(
    level: &mut RollupWriter,
    units: &[(usize, &Decimal128Array)],
    keys: &Keys<'_>,
    fine: &[Option<Strings<'_>>],
    rows: std::ops::Range<usize>,
) -> Result<()> {
    let held = dimensions(level.level()).len();
    let mut values = vec![None; held];
    let read = |row: usize| units.iter().filter(move |(_, units)| units.is_valid(row));
    for row in rows.filter(|row| read(*row).next().is_some()) {
        if level.is_given_up() {
            break;
        }
        for (value, column) in values.iter_mut().zip(fine) {
            *value = column.and_then(|column| column.get(row));
        }
        let readings = read(row).map(|(rule, units)| (*rule, units.value(row)));
        level.add(&values, readings, (keys.time[row], keys.sequence[row]))?;
    }
    Ok(())
}
