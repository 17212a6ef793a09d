//! Accounts: trees of organizations, each with one root that never changes.

use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId};

use crate::error::Result;
use crate::open::Metadata;
use crate::organization::NewOrganization;
use crate::page::{Page, PageRequest};
use crate::revision::Change;

/// A tree of organizations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Identifier.
    pub id: AccountId,
    /// The root of its tree; never changes.
    pub root: OrganizationId,
    /// When it was created.
    pub created_at: Timestamp,
}

/// An account to create, with its root.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Identifier; `None` to draw one.
    pub id: Option<AccountId>,
    /// Its root: of kind production.
    pub root: NewOrganization,
}

impl Metadata {
    /// The account with this id.
    pub async fn find_account(&self, account: AccountId) -> Result<Option<Account>> {
        todo!()
    }

    /// The account an organization belongs to.
    pub async fn find_account_of(&self, organization: OrganizationId) -> Result<Option<Account>> {
        todo!()
    }

    /// All accounts, by id.
    pub async fn list_accounts(&self, page: &PageRequest) -> Result<Page<Account>> {
        todo!()
    }
}

impl Change {
    /// Creates an account and its root.
    pub async fn insert_account(&mut self, new: NewAccount) -> Result<Account> {
        todo!()
    }
}
