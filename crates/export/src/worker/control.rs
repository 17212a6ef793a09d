//! Control data for plans, kept while jobs of the same accounts and revisions follow each other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use domain::export::Control;
use domain::ids::AccountId;
use metadata::Metadata;

use crate::error::Result;
use crate::request;

/// Accounts kept, each at one revision.
const KEPT_MAX: usize = 8;
/// Organizations of an account that is kept; a larger one is read for every job.
const KEPT_ORGANIZATIONS_MAX: usize = 2_000;

/// What was read last; a revision never changes, so nothing here grows old.
#[derive(Debug, Default)]
pub(super) struct Controls {
    kept: Mutex<VecDeque<(AccountId, u64, Arc<Control>)>>,
}

impl Controls {
    /// An account's control data at a revision.
    pub(super) async fn at(
        &self,
        metadata: &Metadata,
        account: AccountId,
        revision: u64,
    ) -> Result<Arc<Control>> {
        if let Some(control) = self.find(account, revision) {
            return Ok(control);
        }
        let snapshot = metadata.snapshot(account, Some(revision)).await?;
        let control = Arc::new(request::control(&snapshot)?);
        if control.organizations.len() <= KEPT_ORGANIZATIONS_MAX {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.retain(|(other, _, _)| *other != account);
            kept.truncate(KEPT_MAX - 1);
            kept.push_front((account, revision, Arc::clone(&control)));
        }
        Ok(control)
    }

    fn find(&self, account: AccountId, revision: u64) -> Option<Arc<Control>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut same = kept
            .iter()
            .filter(|each| (each.0, each.1) == (account, revision));
        same.next().map(|each| Arc::clone(&each.2))
    }
}
