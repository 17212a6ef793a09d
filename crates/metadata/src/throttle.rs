//! Failed logins, counted in the database so that every server sees the same count.

use domain::Timestamp;

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
        todo!()
    }

    /// Counts one more failure of `who`, in a new window when the last one is over.
    pub async fn record_login_failure(
        &self,
        who: &str,
        now: Timestamp,
        window_seconds: i64,
    ) -> Result<LoginFailures> {
        todo!()
    }

    /// Forgets the failures of `who`, after a good login.
    pub async fn clear_login_failures(&self, who: &str) -> Result<()> {
        todo!()
    }

    /// Forgets windows that started before `before`; tells how many.
    pub async fn delete_login_failures(&self, before: Timestamp) -> Result<u64> {
        todo!()
    }
}
