//! Control data as plans see it: one account at one revision.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::midnight;
use crate::billing::{BillingCycle, BillingPeriod};
use crate::ids::{MeterId, OrganizationId};
use crate::meter::Meter;
use crate::range::TimeRange;
use crate::rate::{Rate, RateKind};
use crate::tree::{Edge, OrganizationKind};

/// An account's control data at one revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Control {
    /// All organizations, ascending by id.
    pub organizations: Vec<Organization>,
    /// All edges, past ones included.
    pub edges: Vec<Edge>,
    /// All versions of all meters; those of one meter do not overlap.
    pub meters: Vec<Meter>,
    /// All versions of all rates.
    pub rates: Vec<Rate>,
}

/// An organization as files name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Identifier.
    pub id: OrganizationId,
    /// Place in the tree.
    pub kind: OrganizationKind,
    /// When it was archived.
    pub archived_at: Option<Timestamp>,
    /// What changes about it: by time, without gaps, from the beginning to the end of time.
    pub versions: Vec<OrganizationVersion>,
}

/// What holds of an organization for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationVersion {
    /// When.
    pub valid: TimeRange,
    /// Name for people.
    pub name: String,
    /// When its billing periods start.
    pub billing: BillingCycle,
}

impl Organization {
    /// What holds at the first instant of a day.
    pub fn on(&self, date: Date) -> &OrganizationVersion {
        let start = midnight(date);
        let found = self
            .versions
            .iter()
            .find(|version| version.valid.contains(start));
        found
            .or(self.versions.last())
            .expect("an organization has a version for every instant")
    }

    /// The billing period a day lies in, by the billing days that hold on that day.
    pub fn billing_period(&self, date: Date) -> BillingPeriod {
        self.on(date).billing.around(date)
    }

    /// The billing periods of the days from `first` to `end`, each with the first day that lies in
    /// it: later than its start where the billing days changed meanwhile.
    pub(crate) fn billing_periods(
        &self,
        first: Date,
        end: Timestamp,
    ) -> Vec<(Date, BillingPeriod)> {
        let mut period = self.billing_period(first);
        let mut start = first;
        while let Ok(before) = start.yesterday()
            && start > period.start
            && self.billing_period(before) == period
        {
            start = before;
        }
        let mut periods = vec![(start, period)];
        let mut date = first;
        while let Ok(next) = date.tomorrow()
            && midnight(next) < end
        {
            date = next;
            let of_day = self.billing_period(date);
            if of_day != period {
                period = of_day;
                periods.push((date, period));
            }
        }
        periods
    }
}

impl Control {
    /// The organization with this id.
    pub fn organization(&self, id: OrganizationId) -> Option<&Organization> {
        let at = self.organizations.binary_search_by_key(&id, |each| each.id);
        at.ok().map(|at| &self.organizations[at])
    }
}

/// The rates that may apply to one organization's usage.
#[derive(Debug, Clone)]
pub(crate) struct PriceList<'c> {
    by_meter: BTreeMap<MeterId, Vec<&'c Rate>>,
}

impl<'c> PriceList<'c> {
    /// Picks the rates of `kind` that are the organization's own or the account's default.
    pub(crate) fn new(rates: &'c [Rate], kind: RateKind, organization: OrganizationId) -> Self {
        let mut by_meter = BTreeMap::<_, Vec<_>>::new();
        let concerned = rates
            .iter()
            .filter(|rate| rate.kind == kind)
            .filter(|rate| rate.organization.is_none_or(|own| own == organization));
        for rate in concerned {
            by_meter.entry(rate.meter).or_default().push(rate);
        }
        // The organization's own come first, so that the first that fits is the one that applies.
        for rates in by_meter.values_mut() {
            rates.sort_by_key(|rate| rate.organization.is_none());
        }
        Self { by_meter }
    }

    /// The rate that applies to usage of `meter` at `time`.
    pub(crate) fn at(&self, meter: MeterId, time: Timestamp) -> Option<&'c Rate> {
        let mut rates = self.of(meter);
        rates.find(|rate| rate.valid.contains(time))
    }

    /// All rates of `meter` that may apply at some time.
    pub(crate) fn of(&self, meter: MeterId) -> impl Iterator<Item = &'c Rate> {
        self.by_meter.get(&meter).into_iter().flatten().copied()
    }
}
