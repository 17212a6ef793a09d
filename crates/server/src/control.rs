//! The newest control data of each account, read again only when the revision moved.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use domain::ids::AccountId;
use metadata::{ControlSnapshot, Metadata};

/// Accounts whose snapshot is kept in memory.
const ACCOUNTS_MAX: usize = 1_000;

/// Snapshots by account.
#[derive(Debug, Default)]
pub struct Control {
    newest: RwLock<HashMap<AccountId, ControlSnapshot>>,
}

impl Control {
    /// The account's control data at the newest revision.
    pub async fn snapshot(
        &self,
        metadata: &Metadata,
        account: AccountId,
    ) -> metadata::Result<ControlSnapshot> {
        let revision = metadata.control_revision().await?;
        if let Some(known) = self
            .known(account)
            .filter(|known| known.revision() == revision)
        {
            return Ok(known);
        }
        let snapshot = metadata.snapshot(account, Some(revision)).await?;
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        if newest.len() >= ACCOUNTS_MAX {
            newest.clear();
        }
        newest.insert(account, snapshot.clone());
        Ok(snapshot)
    }

    fn known(&self, account: AccountId) -> Option<ControlSnapshot> {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        newest.get(&account).cloned()
    }
}
