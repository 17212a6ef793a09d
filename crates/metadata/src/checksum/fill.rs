//! The one time when rows get a checksum, and accounts their totals, without having had them: after
//! the migrations that add them.

use super::tables::tables;
use super::{Table, history};
use crate::database::{Database, Transaction, either, sql};
use crate::error::Result;

/// Rows read at once.
const ROWS_MAX: u32 = 1_000;

/// Writes the checksums of rows of before and the totals of accounts, once, whoever opens the
/// database first.
///
/// Afterwards a row without a checksum is damaged, and so is an account without totals.
pub(crate) async fn fill(database: &Database) -> Result<()> {
    let filled = sql("SELECT is_filled FROM checksum_fill WHERE is_filled AND has_totals");
    if database.read().one(filled).await?.is_some() {
        return Ok(());
    }
    let mut transaction = database.begin().await?;
    let lock = sql("UPDATE checksum_fill SET is_filled = is_filled
         RETURNING is_filled, has_totals");
    let row = transaction.one(lock).await?;
    let Some(row) = row else {
        return Ok(());
    };
    // Changes of other servers wait for the counter, and find every row with its checksum.
    let counter = sql("UPDATE control_revision SET revision = revision");
    transaction.run(counter).await?;
    if !row.get::<bool>("is_filled")? {
        for table in tables() {
            while fill_some(&mut transaction, table).await? {}
        }
    }
    if !row.get::<bool>("has_totals")? {
        history::fill(database, &mut transaction).await?;
    }
    let done = sql("UPDATE checksum_fill SET is_filled = TRUE, has_totals = TRUE");
    transaction.run(done).await?;
    transaction.commit().await
}

/// Fills up to [`ROWS_MAX`] rows; tells whether there were any.
async fn fill_some(transaction: &mut Transaction, table: &'static Table) -> Result<bool> {
    let rows = either(&table.bare.0, &table.bare.1).bind(ROWS_MAX);
    let rows = transaction.all(rows).await?;
    for row in &rows {
        let checksum = table.checksum(&table.stored(row)?);
        let place: String = row.get("place")?;
        let statement = either(&table.seal.0, &table.seal.1);
        transaction
            .run(statement.bind(place).bind(checksum))
            .await?;
    }
    Ok(!rows.is_empty())
}
