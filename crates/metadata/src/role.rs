//! Roles: what a user or key may do in an organization and everything under it.

use domain::Timestamp;
use domain::ids::{OrganizationId, UserId};

use crate::database::{sql, words};
use crate::error::Result;
use crate::open::Metadata;
use crate::organization;
use crate::user;

words! {
    /// What its holder may do in an organization's subtree.
    pub enum Role {
        /// Everything.
        Owner = "owner",
        /// Meters, rates, entitlements and corrections, and all an analyst may.
        Operator = "operator",
        /// Sends events and record groups, nothing else.
        Writer = "writer",
        /// Reads and exports.
        Analyst = "analyst",
    }
}

/// A role a user holds in an organization and everything under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleAssignment {
    /// Who.
    pub user: UserId,
    /// Where.
    pub organization: OrganizationId,
    /// What.
    pub role: Role,
}

impl Metadata {
    /// Gives a user a role; giving it again changes nothing.
    pub async fn insert_role(&self, assignment: RoleAssignment, now: Timestamp) -> Result<()> {
        let mut transaction = self.database.begin().await?;
        user::must_exist(&mut transaction, assignment.user).await?;
        organization::must_exist(&mut transaction, assignment.organization).await?;
        let statement = sql("INSERT INTO role_assignments
                 (user_id, organization_id, role, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (user_id, organization_id, role) DO NOTHING")
        .bind(assignment.user)
        .bind(assignment.organization)
        .bind(assignment.role)
        .bind(now);
        transaction.run(statement).await?;
        transaction.commit().await
    }

    /// Takes a role from a user; tells whether it was held.
    pub async fn delete_role(&self, assignment: RoleAssignment) -> Result<bool> {
        let statement = sql("DELETE FROM role_assignments
             WHERE user_id = $1 AND organization_id = $2 AND role = $3")
        .bind(assignment.user)
        .bind(assignment.organization)
        .bind(assignment.role);
        Ok(self.database.run(statement).await? > 0)
    }

    /// All roles of a user, by organization.
    pub async fn list_roles(&self, user: UserId) -> Result<Vec<RoleAssignment>> {
        let statement = sql("SELECT * FROM role_assignments WHERE user_id = $1
             ORDER BY organization_id, role")
        .bind(user);
        let rows = self.database.read().all(statement).await?;
        let assignments = rows.iter().map(|row| {
            Ok(RoleAssignment {
                user: row.get("user_id")?,
                organization: row.get("organization_id")?,
                role: row.get("role")?,
            })
        });
        assignments.collect()
    }
}
