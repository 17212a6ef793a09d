//! A second count of usage, by another way than the rows of a file come about.
//!
//! Rows are read by day, group or event and are priced; a recount asks for one number per meter. A
//! file whose rows do not add up to it is wrong, whichever of the two is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::{linked, utc_date};
use crate::aggregation::Fold;
use crate::ids::MeterId;
use crate::meter::Meter;
use crate::quantity::Total;
use crate::tree::Scope;

/// Usage of one organization by meter, as far as it is counted.
#[derive(Debug, Clone)]
pub struct Recount<'c> {
    scope: Scope,
    meters: BTreeMap<MeterId, Vec<&'c Meter>>,
    folds: BTreeMap<(MeterId, Option<Date>), Fold>,
}

/// Totals to ask the store for.
#[derive(Debug, Clone)]
pub struct RecountRead<'c> {
    /// Whose usage, and when.
    pub scope: Scope,
    /// Meter versions to total.
    pub meters: Vec<&'c Meter>,
    /// Whether each UTC day is a total of its own: meters that give one number per day.
    pub by_day: bool,
}

/// A meter whose rows do not add up to what is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// The meter.
    pub meter: MeterId,
    /// What the rows add up to.
    pub rows: Total,
    /// What is counted.
    pub counted: Total,
}

impl<'c> Recount<'c> {
    /// Counts those of `meters` that summaries hold, within `scope`.
    ///
    /// Left out are meters whose versions aggregate differently: no single question covers them.
    pub(super) fn new(scope: Scope, meters: impl Iterator<Item = &'c Meter>) -> Self {
        let mut by_id = BTreeMap::<_, Vec<_>>::new();
        for meter in meters {
            by_id.entry(meter.id).or_default().push(meter);
        }
        by_id.retain(|id, versions: &mut Vec<&Meter>| {
            let aggregation = versions[0].rule.aggregation;
            let is_same = |version: &&Meter| version.rule.aggregation == aggregation;
            aggregation.is_rateable() && !linked::is_linked(*id) && versions.iter().all(is_same)
        });
        Self {
            scope,
            meters: by_id,
            folds: BTreeMap::new(),
        }
    }

    /// What to read.
    pub fn reads(&self) -> Vec<RecountRead<'c>> {
        let versions = || self.meters.values().flatten().copied();
        let read = |by_day: bool| RecountRead {
            scope: self.scope.clone(),
            meters: versions()
                .filter(|meter| meter.rule.aggregation.is_additive() != by_day)
                .collect(),
            by_day,
        };
        let reads = [read(false), read(true)].into_iter();
        reads
            .filter(|read| !read.meters.is_empty() && !read.scope.entries().is_empty())
            .collect()
    }

    /// Takes one total of a read: meter by its place there, day by its first instant.
    pub fn add(
        &mut self,
        read: &RecountRead<'c>,
        meter: usize,
        day: Option<Timestamp>,
        fold: Fold,
    ) {
        let rule = &read.meters[meter].rule;
        let key = (read.meters[meter].id, day.map(utc_date));
        let whole = self.folds.entry(key);
        whole
            .or_insert_with(|| Fold::new(rule.aggregation))
            .merge(fold);
    }

    /// The first meter whose rows add up to something else.
    pub fn difference(&self, rows: &BTreeMap<MeterId, Total>) -> Option<Difference> {
        let mut counted = BTreeMap::<_, Total>::new();
        for ((meter, _), fold) in &self.folds {
            let sum = counted.entry(*meter).or_insert(Total::ZERO);
            *sum += fold.value().unwrap_or(Total::ZERO);
        }
        let of = |sums: &BTreeMap<_, Total>, meter| sums.get(meter).copied().unwrap_or(Total::ZERO);
        let mut compared = self.meters.keys().map(|meter| Difference {
            meter: *meter,
            rows: of(rows, meter),
            counted: of(&counted, meter),
        });
        compared.find(|compared| compared.rows != compared.counted)
    }
}
