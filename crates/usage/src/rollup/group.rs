//! The totals of one hour of one group, in every aggregation that can be merged.

use domain::aggregation::{Fold, Latest};
use domain::quantity::{Quantity, Total};
use ethnum::I256;

use crate::row::instant;

/// Totals of at least one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rolled {
    pub(crate) sum: Total,
    pub(crate) count: u64,
    pub(crate) min: i128,
    pub(crate) max: i128,
    /// Time, sequence and units of the latest reading.
    pub(crate) latest: (i64, u64, i128),
}

impl Rolled {
    /// The totals of one reading.
    pub(crate) fn new(units: i128, time: i64, sequence: u64) -> Self {
        Self {
            sum: Total::from_units(I256::from(units)),
            count: 1,
            min: units,
            max: units,
            latest: (time, sequence, units),
        }
    }

    /// Adds a reading.
    pub(crate) fn add(&mut self, units: i128, time: i64, sequence: u64) {
        self.sum += Total::from_units(I256::from(units));
        self.count += 1;
        self.min = self.min.min(units);
        self.max = self.max.max(units);
        self.latest = self.latest.max((time, sequence, units));
    }

    /// Merges the totals into a fold of numbers.
    pub(crate) fn merge_into(&self, fold: &mut Fold) {
        let other = match fold {
            Fold::Sum(_) => Fold::Sum(self.sum),
            Fold::Count(_) => Fold::Count(self.count),
            Fold::Min(_) => Fold::Min(Quantity::from_units(self.min)),
            Fold::Max(_) => Fold::Max(Quantity::from_units(self.max)),
            Fold::Avg { .. } => Fold::Avg {
                sum: self.sum,
                count: self.count,
            },
            Fold::Latest(_) => {
                let (time, sequence, units) = self.latest;
                let latest = Quantity::from_units(units).map(|quantity| Latest {
                    time: instant(time),
                    sequence,
                    quantity,
                });
                Fold::Latest(latest)
            }
            // Distinct values cannot be rolled up: such rules have no rollup.
            Fold::Unique(_) => return,
        };
        fold.merge(other);
    }
}
