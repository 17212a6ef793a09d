//! Failed logins, counted in the database so that every server sees the same count.

use domain::Timestamp;

use crate::check;
use crate::database::{Row, sql};
use crate::error::Result;
use crate::open::Metadata;

/// Failures of one user name or address in the running window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginFailures {
    /// How many.
    pub count: u32,
    /// When the window started.
    pub since: Timestamp,
}

impl Metadata {
    /// The failures of `who` (such as `user:name` or `address:ip`) in a window of the last seconds.
    pub async fn find_login_failures(
        &self,
        who: &str,
        now: Timestamp,
        window_seconds: i64,
    ) -> Result<Option<LoginFailures>> {
        let statement = sql("SELECT * FROM login_failures WHERE who = $1 AND since > $2")
            .bind(who)
            .bind(window_start(now, window_seconds));
        let row = self.database.read().one(statement).await?;
        row.as_ref().map(failures_of).transpose()
    }

    /// Counts one more attempt of `who` before it is made, in a new window when the last one is
    /// over; `None` where the window holds `limit` of them already.
    ///
    /// However many ask at once, at most `limit` of a window are let through.
    pub async fn take_login_attempt(
        &self,
        who: &str,
        limit: u32,
        now: Timestamp,
        window_seconds: i64,
    ) -> Result<Option<LoginFailures>> {
        check::echo("who", who)?;
        let statement = sql(
            "INSERT INTO login_failures (who, failures, since) VALUES ($1, 1, $2)
             ON CONFLICT (who) DO UPDATE SET
                 failures = CASE WHEN login_failures.since <= $3 THEN 1
                     ELSE login_failures.failures + 1 END,
                 since = CASE WHEN login_failures.since <= $3 THEN $2
                     ELSE login_failures.since END
             WHERE login_failures.since <= $3 OR login_failures.failures < $4
             RETURNING *",
        )
        .bind(who)
        .bind(now)
        .bind(window_start(now, window_seconds))
        .bind(limit);
        let row = self.database.write_one(statement).await?;
        row.as_ref().map(failures_of).transpose()
    }

    /// Takes back an attempt that did not fail, in the window that `taken` counted it in.
    pub async fn give_back_login_attempt(&self, who: &str, taken: LoginFailures) -> Result<()> {
        let statement = sql("UPDATE login_failures SET failures = failures - 1
             WHERE who = $1 AND since = $2 AND failures > 0")
        .bind(who)
        .bind(taken.since);
        self.database.run(statement).await.map(drop)
    }

    /// Forgets the failures of `who`, after a good login.
    pub async fn clear_login_failures(&self, who: &str) -> Result<()> {
        let statement = sql("DELETE FROM login_failures WHERE who = $1").bind(who);
        self.database.run(statement).await.map(drop)
    }

    /// Forgets windows that started before `before`; tells how many.
    pub async fn delete_login_failures(&self, before: Timestamp) -> Result<u64> {
        let statement = sql("DELETE FROM login_failures WHERE since < $1").bind(before);
        self.database.run(statement).await
    }
}

/// Windows that started at this instant or before are over.
fn window_start(now: Timestamp, window_seconds: i64) -> i64 {
    let window = window_seconds.saturating_mul(1_000_000);
    now.as_microsecond().saturating_sub(window)
}

fn failures_of(row: &Row) -> Result<LoginFailures> {
    Ok(LoginFailures {
        count: row.get("failures")?,
        since: row.get("since")?,
    })
}
