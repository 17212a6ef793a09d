//! Step 2 of usage out: leases with a fencing number, shared fairly between organizations.

use domain::Timestamp;
use domain::ids::{ExportId, OrganizationId};

use crate::database::{Statement, sql};
use crate::error::{Error, Result};
use crate::export::read::export_of;
use crate::export::{Claim, Claimed, Export, ExportStatus, Lane, Progress};
use crate::instance::lease_end;
use crate::open::Metadata;

/// Microseconds for which the express lane remembers that it served an organization.
const EXPRESS_MEMORY_MICROS: i64 = 60_000_000;

/// When an export that is being made may be claimed anew: when its lease lapses, and from the sixth
/// try on some minutes later. Whatever ends its workers has time to pass, and an export that ends
/// them itself stops the server once in four minutes at most.
macro_rules! claimable_at {
    () => {
        "(lease_expires_at + CASE WHEN attempts < 5 THEN 0 WHEN attempts = 5 THEN 60000000
             WHEN attempts = 6 THEN 120000000 ELSE 240000000 END)"
    };
}

impl Metadata {
    /// Takes the next export of a lane: new ones and those whose lease lapsed.
    ///
    /// The watermark of the first claim is kept by every later one, and so is one that was asked
    /// for. The versions are those the claiming worker makes: an export left unfinished by an older
    /// release is made anew in them. A file that is made again keeps its own, since it must be the
    /// same bytes.
    pub async fn claim_export(&self, claim: &Claim, now: Timestamp) -> Result<Option<Claimed>> {
        let mut transaction = self.database.begin().await?;
        transaction.lock("exports").await?;
        let next = match claim.lane {
            Lane::Ordinary => next_ordinary(now),
            Lane::Express => next_express(now),
        };
        let Some(row) = transaction.one(next).await? else {
            return Ok(None);
        };
        let (next, organization): (ExportId, _) = (row.get("id")?, row.get("organization_id")?);
        let statement = sql(concat!(
            "UPDATE exports SET status = 'PROCESSING', fence = fence + 1,
                 attempts = attempts + 1, lease_owner = $2, lease_expires_at = $3,
                 as_of_sequence = coalesce(as_of_sequence, $4),
                 as_of_revision = coalesce(as_of_revision, $5),
                 as_of_time = coalesce(as_of_time, $6),
                 layout_version = CASE WHEN damaged_at IS NOT NULL AND outcome = 'SUCCESS'
                     THEN coalesce(layout_version, $7) ELSE $7 END,
                 archive_version = CASE WHEN damaged_at IS NOT NULL AND outcome = 'SUCCESS'
                     THEN coalesce(archive_version, $8) ELSE $8 END,
                 progress_percent = 0, progress_rows = 0, updated_at = $9
             WHERE id = $1 AND (status = 'CREATED'
                 OR (status = 'PROCESSING' AND ",
            claimable_at!(),
            " <= $9))
             RETURNING *",
        ))
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
        transaction.run(turn(organization, claim.lane, now)).await?;
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

    /// Gives a claimed export back, as if it had not been tried, so that another worker may take it
    /// at once.
    pub async fn release_export(&self, id: ExportId, fence: u64, now: Timestamp) -> Result<()> {
        self.give_back(id, fence, false, now).await
    }

    /// Gives a claimed export back as too long for the express lane, as if it had not been tried.
    pub async fn hand_back_export(&self, id: ExportId, fence: u64, now: Timestamp) -> Result<()> {
        self.give_back(id, fence, true, now).await
    }

    async fn give_back(
        &self,
        id: ExportId,
        fence: u64,
        is_long: bool,
        now: Timestamp,
    ) -> Result<()> {
        let statement = sql("UPDATE exports SET attempts = attempts - 1,
                 is_long = (is_long OR $3), lease_expires_at = $4, updated_at = $4
             WHERE id = $1 AND fence = $2 AND status = 'PROCESSING'")
        .bind(id)
        .bind(fence)
        .bind(is_long)
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

/// The export whose turn it is at an ordinary worker.
fn next_ordinary(now: Timestamp) -> Statement {
    sql(concat!(
        "SELECT x.id, x.organization_id FROM exports x
         LEFT JOIN export_turns t ON t.organization_id = x.organization_id
         LEFT JOIN (SELECT organization_id, count(*) AS running FROM exports
             WHERE status IN ('CREATED', 'PROCESSING')
                 AND status = 'PROCESSING' AND lease_expires_at > $1
             GROUP BY organization_id) busy ON busy.organization_id = x.organization_id
         WHERE x.status IN ('CREATED', 'PROCESSING')
             AND (x.status = 'CREATED' OR ",
        claimable_at!(),
        " <= $1)
         ORDER BY coalesce(busy.running, 0), coalesce(t.served_at, 0), x.created_at, x.id
         LIMIT 1"
    ))
    .bind(now)
}

/// The export whose turn it is in the express lane.
///
/// The newest goes first, so that it never waits for all that came before it; an organization that
/// asks again and again falls behind the others, and ordinary workers get to the oldest.
fn next_express(now: Timestamp) -> Statement {
    sql(concat!(
        "SELECT x.id, x.organization_id FROM exports x
         LEFT JOIN export_turns t ON t.organization_id = x.organization_id
         WHERE x.status IN ('CREATED', 'PROCESSING') AND x.is_long = FALSE
             AND (x.status = 'CREATED' OR ",
        claimable_at!(),
        " <= $1)
         ORDER BY CASE WHEN t.express_at > $2 THEN t.express_at ELSE 0 END,
             x.created_at DESC, x.id LIMIT 1"
    ))
    .bind(now)
    .bind(now.as_microsecond() - EXPRESS_MEMORY_MICROS)
}

/// Notes when an organization was served in a lane.
fn turn(organization: OrganizationId, lane: Lane, now: Timestamp) -> Statement {
    let now = now.as_microsecond();
    let (served_at, express_at) = match lane {
        Lane::Ordinary => (now, 0),
        Lane::Express => (0, now),
    };
    // The later instant stays, should the clocks of two servers disagree.
    sql(
        "INSERT INTO export_turns (organization_id, served_at, express_at) VALUES ($1, $2, $3)
         ON CONFLICT (organization_id) DO UPDATE SET
             served_at = CASE WHEN excluded.served_at > export_turns.served_at
                 THEN excluded.served_at ELSE export_turns.served_at END,
             express_at = CASE WHEN excluded.express_at > export_turns.express_at
                 THEN excluded.express_at ELSE export_turns.express_at END",
    )
    .bind(organization)
    .bind(served_at)
    .bind(express_at)
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
