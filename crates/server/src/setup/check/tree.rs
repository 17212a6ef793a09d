//! Organizations of a setup file: one root, kinds that may lie under each other, dated moves.

use std::collections::{HashSet, VecDeque};

use domain::Timestamp;
use domain::limits::ORGANIZATIONS_MAX;
use domain::tree::OrganizationKind;

use super::{DeclaredOrganization, Mentioned, Names, billing, fields, refer};
use crate::setup::SetupError;
use crate::setup::form::{OrganizationForm, Origin};

/// An organization of the file and the index of the one it is nested in.
type Flat<'a> = (&'a OrganizationForm, Option<usize>);

/// Checks the tree; the root comes first and parents before what lies under them.
pub(super) fn check(
    forms: &[OrganizationForm],
) -> Result<(Vec<DeclaredOrganization>, Names), SetupError> {
    let flat = sort(flatten(forms)?)?;
    let names = index(&flat)?;
    let mut declared = Vec::with_capacity(flat.len());
    for (position, (form, nested_in)) in flat.iter().enumerate() {
        declared.push(organization(form, *nested_in, position, &names)?);
    }
    for organization in &declared {
        check_edges(organization, &declared)?;
    }
    Ok((declared, names))
}

/// Every organization of the file, each after the one it is nested in.
fn flatten(forms: &[OrganizationForm]) -> Result<Vec<Flat<'_>>, SetupError> {
    let mut flat: Vec<Flat<'_>> = Vec::new();
    let mut open: VecDeque<Flat<'_>> = forms.iter().map(|form| (form, None)).collect();
    while let Some((form, nested_in)) = open.pop_front() {
        if flat.len() == ORGANIZATIONS_MAX {
            let message = format!("an account has at most {ORGANIZATIONS_MAX} organizations");
            return Err(SetupError::rule("organizations", message));
        }
        if nested_in.is_some() && form.parent.is_some() {
            let message = "it is nested in its parent: leave `parent` out";
            return Err(SetupError::rule(place(form), message));
        }
        let position = flat.len();
        flat.push((form, nested_in));
        open.extend(
            form.organizations
                .iter()
                .map(|child| (child, Some(position))),
        );
    }
    Ok(flat)
}

/// Puts the root first and tells when there is not exactly one.
fn sort(flat: Vec<Flat<'_>>) -> Result<Vec<Flat<'_>>, SetupError> {
    let is_root = |(form, nested_in): &Flat<'_>| nested_in.is_none() && form.parent.is_none();
    let first = flat.first().map(|(form, _)| std::ptr::from_ref(*form));
    let is_meant = |(form, _): &&Flat<'_>| {
        form.origin != Origin::Stored || first == Some(std::ptr::from_ref(*form))
    };
    let roots = flat.iter().filter(|entry| is_root(entry));
    let roots: Vec<_> = roots.filter(is_meant).collect();
    match roots.as_slice() {
        [] => Err(SetupError::rule("organizations", "an account has one root")),
        [_] if is_root(&flat[0]) => Ok(flat),
        [root] => {
            let message = "the root comes first in the file";
            Err(SetupError::rule(place(root.0), message))
        }
        [_, second, ..] => {
            let message = "an account has one root: nest it in its parent or give `parent`";
            Err(SetupError::rule(place(second.0), message))
        }
    }
}

