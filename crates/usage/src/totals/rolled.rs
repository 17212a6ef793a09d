//! Whole hours of a segment, taken from its rollups.

use std::sync::Arc;

use domain::meter::ReadingRule;
use domain::window::WindowSize;

use super::hours;
use super::plan::Plan;
use super::tally::Tally;
use crate::error::Result;
use crate::query::{GroupKey, TotalsQuery};
use crate::rollup::{FINE_DIMENSIONS, HOUR_NS, RollupRow, dimensions};
use crate::segment::Segment;

/// The level of rollup that can answer a query; `None` when only rows can.
pub(super) fn level(query: &TotalsQuery) -> Option<u8> {
    let by_minute = |size| matches!(size, WindowSize::Minute);
    let windows = query.windows.as_ref();
    if windows.is_some_and(|windows| by_minute(windows.size)) {
        return None;
    }
    let filters = query.filters.iter().map(|filter| &filter.key);
    let mut needed = query.group_by.iter().chain(filters).map(|key| match key {
        GroupKey::Organization => Some(1),
        GroupKey::Dimension(dimension) => FINE_DIMENSIONS.contains(dimension).then_some(2),
        GroupKey::Subject | GroupKey::Path(_) => None,
    });
    needed.try_fold(1, |level, needed| {
        needed.map(|needed: u8| needed.max(level))
    })
}

/// What a row of a rollup holds under a key that [`level`] allowed.
pub(super) fn value<'b>(key: &GroupKey, row: &RollupRow<'b>) -> Option<&'b str> {
    match key {
        GroupKey::Organization => Some(row.organization),
        GroupKey::Dimension(dimension) => {
            let place = FINE_DIMENSIONS.iter().position(|fine| fine == dimension)?;
            row.dimensions.get(place).copied().flatten()
        }
        GroupKey::Subject | GroupKey::Path(_) => None,
    }
}

/// Merges the whole hours of a segment and tells for each meter whether that was done.
pub(super) fn add(
    tally: &mut Tally<'_>,
    plan: &Plan<'_>,
    segment: &Arc<Segment>,
    level: u8,
) -> Result<Vec<bool>> {
    let entry = segment.entry();
    let mut rolled = vec![false; plan.meters.len()];
    if entry.last > plan.visible.as_of {
        return Ok(rolled);
    }
    // A rollup holds dimensions as segments store them.
    let numbers = plan.query.numbers();
    if !dimensions(level).is_empty() && !segment.shows_dimensions(numbers) {
        return Ok(rolled);
    }
    let Some(file) = segment.rollup(level)? else {
        return Ok(rolled);
    };
    let known: Vec<String> = entry.layout.rules.iter().map(ReadingRule::key).collect();
    for (rolled, meter) in rolled.iter_mut().zip(&plan.meters) {
        let reads_numbers = !meter.meter.rule.aggregation.reads_text();
        *rolled = reads_numbers && known.contains(&meter.rule);
    }
    let wanted = |organization: &_, (first, last): (i64, i64)| {
        let end = last.saturating_add(HOUR_NS - 1);
        plan.visible.may_lie_in(organization, (first, end))
    };
    file.each_row(wanted, |row| {
        let meters = plan.meters.iter().zip(&rolled).enumerate();
        for (number, (meter, _)) in meters.filter(|(_, (_, rolled))| **rolled) {
            let ranges = plan.visible.ranges(row.organization).iter();
            let mut whole = ranges.map(|range| hours::whole(range, &meter.valid));
            let end = row.hour.saturating_add(HOUR_NS);
            let inside = whole.any(|whole| whole.start <= row.hour && end <= whole.end);
            if inside && meter.rule == row.rule {
                tally.add_rolled(number, row)?;
            }
        }
        Ok(())
    })?;
    Ok(rolled)
}
