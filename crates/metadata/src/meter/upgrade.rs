//! The one change a release makes by itself: numbers by value, from a revision of its own on.

use domain::Timestamp;
use domain::number::NumberRule;

use crate::checksum::METER_VERSIONS;
use crate::database::{Bind, Statement, sql};
use crate::error::{Error, Result};
use crate::open::Metadata;
use crate::revision::Change;

/// Versions read at once.
const ROWS_MAX: u32 = 1_000;

/// Where reading goes on: account, meter and start of the version before.
type Place = (String, String, i64);

/// Versions after a place that hold and take numbers as they are spelled.
fn spelled_after((account, meter, valid_from): &Place, rows: u32) -> Statement {
    sql("SELECT * FROM meter_versions
         WHERE ended_revision IS NULL AND number_rule IS NULL
             AND (account_id, meter_id, valid_from) > ($1, $2, $3)
         ORDER BY account_id, meter_id, valid_from LIMIT $4")
    .bind(account)
    .bind(meter)
    .bind(*valid_from)
    .bind(rows)
}

impl Metadata {
    /// Gives every meter version that holds and takes numbers as they are spelled a successor that
    /// takes them by value. Snapshots at earlier revisions stay as they are.
    ///
    /// The next time nothing is left to do. A damaged version stays for whoever repairs it; when
    /// it is sound again it gets its successor, too.
    pub(crate) async fn take_numbers_by_value(&self) -> Result<()> {
        let first = spelled_after(&Place::default(), 1);
        if self.database.read().one(first).await?.is_none() {
            return Ok(());
        }
        // No column of a version says when it was written.
        let mut change = self.begin_change(Timestamp::UNIX_EPOCH).await?;
        change.take_numbers_by_value().await?;
        change.commit().await.map(drop)
    }
}

impl Change {
    async fn take_numbers_by_value(&mut self) -> Result<()> {
        let by_value = Bind::from(u32::from(NumberRule::Value));
        let mut place = Place::default();
        loop {
            let rows = self
                .transaction
                .all(spelled_after(&place, ROWS_MAX))
                .await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            place = (
                last.get("account_id")?,
                last.get("meter_id")?,
                last.get("valid_from")?,
            );
            for row in &rows {
                let changes = [("number_rule", by_value.clone())];
                match self.succeed(&METER_VERSIONS, row, &changes).await {
                    Ok(()) | Err(Error::DamagedRow { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}
