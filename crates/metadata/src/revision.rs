//! The control revision: every change of control data gets the next one.

use std::collections::{BTreeMap, HashMap};

use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId};

use crate::checksum::Totals;
use crate::database::{Statement, Transaction, sql};
use crate::error::{Error, Result};
use crate::open::Metadata;

/// A change of control data: all of it at one revision, or nothing.
///
/// It holds the revision counter locked, so that revisions are committed in order: nobody else
/// changes control data until it is committed or dropped. Dropping it undoes everything. SQLite
/// has one writer: while a change is open, write nothing else through [`Metadata`] in the same
/// task, or it waits for itself until the busy time-out.
#[derive(Debug)]
pub struct Change {
    pub(crate) transaction: Transaction,
    pub(crate) revision: u64,
    pub(crate) now: Timestamp,
    pub(crate) is_empty: bool,
    /// Names to be compared with those of siblings at the commit; all of an organization's if none.
    pub(crate) named: Vec<(OrganizationId, Option<String>)>,
    /// What it adds to the totals of accounts, by id.
    pub(crate) totals: BTreeMap<String, Totals>,
    /// Accounts of organizations, as far as they were looked up.
    pub(crate) accounts: HashMap<String, String>,
}

impl Metadata {
    /// Starts a change and locks the revision counter.
    pub async fn begin_change(&self, now: Timestamp) -> Result<Change> {
        let mut transaction = self.database.begin().await?;
        let counter = sql("UPDATE control_revision SET revision = revision + 1 RETURNING revision");
        let row = transaction.one(counter).await?.ok_or_else(no_counter)?;
        Ok(Change {
            revision: row.get("revision")?,
            transaction,
            now,
            is_empty: true,
            named: Vec::new(),
            totals: BTreeMap::new(),
            accounts: HashMap::new(),
        })
    }

    /// The newest committed control revision; 0 before the first change.
    pub async fn control_revision(&self) -> Result<u64> {
        let counter = sql("SELECT revision FROM control_revision");
        let row = self.database.read().one(counter).await?;
        row.ok_or_else(no_counter)?.get("revision")
    }

    /// The same, for reads of one account; refused when it is earlier than the account's last
    /// change, which no sound counter is.
    pub(crate) async fn revision_for(&self, account: AccountId) -> Result<u64> {
        let statement = sql("SELECT c.revision, (SELECT coalesce(max(t.revision), 0)
                 FROM control_totals t WHERE t.account_id = $1) AS changed
             FROM control_revision c");
        let row = self.database.read().one(statement.bind(account)).await?;
        let row = row.ok_or_else(no_counter)?;
        let (revision, changed): (i64, i64) = (row.get("revision")?, row.get("changed")?);
        if revision < changed {
            return Err(Error::Corrupt {
                column: "control_revision.revision".to_owned(),
                value: revision.to_string(),
                reason: format!("account {account} was changed at {changed}"),
            });
        }
        row.get("revision")
    }
}

impl Change {
    /// The revision everything in this change gets.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether nothing has changed so far.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Runs a statement that changes control data.
    pub(crate) async fn run(&mut self, statement: Statement) -> Result<u64> {
        self.is_empty = false;
        self.transaction.run(statement).await
    }

    /// Makes the change durable and gives the newest revision, which an empty change leaves as is.
    ///
    /// Refused when a name it gives makes two siblings equal.
    pub async fn commit(mut self) -> Result<u64> {
        if self.is_empty {
            return Ok(self.revision - 1);
        }
        self.check_names().await?;
        self.write_totals().await?;
        self.transaction.commit().await?;
        Ok(self.revision)
    }
}

fn no_counter() -> Error {
    Error::not_found("row of", "control_revision")
}
