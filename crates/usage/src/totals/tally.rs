//! Folds batches into groups.

use std::collections::BTreeSet;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use arrow_array::{Array, Decimal128Array, RecordBatch};
use domain::aggregation::Fold;
use domain::limits::UNIQUE_VALUES_MAX;
use domain::quantity::{Quantity, Total};
use ethnum::I256;

use super::groups::{CodeCache, Groups, NONE, Texts};
use super::plan::{MeterPlan, Plan};
use super::spans::Spans;
use super::windows::WindowCache;
use super::{hours, rolled};
use crate::columns::{Keys, Strings};
use crate::error::{Error, Result};
use crate::query::{TotalRow, TotalsQuery};
use crate::rollup::{HOUR_NS, RollupRow};
use crate::row::instant;
use crate::visible::stretch;

/// Numbers in a group before those of its keys: the meter's and the window's.
const GROUP_HEAD: usize = 2;

/// The state of a totals query.
#[derive(Debug)]
pub(super) struct Tally<'p> {
    plan: &'p Plan<'p>,
    windows: WindowCache<'p>,
    texts: Texts,
    groups: Groups,
    keys: Vec<CodeCache>,
    filters: Vec<CodeCache>,
    spans: Option<Spans>,
    unique_values: usize,
    group: Vec<u32>,
    split_an_hour: bool,
}

/// A batch with its columns looked up.
struct View<'b> {
    keys: Keys<'b>,
    group_keys: Vec<Strings<'b>>,
    filters: Vec<Strings<'b>>,
    batch: &'b RecordBatch,
    /// Whether every row is known at `as_of` and counts.
    all_count: bool,
}

impl<'p> Tally<'p> {
    pub(super) fn new(plan: &'p Plan<'p>) -> Self {
        let caches = |count: usize| (0..count).map(|_| CodeCache::default()).collect();
        Self {
            plan,
            windows: WindowCache::new(plan.query.windows.as_ref()),
            texts: Texts::default(),
            groups: Groups::default(),
            keys: caches(plan.keys.len()),
            filters: caches(plan.filters.len()),
            spans: has_spans(plan.query).then(Spans::default),
            unique_values: 0,
            group: vec![NONE; GROUP_HEAD + plan.keys.len()],
            split_an_hour: false,
        }
    }

