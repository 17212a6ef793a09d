//! One account's control data at one revision, in memory: what plans and routes look things up in.

use std::collections::HashMap;
use std::sync::Arc;

use domain::Timestamp;
use domain::ids::{AccountId, MeterId, OrganizationId};
use domain::meter::Meter;
use domain::range::TimeRange;
use domain::rate::Rate;
use domain::tree::{Edge, OrganizationKind, Scope};

use crate::error::{Error, Result};
use crate::organization::OrganizationAttributes;

mod confirm;
mod load;

pub(crate) use confirm::Range;

/// One account's control data at one revision; cheap to clone.
#[derive(Debug, Clone)]
pub struct ControlSnapshot {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    account: AccountId,
    root: OrganizationId,
    revision: u64,
    organizations: Vec<SnapshotOrganization>,
    by_id: HashMap<OrganizationId, usize>,
    by_alias: HashMap<String, OrganizationId>,
    edges: Vec<Edge>,
    meters: Kept<Meter>,
    live: Vec<usize>,
    rates: Kept<Rate>,
}

/// Versions of one kind, unless one of them is damaged: what needs them fails, and nothing else.
#[derive(Debug)]
enum Kept<T> {
    Sound(Vec<T>),
    Damaged(Damage),
}

/// Which rows are damaged.
#[derive(Debug, Clone)]
enum Damage {
    Row {
        table: &'static str,
        row: String,
    },
    Rows {
        table: &'static str,
        account: AccountId,
        found: i64,
        written: i64,
    },
}

impl From<Damage> for Error {
    fn from(damage: Damage) -> Self {
        match damage {
            Damage::Row { table, row } => Self::DamagedRow { table, row },
            Damage::Rows {
                table,
                account,
                found,
                written,
            } => Self::DamagedTable {
                table,
                account,
                found,
                written,
            },
        }
    }
}

impl<T> Kept<T> {
    fn all(&self) -> Result<&[T]> {
        match self {
            Self::Sound(versions) => Ok(versions),
            Self::Damaged(damage) => Err(damage.clone().into()),
        }
    }
}

/// An organization in a snapshot, with all its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotOrganization {
    /// Identifier.
    pub id: OrganizationId,
    /// What it is.
    pub kind: OrganizationKind,
    /// Its other names, sorted.
    pub aliases: Vec<String>,
    /// When it was archived.
    pub archived_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Its attributes by time; never empty, in order, without gaps.
    pub versions: Vec<OrganizationVersion>,
}

/// Attributes of an organization for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationVersion {
    /// When.
    pub valid: TimeRange,
    /// What holds then.
    pub attributes: OrganizationAttributes,
}

impl SnapshotOrganization {
    /// The attributes at an instant.
    pub fn at(&self, instant: Timestamp) -> &OrganizationAttributes {
        let holds = |version: &&OrganizationVersion| version.valid.contains(instant);
        let version = self.versions.iter().find(holds);
        version.map_or_else(|| self.newest(), |version| &version.attributes)
    }

    /// The attributes that hold from the last change on.
    pub fn newest(&self) -> &OrganizationAttributes {
        let last = self.versions.last();
        &last
            .expect("an organization is written with its first version")
            .attributes
    }
}

impl ControlSnapshot {
    /// Whose data it is.
    pub fn account(&self) -> AccountId {
        self.inner.account
    }

    /// The root of the account's tree.
    pub fn root(&self) -> OrganizationId {
        self.inner.root
    }

    /// The revision it was read at.
    pub fn revision(&self) -> u64 {
        self.inner.revision
    }

    /// All organizations, archived ones too, by id.
    pub fn organizations(&self) -> &[SnapshotOrganization] {
        &self.inner.organizations
    }

    /// The organization with this id.
    pub fn organization(&self, id: OrganizationId) -> Option<&SnapshotOrganization> {
        let index = self.inner.by_id.get(&id)?;
        self.inner.organizations.get(*index)
    }

    /// The organization a text names by id or alias, when the scope knows it.
    pub fn resolve(&self, scope: &Scope, name_or_id: &str) -> Option<&SnapshotOrganization> {
        let by_id = name_or_id.parse().ok().and_then(|id| self.organization(id));
        let by_alias = || self.organization(*self.inner.by_alias.get(name_or_id)?);
        by_id.or_else(by_alias).filter(|one| scope.knows(one.id))
    }

    /// All edges, past ones too.
    pub fn edges(&self) -> &[Edge] {
        &self.inner.edges
    }

    /// What an organization lies under at an instant; `None` for the root.
    pub fn parent(&self, id: OrganizationId, at: Timestamp) -> Option<OrganizationId> {
        let edges = self.inner.edges.iter();
        let mut holds = edges.filter(|edge| edge.child == id && edge.valid.contains(at));
        holds.next().map(|edge| edge.parent)
    }

    /// An organization and everything under it, while the edges say so.
    pub fn scope_of(&self, organization: OrganizationId) -> Scope {
        Scope::under(organization, &self.inner.edges)
    }

    /// All versions of all meters, by id and start; refused when one is damaged or missing.
    pub fn meters(&self) -> Result<&[Meter]> {
        self.inner.meters.all()
    }

    /// The newest version of every live meter, by slug.
    pub fn live_meters(&self) -> Result<impl Iterator<Item = &Meter>> {
        let (meters, live) = (self.meters()?, self.inner.live.iter());
        Ok(live.filter_map(|index| meters.get(*index)))
    }

    /// The newest version of the meter with this slug or id; an archived one only by id.
    pub fn meter(&self, slug_or_id: &str) -> Result<Option<&Meter>> {
        let mut live = self.live_meters()?;
        if let Some(by_slug) = live.find(|meter| meter.slug == slug_or_id) {
            return Ok(Some(by_slug));
        }
        match slug_or_id.parse() {
            Ok(id) => Ok(self.meter_versions(id)?.last()),
            Err(_) => Ok(None),
        }
    }

    /// All versions of a meter, by start.
    pub fn meter_versions(&self, id: MeterId) -> Result<&[Meter]> {
        let meters = self.meters()?;
        let first = meters.partition_point(|meter| meter.id < id);
        let after = meters.partition_point(|meter| meter.id <= id);
        Ok(&meters[first..after])
    }

    /// All versions of all rates, by id and start; refused when one is damaged or missing.
    pub fn rates(&self) -> Result<&[Rate]> {
        self.inner.rates.all()
    }
}
