//! Edits of the tree.

use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId};
use metadata::{
    ControlSnapshot, NewAccount, NewOrganization, OrganizationAttributes, SnapshotOrganization,
};

use super::find::{Finder, Siblings};
use super::{Edit, FirstRoot, Present, rewritten};
use crate::setup::SetupError;
use crate::setup::check::{Declared, DeclaredOrganization, Mentioned};

/// The id of each declared organization, in their order.
pub(super) type Places = Vec<OrganizationId>;

pub(super) fn diff(
    declared: &Declared,
    present: &Present,
    account: Option<AccountId>,
    draw: &mut dyn FnMut() -> u128,
    edits: &mut Vec<Edit>,
) -> Result<Places, SetupError> {
    let finder = Finder::new(declared, present);
    let mut places = Places::with_capacity(declared.organizations.len());
    let mut found = Vec::with_capacity(declared.organizations.len());
    for organization in &declared.organizations {
        let stored = finder.find(organization)?;
        let fresh = || {
            organization
                .id
                .unwrap_or_else(|| OrganizationId::from_random(draw()))
        };
        places.push(stored.map_or_else(fresh, |stored| stored.id));
        found.push(stored);
    }
    check_root(present, &places)?;
    adopt(declared, present, edits)?;
    let siblings = Siblings::new(present, &places);
    for (position, organization) in declared.organizations.iter().enumerate() {
        let tree = Tree {
            declared: &declared.organizations,
            places: &places,
        };
        siblings.check(organization, &places, found[position])?;
        match found[position] {
            None => create(&tree, position, account, edits),
            Some(stored) => {
                put(organization, stored, edits);
                let snapshot = present.snapshot.as_ref().expect("found in it");
                tree.place(position, &edges_of(snapshot, stored.id), edits);
            }
        }
    }
    Ok(places)
}

fn check_root(present: &Present, places: &Places) -> Result<(), SetupError> {
    let root = present.snapshot.as_ref().map(ControlSnapshot::root);
    if root.is_some_and(|root| root != places[0]) {
        let message = "the account has another root: give its id to rename it";
        return Err(SetupError::rule("organizations", message));
    }
    Ok(())
}

/// Adopts the root of the first start, unless the file names it or its account by id.
fn adopt(declared: &Declared, present: &Present, edits: &mut Vec<Edit>) -> Result<(), SetupError> {
    let root = &declared.organizations[0];
    let Some((state, snapshot)) = present.first_root.zip(present.snapshot.as_ref()) else {
        return Ok(());
    };
    if root.id.is_some() || declared.id.is_some() {
        return Ok(());
    }
    if state == FirstRoot::Used {
        let place = format!("organization {:?}", root.name);
        let message =
            "the first start made it and it has usage, organizations or keys: give its id";
        return Err(SetupError::rule(place, message));
    }
    edits.push(Edit::AdoptRoot {
        id: snapshot.root(),
        name: root.name.clone(),
    });
    Ok(())
}

/// The declared tree with the ids of its organizations.
struct Tree<'a> {
    declared: &'a [DeclaredOrganization],
    places: &'a Places,
}

impl Tree<'_> {
    /// Moves an organization to where it is declared to be, given where it is.
    fn place(
        &self,
        position: usize,
        stored: &[(OrganizationId, Option<Timestamp>)],
        edits: &mut Vec<Edit>,
    ) {
        let organization = &self.declared[position];
        let declared: Vec<_> = organization
            .parents
            .iter()
            .map(|(parent, since)| (self.places[*parent], *since))
            .collect();
        for (parent, at) in rewritten(stored, &declared) {
            let above = self.places.iter().position(|place| place == parent);
            let above = above.expect("a parent is declared");
            edits.push(Edit::MoveOrganization {
                id: self.places[position],
                name: organization.name.clone(),
                parent: *parent,
                parent_name: self.declared[above].name.clone(),
                at: *at,
            });
        }
    }
}

fn create(tree: &Tree<'_>, position: usize, account: Option<AccountId>, edits: &mut Vec<Edit>) {
    let organization = &tree.declared[position];
    let first = organization.parents.first();
    let parent = first.map(|(parent, since)| (tree.places[*parent], *since));
    let named = OrganizationAttributes::named(&organization.name);
    let new = NewOrganization {
        id: Some(tree.places[position]),
        kind: organization.kind,
        attributes: overlay(&organization.mentioned, named),
        aliases: organization.aliases.clone().unwrap_or_default(),
        parent,
    };
    if position == 0 {
        edits.push(Edit::CreateAccount(NewAccount {
            id: account,
            root: new,
        }));
    } else {
        edits.push(Edit::CreateOrganization(new));
        tree.place(position, parent.as_slice(), edits);
    }
}

fn put(organization: &DeclaredOrganization, stored: &SnapshotOrganization, edits: &mut Vec<Edit>) {
    let before = stored.newest().clone();
    let named = OrganizationAttributes {
        name: organization.name.clone(),
        ..before.clone()
    };
    let after = overlay(&organization.mentioned, named);
    if after != before {
        edits.push(Edit::PutOrganization {
            id: stored.id,
            before,
            after,
        });
    }
    if let Some(aliases) = &organization.aliases {
        let mut sorted = aliases.clone();
        sorted.sort();
        sorted.dedup();
        if sorted != stored.aliases {
            edits.push(Edit::PutAliases {
                id: stored.id,
                name: organization.name.clone(),
                aliases: sorted,
            });
        }
    }
}

fn overlay(
    mentioned: &Mentioned,
    mut attributes: OrganizationAttributes,
) -> OrganizationAttributes {
    let over = mentioned.clone();
    attributes.realm_id = over.realm_id.or(attributes.realm_id);
    attributes.partner_id = over.partner_id.or(attributes.partner_id);
    attributes.anchor.period = over.period.unwrap_or(attributes.anchor.period);
    attributes.anchor.day = over.anchor_day.unwrap_or(attributes.anchor.day);
    attributes.anchor.month = over.anchor_month.unwrap_or(attributes.anchor.month);
    attributes.currency = over.currency.unwrap_or(attributes.currency);
    let enabled = over.metering_enabled;
    attributes.metering_enabled = enabled.unwrap_or(attributes.metering_enabled);
    attributes
}

fn edges_of(
    snapshot: &ControlSnapshot,
    id: OrganizationId,
) -> Vec<(OrganizationId, Option<Timestamp>)> {
    let own = snapshot.edges().iter().filter(|edge| edge.child == id);
    let mut edges: Vec<_> = own.map(|edge| (edge.parent, edge.valid.start)).collect();
    edges.sort_by_key(|(_, start)| *start);
    edges
}
