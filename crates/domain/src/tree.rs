//! The tree of organizations, its dated edges, and the scopes they give.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::OrganizationId;
use crate::range::TimeRange;

/// What an organization is in its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrganizationKind {
    /// The account's root.
    Production,
    /// Linked to the root for consumption only.
    AdditionalProduction,
    /// For trying things out.
    Sandbox,
    /// Part of another organization; nothing lies under it.
    SubOrganization,
}

/// What [`OrganizationKind::may_hold`] says, for messages.
pub const NESTING: &str = "a production holds additional_production, sandbox and sub_organization, \
                           an additional_production or sandbox holds sub_organization, a \
                           sub_organization holds none";

impl OrganizationKind {
    /// Whether an organization of kind `child` may lie right under this one.
    pub fn may_hold(self, child: Self) -> bool {
        match self {
            Self::Production => child != Self::Production,
            Self::AdditionalProduction | Self::Sandbox => child == Self::SubOrganization,
            Self::SubOrganization => false,
        }
    }

    /// The name used in JSON, SQL and setup files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::AdditionalProduction => "additional_production",
            Self::Sandbox => "sandbox",
            Self::SubOrganization => "sub_organization",
        }
    }
}

/// `child` lay under `parent` for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The organization below.
    pub child: OrganizationId,
    /// The organization above.
    pub parent: OrganizationId,
    /// When.
    pub valid: TimeRange,
}

/// The usage a caller may see: organizations, each for a range of event time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    entries: Vec<ScopeEntry>,
}

/// One organization of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeEntry {
    /// Whose usage.
    pub organization: OrganizationId,
    /// Of which event times.
    pub range: TimeRange,
}

impl Scope {
    /// The usage of one organization alone, of all time.
    pub fn alone(organization: OrganizationId) -> Self {
        Self {
            entries: vec![ScopeEntry {
                organization,
                range: TimeRange::ALWAYS,
            }],
        }
    }

    /// The usage of these organizations within some ranges, in order of time.
    pub fn during(
        organizations: impl IntoIterator<Item = OrganizationId>,
        ranges: &[TimeRange],
    ) -> Self {
        let entries = organizations.into_iter().flat_map(|organization| {
            let ranges = ranges.iter().copied();
            ranges.map(move |range| ScopeEntry {
                organization,
                range,
            })
        });
        Self {
            entries: join_overlaps(entries.collect()),
        }
    }

    /// `requester` for all time and everything under it while the edges say so.
    ///
    /// Neither siblings nor the parent. `edges` may hold the whole account's.
    pub fn under(requester: OrganizationId, edges: &[Edge]) -> Self {
        let mut entries = vec![ScopeEntry {
            organization: requester,
            range: TimeRange::ALWAYS,
        }];
        let mut next = 0;
        while let Some(above) = entries.get(next).copied() {
            let below = edges
                .iter()
                .filter(|edge| edge.parent == above.organization);
            let seen = below.map(|edge| ScopeEntry {
                organization: edge.child,
                range: edge.valid.intersect(&above.range),
            });
            let fresh: Vec<_> = seen
                .filter(|entry| !entry.range.is_empty() && entry.organization != requester)
                .filter(|entry| !entries.contains(entry))
                .collect();
            entries.extend(fresh);
            next += 1;
        }
        entries.sort_by_key(|entry| (entry.organization, entry.range.start, entry.range.end));
        Self {
            entries: join_overlaps(entries),
        }
    }

    /// The entries by organization and start; ranges of one organization do not overlap.
    pub fn entries(&self) -> &[ScopeEntry] {
        &self.entries
    }

    /// Keeps one organization's entries.
    #[must_use]
    pub fn only(&self, organization: OrganizationId) -> Self {
        let entries = self
            .entries
            .iter()
            .filter(|entry| entry.organization == organization);
        Self {
            entries: entries.copied().collect(),
        }
    }

    /// Narrows every entry to `range`, dropping those with nothing left.
    #[must_use]
    pub fn within(&self, range: TimeRange) -> Self {
        let narrowed = self.entries.iter().map(|entry| ScopeEntry {
            organization: entry.organization,
            range: entry.range.intersect(&range),
        });
        Self {
            entries: narrowed.filter(|entry| !entry.range.is_empty()).collect(),
        }
    }

    /// What lies inside both scopes.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let mut entries = Vec::new();
        for left in &self.entries {
            let same = |right: &&ScopeEntry| right.organization == left.organization;
            entries.extend(other.entries.iter().filter(same).map(|right| ScopeEntry {
                organization: left.organization,
                range: left.range.intersect(&right.range),
            }));
        }
        entries.retain(|entry| !entry.range.is_empty());
        Self { entries }
    }

    /// What lies inside either scope.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut entries = [self.entries.as_slice(), other.entries.as_slice()].concat();
        entries.sort_by_key(|entry| (entry.organization, entry.range.start, entry.range.end));
        Self {
            entries: join_overlaps(entries),
        }
    }

    /// Whether usage of `organization` at `time` lies inside.
    pub fn contains(&self, organization: OrganizationId, time: Timestamp) -> bool {
        let first = self
            .entries
            .partition_point(|entry| entry.organization < organization);
        self.entries[first..]
            .iter()
            .take_while(|entry| entry.organization == organization)
            .any(|entry| entry.range.contains(time))
    }

    /// Whether any usage of `organization` may lie inside.
    pub fn knows(&self, organization: OrganizationId) -> bool {
        self.entries
            .binary_search_by_key(&organization, |entry| entry.organization)
            .is_ok()
    }

    /// The distinct organizations, in order of their ids.
    pub fn organizations(&self) -> Vec<OrganizationId> {
        let mut all: Vec<_> = self
            .entries
            .iter()
            .map(|entry| entry.organization)
            .collect();
        all.dedup();
        all
    }
}

