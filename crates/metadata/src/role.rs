//! Roles: what a user or key may do in an organization and everything under it.

use domain::Timestamp;
use domain::ids::{OrganizationId, UserId};

use crate::database::words;
use crate::error::Result;
use crate::open::Metadata;

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
        todo!()
    }

    /// Takes a role from a user; tells whether it was held.
    pub async fn delete_role(&self, assignment: RoleAssignment) -> Result<bool> {
        todo!()
    }

    /// All roles of a user, by organization.
    pub async fn list_roles(&self, user: UserId) -> Result<Vec<RoleAssignment>> {
        todo!()
    }
}
