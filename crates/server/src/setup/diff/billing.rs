//! Edits of billing anchors by time.

use domain::Timestamp;
use metadata::{OrganizationAttributes, SnapshotOrganization};

use super::{Edit, rewritten};
use crate::setup::check::{DeclaredBilling, DeclaredOrganization, OwnAnchor};

/// Sets the declared anchors of a stored organization where they are others than it has.
pub(super) fn put(
    organization: &DeclaredOrganization,
    stored: &SnapshotOrganization,
    is_root: bool,
    edits: &mut Vec<Edit>,
) {
    let declared = declared(organization, is_root);
    let Some(first) = declared.first() else {
        return;
    };
    let stored_ones = since(stored, first.since);
    for one in rewritten(&stored_ones, &declared) {
        let at = one.since.unwrap_or(Timestamp::MIN);
        edits.push(Edit::PutBilling {
            id: stored.id,
            name: organization.name.clone(),
            since: one.since,
            before: stored.at(at).clone(),
            own: one.own,
        });
    }
}

/// The anchor a new organization has from the beginning of time, and what changes it later.
pub(super) fn split(
    organization: &DeclaredOrganization,
    is_root: bool,
) -> (Option<OwnAnchor>, Vec<DeclaredBilling>) {
    let mut declared = declared(organization, is_root);
    match declared.first() {
        Some(first) if first.since.is_none() => (Some(declared.remove(0).own), declared),
        _ => (None, declared),
    }
}

/// What is declared; a root has no parent, and so the defaults for what is left out.
fn declared(organization: &DeclaredOrganization, is_root: bool) -> Vec<DeclaredBilling> {
    let mut declared = organization.billing.clone();
    if is_root {
        let default = OwnAnchor::of(&OrganizationAttributes::named(""));
        for one in &mut declared {
            one.own.period = one.own.period.or(default.period);
            one.own.day = one.own.day.or(default.day);
            one.own.month = one.own.month.or(default.month);
        }
    }
    declared
}

/// The own parts of the stored anchors from a time on.
fn since(stored: &SnapshotOrganization, first: Option<Timestamp>) -> Vec<DeclaredBilling> {
    let mut own: Vec<DeclaredBilling> = Vec::new();
    for version in &stored.versions {
        let is_before = version.valid.end.is_some_and(|end| Some(end) <= first);
        let one = DeclaredBilling {
            since: version.valid.start.max(first),
            own: OwnAnchor::of(&version.attributes),
        };
        if !is_before && own.last().is_none_or(|last| last.own != one.own) {
            own.push(one);
        }
    }
    own
}
