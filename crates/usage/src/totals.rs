//! Totals per meter, window and group, folded from columns in any order.

mod groups;
mod hours;
mod plan;
mod rolled;
mod spans;
mod tally;
mod windows;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::query::{TotalRow, TotalsQuery};
use crate::segment::Segment;
use crate::snapshot::Snapshot;
use crate::tail::TailRows;
use crate::visible::{check_as_of, check_retention};

use plan::Plan;
use tally::Tally;

/// Folds the readings of `query` known at `as_of`. Blocks: call it from a thread that may.
///
/// Groups without a reading are left out. Ordered by meter, window and keys.
pub fn totals(snapshot: &Snapshot, query: &TotalsQuery, as_of: u64) -> Result<Vec<TotalRow>> {
    check_as_of(snapshot, as_of)?;
    check_retention(snapshot, &query.scope)?;
    let plan = Plan::new(query, as_of);
    let level = rolled::level(query);
    if let Some(folded) = fold(snapshot, &plan, level)? {
        return close_spans(snapshot, &plan, folded);
    }
    // An hour lay in two windows: only rows tell them apart.
    fold_rows(snapshot, &plan)
}

/// Open hours of spans up to which their rows are read apart; beyond, all rows are.
const OPEN_HOURS_MAX: usize = 64;

/// The totals of a fold, each with the instant of its first reading where only its hour is known.
fn close_spans(snapshot: &Snapshot, plan: &Plan<'_>, folded: Folded) -> Result<Vec<TotalRow>> {
    let Folded {
        mut rows,
        open_hours,
    } = folded;
    if open_hours.is_empty() {
        return Ok(rows);
    }
    if open_hours.len() > OPEN_HOURS_MAX {
        return fold_rows(snapshot, plan);
    }
    let first_hours = fold_rows(snapshot, &plan.in_hours(&open_hours))?;
    spans::close(&mut rows, &first_hours, &open_hours);
    Ok(rows)
}

fn fold_rows(snapshot: &Snapshot, plan: &Plan<'_>) -> Result<Vec<TotalRow>> {
    let folded = fold(snapshot, plan, None)?;
    let folded = folded.ok_or_else(|| Error::Internal("rows lie in no window".into()))?;
    Ok(folded.rows)
}

/// What a fold came to.
struct Folded {
    rows: Vec<TotalRow>,
    /// Hours in which first readings lie somewhere.
    open_hours: BTreeSet<i64>,
}

/// Folds rows, and whole hours from rollups of `level`; `None` when an hour lies in two windows.
fn fold(snapshot: &Snapshot, plan: &Plan<'_>, level: Option<u8>) -> Result<Option<Folded>> {
    let mut tally = Tally::new(plan);
    for segment in &snapshot.segments {
        let rolled = match level {
            Some(level) => rolled::add(&mut tally, plan, segment, level)?,
            None => vec![false; plan.meters.len()],
        };
        if tally.split_an_hour() {
            return Ok(None);
        }
        add_rows(&mut tally, plan, segment, &rolled)?;
    }
    let none = vec![false; plan.meters.len()];
    for batch in TailRows::new(snapshot, &plan.visible, &plan.ask) {
        tally.add(&batch?, &none)?;
    }
    Ok(Some(Folded {
        open_hours: tally.open_hours(),
        rows: tally.finish(),
    }))
}

/// Folds rows of a segment; of the meters that are `rolled` only those outside whole hours.
fn add_rows(
    tally: &mut Tally<'_>,
    plan: &Plan<'_>,
    segment: &Arc<Segment>,
    rolled: &[bool],
) -> Result<()> {
    let groups = if rolled.contains(&false) {
        plan.visible.groups(segment)?
    } else {
        plan.edges().groups(segment)?
    };
    if groups.is_empty() {
        return Ok(());
    }
    for batch in segment.read(groups, &plan.ask)? {
        tally.add(&batch?, rolled)?;
    }
    Ok(())
}
