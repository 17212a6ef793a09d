//! A circuit per host: one that keeps failing is left alone, so that its messages hold up nobody.

use domain::Timestamp;

use crate::database::{Transaction, sql};
use crate::error::{Error, Result};

/// Tries of one host that may fail one after the other before it is closed.
pub const HOST_FAILURES_MAX: u32 = 5;
/// Time a host stays closed, in seconds: at first, then after each try that failed again.
const PAUSES_SECONDS: [i64; 6] = [30, 60, 120, 300, 600, 900];

/// What a try says about the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostNews {
    /// It answered, whatever the answer.
    Alive,
    /// It could not be reached, did not answer in time, or answered that it is in trouble.
    Failed,
    /// Nothing: it was not asked.
    Unknown,
}

/// Opens or closes a host after a try.
pub(super) async fn note(
    transaction: &mut Transaction,
    host: &str,
    news: HostNews,
    now: Timestamp,
) -> Result<()> {
    match news {
        HostNews::Unknown => Ok(()),
        HostNews::Alive => {
            let statement = sql("DELETE FROM receivers WHERE host = $1").bind(host);
            transaction.run(statement).await.map(drop)
        }
        HostNews::Failed => failed(transaction, host, now).await,
    }
}

async fn failed(transaction: &mut Transaction, host: &str, now: Timestamp) -> Result<()> {
    // Tries that were on their way when it was closed tell nothing new.
    let statement = sql(
        "INSERT INTO receivers (host, failures, closed_until, failed_at) VALUES ($1, 1, 0, $2)
         ON CONFLICT (host) DO UPDATE SET failed_at = $2, failures = receivers.failures
             + CASE WHEN receivers.closed_until > $2 THEN 0 ELSE 1 END
         RETURNING failures, closed_until",
    )
    .bind(host)
    .bind(now);
    let row = transaction.one(statement).await?;
    let row = row.ok_or_else(|| Error::not_found("receiver", host))?;
    let (failures, closed_until): (u32, i64) = (row.get("failures")?, row.get("closed_until")?);
    if failures < HOST_FAILURES_MAX || closed_until > now.as_microsecond() {
        return Ok(());
    }
    let step = usize::try_from(failures - HOST_FAILURES_MAX).unwrap_or(usize::MAX);
    let seconds = PAUSES_SECONDS[step.min(PAUSES_SECONDS.len() - 1)];
    let statement = sql("UPDATE receivers SET closed_until = $2 WHERE host = $1")
        .bind(host)
        .bind(now.as_microsecond() + seconds * 1_000_000);
    transaction.run(statement).await.map(drop)
}
