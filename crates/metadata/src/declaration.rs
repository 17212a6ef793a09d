//! Which organizations setup files made, and under which name of the account's files.
//!
//! A name an organization has is its own affair; the name a file has for it is kept here, so that
//! a renamed organization is found again, and a foreign one of that name is not.

use domain::ids::{AccountId, OrganizationId};

use crate::database::{Row, sql, words};
use crate::error::Result;
use crate::open::Metadata;
use crate::revision::Change;

words! {
    /// What made an organization.
    pub enum Maker {
        /// A setup file.
        Setup = "setup",
        /// The first start, which makes a root where there is none.
        FirstStart = "first_start",
    }
}

/// An organization and the name that the account's files have for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// Account it belongs to.
    pub account: AccountId,
    /// Name in the files; each names one organization of the account.
    pub name: String,
    /// The organization.
    pub organization: OrganizationId,
    /// What made it.
    pub maker: Maker,
}

impl Change {
    /// Notes under which name files declare an organization, instead of what had that name before.
    pub async fn put_declaration(&mut self, new: &Declaration) -> Result<()> {
        let statement = sql("INSERT INTO declared_organizations
                 (account_id, name, organization_id, made_by) VALUES ($1, $2, $3, $4)
             ON CONFLICT (account_id, name) DO UPDATE
                 SET organization_id = excluded.organization_id, made_by = excluded.made_by")
        .bind(new.account)
        .bind(&new.name)
        .bind(new.organization)
        .bind(new.maker);
        self.run(statement).await.map(drop)
    }

    /// Forgets that the first start made a root, once a file declares it.
    pub async fn drop_first_start(&mut self, account: AccountId) -> Result<()> {
        let statement = sql("DELETE FROM declared_organizations
             WHERE account_id = $1 AND made_by = $2")
        .bind(account)
        .bind(Maker::FirstStart);
        self.run(statement).await.map(drop)
    }
}

impl Metadata {
    /// The root that the first start made, while no file declares it.
    pub async fn find_first_start(&self) -> Result<Option<Declaration>> {
        let statement = sql("SELECT d.* FROM declared_organizations d
             JOIN accounts a ON a.root_id = d.organization_id
             WHERE d.made_by = $1 ORDER BY d.account_id LIMIT 1")
        .bind(Maker::FirstStart);
        let row = self.database.read().one(statement).await?;
        row.as_ref().map(declaration_of).transpose()
    }

    /// Everything declared in an account, at most one for each of its organizations and names.
    pub async fn list_declarations(&self, account: AccountId) -> Result<Vec<Declaration>> {
        let statement = sql("SELECT * FROM declared_organizations WHERE account_id = $1
             ORDER BY name")
        .bind(account);
        let rows = self.database.read().all(statement).await?;
        rows.iter().map(declaration_of).collect()
    }

    /// The roots declared under a name, two at most.
    pub async fn find_declared_roots(&self, name: &str) -> Result<Vec<Declaration>> {
        let statement = sql("SELECT d.* FROM declared_organizations d
             JOIN accounts a ON a.root_id = d.organization_id
             WHERE d.name = $1 ORDER BY d.account_id LIMIT 2")
        .bind(name);
        let rows = self.database.read().all(statement).await?;
        rows.iter().map(declaration_of).collect()
    }

    /// A root that has this name now.
    pub async fn find_root_named(&self, name: &str) -> Result<Option<OrganizationId>> {
        let statement = sql("SELECT a.root_id FROM organization_versions v
             JOIN accounts a ON a.root_id = v.organization_id
             WHERE v.name = $1 AND v.ended_revision IS NULL AND v.valid_to = 9223372036854775807
             ORDER BY a.root_id LIMIT 1")
        .bind(name);
        let row = self.database.read().one(statement).await?;
        row.map(|row| row.get("root_id")).transpose()
    }
}

fn declaration_of(row: &Row) -> Result<Declaration> {
    Ok(Declaration {
        account: row.get("account_id")?,
        name: row.get("name")?,
        organization: row.get("organization_id")?,
        maker: row.get("made_by")?,
    })
}
