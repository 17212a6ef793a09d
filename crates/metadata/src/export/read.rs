//! Exports as they are: by id, and all below an organization.

use domain::Timestamp;
use domain::ids::{ExportId, OrganizationId};
use domain::schedule::Period;

use crate::below::{Tops, below};
use crate::database::{Row, Statement, sql};
use crate::error::Result;
use crate::export::{Artifact, AsOf, Export, ExportFilter, NewExport, Pins, Progress, Scheduled};
use crate::open::Metadata;
use crate::page::{Page, PageRequest};

impl Metadata {
    /// The export with this id; the caller checks whether it may be seen.
    pub async fn find_export(&self, id: ExportId) -> Result<Option<Export>> {
        let statement = sql("SELECT * FROM exports WHERE id = $1").bind(id);
        let row = self.database.read().one(statement).await?;
        row.as_ref().map(export_of).transpose()
    }

    /// Up to `limit` exports whose artifact may be fetched, by id, from the one after `after` on.
    pub async fn kept_exports(
        &self,
        after: Option<ExportId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Export>> {
        let statement = sql("SELECT * FROM exports
             WHERE status IN ('SUCCESS', 'PARTIAL_SUCCESS') AND artifact_expires_at > $1
                 AND ($2 IS NULL OR id > $2) ORDER BY id LIMIT $3")
        .bind(now)
        .bind(after)
        .bind(limit);
        let rows = self.database.read().all(statement).await?;
        rows.iter().map(export_of).collect()
    }

    /// Whether an export was made at, or asked for, this very watermark.
    pub async fn has_watermark(&self, as_of: AsOf) -> Result<bool> {
        let statement = sql("SELECT id FROM exports WHERE as_of_sequence = $1
                 AND as_of_revision = $2 AND as_of_time = $3 LIMIT 1")
        .bind(as_of.sequence)
        .bind(as_of.revision)
        .bind(as_of.time);
        Ok(self.database.read().one(statement).await?.is_some())
    }

    /// The export an organization asked for under this idempotency key.
    pub async fn find_export_by_key(
        &self,
        organization: OrganizationId,
        key: &str,
    ) -> Result<Option<Export>> {
        let statement =
            sql("SELECT * FROM exports WHERE organization_id = $1 AND idempotency_key = $2")
                .bind(organization)
                .bind(key);
        let row = self.database.read().one(statement).await?;
        row.as_ref().map(export_of).transpose()
    }

    /// The exports of the organizations that lie under `requester` at `at` and its own, newest
    /// first.
    pub async fn list_exports(
        &self,
        requester: impl Into<Tops>,
        at: Timestamp,
        filter: ExportFilter,
        page: &PageRequest,
    ) -> Result<Page<Export>> {
        let requester = requester.into();
        let filters = filter.binds();
        let read_for = [requester.clone().into()].into_iter();
        let page = page.of("exports", read_for.chain(filters.clone()).collect())?;
        let after = page.after_of(split_key)?;
        let statement = sql(below!(
            "SELECT x.* FROM below JOIN exports x ON x.organization_id = below.id
             WHERE ($3 IS NULL OR (x.created_at, x.id) < ($3, $4))
                 AND ($6 IS NULL OR x.status = $6) AND ($7 IS NULL OR x.kind = $7)
                 AND ($8 IS NULL OR x.source = $8) AND ($9 IS NULL OR x.organization_id = $9)
                 AND ($10 IS NULL OR x.schedule_id = $10)
             ORDER BY x.created_at DESC, x.id DESC LIMIT $5"
        ))
        .bind(requester)
        .bind(at)
        .bind(after.map(|(created_at, _)| created_at))
        .bind(after.map(|(_, id)| id))
        .bind(page.rows());
        let statement = filters.into_iter().fold(statement, Statement::bind);
        let rows = self.database.read().all(statement).await?;
        let exports = rows.iter().map(export_of).collect::<Result<_>>()?;
        Ok(page.cut(exports, |export: &Export| {
            format!("{}:{}", export.created_at.as_microsecond(), export.id)
        }))
    }
}

fn split_key(key: &str) -> Option<(i64, ExportId)> {
    let (micros, id) = key.split_once(':')?;
    Some((micros.parse().ok()?, id.parse().ok()?))
}

/// The export in a row of `exports`.
pub(crate) fn export_of(row: &Row) -> Result<Export> {
    let id = row.get("id")?;
    Ok(Export {
        id,
        request: request_of(row, id)?,
        status: row.get("status")?,
        outcome: row.maybe("outcome")?,
        pins: pins_of(row)?,
        fence: row.get("fence")?,
        lease_owner: row.maybe("lease_owner")?,
        lease_expires_at: row.maybe("lease_expires_at")?,
        attempts: row.get("attempts")?,
        progress: Progress {
            percent: row.get("progress_percent")?,
            rows: row.get("progress_rows")?,
        },
        error_message: row.maybe("error_message")?,
        artifact: artifact_of(row)?,
        damaged_at: row.maybe("damaged_at")?,
        scheduled: scheduled_of(row)?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn request_of(row: &Row, id: ExportId) -> Result<NewExport> {
    Ok(NewExport {
        id: Some(id),
        kind: row.get("kind")?,
        source: row.get("source")?,
        organization: row.get("organization_id")?,
        user: row.maybe("user_id")?,
        start: row.get("start_text")?,
        end: row.get("end_text")?,
        meter: row.maybe("meter_id")?,
        all_meters: row.get("all_meters")?,
        combined: row.get("combined")?,
        all_linked_orgs: row.get("all_linked_orgs")?,
        parameters: row.maybe("parameters")?,
        callback_url: row.maybe("callback_url")?,
        idempotency_key: row.maybe("idempotency_key")?,
        as_of: if row.get("as_of_asked")? {
            as_of(row)?
        } else {
            None
        },
        request_id: row.maybe("request_id")?,
        request_sha256: row.maybe("request_sha256")?,
    })
}

fn pins_of(row: &Row) -> Result<Option<Pins>> {
    let (Some(as_of), Some(layout_version)) = (as_of(row)?, row.maybe("layout_version")?) else {
        return Ok(None);
    };
    Ok(Some(Pins {
        as_of,
        layout_version,
        archive_version: row.get("archive_version")?,
    }))
}

fn as_of(row: &Row) -> Result<Option<AsOf>> {
    let Some(sequence) = row.maybe("as_of_sequence")? else {
        return Ok(None);
    };
    Ok(Some(AsOf {
        sequence,
        revision: row.get("as_of_revision")?,
        time: row.get("as_of_time")?,
    }))
}

fn scheduled_of(row: &Row) -> Result<Option<Scheduled>> {
    let Some(schedule) = row.maybe("schedule_id")? else {
        return Ok(None);
    };
    let period = Period {
        from: row.get("period_from")?,
        to: row.get("period_to")?,
    };
    Ok(Some(Scheduled { schedule, period }))
}

fn artifact_of(row: &Row) -> Result<Option<Artifact>> {
    let Some(path) = row.maybe("artifact_path")? else {
        return Ok(None);
    };
    Ok(Some(Artifact {
        path,
        size_bytes: row.get("artifact_bytes")?,
        sha256: row.get("artifact_sha256")?,
        expires_at: row.get("artifact_expires_at")?,
    }))
}
