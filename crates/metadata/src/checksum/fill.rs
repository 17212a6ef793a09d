//! The one time when rows get a checksum without having had one: after the migration that adds it.

use super::Table;
use super::tables::tables;
use crate::database::{Database, Transaction, either, sql};
use crate::error::Result;

/// Rows read at once.
const ROWS_MAX: u32 = 1_000;

/// Writes the checksums of rows of before, once, whoever opens the database first.
///
/// Afterwards a row without one is damaged.
pub(crate) async fn fill(database: &Database) -> Result<()> {
    let filled = sql("SELECT is_filled FROM checksum_fill WHERE is_filled");
    if database.read().one(filled).await?.is_some() {
        return Ok(());
    }
    let mut transaction = database.begin().await?;
    let lock = sql("UPDATE checksum_fill SET is_filled = is_filled RETURNING is_filled");
    let row = transaction.one(lock).await?;
    if row.map_or(Ok(true), |row| row.get("is_filled"))? {
        return Ok(());
    }
    // Changes of other servers wait for the counter, and find every row with its checksum.
    let counter = sql("UPDATE control_revision SET revision = revision");
    transaction.run(counter).await?;
    for table in tables() {
        while fill_some(&mut transaction, table).await? {}
    }
    let done = sql("UPDATE checksum_fill SET is_filled = TRUE");
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
