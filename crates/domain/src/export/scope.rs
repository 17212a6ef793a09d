//! Which organizations and meters an export covers.

use std::collections::BTreeSet;

use super::control::Control;
use super::{ExportRequest, PlanError};
use crate::ids::{MeterId, OrganizationId};
use crate::tree::Scope;

/// The organizations whose rows a request prints, and what the requester sees of the account.
#[derive(Debug, Clone)]
pub(crate) struct Coverage {
    /// The requester and everything under it, within the days asked for.
    pub(crate) scope: Scope,
    printed: Option<BTreeSet<OrganizationId>>,
}

impl Coverage {
    /// The organizations a request names; without names the requester, and when `linked` all
    /// under it. One that never lay under the requester within the range does not exist for it.
    pub(crate) fn new(
        request: &ExportRequest,
        control: &Control,
        linked: bool,
    ) -> Result<Self, PlanError> {
        let requester = request.requester;
        let scope = Scope::under(requester, &control.edges).within(request.range());
        let named = &request.parameters.organizations;
        let known = |id: OrganizationId| scope.knows(id) && control.organization(id).is_some();
        let mut wanted = std::iter::once(&requester).chain(named);
        if let Some(foreign) = wanted.find(|id| !known(**id)) {
            return Err(PlanError::UnknownOrganization(*foreign));
        }
        let printed = match (named.is_empty(), linked) {
            (false, _) => Some(named.iter().copied().collect()),
            (true, false) => Some(BTreeSet::from([requester])),
            (true, true) => None,
        };
        Ok(Self { scope, printed })
    }

    /// Whether an organization has rows of its own.
    pub(crate) fn prints(&self, id: OrganizationId) -> bool {
        let printed = self.printed.as_ref();
        printed.is_none_or(|printed| printed.contains(&id))
    }
}

/// The meters a request names, in the kind or in its parameters; empty for all.
pub(crate) fn meters(
    request: &ExportRequest,
    control: &Control,
    one: Option<MeterId>,
) -> Result<BTreeSet<MeterId>, PlanError> {
    let named: BTreeSet<_> = one
        .into_iter()
        .chain(request.parameters.meters.iter().copied())
        .collect();
    let is_known = |id: &&MeterId| control.meters.iter().any(|meter| meter.id == **id);
    let unknown = named.iter().find(|id| !is_known(id));
    unknown.map_or(Ok(()), |id| Err(PlanError::UnknownMeter(*id)))?;
    Ok(named)
}
