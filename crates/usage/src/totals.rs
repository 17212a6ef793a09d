//! Totals per meter, window and group, folded from columns in any order.

mod groups;
mod plan;
mod tally;
mod windows;

use crate::error::Result;
use crate::query::{TotalRow, TotalsQuery};
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
    let mut tally = Tally::new(&plan);
    for segment in &snapshot.segments {
        let groups = plan.visible.groups(segment)?;
        if groups.is_empty() {
            continue;
        }
        for batch in segment.read(groups, &plan.ask)? {
            tally.add(&batch?)?;
        }
    }
    for batch in TailRows::new(snapshot, &plan.visible, &plan.ask) {
        tally.add(&batch?)?;
    }
    Ok(tally.finish())
}
