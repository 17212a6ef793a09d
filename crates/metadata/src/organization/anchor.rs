//! Billing anchors: an organization's own, or its parent's at each time.

use std::collections::HashMap;

use domain::ids::OrganizationId;
use domain::range::TimeRange;
use domain::tree::{Edge, OrganizationKind};

use super::BillingPeriod;
use crate::snapshot::{OrganizationVersion, SnapshotOrganization};

/// When an organization's billing periods start, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BillingAnchor {
    /// How long a period is.
    pub period: BillingPeriod,
    /// Day of the month, 1 to 31; 29 to 31 fall on a short month's last day.
    pub day: u8,
    /// Month of the year, 1 to 12; without meaning for monthly periods.
    pub month: u8,
}

/// Which parts of a billing anchor are the parent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InheritedAnchor {
    /// How long a period is.
    pub period: bool,
    /// Day of the month.
    pub day: bool,
    /// Month of the year.
    pub month: bool,
}

impl BillingAnchor {
    /// Calendar months.
    pub const FIRST_OF_MONTH: Self = Self {
        period: BillingPeriod::Monthly,
        day: 1,
        month: 1,
    };

    /// This anchor with the inherited parts of the one above.
    #[must_use]
    pub fn under(self, above: Self, inherited: InheritedAnchor) -> Self {
        let part = |is_inherited, above, own| if is_inherited { above } else { own };
        Self {
            period: if inherited.period {
                above.period
            } else {
                self.period
            },
            day: part(inherited.day, above.day, self.day),
            month: part(inherited.month, above.month, self.month),
        }
    }
}

impl InheritedAnchor {
    /// The whole anchor is the organization's own.
    pub const NONE: Self = Self::parts(0);
    /// The whole anchor is the parent's.
    pub const ALL: Self = Self::parts(7);

    const fn parts(sum: u8) -> Self {
        Self {
            period: sum & 1 != 0,
            day: sum & 2 != 0,
            month: sum & 4 != 0,
        }
    }

    /// Whether any part is the parent's.
    pub fn any(self) -> bool {
        self != Self::NONE
    }

    /// As it is stored: nothing where no part is inherited.
    pub(crate) fn stored(self) -> Option<u8> {
        let sum = u8::from(self.period) + 2 * u8::from(self.day) + 4 * u8::from(self.month);
        (sum > 0).then_some(sum)
    }

    /// What is stored, read back.
    pub(crate) fn read(stored: Option<u8>) -> Self {
        Self::parts(stored.unwrap_or(0))
    }
}

/// What an organization lay under when, in order of time.
type Lineage = HashMap<OrganizationId, Vec<Edge>>;

/// Replaces what organizations inherit by what their parents had at each time.
///
/// What lies at no time under a parent yet follows its first one.
pub(crate) fn follow_parents(organizations: &mut [SnapshotOrganization], edges: &[Edge]) {
    let mut lineage = Lineage::new();
    for edge in edges {
        lineage.entry(edge.child).or_default().push(*edge);
    }
    let mut known: HashMap<OrganizationId, Vec<OrganizationVersion>> = HashMap::new();
    let depth = |kind| match kind {
        OrganizationKind::Production => 0,
        OrganizationKind::AdditionalProduction | OrganizationKind::Sandbox => 1,
        OrganizationKind::SubOrganization => 2,
    };
    let mut order: Vec<_> = organizations.iter_mut().collect();
    order.sort_by_key(|one| depth(one.kind));
    for organization in order {
        if organization.versions.iter().any(inherits) {
            let above = lineage.get(&organization.id).map_or(&[][..], Vec::as_slice);
            let versions = std::mem::take(&mut organization.versions);
            for version in versions {
                resolve(&mut organization.versions, version, above, &known);
            }
        }
        if organization.kind != OrganizationKind::SubOrganization {
            known.insert(organization.id, organization.versions.clone());
        }
    }
}

fn inherits(version: &OrganizationVersion) -> bool {
    version.attributes.inherited.any()
}

/// Adds a version once for each anchor its parents had while it held.
fn resolve(
    resolved: &mut Vec<OrganizationVersion>,
    version: OrganizationVersion,
    edges: &[Edge],
    known: &HashMap<OrganizationId, Vec<OrganizationVersion>>,
) {
    if !inherits(&version) {
        resolved.push(version);
        return;
    }
    let mut is_resolved = false;
    for (index, edge) in edges.iter().enumerate() {
        let held = TimeRange {
            start: edge.valid.start.filter(|_| index > 0),
            end: edge.valid.end,
        };
        let during = version.valid.intersect(&held);
        for above in known.get(&edge.parent).into_iter().flatten() {
            let valid = during.intersect(&above.valid);
            if valid.is_empty() {
                continue;
            }
            let mut attributes = version.attributes.clone();
            let (own, inherited) = (attributes.anchor, attributes.inherited);
            attributes.anchor = own.under(above.attributes.anchor, inherited);
            match resolved.last_mut() {
                Some(last) if last.attributes == attributes && last.valid.end == valid.start => {
                    last.valid.end = valid.end;
                }
                _ => resolved.push(OrganizationVersion { valid, attributes }),
            }
            is_resolved = true;
        }
    }
    if !is_resolved {
        resolved.push(version);
    }
}
