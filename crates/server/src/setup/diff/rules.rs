//! Rules of a declared tree that depend on what is stored.

use std::collections::HashMap;

use domain::ids::OrganizationId;
use domain::tree::{NESTING, OrganizationKind};
use metadata::SnapshotOrganization;

use super::Present;
use super::organizations::Places;
use crate::setup::SetupError;
use crate::setup::check::{Declared, DeclaredOrganization};

/// The kind each organization has or gets.
pub(super) fn kind_of(
    declared: &DeclaredOrganization,
    stored: Option<&SnapshotOrganization>,
    is_root: bool,
) -> OrganizationKind {
    let default = if is_root {
        OrganizationKind::Production
    } else {
        OrganizationKind::SubOrganization
    };
    let stored = stored.map(|stored| stored.kind);
    stored.or(declared.kind).unwrap_or(default)
}

/// Compares the kind of each declared organization with those of its parents.
pub(super) fn check_kinds(
    declared: &Declared,
    found: &[Option<&SnapshotOrganization>],
) -> Result<(), SetupError> {
    let all = declared.organizations.iter().zip(found).enumerate();
    let kinds: Vec<_> = all
        .map(|(position, (one, stored))| kind_of(one, *stored, position == 0))
        .collect();
    for (organization, kind) in declared.organizations.iter().zip(&kinds) {
        for (parent, _) in &organization.parents {
            let (above, above_kind) = (&declared.organizations[*parent].name, kinds[*parent]);
            if !above_kind.may_hold(*kind) {
                let place = format!("organization {:?}", organization.name);
                let message = format!(
                    "a {} may not lie under {above:?}, a {}: {NESTING}",
                    kind.as_str(),
                    above_kind.as_str()
                );
                return Err(SetupError::rule(place, message));
            }
        }
    }
    Ok(())
}

/// Refuses an alias that stays with another organization of the account.
pub(super) fn check_aliases(
    declared: &Declared,
    present: &Present,
    places: &Places,
) -> Result<(), SetupError> {
    let Some(snapshot) = &present.snapshot else {
        return Ok(());
    };
    let mut changed: HashMap<OrganizationId, &[String]> = HashMap::new();
    for (organization, id) in declared.organizations.iter().zip(places) {
        changed.extend(
            organization
                .aliases
                .as_deref()
                .map(|aliases| (*id, aliases)),
        );
    }
    let kept = snapshot.organizations().iter();
    let kept = kept.filter(|one| !changed.contains_key(&one.id));
    let kept: HashMap<&String, OrganizationId> = kept
        .flat_map(|one| one.aliases.iter().map(|alias| (alias, one.id)))
        .collect();
    for organization in &declared.organizations {
        for alias in organization.aliases.iter().flatten() {
            if let Some(other) = kept.get(alias) {
                let place = format!("organization {:?}", organization.name);
                let message =
                    format!("aliases: {alias:?} is an alias of {other}: take it away there first");
                return Err(SetupError::rule(place, message));
            }
        }
    }
    Ok(())
}
