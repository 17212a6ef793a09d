//! Edits of the tree.

use domain::Timestamp;
use domain::ids::{AccountId, OrganizationId};
use metadata::{
    ControlSnapshot, InheritedAnchor, Maker, NewAccount, NewOrganization, OrganizationAttributes,
    SnapshotOrganization,
};

use super::find::{Finder, Siblings};
use super::rules::{check_aliases, check_kinds, kind_of};
use super::{Edit, Present, billing, ended, holding, rewritten, text};
use crate::bootstrap::FIRST_ROOT;
use crate::setup::SetupError;
use crate::setup::account::TakeOver;
use crate::setup::check::{Declared, DeclaredOrganization, Mentioned};
use crate::setup::form::Origin;

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
    check_kinds(declared, &found)?;
    check_aliases(declared, present, &places)?;
    adopt(declared, present, edits);
    let siblings = Siblings::new(present, &places);
    for (position, organization) in declared.organizations.iter().enumerate() {
        // What is only referred to stays; a root that is left out has the account's partner.
        if organization.origin == Origin::Stored && position > 0 {
            continue;
        }
        let tree = Tree {
            declared: &declared.organizations,
            places: &places,
            present,
        };
        siblings.check(organization, &places, found[position])?;
        match found[position] {
            None => create(&tree, position, account, edits),
            Some(stored) => {
                let is_unused = present.takes_over == Some(TakeOver::Unused);
                put(organization, stored, is_unused && position == 0, edits);
                billing::put(organization, stored, position == 0, edits);
                let snapshot = present.snapshot.as_ref().expect("found in it");
                tree.place(position, &edges_of(snapshot, stored.id), edits)?;
            }
        }
    }
    Ok(places)
}

fn check_root(present: &Present, places: &Places) -> Result<(), SetupError> {
    let root = present.snapshot.as_ref().map(ControlSnapshot::root);
    if let Some(root) = root.filter(|root| *root != places[0]) {
        let message = format!("the account has the root {root}: give it as id to rename it");
        return Err(SetupError::rule("organizations", message));
    }
    Ok(())
}

/// Adopts the root of the first start.
fn adopt(declared: &Declared, present: &Present, edits: &mut Vec<Edit>) {
    if let (Some(snapshot), Some(takes_over)) = (&present.snapshot, present.takes_over) {
        let root = snapshot.organization(snapshot.root());
        edits.push(Edit::AdoptRoot {
            id: snapshot.root(),
            name: declared.organizations[0].name.clone(),
            before: root
                .map(|root| root.newest().name.clone())
                .unwrap_or_default(),
            takes_over,
        });
    }
}

/// The declared tree with the ids of its organizations.
struct Tree<'a> {
    declared: &'a [DeclaredOrganization],
    places: &'a Places,
    present: &'a Present,
}

/// What an organization lies under, and since when.
type Parent = (OrganizationId, Option<Timestamp>);

