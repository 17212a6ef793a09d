//! Schedules of exports as rows: what is asked for again and again, and which period comes next.

mod turn;

use domain::Timestamp;
use domain::ids::{OrganizationId, ScheduleId, UserId};
use domain::schedule::{Period, Rhythm};

use crate::below::{Tops, below};
use crate::check;
use crate::database::{Row, Transaction, either, sql, word};
use crate::error::{Error, Result};
use crate::export::{ExportKind, ExportSource, NewExport};
use crate::open::Metadata;
use crate::page::{Page, PageRequest};
use crate::random;

pub use turn::Turn;

/// Schedules one organization may have.
pub const SCHEDULES_MAX: u32 = 100;

/// A schedule to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSchedule {
    /// Whose exports, and whose limits.
    pub organization: OrganizationId,
    /// Who asked; `None` when a key did.
    pub user: Option<UserId>,
    /// What its exports contain.
    pub kind: ExportKind,
    /// Whether one file holds all organizations.
    pub combined: bool,
    /// Further parameters as JSON, opaque here.
    pub parameters: String,
    /// Where to tell the end of each export.
    pub callback_url: Option<String>,
    /// How often.
    pub rhythm: Rhythm,
    /// Hours after a period's end until its export is due, 0 to 72.
    pub delay_hours: u8,
}

/// A schedule of exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Identifier.
    pub id: ScheduleId,
    /// What is asked for.
    pub new: NewSchedule,
    /// Whether it makes no exports for now.
    pub is_paused: bool,
    /// The period whose export comes next.
    pub next: Period,
    /// When that export is tried; later than due where it had to wait.
    pub due_at: Timestamp,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Changes of a schedule; `None` leaves as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SchedulePatch {
    /// Whether it makes no exports for now.
    pub is_paused: Option<bool>,
    /// Hours after a period's end until its export is due.
    pub delay_hours: Option<u8>,
    /// Where to tell the end of each export.
    pub callback_url: Option<Option<String>>,
}

impl NewSchedule {
    /// The request for the export of a period.
    pub fn export(&self, period: Period) -> NewExport {
        NewExport {
            id: None,
            kind: self.kind,
            source: ExportSource::Own,
            organization: self.organization,
            user: self.user,
            start: period.from.to_string(),
            end: period.last().to_string(),
            meter: None,
            all_meters: self.kind == ExportKind::JobLevel,
            combined: self.combined,
            all_linked_orgs: true,
            parameters: Some(self.parameters.clone()),
            callback_url: self.callback_url.clone(),
            idempotency_key: None,
            as_of: None,
            request_id: None,
            request_sha256: None,
        }
    }
}

