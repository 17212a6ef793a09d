//! How far a day's usage climbed before it fell again.
//!
//! Totals by day say where a day ends. Where readings are negative it may have reached a higher
//! tier in between, whose price the day shows: such days are read event by event.

use jiff::Timestamp;

use super::{Ledger, Stretch, UsageRead};
use crate::aggregation::Aggregation;
use crate::export::job_level::JobRead;
use crate::export::{day_after, midnight, utc_date};
use crate::quantity::Total;
use crate::range::TimeRange;
use crate::tree::Scope;

/// What the events of a stretch add up to as they come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Climb {
    level: Total,
    /// The most above the start.
    pub(super) most: Total,
}

impl<'c> Ledger<'c> {
    /// The smallest readings by day to ask for after `reads`, which are [`Self::reads`]: of meters
    /// whose usage adds up over tiers and may fall, on the days asked for.
    pub fn minima(&self, reads: &[UsageRead<'c>]) -> Vec<UsageRead<'c>> {
        let may_fall = |meter: &&&crate::meter::Meter| {
            meter.rule.aggregation == Aggregation::Sum && self.is_tiered(meter)
        };
        let minima = reads.iter().map(|read| UsageRead {
            scope: read.scope.within(self.range),
            meters: read.meters.iter().filter(may_fall).copied().collect(),
            start: read.start,
        });
        minima
            .filter(|read| !read.meters.is_empty() && !read.scope.entries().is_empty())
            .collect()
    }

    /// Takes the next event by time of a day on which usage fell, read by the meter at this place.
    pub fn climb(&mut self, read: &UsageRead<'c>, meter: usize, time: Timestamp, usage: Total) {
        let date = utc_date(time);
        let (meter, start) = read.stretch(meter, midnight(date));
        let stretches = self.days.get_mut(&(meter.id, date));
        let mut stretches = stretches.into_iter().flatten();
        if let Some(stretch) = stretches.find(|stretch| stretch.start == start) {
            stretch.climb(usage);
        }
    }
}

impl<'c> UsageRead<'c> {
    /// The events of the meter at this place on some days, given by their first instants.
    pub fn events_on(&self, meter: usize, days: &[Timestamp]) -> JobRead<'c> {
        let meter = self.meters[meter];
        let day = |day: &Timestamp| TimeRange::between(*day, midnight(day_after(utc_date(*day))));
        let days: Vec<_> = days.iter().map(day).collect();
        JobRead {
            scope: self
                .scope
                .within(meter.valid)
                .intersect(&Scope::during(self.scope.organizations(), &days)),
            meter,
            others: Vec::new(),
        }
    }
}

impl Stretch<'_> {
    fn climb(&mut self, usage: Total) {
        let before = self.climb.unwrap_or(Climb {
            level: Total::ZERO,
            most: Total::ZERO,
        });
        let level = before.level + usage;
        self.climb = Some(Climb {
            level,
            most: before.most.max(level),
        });
    }
}
