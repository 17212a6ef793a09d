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
use crate::setup::account::TakeOver;
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
            Some(SnapshotOrganization {
                archived_at: Some(at),
                id,
                ..
            }) => {
                let message = format!(
                    "{id} was archived at {at} and takes nothing new: leave it out of the file, or \
                     leave out its id to have a new one made"
                );
                refuse(declared, &message)
            }
            Some(stored) if declared.kind.is_some_and(|kind| kind != stored.kind) => {
                let kind = stored.kind.as_str();
                let message = format!("it is a {kind}, and a kind never changes: leave kind out");
                refuse(declared, &message)
            }
            found => Ok(found),
        }
    }

    /// What files made under this name and nobody archived since; of an account named by its id
    /// the root, when it is called so; of one the file takes over from the first start the root.
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
            let is_named = self.declared.id.is_some();
            let is_taken_over = self.present.takes_over == Some(TakeOver::Unused);
            let is_called =
                |root: &&SnapshotOrganization| is_named && root.newest().name == declared.name;
            root.filter(|root| is_root && (is_taken_over || is_called(root)))
        };
        made.filter(is_live).or_else(root)
    }
}

/// Stored organizations that the file does not declare, by parent and name.
pub(super) struct Siblings<'a> {
    present: &'a Present,
    named: HashMap<(OrganizationId, &'a str), OrganizationId>,
}

impl<'a> Siblings<'a> {
    pub(super) fn new(present: &'a Present, places: &Places) -> Self {
        let Some(snapshot) = &present.snapshot else {
            let named = HashMap::new();
            return Self { present, named };
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
        let named = named.collect();
        Self { present, named }
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
        match self.named.get(&(places[*parent], declared.name.as_str())) {
            None => Ok(()),
            Some(other) => {
                let message = format!(
                    "{other} under the same parent has this name, and {}: write `id: {other}` to \
                     declare that one, or rename or archive it to have another one made",
                    self.why(declared)
                );
                refuse(declared, &message)
            }
        }
    }

    /// Why the one that has the name is not the declared one.
    fn why(&self, declared: &DeclaredOrganization) -> String {
        let made = self.present.declared.get(&declared.name);
        let snapshot = self.present.snapshot.as_ref();
        let made = made.and_then(|id| snapshot?.organization(*id));
        match made.and_then(|made| Some((made.id, made.archived_at?))) {
            Some((id, at)) => {
                format!("the one that setup files made under it, {id}, was archived at {at}")
            }
            None => "no setup file made it under that name".to_owned(),
        }
    }
}

fn refuse<T>(declared: &DeclaredOrganization, message: &str) -> Result<T, SetupError> {
    let place = format!("organization {:?}", declared.name);
    Err(SetupError::rule(place, message))
}