impl Metadata {
    /// Creates a schedule whose first export covers `first`.
    pub async fn insert_schedule(
        &self,
        new: &NewSchedule,
        first: Period,
        now: Timestamp,
    ) -> Result<Schedule> {
        check_new(new)?;
        let mut transaction = self.database.begin().await?;
        refuse_over_limit(&mut transaction, new.organization).await?;
        let id = ScheduleId::from_random(random::bits()?);
        let statement = sql(
            "INSERT INTO export_schedules (id, organization_id, user_id, kind, combined,
                 parameters, callback_url, rhythm, delay_hours, paused, next_from, next_to,
                 due_at, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, FALSE, $10, $11, $12, $13, $13)
             RETURNING *",
        )
        .bind(id)
        .bind(new.organization)
        .bind(new.user)
        .bind(new.kind)
        .bind(new.combined)
        .bind(&new.parameters)
        .bind(new.callback_url.as_ref())
        .bind(word(&new.rhythm))
        .bind(new.delay_hours)
        .bind(first.from)
        .bind(first.to)
        .bind(first.due_at(new.delay_hours))
        .bind(now);
        let row = transaction.one(statement).await?;
        transaction.commit().await?;
        schedule_of(&row.ok_or_else(|| Error::not_found("schedule", id))?)
    }

    /// The schedule with this id; the caller checks whether it may be seen.
    pub async fn find_schedule(&self, id: ScheduleId) -> Result<Option<Schedule>> {
        let statement = sql("SELECT * FROM export_schedules WHERE id = $1").bind(id);
        let row = self.database.read().one(statement).await?;
        row.as_ref().map(schedule_of).transpose()
    }

    /// The schedules of the organizations that lie under `requester` at `at` and its own, by id.
    pub async fn list_schedules(
        &self,
        requester: impl Into<Tops>,
        at: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<Schedule>> {
        let requester = requester.into();
        let page = page.of("schedules", vec![requester.clone().into()])?;
        let statement = sql(below!(
            "SELECT s.* FROM below JOIN export_schedules s ON s.organization_id = below.id
             WHERE $3 IS NULL OR s.id > $3 ORDER BY s.id LIMIT $4"
        ))
        .bind(requester)
        .bind(at)
        .bind(page.after())
        .bind(page.rows());
        let rows = self.database.read().all(statement).await?;
        let schedules = rows.iter().map(schedule_of).collect::<Result<_>>()?;
        Ok(page.cut(schedules, |schedule: &Schedule| schedule.id.to_string()))
    }

    /// Changes a schedule; exports it made already stay as they are.
    ///
    /// A pause delays: the periods that ended meanwhile get their exports when it is over.
    pub async fn patch_schedule(
        &self,
        id: ScheduleId,
        patch: &SchedulePatch,
        now: Timestamp,
    ) -> Result<Schedule> {
        let mut transaction = self.database.begin().await?;
        let mut schedule = locked(&mut transaction, id).await?;
        let new = &mut schedule.new;
        new.delay_hours = patch.delay_hours.unwrap_or(new.delay_hours);
        if let Some(url) = &patch.callback_url {
            new.callback_url.clone_from(url);
        }
        check_new(new)?;
        let statement = sql("UPDATE export_schedules SET paused = $2, delay_hours = $3,
                 callback_url = $4, due_at = $5, updated_at = $6
             WHERE id = $1 RETURNING *")
        .bind(id)
        .bind(patch.is_paused.unwrap_or(schedule.is_paused))
        .bind(schedule.new.delay_hours)
        .bind(schedule.new.callback_url.as_ref())
        .bind(schedule.next.due_at(schedule.new.delay_hours))
        .bind(now);
        let row = transaction.one(statement).await?;
        transaction.commit().await?;
        schedule_of(&row.ok_or_else(|| Error::not_found("schedule", id))?)
    }

    /// Deletes a schedule; the exports it made stay.
    pub async fn delete_schedule(&self, id: ScheduleId) -> Result<()> {
        let statement = sql("DELETE FROM export_schedules WHERE id = $1").bind(id);
        match self.database.run(statement).await? {
            0 => Err(Error::not_found("schedule", id)),
            _ => Ok(()),
        }
    }
}

fn check_new(new: &NewSchedule) -> Result<()> {
    check::parameters(&new.parameters)?;
    let url = new.callback_url.as_ref();
    url.map_or(Ok(()), |url| check::echo("callbackUrl", url))
}

async fn refuse_over_limit(transaction: &mut Transaction, id: OrganizationId) -> Result<()> {
    let lock = either(
        "SELECT id FROM organizations WHERE id = $1",
        "SELECT id FROM organizations WHERE id = $1 FOR UPDATE",
    );
    if transaction.one(lock.bind(id)).await?.is_none() {
        return Err(Error::not_found("organization", id));
    }
    let count =
        sql("SELECT count(*) AS kept FROM export_schedules WHERE organization_id = $1").bind(id);
    let row = transaction.one(count).await?;
    let kept: u32 = row.map_or(Ok(0), |row| row.get("kept"))?;
    if kept >= SCHEDULES_MAX {
        return Err(Error::TooManySchedules {
            organization: id,
            limit: SCHEDULES_MAX,
        });
    }
    Ok(())
}

/// Reads a schedule and keeps others from changing it until the transaction ends.
async fn locked(transaction: &mut Transaction, id: ScheduleId) -> Result<Schedule> {
    let statement = either(
        "SELECT * FROM export_schedules WHERE id = $1",
        "SELECT * FROM export_schedules WHERE id = $1 FOR UPDATE",
    );
    let row = transaction.one(statement.bind(id)).await?;
    schedule_of(&row.ok_or_else(|| Error::not_found("schedule", id))?)
}

fn schedule_of(row: &Row) -> Result<Schedule> {
    Ok(Schedule {
        id: row.get("id")?,
        new: NewSchedule {
            organization: row.get("organization_id")?,
            user: row.maybe("user_id")?,
            kind: row.get("kind")?,
            combined: row.get("combined")?,
            parameters: row.get("parameters")?,
            callback_url: row.maybe("callback_url")?,
            rhythm: row.word("rhythm")?,
            delay_hours: row.get("delay_hours")?,
        },
        is_paused: row.get("paused")?,
        next: Period {
            from: row.get("next_from")?,
            to: row.get("next_to")?,
        },
        due_at: row.get("due_at")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
