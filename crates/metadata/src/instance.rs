//! Who may open the data directory when servers share one database.

use domain::Timestamp;

use crate::database::{Row, Transaction, sql};
use crate::error::{Error, Result};
use crate::open::Metadata;

/// The right to open the data directory, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Who holds it, such as host and folder; for logs alone.
    pub owner: String,
    /// Under which URL it is reached; a command that answers no requests has none.
    pub url: Option<String>,
    /// Grows with every new holder.
    pub epoch: u64,
    /// Until when.
    pub lease_expires_at: Timestamp,
}

impl Metadata {
    /// Takes the right to open the data directory and says under which URL its holder is reached;
    /// [`crate::Error::InUse`] names a live holder.
    pub async fn claim_instance(
        &self,
        owner: &str,
        url: Option<&str>,
        lease_ms: u32,
        now: Timestamp,
    ) -> Result<Instance> {
        let mut transaction = self.database.begin().await?;
        transaction.lock("instance").await?;
        let last = held(&mut transaction).await?;
        if let Some(last) = &last
            && last.owner != owner
            && last.lease_expires_at > now
        {
            return Err(Error::InUse {
                holder: last.owner.clone(),
            });
        }
        let epoch = last.map_or(0, |last| last.epoch) + 1;
        let statement = sql(
            "INSERT INTO instances (name, owner, epoch, lease_expires_at, url)
             VALUES ('data', $1, $2, $3, $4)
             ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, epoch = excluded.epoch,
                 lease_expires_at = excluded.lease_expires_at, url = excluded.url
             RETURNING *",
        )
        .bind(owner)
        .bind(epoch)
        .bind(lease_end(now, lease_ms))
        .bind(url);
        let row = transaction.one(statement).await?;
        transaction.commit().await?;
        instance_of(&row.ok_or_else(|| Error::not_found("instance", owner))?)
    }

    /// Extends the right; [`crate::Error::InUse`] when another has it.
    pub async fn renew_instance(
        &self,
        instance: &Instance,
        lease_ms: u32,
        now: Timestamp,
    ) -> Result<Instance> {
        let statement = sql("UPDATE instances SET lease_expires_at = $3, url = $4
             WHERE name = 'data' AND owner = $1 AND epoch = $2 RETURNING *")
        .bind(&instance.owner)
        .bind(instance.epoch)
        .bind(lease_end(now, lease_ms))
        .bind(instance.url.as_deref());
        if let Some(row) = self.database.write_one(statement).await? {
            return instance_of(&row);
        }
        let holder = self.find_instance().await?;
        Err(Error::InUse {
            holder: holder.map_or_else(|| "nobody".to_owned(), |other| other.owner),
        })
    }

    /// Gives the right back; tells whether it was still held.
    pub async fn release_instance(&self, instance: &Instance) -> Result<bool> {
        let statement = sql("UPDATE instances SET lease_expires_at = 0
             WHERE name = 'data' AND owner = $1 AND epoch = $2 AND lease_expires_at > 0")
        .bind(&instance.owner)
        .bind(instance.epoch);
        Ok(self.database.run(statement).await? > 0)
    }

    /// Who holds the right, or held it last.
    pub async fn find_instance(&self) -> Result<Option<Instance>> {
        let row = self.database.read().one(sql(HELD)).await?;
        row.as_ref().map(instance_of).transpose()
    }
}

const HELD: &str = "SELECT * FROM instances WHERE name = 'data'";

async fn held(transaction: &mut Transaction) -> Result<Option<Instance>> {
    let row = transaction.one(sql(HELD)).await?;
    row.as_ref().map(instance_of).transpose()
}

/// When a lease of so many milliseconds ends, in microseconds UTC.
pub(crate) fn lease_end(now: Timestamp, lease_ms: u32) -> i64 {
    now.as_microsecond() + i64::from(lease_ms) * 1_000
}

fn instance_of(row: &Row) -> Result<Instance> {
    Ok(Instance {
        owner: row.get("owner")?,
        url: row.maybe("url")?,
        epoch: row.get("epoch")?,
        lease_expires_at: row.get("lease_expires_at")?,
    })
}
