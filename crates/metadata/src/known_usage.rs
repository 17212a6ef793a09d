//! What the database knows of the usage kept beside it, so that a lost or older folder is noticed.

use domain::Timestamp;

use crate::database::{Statement, sql};
use crate::error::Result;
use crate::open::Metadata;

/// What is known of the usage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownUsage {
    /// Identity of the store, once one was recorded.
    pub store: Option<String>,
    /// A sequence that was durable; 0 when none is known.
    pub durable_through: u64,
}

impl Metadata {
    /// The newest sequence that was recorded, or that a finished export was made at.
    pub async fn known_usage(&self) -> Result<KnownUsage> {
        // The table has a row or none. It is read as a whole, so that no index hides it.
        let recorded = sql("SELECT store, durable_through, since FROM known_usage
             WHERE name || '' = 'data' ORDER BY durable_through DESC");
        let recorded = self.database.read().one(recorded).await?;
        let (store, durable_through, since) = match &recorded {
            Some(row) => (
                Some(row.get::<String>("store")?).filter(|store| !store.is_empty()),
                row.get::<u64>("durable_through")?,
                row.get::<i64>("since")?,
            ),
            None => (None, 0, 0),
        };
        let exported = sql(
            "SELECT coalesce(max(as_of_sequence), 0) AS sequence FROM exports
             WHERE status IN ('SUCCESS', 'PARTIAL_SUCCESS') AND as_of_time >= $1",
        )
        .bind(since);
        let exported = self.database.read().one(exported).await?;
        let exported = exported.map_or(Ok(0), |row| row.get::<u64>("sequence"))?;
        Ok(KnownUsage {
            store,
            durable_through: durable_through.max(exported),
        })
    }

    /// When usage was last given up as lost, if ever: sequences of before name other events now.
    pub async fn usage_forgotten_at(&self) -> Result<Option<Timestamp>> {
        let statement = sql("SELECT since FROM known_usage
             WHERE name || '' = 'data' AND since > 0 ORDER BY since DESC");
        let row = self.database.read().one(statement).await?;
        row.map(|row| row.get("since")).transpose()
    }

    /// Records a durable sequence of a store; never an earlier one, and another store only while
    /// nothing is known of the last one.
    pub async fn record_usage(&self, store: &str, durable_through: u64) -> Result<()> {
        let statement = sql(
            "INSERT INTO known_usage (name, store, durable_through, since)
             VALUES ('data', $1, $2, 0)
             ON CONFLICT (name) DO UPDATE SET store = excluded.store,
                 durable_through = excluded.durable_through
             WHERE known_usage.durable_through < excluded.durable_through
                 AND known_usage.store = excluded.store
                 OR known_usage.durable_through = 0",
        )
        .bind(store)
        .bind(durable_through);
        self.database.run(statement).await?;
        Ok(())
    }

    /// Forgets all of it: whatever usage is there next is taken for complete.
    pub async fn forget_usage(&self, now: Timestamp) -> Result<()> {
        self.database.run(forget(now)).await?;
        Ok(())
    }
}

fn forget(now: Timestamp) -> Statement {
    sql(
        "INSERT INTO known_usage (name, store, durable_through, since)
         VALUES ('data', '', 0, $1)
         ON CONFLICT (name) DO UPDATE SET store = '', durable_through = 0, since = excluded.since",
    )
    .bind(now)
}