    /// Folds the rows of a batch that are seen; of a meter that is `rolled` those outside whole
    /// hours.
    pub(super) fn add(&mut self, batch: &RecordBatch, rolled: &[bool]) -> Result<()> {
        let plan = self.plan;
        let keys = Keys::of(batch);
        let strings = |columns: &[usize]| -> Vec<Strings<'_>> {
            let columns = columns.iter().map(|index| batch.column(*index));
            columns.map(Strings::of).collect()
        };
        let known = |sequence: &u64| *sequence <= plan.visible.as_of;
        let view = View {
            all_count: keys.conflict.null_count() == batch.num_rows()
                && keys.sequence.iter().all(known),
            group_keys: strings(&plan.keys),
            filters: strings(&plan.filters),
            keys,
            batch,
        };
        let caches = self.keys.iter_mut().zip(&view.group_keys);
        for (cache, column) in caches.chain(self.filters.iter_mut().zip(&view.filters)) {
            cache.turn_to(*column);
        }
        plan.visible.each_stretch(&view.keys, |run, range, rows| {
            let meters = plan.meters.iter().enumerate();
            for (number, meter) in
                meters.filter(|(_, meter)| meter.meter.rule.event_type == run.event_type)
            {
                if !rolled[number] {
                    self.add_stretch(&view, number, &rows)?;
                    continue;
                }
                for edge in hours::edges(range, &meter.valid) {
                    let rows = stretch(view.keys.time, &rows, &edge);
                    self.add_stretch(&view, number, &rows)?;
                }
            }
            Ok(())
        })
    }

    /// Folds rows of one organization and event type, sorted by time, for one meter.
    fn add_stretch(&mut self, view: &View<'_>, number: usize, rows: &Range<usize>) -> Result<()> {
        let meter = &self.plan.meters[number];
        let mut rest = stretch(view.keys.time, rows, &meter.valid);
        while !rest.is_empty() {
            let (_, end, window) = self.windows.around(view.keys.time[rest.start]);
            let inside = stretch(view.keys.time, &rest, &(i64::MIN..end));
            let inside = if end == i64::MAX {
                rest.clone()
            } else {
                inside
            };
            self.group[0] = u32::try_from(number).unwrap_or(u32::MAX);
            self.group[1] = window;
            self.add_window(view, meter, inside.clone())?;
            rest = inside.end.max(rest.start + 1)..rest.end;
        }
        Ok(())
    }

    fn add_window(
        &mut self,
        view: &View<'_>,
        meter: &MeterPlan<'_>,
        rows: Range<usize>,
    ) -> Result<()> {
        let column = view.batch.column(meter.reading);
        let Some(units) = column.as_primitive_opt::<Decimal128Type>() else {
            return self.add_texts(view, meter, rows);
        };
        if self.keys.is_empty() && self.filters.is_empty() && view.all_count {
            return self.add_run(view, meter, units, rows);
        }
        for row in rows {
            if units.is_valid(row) && self.passes(view, row) {
                let place = self.place(view, meter, row)?;
                add(self.groups.fold(place), units.value(row), &view.keys, row);
                self.extend_span(place, view.keys.time[row]);
            }
        }
        Ok(())
    }

    /// Folds consecutive rows of one group that all count.
    fn add_run(
        &mut self,
        view: &View<'_>,
        meter: &MeterPlan<'_>,
        units: &Decimal128Array,
        rows: Range<usize>,
    ) -> Result<()> {
        let read = units.slice(rows.start, rows.len());
        let count = read.len() - read.null_count();
        if count == 0 {
            return Ok(());
        }
        let fold = Fold::new(meter.meter.rule.aggregation);
        let place = self.groups.place(&self.group, || fold)?;
        if self.spans.is_some() {
            let mut read_rows = rows.clone().filter(|row| units.is_valid(*row));
            let (first, last) = (read_rows.next(), read_rows.next_back());
            for row in first.into_iter().chain(last) {
                self.extend_span(place, view.keys.time[row]);
            }
        }
        match self.groups.fold(place) {
            Fold::Sum(sum) => *sum += total(&read),
            Fold::Count(counted) => *counted += count as u64,
            Fold::Avg {
                sum,
                count: counted,
            } => {
                *sum += total(&read);
                *counted += count as u64;
            }
            fold => {
                for row in rows.filter(|row| units.is_valid(*row)) {
                    add(fold, units.value(row), &view.keys, row);
                }
            }
        }
        Ok(())
    }

    fn add_texts(
        &mut self,
        view: &View<'_>,
        meter: &MeterPlan<'_>,
        rows: Range<usize>,
    ) -> Result<()> {
        let texts = Strings::of(view.batch.column(meter.reading));
        for row in rows {
            let Some(text) = texts.get(row).filter(|_| self.passes(view, row)) else {
                continue;
            };
            let place = self.place(view, meter, row)?;
            self.extend_span(place, view.keys.time[row]);
            if let Fold::Unique(values) = self.groups.fold(place)
                && !values.contains(text)
            {
                values.insert(text.into());
                self.unique_values += 1;
            }
            if self.unique_values > UNIQUE_VALUES_MAX {
                return Err(Error::OverLimit {
                    what: "number of distinct values",
                    asked: self.unique_values as u64,
                    limit: UNIQUE_VALUES_MAX as u64,
                });
            }
        }
        Ok(())
    }

    /// Whether a row counts and passes every filter.
    fn passes(&mut self, view: &View<'_>, row: usize) -> bool {
        const PASSES: u32 = 1;
        if !view.all_count && !self.plan.visible.counts(&view.keys, row) {
            return false;
        }
        let filters = self.plan.query.filters.iter();
        let caches = self.filters.iter_mut().zip(&view.filters);
        filters.zip(caches).all(|(filter, (cache, column))| {
            let learn = |text: &str| u32::from(filter.values.holds(Some(text)));
            let passes = cache.get(*column, row, learn) == PASSES;
            passes || (filter.values.holds(None) && column.get(row).is_none())
        })
    }

    /// The place of the fold of a row's group.
    fn place(&mut self, view: &View<'_>, meter: &MeterPlan<'_>, row: usize) -> Result<usize> {
        let caches = self.keys.iter_mut().zip(&view.group_keys);
        for (slot, (cache, column)) in self.group[GROUP_HEAD..].iter_mut().zip(caches) {
            *slot = cache.get(*column, row, |text| self.texts.number(text));
        }
        let new = || Fold::new(meter.meter.rule.aggregation);
        self.groups.place(&self.group, new)
    }

    /// Merges a row of a rollup into a meter's totals.
    pub(super) fn add_rolled(&mut self, number: usize, row: &RollupRow<'_>) -> Result<()> {
        let query = self.plan.query;
        let passes = query
            .filters
            .iter()
            .all(|filter| filter.values.holds(rolled::value(&filter.key, row)));
        let (_, end, window) = self.windows.around(row.hour);
        self.split_an_hour |= end < row.hour.saturating_add(HOUR_NS);
        if !passes {
            return Ok(());
        }
        self.group[0] = u32::try_from(number).unwrap_or(u32::MAX);
        self.group[1] = window;
        for (slot, key) in self.group[GROUP_HEAD..].iter_mut().zip(&query.group_by) {
            let value = rolled::value(key, row);
            *slot = value.map_or(NONE, |text| self.texts.number(text));
        }
        let aggregation = self.plan.meters[number].meter.rule.aggregation;
        let place = self.groups.place(&self.group, || Fold::new(aggregation))?;
        row.rolled.merge_into(self.groups.fold(place));
        if let Some(spans) = &mut self.spans {
            spans.extend_by_hour(place, row.hour, row.rolled.latest.0);
        }
        Ok(())
    }

    fn extend_span(&mut self, place: usize, time: i64) {
        if let Some(spans) = &mut self.spans {
            spans.extend(place, time);
        }
    }

    /// Hours in which first readings lie that only rollups were asked for.
    pub(super) fn open_hours(&self) -> BTreeSet<i64> {
        self.spans
            .as_ref()
            .map(Spans::open_hours)
            .unwrap_or_default()
    }

    /// Whether a row of a rollup lay in two windows, which spoils the totals.
    pub(super) fn split_an_hour(&self) -> bool {
        self.split_an_hour
    }

    /// The totals, ordered by meter, window and keys.
    pub(super) fn finish(self) -> Vec<TotalRow> {
        let (windows, texts) = (self.windows, self.texts);
        let spans = self.spans;
        let row = |(group, place, fold): (Box<[u32]>, usize, Fold)| TotalRow {
            meter: group[0] as usize,
            span: spans.as_ref().and_then(|spans| spans.get(place)),
            window: windows.get(group[1]),
            keys: group[GROUP_HEAD..]
                .iter()
                .map(|number| texts.text(*number).map(str::to_owned))
                .collect(),
            fold,
        };
        let mut rows: Vec<TotalRow> = self.groups.into_folds().map(row).collect();
        rows.sort_by(|left, right| {
            (left.meter, left.window, &left.keys).cmp(&(right.meter, right.window, &right.keys))
        });
        rows
    }
}

/// Whether totals say when their first and last readings were.
fn has_spans(query: &TotalsQuery) -> bool {
    query.spans && query.windows.is_none()
}

/// Adds the reading of one row.
fn add(fold: &mut Fold, units: i128, keys: &Keys<'_>, row: usize) {
    match fold {
        Fold::Sum(sum) => *sum += Total::from_units(I256::from(units)),
        Fold::Count(count) => *count += 1,
        Fold::Avg { sum, count } => {
            *sum += Total::from_units(I256::from(units));
            *count += 1;
        }
        fold => {
            if let Some(quantity) = Quantity::from_units(units) {
                fold.add(quantity, instant(keys.time[row]), keys.sequence[row]);
            }
        }
    }
}

/// The exact sum of a column: in 128 bits while they suffice.
fn total(read: &Decimal128Array) -> Total {
    let mut sum = I256::ZERO;
    let mut part: i128 = 0;
    for units in read.iter().flatten() {
        part = part.checked_add(units).unwrap_or_else(|| {
            sum += I256::from(part);
            units
        });
    }
    Total::from_units(sum + I256::from(part))
}