impl Tree<'_> {
    /// Moves an organization to where it is declared to be, given where it is. Where it was before
    /// the first declared time stays.
    fn place(
        &self,
        position: usize,
        stored: &[Parent],
        edits: &mut Vec<Edit>,
    ) -> Result<(), SetupError> {
        let organization = &self.declared[position];
        let parents = organization.parents.iter();
        let mut declared: Vec<Parent> = parents
            .map(|(parent, since)| (self.places[*parent], *since))
            .collect();
        // A time that is left out later stays.
        if let (Some((parent, since @ None)), Some(was)) = (declared.first_mut(), stored.first())
            && *parent == was.0
        {
            *since = was.1;
        }
        let Some((parent, first)) = declared.first().copied() else {
            return Ok(());
        };
        let stored = clipped(stored, first);
        if let Some((_, (_, since))) = stored
            .first()
            .filter(|(now, was)| now.0 == parent && was.1 < first)
        {
            let message = format!(
                "since is {}: it lies under {:?} {} already, and a file takes nothing away: leave \
                 since out",
                first.map(|first| first.to_string()).unwrap_or_default(),
                self.name(parent),
                text::since(*since)
            );
            let place = format!("organization {:?}", organization.name);
            return Err(SetupError::rule(place, message));
        }
        let stored: Vec<Parent> = stored.into_iter().map(|(now, _)| now).collect();
        let start = |one: &Parent| one.1;
        let changed = rewritten(&stored, &declared);
        for (parent, at) in changed {
            let before = holding(&stored, *at, start).map(|(parent, _)| *parent);
            // None where the parent is the same from another time on.
            let is_repeated = stored.contains(&(*parent, *at));
            let before = before.filter(|before| is_repeated || before != parent);
            edits.push(Edit::MoveOrganization {
                id: self.places[position],
                name: organization.name.clone(),
                parent: *parent,
                names: (before.map(|before| self.name(before)), self.name(*parent)),
                at: *at,
            });
        }
        let last = changed.last().map(|(parent, _)| *parent);
        let ends = ended(&stored, changed, start).into_iter();
        let ends = ends.filter(|since| {
            let mut ended = stored.iter().filter(|(_, start)| start == since);
            ended.any(|(parent, _)| Some(*parent) != last)
        });
        edits.extend(ends.map(|since| Edit::EndVersion {
            of: format!("move of organization {:?}", organization.name),
            since,
        }));
        Ok(())
    }

    /// Creates the account, in place of an unused one where there is one.
    fn create_account(&self, id: Option<AccountId>, root: NewOrganization) -> Edit {
        let replaces = self
            .present
            .replaces
            .map(|old| (old, FIRST_ROOT.to_owned()));
        let maker = match self.declared[0].origin {
            Origin::Implied => Maker::FirstStart,
            Origin::Written | Origin::Stored => Maker::Setup,
        };
        Edit::CreateAccount {
            new: NewAccount { id, root },
            replaces,
            maker,
        }
    }

    /// The name of a parent, declared or stored.
    fn name(&self, id: OrganizationId) -> String {
        let declared = self.places.iter().position(|place| *place == id);
        let declared = declared.map(|position| self.declared[position].name.clone());
        let stored = || {
            let snapshot = self.present.snapshot.as_ref()?;
            Some(snapshot.organization(id)?.newest().name.clone())
        };
        declared.or_else(stored).unwrap_or_else(|| id.to_string())
    }
}

/// Stored parents from a time on, each as it is from then and as it was stored.
fn clipped(stored: &[Parent], first: Option<Timestamp>) -> Vec<(Parent, Parent)> {
    let from = stored.iter().rposition(|(_, start)| *start <= first);
    let later = stored[from.unwrap_or(0)..].iter();
    later
        .map(|(parent, start)| ((*parent, (*start).max(first)), (*parent, *start)))
        .collect()
}

fn create(tree: &Tree<'_>, position: usize, account: Option<AccountId>, edits: &mut Vec<Edit>) {
    let organization = &tree.declared[position];
    let is_root = position == 0;
    let first = organization.parents.first();
    let parent = first.map(|(parent, since)| (tree.places[*parent], *since));
    let mut attributes = OrganizationAttributes::named(&organization.name);
    if !is_root {
        attributes.inherited = InheritedAnchor::ALL;
    }
    let (from_ever, later) = billing::split(organization, is_root);
    if let Some(own) = from_ever {
        own.replace(&mut attributes);
    }
    let attributes = overlay(&organization.mentioned, attributes);
    let new = NewOrganization {
        id: Some(tree.places[position]),
        kind: kind_of(organization, None, is_root),
        attributes: attributes.clone(),
        aliases: organization.aliases.clone().unwrap_or_default(),
        parent,
    };
    let id = tree.places[position];
    if is_root {
        edits.push(tree.create_account(account, new));
    } else {
        edits.push(Edit::CreateOrganization(new));
    }
    edits.extend(later.into_iter().map(|billing| Edit::PutBilling {
        id,
        name: organization.name.clone(),
        since: billing.since,
        before: attributes.clone(),
        own: billing.own,
    }));
    let mut before = None;
    for (parent, at) in &organization.parents {
        let now = tree.declared[*parent].name.clone();
        if let Some(before) = before.replace(now.clone()) {
            edits.push(Edit::MoveOrganization {
                id,
                name: organization.name.clone(),
                parent: tree.places[*parent],
                names: (Some(before), now),
                at: *at,
            });
        }
    }
}

/// Changes what is mentioned; of a root that is taken over unused for all of time.
fn put(
    organization: &DeclaredOrganization,
    stored: &SnapshotOrganization,
    is_taken_over: bool,
    edits: &mut Vec<Edit>,
) {
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
            for_ever: is_taken_over,
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
                before: stored.aliases.clone(),
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
    over.anchor.lay_over(&mut attributes);
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
