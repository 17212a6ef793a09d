//! Step 1 of usage out: the row of an accepted request, within the limit of active exports.

use domain::Timestamp;
use domain::ids::{ExportId, OrganizationId};

use crate::check;
use crate::database::{Statement, Transaction, either, sql};
use crate::error::{Error, Result};
use crate::export::read::export_of;
use crate::export::{Export, ExportStatus, Inserted, NewExport};
use crate::open::Metadata;
use crate::random;

impl Metadata {
    /// Creates an export while its organization has fewer active ones than its door allows.
    ///
    /// With an idempotency key the organization used before, gives the export it made then;
    /// [`Error::Taken`] when that one was asked for otherwise. The organization's row is locked,
    /// so that parallel calls cannot pass the limit together.
    pub async fn insert_export(&self, new: NewExport, now: Timestamp) -> Result<Export> {
        let limit = new.source.active_max();
        let inserted = self.insert_export_within(new, limit, now).await?;
        Ok(inserted.export)
    }

    /// The same with a limit of active exports of its own, telling whether the export is new.
    pub async fn insert_export_within(
        &self,
        new: NewExport,
        active_max: u32,
        now: Timestamp,
    ) -> Result<Inserted> {
        let mut transaction = self.database.begin().await?;
        let inserted = insert_within(&mut transaction, &new, active_max, now).await?;
        transaction.commit().await?;
        Ok(inserted)
    }
}

/// Writes an export in the transaction of what asks for it.
pub(crate) async fn insert_within(
    transaction: &mut Transaction,
    new: &NewExport,
    active_max: u32,
    now: Timestamp,
) -> Result<Inserted> {
    check_request(new)?;
    lock_organization(transaction, new.organization).await?;
    if let Some(export) = find_before(transaction, new).await? {
        let is_new = false;
        return Ok(Inserted { export, is_new });
    }
    refuse_over_limit(transaction, new, active_max).await?;
    let id = match new.id {
        Some(id) => id,
        None => ExportId::from_random(random::bits()?),
    };
    let row = transaction.one(insertion(id, new, now)).await?;
    let export = export_of(&row.ok_or_else(|| Error::not_found("export", id))?)?;
    let is_new = true;
    Ok(Inserted { export, is_new })
}

async fn lock_organization(transaction: &mut Transaction, id: OrganizationId) -> Result<()> {
    let statement = either(
        "SELECT archived_at FROM organizations WHERE id = $1",
        "SELECT archived_at FROM organizations WHERE id = $1 FOR UPDATE",
    );
    let row = transaction.one(statement.bind(id)).await?;
    row.map(drop)
        .ok_or_else(|| Error::not_found("organization", id))
}

/// The export made by the same request before.
async fn find_before(transaction: &mut Transaction, new: &NewExport) -> Result<Option<Export>> {
    let Some(key) = &new.idempotency_key else {
        return Ok(None);
    };
    let statement =
        sql("SELECT * FROM exports WHERE organization_id = $1 AND idempotency_key = $2")
            .bind(new.organization)
            .bind(key);
    let Some(row) = transaction.one(statement).await? else {
        return Ok(None);
    };
    let before = export_of(&row)?;
    let sent = |request: &NewExport| request.request_sha256;
    let is_same_text = sent(new).is_some() && sent(new) == sent(&before.request);
    // Neither a missing id nor its own number makes a repeat another request, nor does another
    // spelling of what it asks for.
    let repeat = NewExport {
        id: before.request.id,
        request_id: before.request.request_id,
        request_sha256: before.request.request_sha256,
        ..new.clone()
    };
    if !is_same_text && repeat != before.request {
        return Err(Error::Taken {
            what: "idempotency key",
            constraint: "exports_idempotency_unique",
        });
    }
    Ok(Some(before))
}

async fn refuse_over_limit(
    transaction: &mut Transaction,
    new: &NewExport,
    limit: u32,
) -> Result<()> {
    let statement = sql("SELECT count(*) AS active FROM exports
         WHERE organization_id = $1 AND status IN ('CREATED', 'PROCESSING')
             AND damaged_at IS NULL AND source = $2")
    .bind(new.organization)
    .bind(new.source);
    let row = transaction.one(statement).await?;
    let active: u32 = row.map_or(Ok(0), |row| row.get("active"))?;
    if active >= limit {
        return Err(Error::TooManyExports {
            organization: new.organization,
            limit,
        });
    }
    Ok(())
}

fn insertion(id: ExportId, new: &NewExport, now: Timestamp) -> Statement {
    sql(
        "INSERT INTO exports (id, kind, source, organization_id, user_id, start_text, end_text,
             meter_id, all_meters, combined, all_linked_orgs, parameters, callback_url,
             idempotency_key, as_of_asked, as_of_sequence, as_of_revision, as_of_time, status,
             fence, attempts, progress_percent, progress_rows, created_at, updated_at, request_id,
             request_sha256)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
             $19, 0, 0, 0, 0, $20, $20, $21, $22) RETURNING *",
    )
    .bind(id)
    .bind(new.kind)
    .bind(new.source)
    .bind(new.organization)
    .bind(new.user)
    .bind(&new.start)
    .bind(&new.end)
    .bind(new.meter)
    .bind(new.all_meters)
    .bind(new.combined)
    .bind(new.all_linked_orgs)
    .bind(new.parameters.as_ref())
    .bind(new.callback_url.as_ref())
    .bind(new.idempotency_key.as_ref())
    .bind(new.as_of.is_some())
    .bind(new.as_of.map(|as_of| as_of.sequence))
    .bind(new.as_of.map(|as_of| as_of.revision))
    .bind(new.as_of.map(|as_of| as_of.time))
    .bind(ExportStatus::Created)
    .bind(now)
    .bind(new.request_id)
    .bind(new.request_sha256)
}

fn check_request(new: &NewExport) -> Result<()> {
    let given = [
        ("startDate", Some(&new.start)),
        ("endDate", Some(&new.end)),
        ("callbackUrl", new.callback_url.as_ref()),
        ("idempotencyKey", new.idempotency_key.as_ref()),
    ];
    let mut given = given
        .into_iter()
        .filter_map(|(field, text)| Some((field, text?)));
    given.try_for_each(|(field, text)| check::echo(field, text))?;
    let parameters = new.parameters.as_deref();
    parameters.map_or(Ok(()), check::parameters)
}
