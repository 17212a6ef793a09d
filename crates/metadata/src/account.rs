//! Accounts: trees of organizations, each with one root that never changes.

use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId};

use domain::tree::OrganizationKind;

use crate::database::{Row, Transaction, sql, stored};
use crate::error::{Error, Result};
use crate::open::Metadata;
use crate::organization::NewOrganization;
use crate::page::{Page, PageRequest};
use crate::random;
use crate::revision::Change;

mod replace;

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
        let statement = sql("SELECT * FROM accounts WHERE id = $1").bind(account);
        let row = self.database.read().one(statement).await?;
        row.as_ref().map(account_of).transpose()
    }

    /// The account an organization belongs to.
    pub async fn find_account_of(&self, organization: OrganizationId) -> Result<Option<Account>> {
        let statement = sql("SELECT a.* FROM accounts a
             JOIN organizations o ON o.account_id = a.id WHERE o.id = $1")
        .bind(organization);
        let row = self.database.read().one(statement).await?;
        row.as_ref().map(account_of).transpose()
    }

    /// The account that was created first.
    pub async fn find_oldest_account(&self) -> Result<Option<Account>> {
        let statement = sql("SELECT * FROM accounts ORDER BY created_at, id LIMIT 1");
        let row = self.database.read().one(statement).await?;
        row.as_ref().map(account_of).transpose()
    }

    /// All accounts, by id.
    pub async fn list_accounts(&self, page: &PageRequest) -> Result<Page<Account>> {
        let page = page.of("accounts", Vec::new())?;
        let statement = sql("SELECT * FROM accounts WHERE $1 IS NULL OR id > $1
             ORDER BY id LIMIT $2")
        .bind(page.after())
        .bind(page.rows());
        let rows = self.database.read().all(statement).await?;
        let accounts = rows.iter().map(account_of).collect::<Result<_>>()?;
        Ok(page.cut(accounts, |account: &Account| account.id.to_string()))
    }
}

impl Change {
    /// Creates an account and its root.
    pub async fn insert_account(&mut self, new: NewAccount) -> Result<Account> {
        if new.root.kind != OrganizationKind::Production || new.root.parent.is_some() {
            let reason = "expected an organization of kind production without a parent";
            return Err(Error::invalid("root", reason));
        }
        let id = match new.id {
            Some(id) => id,
            None => AccountId::from_random(random::bits()?),
        };
        let root = match new.root.id {
            Some(root) => root,
            None => OrganizationId::from_random(random::bits()?),
        };
        let account = Account {
            id,
            root,
            created_at: stored(self.now),
        };
        let statement =
            sql("INSERT INTO accounts (id, root_id, created_at, revision) VALUES ($1, $2, $3, $4)")
                .bind(id)
                .bind(root)
                .bind(self.now)
                .bind(self.revision);
        self.run(statement).await?;
        let root = NewOrganization {
            id: Some(root),
            ..new.root
        };
        self.insert_node(id, root).await?;
        Ok(account)
    }
}

fn account_of(row: &Row) -> Result<Account> {
    Ok(Account {
        id: row.get("id")?,
        root: row.get("root_id")?,
        created_at: row.get("created_at")?,
    })
}

/// Refuses what names an account that is not there.
pub(crate) async fn must_exist(transaction: &mut Transaction, id: AccountId) -> Result<()> {
    let statement = sql("SELECT id FROM accounts WHERE id = $1").bind(id);
    let row = transaction.one(statement).await?;
    row.map(drop).ok_or_else(|| Error::not_found("account", id))
}