/// Joins overlapping or touching ranges of one organization; expects entries sorted.
fn join_overlaps(entries: Vec<ScopeEntry>) -> Vec<ScopeEntry> {
    let mut joined: Vec<ScopeEntry> = Vec::with_capacity(entries.len());
    for entry in entries {
        match joined.last_mut() {
            Some(last)
                if last.organization == entry.organization
                    && last
                        .range
                        .end
                        .is_none_or(|end| entry.range.start <= Some(end)) =>
            {
                last.range.end = match (last.range.end, entry.range.end) {
                    (Some(left), Some(right)) => Some(left.max(right)),
                    _ => None,
                };
            }
            _ => joined.push(entry),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn organization(number: u8) -> OrganizationId {
        OrganizationId::from_random(u128::from(number))
    }

    fn edge(child: u8, parent: u8, start: Option<i64>, end: Option<i64>) -> Edge {
        let instant = |second: i64| Timestamp::from_second(second).unwrap();
        let valid = TimeRange {
            start: start.map(instant),
            end: end.map(instant),
        };
        Edge {
            child: organization(child),
            parent: organization(parent),
            valid,
        }
    }

    fn scope(requester: u8, edges: &[Edge]) -> String {
        let second = |bound: Option<Timestamp>| {
            bound.map_or(String::new(), |instant| instant.as_second().to_string())
        };
        let scope = Scope::under(organization(requester), edges);
        let spell = |entry: &ScopeEntry| {
            let name = entry.organization.as_str().trim_start_matches('0');
            format!(
                "{name}:{}..{}",
                second(entry.range.start),
                second(entry.range.end)
            )
        };
        scope
            .entries()
            .iter()
            .map(spell)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn a_move_splits_usage_between_the_old_parent_and_the_new() {
        let edges = [
            edge(2, 1, None, None),
            edge(3, 1, None, None),
            edge(4, 2, None, Some(100)),
            edge(4, 3, Some(100), None),
        ];
        assert_eq!(scope(1, &edges), "1:.. 2:.. 3:.. 4:..");
        assert_eq!(scope(2, &edges), "2:.. 4:..100");
        assert_eq!(scope(3, &edges), "3:.. 4:100..");
        assert_eq!(scope(4, &edges), "4:..");
    }

    #[test]
    fn what_lies_below_is_seen_only_while_the_whole_path_holds() {
        let edges = [
            edge(2, 1, Some(10), Some(50)),
            edge(3, 2, Some(0), Some(20)),
        ];
        assert_eq!(scope(1, &edges), "1:.. 2:10..50 3:10..20");
    }

    #[test]
    fn two_scopes_share_what_both_see() {
        let edges = [
            edge(2, 1, Some(10), None),
            edge(3, 2, None, Some(20)),
            edge(3, 1, Some(30), None),
        ];
        let scope = |number| Scope::under(organization(number), &edges);
        let shared = scope(1).intersect(&scope(2));
        assert_eq!(shared.organizations(), [organization(2), organization(3)]);
        let at = |second| shared.contains(organization(3), Timestamp::from_second(second).unwrap());
        assert!(!at(9) && at(10) && at(19) && !at(20) && !at(30));
    }

    #[test]
    fn either_scope_is_enough_for_their_union() {
        let edges = [
            edge(2, 1, Some(10), None),
            edge(3, 2, None, None),
            edge(4, 1, None, None),
        ];
        let scope = |number| Scope::under(organization(number), &edges);
        let both = scope(2).union(&scope(4));
        let all: Vec<_> = [2, 3, 4].into_iter().map(organization).collect();
        assert_eq!(both.organizations(), all);
        assert_eq!(both, scope(4).union(&scope(2)));
        // What the wider one sees from a date on, the narrower one sees always.
        assert_eq!(
            scope(1).union(&scope(2)).only(organization(2)),
            scope(2).only(organization(2))
        );
    }

    #[test]
    fn moving_away_and_back_leaves_a_hole() {
        let edges = [edge(2, 1, None, Some(10)), edge(2, 1, Some(20), None)];
        assert_eq!(scope(1, &edges), "1:.. 2:..10 2:20..");
        let scope = Scope::under(organization(1), &edges);
        let at = |second| scope.contains(organization(2), Timestamp::from_second(second).unwrap());
        assert!(at(9) && !at(10) && !at(19) && at(20));
    }
}
