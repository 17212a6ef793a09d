//! Edits of the tree.

use std::collections::HashMap;

use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId};
use metadata::{
    ControlSnapshot, NewAccount, NewOrganization, OrganizationAttributes, SnapshotOrganization,
};

use super::{Edit, Present, rewritten};
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
    let finder = present.snapshot.as_ref().map(Finder::new);
    let mut places = Places::with_capacity(declared.organizations.len());
    let mut found = Vec::with_capacity(declared.organizations.len());
    for organization in &declared.organizations {
        let stored = match &finder {
            Some(finder) => finder.find(organization)?,
            None => None,
        };
        let fresh = || {
            organization
                .id
                .unwrap_or_else(|| OrganizationId::from_random(draw()))
        };
        places.push(stored.map_or_else(fresh, |stored| stored.id));
        found.push(stored);
    }
    check_root(present, &places)?;
    for (position, organization) in declared.organizations.iter().enumerate() {
        let tree = Tree {
            declared: &declared.organizations,
            places: &places,
        };
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

/// Organizations of a snapshot by name.
struct Finder<'a> {
    snapshot: &'a ControlSnapshot,
    by_name: HashMap<&'a str, Vec<&'a SnapshotOrganization>>,
}

impl<'a> Finder<'a> {
    fn new(snapshot: &'a ControlSnapshot) -> Self {
        let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
        for organization in snapshot.organizations() {
            if organization.archived_at.is_none() {
                let name = organization.newest().name.as_str();
                by_name.entry(name).or_default().push(organization);
            }
        }
        Self { snapshot, by_name }
    }

    fn find(
        &self,
        declared: &DeclaredOrganization,
    ) -> Result<Option<&'a SnapshotOrganization>, SetupError> {
        let refuse = |message: &str| {
            let place = format!("organization {:?}", declared.name);
            Err(SetupError::rule(place, message))
        };
        let found = match declared.id {
            Some(id) => self.snapshot.organization(id),
            None => match self.by_name.get(declared.name.as_str()).map(Vec::as_slice) {
                Some([one]) => Some(*one),
                Some([_, ..]) => return refuse("several have this name: give its id"),
                _ => None,
            },
        };
        match found {
            Some(stored) if stored.archived_at.is_some() => refuse("it is archived"),
            Some(stored) if stored.kind != declared.kind => refuse(&format!(
                "it is a {}, and a kind never changes",
                stored.kind.as_str()
            )),
            found => Ok(found),
        }
    }
}

fn check_root(present: &Present, places: &Places) -> Result<(), SetupError> {
    let root = present.snapshot.as_ref().map(ControlSnapshot::root);
    if root.is_some_and(|root| root != places[0]) {
        let message = "the account has another root: give its id to rename it";
        return Err(SetupError::rule("organizations", message));
    }
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
