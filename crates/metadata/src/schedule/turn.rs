//! A schedule's turn: the export of its next period, exactly once whatever crashes.

use domain::Timestamp;
use domain::ids::{ExportId, ScheduleId};
use domain::schedule::Period;

use super::{Schedule, locked};
use crate::database::{Statement, sql};
use crate::error::{Error, Result};
use crate::export::Scheduled;
use crate::export::insert::insert_within;
use crate::instance::lease_end;
use crate::open::Metadata;

/// Milliseconds until an export is tried again that met its organization's limit.
const RETRY_MS: u32 = 60_000;

/// What came of a schedule's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Its next period has its export now.
    Made(ExportId),
    /// Its organization has as many active exports as it may have: it is tried again later.
    Waits,
    /// Nothing is due: another server was first, or it was paused or deleted.
    Idle,
}

impl Metadata {
    /// Up to `limit` schedules whose next export is due, the longest due first.
    pub async fn due_schedules(&self, now: Timestamp, limit: u32) -> Result<Vec<ScheduleId>> {
        let statement = sql("SELECT id FROM export_schedules
             WHERE due_at <= $1 AND NOT paused ORDER BY due_at, id LIMIT $2")
        .bind(now)
        .bind(limit);
        let rows = self.database.read().all(statement).await?;
        rows.iter().map(|row| row.get("id")).collect()
    }

    /// Makes the export of the schedule's next period when it is due, and moves the schedule on.
    ///
    /// Both are one transaction that holds the schedule's row: however many servers try, and
    /// wherever they die, each period gets exactly one export.
    pub async fn take_turn(&self, id: ScheduleId, active_max: u32, now: Timestamp) -> Result<Turn> {
        let mut transaction = self.database.begin().await?;
        let schedule = match locked(&mut transaction, id).await {
            Ok(schedule) if !schedule.is_paused && schedule.due_at <= now => schedule,
            Ok(_) | Err(Error::NotFound { .. }) => return Ok(Turn::Idle),
            Err(error) => return Err(error),
        };
        let new = schedule.new.export(schedule.next);
        let turn = match insert_within(&mut transaction, &new, active_max, now).await {
            Ok(inserted) => {
                let made = inserted.export.id;
                let period = schedule.next;
                let scheduled = Scheduled {
                    schedule: id,
                    period,
                };
                transaction.run(note(made, scheduled)).await?;
                let next = schedule.new.rhythm.after(period);
                transaction.run(move_on(&schedule, next, now)).await?;
                Turn::Made(made)
            }
            Err(Error::TooManyExports { .. }) => {
                transaction.run(put_off(id, now)).await?;
                Turn::Waits
            }
            Err(error) => return Err(error),
        };
        transaction.commit().await?;
        Ok(turn)
    }
}

fn note(export: ExportId, scheduled: Scheduled) -> Statement {
    sql("UPDATE exports SET schedule_id = $2, period_from = $3, period_to = $4 WHERE id = $1")
        .bind(export)
        .bind(scheduled.schedule)
        .bind(scheduled.period.from)
        .bind(scheduled.period.to)
}

fn move_on(schedule: &Schedule, next: Period, now: Timestamp) -> Statement {
    sql(
        "UPDATE export_schedules SET next_from = $2, next_to = $3, due_at = $4, updated_at = $5
         WHERE id = $1",
    )
    .bind(schedule.id)
    .bind(next.from)
    .bind(next.to)
    .bind(next.due_at(schedule.new.delay_hours))
    .bind(now)
}

fn put_off(id: ScheduleId, now: Timestamp) -> Statement {
    sql("UPDATE export_schedules SET due_at = $2 WHERE id = $1")
        .bind(id)
        .bind(lease_end(now, RETRY_MS))
}
