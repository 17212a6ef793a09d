//! Steps 7 to 9 of usage out, as rows: the end of an export, its callback, its expiry.

use domain::Timestamp;
use domain::ids::ExportId;

use crate::database::{Statement, Transaction, either, sql};
use crate::error::{Error, Result};
use crate::export::message::tell_end;
use crate::export::read::export_of;
use crate::export::{Artifact, Export, ExportSource, ExportStatus, Settlement};
use crate::open::Metadata;

/// Characters of an error message that are kept.
const ERROR_MESSAGE_CHARS_MAX: usize = 4_000;

impl Metadata {
    /// Ends an export, with the outbox rows that tell of it in the same transaction.
    ///
    /// [`Error::Fenced`] when another worker took it over: nothing changes then.
    pub async fn settle_export(
        &self,
        id: ExportId,
        fence: u64,
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<Export> {
        let mut transaction = self.database.begin().await?;
        let held = locked(&mut transaction, id).await?;
        if held.fence != fence || held.status != ExportStatus::Processing {
            return Err(Error::Fenced { export: id, fence });
        }
        // An artifact that is made again was told of when it was made first.
        let is_first = held.damaged_at.is_none();
        let statement = if is_first {
            settlement.statement(&held, now)
        } else {
            settlement.remade(&held).statement(&held, now)
        };
        let row = transaction.one(statement).await?;
        let export = export_of(&row.ok_or_else(|| Error::not_found("export", id))?)?;
        if is_first {
            tell_end(&mut transaction, &export, now).await?;
        }
        transaction.commit().await?;
        Ok(export)
    }

    /// Gives up an active export of our own API; its worker's result no longer counts.
    pub async fn cancel_export(&self, id: ExportId, now: Timestamp) -> Result<Export> {
        let mut transaction = self.database.begin().await?;
        let held = locked(&mut transaction, id).await?;
        let is_active = held.status.is_active() && held.damaged_at.is_none();
        if held.request.source != ExportSource::Own || !is_active {
            return Err(Error::WrongStatus {
                export: id,
                status: held.status.as_str(),
                expected: "only active exports of /api/v1 can be cancelled",
            });
        }
        let statement = sql(
            "UPDATE exports SET status = 'CANCELLED', outcome = 'CANCELLED',
                 fence = fence + 1, lease_owner = NULL, lease_expires_at = NULL, updated_at = $2
             WHERE id = $1 RETURNING *",
        )
        .bind(id)
        .bind(now);
        let row = transaction.one(statement).await?;
        let export = export_of(&row.ok_or_else(|| Error::not_found("export", id))?)?;
        tell_end(&mut transaction, &export, now).await?;
        transaction.commit().await?;
        Ok(export)
    }

    /// Up to `limit` exports whose artifact's time is over and which are not marked expired, the
    /// most overdue first.
    pub async fn overdue_exports(&self, now: Timestamp, limit: u32) -> Result<Vec<ExportId>> {
        let statement = sql("SELECT id FROM exports
             WHERE status IN ('SUCCESS', 'PARTIAL_SUCCESS') AND artifact_expires_at <= $1
             ORDER BY artifact_expires_at, id LIMIT $2")
        .bind(now)
        .bind(limit);
        let rows = self.database.read().all(statement).await?;
        rows.iter().map(|row| row.get("id")).collect()
    }

    /// Marks an overdue export expired, once its artifact is gone; tells whether it still was one.
    pub async fn expire_export(&self, id: ExportId, now: Timestamp) -> Result<bool> {
        let statement = sql("UPDATE exports SET status = 'EXPIRED', updated_at = $2
             WHERE id = $1 AND status IN ('SUCCESS', 'PARTIAL_SUCCESS')
                 AND artifact_expires_at <= $2")
        .bind(id)
        .bind(now);
        Ok(self.database.run(statement).await? > 0)
    }
}

impl Settlement {
    fn status(&self) -> ExportStatus {
        match self {
            Self::Success { .. } => ExportStatus::Success,
            Self::PartialSuccess { .. } => ExportStatus::PartialSuccess,
            Self::Failed { .. } => ExportStatus::Failed,
        }
    }

    fn artifact(&self) -> Option<(&Artifact, u64)> {
        match self {
            Self::Success { artifact, rows } | Self::PartialSuccess { artifact, rows, .. } => {
                Some((artifact, *rows))
            }
            Self::Failed { .. } => None,
        }
    }

    fn error_message(&self) -> Option<String> {
        let text = match self {
            Self::Success { .. } => return None,
            Self::PartialSuccess { error_message, .. } | Self::Failed { error_message } => {
                error_message
            }
        };
        let storable = text.chars().filter(|&character| character != '\0');
        Some(storable.take(ERROR_MESSAGE_CHARS_MAX).collect())
    }

    fn statement(&self, held: &Export, now: Timestamp) -> Statement {
        let (percent, rows) = match self.artifact() {
            Some((_, rows)) => (100, rows),
            None => (held.progress.percent, held.progress.rows),
        };
        let artifact = self.artifact().map(|(artifact, _)| artifact);
        sql(
            "UPDATE exports SET status = $2, outcome = $2, error_message = $3,
                 artifact_path = $4, artifact_bytes = $5, artifact_sha256 = $6,
                 artifact_expires_at = $7, progress_percent = $8, progress_rows = $9,
                 lease_owner = NULL, lease_expires_at = NULL, updated_at = $10,
                 damaged_at = CASE WHEN $11 THEN damaged_at END
             WHERE id = $1 RETURNING *",
        )
        .bind(held.id)
        .bind(self.status())
        .bind(self.error_message())
        .bind(artifact.map(|artifact| &artifact.path))
        .bind(artifact.map(|artifact| artifact.size_bytes))
        .bind(artifact.map(|artifact| &artifact.sha256))
        .bind(artifact.map(|artifact| artifact.expires_at))
        .bind(percent)
        .bind(rows)
        .bind(now)
        .bind(matches!(self, Self::Failed { .. }))
    }
}

/// Reads an export and keeps others from changing it until the transaction ends.
async fn locked(transaction: &mut Transaction, id: ExportId) -> Result<Export> {
    let statement = either(
        "SELECT * FROM exports WHERE id = $1",
        "SELECT * FROM exports WHERE id = $1 FOR UPDATE",
    );
    let row = transaction.one(statement.bind(id)).await?;
    export_of(&row.ok_or_else(|| Error::not_found("export", id))?)
}
