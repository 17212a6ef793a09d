//! What a totals query reads, worked out once.

use std::collections::BTreeSet;

use domain::meter::Meter;
use domain::number::NumberRule;

use super::hours;
use crate::columns::{Column, KEY_COLUMNS, Texts};
use crate::query::{GroupKey, TotalsQuery};
use crate::rollup::{HOUR_NS, hour_of};
use crate::row::nanoseconds;
use crate::segment::Ask;
use crate::visible::{Nanoseconds, Visible};

/// Rows folded at once.
const BATCH_ROWS: usize = 8 * 1024;

/// A totals query, resolved to columns.
#[derive(Debug)]
pub(super) struct Plan<'q> {
    pub(super) query: &'q TotalsQuery,
    pub(super) visible: Visible,
    pub(super) ask: Ask,
    pub(super) meters: Vec<MeterPlan<'q>>,
    /// Column of each group key.
    pub(super) keys: Vec<usize>,
    /// Column of each filter.
    pub(super) filters: Vec<usize>,
}

/// One meter of the query.
#[derive(Debug)]
pub(super) struct MeterPlan<'q> {
    pub(super) meter: &'q Meter,
    /// Key of its rule.
    pub(super) rule: String,
    /// Column of its readings.
    pub(super) reading: usize,
    pub(super) valid: Nanoseconds,
}

impl<'q> Plan<'q> {
    pub(super) fn new(query: &'q TotalsQuery, as_of: u64) -> Self {
        let mut columns = KEY_COLUMNS.to_vec();
        let meters = query.meters.iter().map(|meter| MeterPlan {
            meter,
            rule: meter.rule.key(),
            reading: place(&mut columns, Column::Reading(meter.rule.clone())),
            valid: valid(meter),
        });
        let meters: Vec<MeterPlan<'_>> = meters.collect();
        let (keys, numbers) = (query.group_by.iter(), query.numbers());
        let keys = keys
            .map(|key| place(&mut columns, column(key, numbers)))
            .collect();
        let filters = query.filters.iter();
        let filters = filters
            .map(|filter| place(&mut columns, column(&filter.key, numbers)))
            .collect();
        let mut event_types: Vec<String> = query
            .meters
            .iter()
            .map(|meter| meter.rule.event_type.clone())
            .collect();
        event_types.sort();
        event_types.dedup();
        let mut visible = Visible::new(&query.scope, &event_types, as_of);
        if event_types.is_empty() {
            visible.as_of = 0;
        }
        Self {
            query,
            visible,
            ask: Ask {
                columns,
                texts: Texts::Coded,
                batch_rows: BATCH_ROWS,
            },
            meters,
            keys,
            filters,
        }
    }
}

impl Plan<'_> {
    /// The same for nothing but these hours.
    pub(super) fn in_hours(&self, hours: &BTreeSet<i64>) -> Self {
        let mut plan = Plan::new(self.query, self.visible.as_of);
        plan.visible = self.visible.with_ranges(|range| {
            if range.is_empty() {
                return Vec::new();
            }
            let inside = hours.range(hour_of(range.start)..range.end);
            let inside = inside.map(|hour| {
                let end = hour.saturating_add(HOUR_NS);
                range.start.max(*hour)..range.end.min(end)
            });
            inside.collect()
        });
        plan
    }

    /// What is seen outside the whole hours of each meter.
    pub(super) fn edges(&self) -> Visible {
        self.visible.with_ranges(|range| {
            let meters = self.meters.iter();
            let edges = meters.flat_map(|meter| hours::edges(range, &meter.valid));
            edges.filter(|edge| !edge.is_empty()).collect()
        })
    }
}

fn valid(meter: &Meter) -> Nanoseconds {
    let start = meter.valid.start.map_or(i64::MIN, nanoseconds);
    let end = meter.valid.end.map_or(i64::MAX, nanoseconds);
    start..end
}

fn column(key: &GroupKey, numbers: NumberRule) -> Column {
    match key {
        GroupKey::Organization => Column::Organization,
        GroupKey::Subject => Column::Subject,
        GroupKey::Dimension(dimension) => Column::dimension(*dimension, numbers),
        GroupKey::Path(path) => Column::path(path.clone(), numbers),
    }
}

/// The index of a column, added when it is new.
fn place(columns: &mut Vec<Column>, wanted: Column) -> usize {
    let name = wanted.name();
    let known = columns.iter().position(|column| column.name() == name);
    known.unwrap_or_else(|| {
        columns.push(wanted);
        columns.len() - 1
    })
}
