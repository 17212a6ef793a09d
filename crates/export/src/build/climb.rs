//! Days on which usage fell are read event by event, for the highest tier they reached.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::aggregation::{Aggregation, Fold};
use domain::export::{Ledger, UsageRead};
use domain::quantity::Total;
use futures::StreamExt;

use super::{Build, totals_query};
use crate::error::Result;

impl Build<'_> {
    /// Tells a ledger how far usage climbed on days that totals alone do not say it of.
    pub(super) fn climb<'c>(&self, ledger: &mut Ledger<'c>, reads: &[UsageRead<'c>]) -> Result<()> {
        for read in ledger.minima(reads) {
            for (meter, days) in self.days_with_falls(&read)? {
                self.climb_on(ledger, &read, meter, &days)?;
            }
        }
        Ok(())
    }

    /// The days with negative readings, by the place of their meter.
    fn days_with_falls(&self, read: &UsageRead<'_>) -> Result<BTreeMap<usize, Vec<Timestamp>>> {
        let mut query = totals_query(read, &[]);
        for meter in &mut query.meters {
            meter.rule.aggregation = Aggregation::Min;
        }
        let falls = |fold: &Fold| fold.value().is_some_and(|least| least < Total::ZERO);
        let mut days = BTreeMap::<_, Vec<_>>::new();
        for (day, row) in self.dated(query)? {
            if falls(&row.fold) {
                days.entry(row.meter).or_default().push(day);
            }
        }
        Ok(days)
    }

    fn climb_on<'c>(
        &self,
        ledger: &mut Ledger<'c>,
        read: &UsageRead<'c>,
        meter: usize,
        days: &[Timestamp],
    ) -> Result<()> {
        let events = read.events_on(meter, days);
        let mut batches = self.scan(&events, &[], vec![events.meter.rule.clone()])?;
        while let Some(batch) = self.runtime.block_on(batches.next()) {
            let batch = batch?;
            for index in 0..batch.len() {
                if let Some(quantity) = batch.quantity(index, 0) {
                    ledger.climb(read, meter, batch.time(index), quantity.into());
                }
            }
            self.gauge.check()?;
        }
        Ok(())
    }
}