/// Finds two organizations that share a name, an id or an alias.
fn index(flat: &[Flat<'_>]) -> Result<Names, SetupError> {
    let mut names = Names::new();
    for (position, (form, _)) in flat.iter().enumerate() {
        let id = form.id.map(|id| id.to_string());
        let is_written = form.origin != Origin::Stored;
        let name = [&form.name].into_iter().filter(|_| is_written);
        let id = id.iter().filter(|_| is_written);
        let aliases = form.aliases.iter().flatten();
        let own: HashSet<&String> = name.chain(id).chain(aliases).collect();
        for name in own {
            if names.insert(name.clone(), position).is_some() {
                let message = format!("another organization of the file is also called {name:?}");
                return Err(SetupError::rule(place(form), message));
            }
        }
    }
    let mut realms = HashSet::new();
    for (form, _) in flat {
        if form
            .realm_id
            .as_ref()
            .is_some_and(|realm| !realms.insert(realm))
        {
            let message = "another organization of the file has this realm id";
            return Err(SetupError::rule(place(form), message));
        }
    }
    Ok(names)
}

fn organization(
    form: &OrganizationForm,
    nested_in: Option<usize>,
    position: usize,
    names: &Names,
) -> Result<DeclaredOrganization, SetupError> {
    let refuse = |message: String| SetupError::rule(place(form), message);
    let (anchor, billing) = billing::check(form).map_err(refuse)?;
    let mut mentioned = mentioned(form).map_err(refuse)?;
    mentioned.anchor = anchor;
    let is_root = position == 0;
    if is_root && form.since.is_some() {
        let message = "since says when an organization came under its parent, and a root has none";
        return Err(refuse(message.to_owned()));
    }
    let mut parents = Vec::new();
    if !is_root && form.origin == Origin::Written {
        let parent = match nested_in {
            Some(parent) => parent,
            None => refer(names, &place(form), form.parent.as_ref())?,
        };
        parents.push((parent, form.since.map(|since| since.0)));
    }
    for step in &form.moves {
        let parent = refer(names, &place(form), Some(&step.parent))?;
        parents.push((parent, Some(step.since.0)));
    }
    Ok(DeclaredOrganization {
        name: form.name.clone(),
        id: form.id,
        origin: form.origin,
        kind: form.kind,
        parents,
        mentioned,
        billing,
        aliases: form
            .aliases
            .clone()
            .filter(|_| form.origin != Origin::Stored),
    })
}

fn mentioned(form: &OrganizationForm) -> Result<Mentioned, String> {
    if form.origin == Origin::Stored {
        return Ok(Mentioned::default());
    }
    fields::name(&form.name)?;
    form.aliases.as_deref().map_or(Ok(()), fields::aliases)?;
    form.realm_id.as_deref().map_or(Ok(()), fields::realm)?;
    form.currency.as_deref().map_or(Ok(()), fields::currency)?;
    Ok(Mentioned {
        realm_id: form.realm_id.clone(),
        currency: form.currency.clone(),
        metering_enabled: form.metering_enabled,
        ..Mentioned::default()
    })
}

/// Checks when one organization lies under each of its parents; the kinds are compared once those
/// of stored ones are known.
fn check_edges(
    organization: &DeclaredOrganization,
    all: &[DeclaredOrganization],
) -> Result<(), SetupError> {
    let refuse = |message: String| {
        let place = format!("organization {:?}", organization.name);
        Err(SetupError::rule(place, message))
    };
    let is_root = std::ptr::eq(organization, &raw const all[0]);
    let kind = organization.kind.unwrap_or(OrganizationKind::Production);
    if is_root && (kind != OrganizationKind::Production || !organization.parents.is_empty()) {
        return refuse("the root has kind production and never moves".to_owned());
    }
    for (parent, since) in &organization.parents {
        let above = &all[*parent];
        if !exists_at(above, *since) {
            return refuse(format!(
                "{:?} is under no parent yet at that time",
                above.name
            ));
        }
    }
    let starts: Vec<_> = organization
        .parents
        .iter()
        .map(|(_, since)| *since)
        .collect();
    if starts.windows(2).any(|pair| pair[0] >= pair[1]) {
        return refuse("moves come in order, each after the one before".to_owned());
    }
    Ok(())
}

fn exists_at(organization: &DeclaredOrganization, since: Option<Timestamp>) -> bool {
    organization
        .parents
        .first()
        .is_none_or(|(_, first)| *first <= since)
}

fn place(form: &OrganizationForm) -> String {
    format!("organization {:?}", form.name)
}
