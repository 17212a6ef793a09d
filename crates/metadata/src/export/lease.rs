//! Step 2 of usage out: leases with a fencing number, shared fairly between organizations.

use domain::Timestamp;
use domain::ids::ExportId;

use crate::database::{Transaction, sql};
use crate::error::{Error, Result};
use crate::export::read::export_of;
use crate::export::{Claim, Claimed, Export, ExportStatus, Progress};
use crate::instance::lease_end;
use crate::open::Metadata;

impl Metadata {
    /// Takes the next export: new ones and those whose lease lapsed.
    ///
    /// The organization with the fewest running exports goes first, then the oldest export. The
    /// pins of the first claim are kept by every later one, and so is a watermark that was asked
    /// for.
    pub async fn claim_export(&self, claim: &Claim, now: Timestamp) -> Result<Option<Claimed>> {
        let mut transaction = self.database.begin().await?;
        transaction.lock("exports").await?;
        let Some(next) = find_next(&mut transaction, now).await? else {
            return Ok(None);
        };
        let statement = sql(
            "UPDATE exports SET status = 'PROCESSING', fence = fence + 1,
                 attempts = attempts + 1, lease_owner = $2, lease_expires_at = $3,
                 as_of_sequence = coalesce(as_of_sequence, $4),
                 as_of_revision = coalesce(as_of_revision, $5),
                 as_of_time = coalesce(as_of_time, $6),
                 layout_version = coalesce(layout_version, $7),
                 archive_version = coalesce(archive_version, $8),
                 progress_percent = 0, progress_rows = 0, updated_at = $9
             WHERE id = $1 AND (status = 'CREATED'
                 OR (status = 'PROCESSING' AND lease_expires_at <= $9))
             RETURNING *",
        )
        .bind(next)
        .bind(&claim.worker)
        .bind(lease_end(now, claim.lease_ms))
        .bind(claim.pins.as_of.sequence)
        .bind(claim.pins.as_of.revision)
        .bind(claim.pins.as_of.time)
        .bind(claim.pins.layout_version)
        .bind(claim.pins.archive_version)
        .bind(now);
        let row = transaction.one(statement).await?;
        transaction.commit().await?;
        let export = row.as_ref().map(export_of).transpose()?;
        Ok(export.and_then(claimed))
    }

    /// Extends the lease and notes progress; [`Error::Fenced`] when it was lost.
    pub async fn heartbeat_export(
        &self,
        id: ExportId,
        fence: u64,
        progress: Progress,
        lease_ms: u32,
        now: Timestamp,
    ) -> Result<()> {
        let statement = sql(
            "UPDATE exports SET lease_expires_at = $3, progress_percent = $4,
                 progress_rows = $5, updated_at = $6
             WHERE id = $1 AND fence = $2 AND status = 'PROCESSING'",
        )
        .bind(id)
        .bind(fence)
        .bind(lease_end(now, lease_ms))
        .bind(progress.percent.min(100))
        .bind(progress.rows)
        .bind(now);
        self.fenced(id, fence, self.database.run(statement).await?)
            .await
    }

    /// Gives a claimed export back, so that another worker may take it at once.
    pub async fn release_export(&self, id: ExportId, fence: u64, now: Timestamp) -> Result<()> {
        let statement = sql("UPDATE exports SET lease_expires_at = $3, updated_at = $3
             WHERE id = $1 AND fence = $2 AND status = 'PROCESSING'")
        .bind(id)
        .bind(fence)
        .bind(now);
        self.fenced(id, fence, self.database.run(statement).await?)
            .await
    }

    async fn fenced(&self, id: ExportId, fence: u64, affected: u64) -> Result<()> {
        if affected > 0 {
            return Ok(());
        }
        match self.find_export(id).await? {
            Some(_) => Err(Error::Fenced { export: id, fence }),
            None => Err(Error::not_found("export", id)),
        }
    }
}

/// The export whose turn it is.
async fn find_next(transaction: &mut Transaction, now: Timestamp) -> Result<Option<ExportId>> {
    let statement = sql("SELECT x.id FROM exports x
         LEFT JOIN (SELECT organization_id, count(*) AS running FROM exports
             WHERE status = 'PROCESSING' AND lease_expires_at > $1
             GROUP BY organization_id) busy ON busy.organization_id = x.organization_id
         WHERE x.status = 'CREATED'
             OR (x.status = 'PROCESSING' AND x.lease_expires_at <= $1)
         ORDER BY coalesce(busy.running, 0), x.created_at, x.id LIMIT 1")
    .bind(now);
    let row = transaction.one(statement).await?;
    row.map(|row| row.get("id")).transpose()
}

fn claimed(export: Export) -> Option<Claimed> {
    debug_assert_eq!(export.status, ExportStatus::Processing);
    let (fence, pins) = (export.fence, export.pins?);
    Some(Claimed {
        export,
        fence,
        pins,
    })
}
