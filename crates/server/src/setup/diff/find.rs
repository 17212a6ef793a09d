//! Which stored organization a declared one means.
//!
//! By its id, or because setup files made it under the declared name. What an organization is
//! called now means nothing: whoever renames itself takes no other's place.

use std::collections::{HashMap, HashSet};

use domain::ids::OrganizationId;
use metadata::{ControlSnapshot, SnapshotOrganization};

use super::Present;
use super::organizations::Places;
use crate::setup::SetupError;
use crate::setup::check::{Declared, DeclaredOrganization};

/// Finds stored organizations.
pub(super) struct Finder<'a> {
    declared: &'a Declared,
    present: &'a Present,
    /// Ids that the file gives; what has one is not found by a name.
    given: HashSet<OrganizationId>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(declared: &'a Declared, present: &'a Present) -> Self {
        let given = declared.organizations.iter();
        Self {
            declared,
            present,
            given: given.filter_map(|one| one.id).collect(),
        }
    }

    pub(super) fn find(
        &self,
        declared: &DeclaredOrganization,
    ) -> Result<Option<&'a SnapshotOrganization>, SetupError> {
        let Some(snapshot) = &self.present.snapshot else {
            return Ok(None);
        };
        let found = match declared.id {
            Some(id) => snapshot.organization(id),
            None => self.by_name(snapshot, declared),
        };
        match found {
            Some(stored) if stored.archived_at.is_some() => refuse(declared, "it is archived"),
            Some(stored) if stored.kind != declared.kind => {
                let kind = stored.kind.as_str();
                refuse(
                    declared,
                    &format!("it is a {kind}, and a kind never changes"),
                )
            }
            found => Ok(found),
        }
    }

    /// What files made under this name and nobody archived since; of an account named by its id
    /// the root, when it is called so.
    fn by_name(
        &self,
        snapshot: &'a ControlSnapshot,
        declared: &DeclaredOrganization,
    ) -> Option<&'a SnapshotOrganization> {
        let made = self.present.declared.get(&declared.name);
        let made = made.filter(|id| !self.given.contains(id));
        let made = made.and_then(|id| snapshot.organization(*id));
        let is_live = |one: &&SnapshotOrganization| one.archived_at.is_none();
        let is_root = std::ptr::eq(declared, &raw const self.declared.organizations[0]);
        let root = || {
            let root = snapshot.organization(snapshot.root());
            let is_named = is_root && self.declared.id.is_some();
            root.filter(|root| is_named && root.newest().name == declared.name)
        };
        made.filter(is_live).or_else(root)
    }
}

/// Stored organizations that the file does not declare, by parent and name.
pub(super) struct Siblings<'a>(HashMap<(OrganizationId, &'a str), OrganizationId>);

impl<'a> Siblings<'a> {
    pub(super) fn new(present: &'a Present, places: &Places) -> Self {
        let Some(snapshot) = &present.snapshot else {
            return Self(HashMap::new());
        };
        let declared: HashSet<_> = places.iter().collect();
        let edges = snapshot.edges().iter();
        let newest = edges.filter(|edge| edge.valid.end.is_none());
        let foreign = newest.filter(|edge| !declared.contains(&edge.child));
        let named = foreign.filter_map(|edge| {
            let child = snapshot.organization(edge.child)?;
            let key = (edge.parent, child.newest().name.as_str());
            child.archived_at.is_none().then_some((key, child.id))
        });
        Self(named.collect())
    }

    /// Refuses a new or changed name that another organization under the parent has already.
    pub(super) fn check(
        &self,
        declared: &DeclaredOrganization,
        places: &Places,
        stored: Option<&SnapshotOrganization>,
    ) -> Result<(), SetupError> {
        if stored.is_some_and(|stored| stored.newest().name == declared.name) {
            return Ok(());
        }
        let Some((parent, _)) = declared.parents.last() else {
            return Ok(());
        };
        match self.0.get(&(places[*parent], declared.name.as_str())) {
            None => Ok(()),
            Some(other) => {
                let message = format!(
                    "{other} under the same parent has this name, and no setup file made it \
                     under that name: give it as id, or rename one of the two"
                );
                refuse(declared, &message)
            }
        }
    }
}

fn refuse<T>(declared: &DeclaredOrganization, message: &str) -> Result<T, SetupError> {
    let place = format!("organization {:?}", declared.name);
    Err(SetupError::rule(place, message))
}
