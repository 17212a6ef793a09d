//! Another account in place of one that nobody used: the first start makes one under ids of its
//! own, and a setup file may demand others.

use super::{Account, NewAccount};
use crate::database::sql;
use crate::error::Result;
use crate::open::Metadata;
use crate::revision::Change;

impl Metadata {
    /// Whether an account is its root and nothing else but users refers to it.
    pub async fn is_bare(&self, account: &Account) -> Result<bool> {
        let statement = sql(
            "SELECT id FROM organizations WHERE account_id = $1 AND (id <> $2
             OR EXISTS (SELECT 1 FROM meters WHERE account_id = $1)
             OR EXISTS (SELECT 1 FROM rates WHERE account_id = $1)
             OR EXISTS (SELECT 1 FROM api_keys WHERE organization_id = $2)
             OR EXISTS (SELECT 1 FROM exports WHERE organization_id = $2)
             OR EXISTS (SELECT 1 FROM export_schedules WHERE organization_id = $2)
             OR EXISTS (SELECT 1 FROM export_turns WHERE organization_id = $2)
             OR EXISTS (SELECT 1 FROM webhooks WHERE organization_id = $2)
             OR EXISTS (SELECT 1 FROM outbox WHERE organization_id = $2)
             OR EXISTS (SELECT 1 FROM subjects WHERE organization_id = $2)) LIMIT 1",
        )
        .bind(account.id)
        .bind(account.root);
        Ok(self.database.read().one(statement).await?.is_none())
    }
}

impl Change {
    /// Creates an account instead of a bare one, whose users and their roles go over to the new
    /// root. Fails where anything else refers to the old one.
    pub async fn replace_account(&mut self, old: &Account, new: NewAccount) -> Result<Account> {
        let made = self.insert_account(new).await?;
        let moves = [
            sql("UPDATE users SET organization_id = $2 WHERE organization_id = $1"),
            sql("UPDATE role_assignments SET organization_id = $2 WHERE organization_id = $1"),
        ];
        for statement in moves {
            self.run(statement.bind(old.root).bind(made.root)).await?;
        }
        let ends = [
            sql("DELETE FROM declared_organizations WHERE organization_id = $1"),
            sql("DELETE FROM organization_aliases WHERE organization_id = $1"),
            sql("DELETE FROM organization_versions WHERE organization_id = $1"),
            sql("DELETE FROM organizations WHERE id = $1"),
            sql("DELETE FROM control_totals
                 WHERE account_id IN (SELECT id FROM accounts WHERE root_id = $1)"),
            sql("DELETE FROM accounts WHERE root_id = $1"),
        ];
        for statement in ends {
            self.run(statement.bind(old.root)).await?;
        }
        Ok(made)
    }
}
