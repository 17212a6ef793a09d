//! Where a caller's roles count: for each permission the organizations, and what lies under them.
//!
//! A role counts in the organization it was given for and everything under it. One that was given
//! for the caller's home or above counts from the home down, one that was given below counts from
//! there down. Roles elsewhere do not count.

use std::collections::HashMap;
use std::sync::Arc;

use domain::Timestamp;
use domain::ids::OrganizationId;
use domain::tree::Scope;
use metadata::{ControlSnapshot, Role, RoleAssignment};

use super::caller::Permission;

/// A role, and the organization from which on it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    /// It and everything under it.
    pub(super) organization: OrganizationId,
    /// What may be done there.
    pub(super) role: Role,
    /// Edges between it and the caller's home.
    distance: usize,
}

/// Where one permission counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The organization the caller acts for unless it names another: its home, else the nearest
    /// below; of equally near ones the one with the least id.
    pub organization: OrganizationId,
    /// The organizations it counts in with everything under them; none lies under another.
    pub tops: Vec<OrganizationId>,
    /// The same with everything under them, by dated edges.
    pub scope: Scope,
}

/// Where each permission counts.
#[derive(Debug)]
pub(super) struct Reaches([Option<Arc<Reach>>; Permission::ALL.len()]);

impl Grant {
    /// A role in the caller's own organization.
    pub(super) fn own(organization: OrganizationId, role: Role) -> Self {
        Self {
            organization,
            role,
            distance: 0,
        }
    }

    /// Those of a user's roles that count, given the organization the user belongs to.
    pub(super) fn all(
        held: &[RoleAssignment],
        home: OrganizationId,
        control: &ControlSnapshot,
        now: Timestamp,
    ) -> Vec<Self> {
        let over_home = line(home, control, now);
        let count = |held: &RoleAssignment| {
            if over_home.contains(&held.organization) {
                return Some(Self::own(home, held.role));
            }
            let line = line(held.organization, control, now);
            let distance = line.iter().position(|above| *above == home)?;
            Some(Self {
                organization: held.organization,
                role: held.role,
                distance,
            })
        };
        held.iter().filter_map(count).collect()
    }
}

/// An organization and those above it, from below.
fn line(
    organization: OrganizationId,
    control: &ControlSnapshot,
    now: Timestamp,
) -> Vec<OrganizationId> {
    let above = |below: &OrganizationId| control.parent(*below, now);
    std::iter::successors(Some(organization), above).collect()
}

impl Reach {
    /// What lies under the same organizations at another revision.
    pub fn scope_at(&self, control: &ControlSnapshot) -> Scope {
        scope(&self.tops, control)
    }
}

impl Reaches {
    pub(super) fn new(grants: &[Grant], control: &ControlSnapshot, now: Timestamp) -> Self {
        // Most callers have one role, and one scope for all it allows.
        let mut made: HashMap<Vec<OrganizationId>, Arc<Reach>> = HashMap::new();
        Self(Permission::ALL.map(|permission| {
            let mut grants: Vec<_> = grants
                .iter()
                .filter(|grant| permission.is_allowed(grant.role))
                .map(|grant| (grant.distance, grant.organization))
                .collect();
            grants.sort_unstable();
            let mut granted: Vec<_> = grants.into_iter().map(|(_, id)| id).collect();
            granted.dedup();
            let first = *granted.first()?;
            let reach = made.entry(granted).or_insert_with_key(|granted| {
                Arc::new(Reach {
                    organization: first,
                    tops: tops(granted, control, now),
                    scope: scope(granted, control),
                })
            });
            Some(Arc::clone(reach))
        }))
    }

    pub(super) fn of(&self, permission: Permission) -> Option<&Reach> {
        self.0.get(permission as usize)?.as_deref()
    }
}

fn tops(
    granted: &[OrganizationId],
    control: &ControlSnapshot,
    now: Timestamp,
) -> Vec<OrganizationId> {
    let is_top = |id: &&OrganizationId| {
        let above = line(**id, control, now).into_iter().skip(1);
        !above.into_iter().any(|above| granted.contains(&above))
    };
    granted.iter().filter(is_top).copied().collect()
}

fn scope(granted: &[OrganizationId], control: &ControlSnapshot) -> Scope {
    let scopes = granted.iter().map(|id| control.scope_of(*id));
    scopes
        .reduce(|all, one| all.union(&one))
        .unwrap_or_default()
}
