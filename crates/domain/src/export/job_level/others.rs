//! What other meters find in the same events, while they are in force.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::aggregation::Aggregation;
use crate::export::control::Control;
use crate::meter::{Meter, ReadingRule};
use crate::range::TimeRange;

/// What other meters read, and when.
#[derive(Debug, Clone)]
pub struct OtherRule<'c> {
    /// The rule, which versions of several meters may share.
    pub rule: &'c ReadingRule,
    /// When a version with this rule is in force.
    pub valid: Vec<TimeRange>,
}

impl OtherRule<'_> {
    /// Whether a version with this rule reads events of this time.
    pub fn is_in_force(&self, time: Timestamp) -> bool {
        self.valid.iter().any(|range| range.contains(time))
    }
}

/// The rules of other meters that look for values in the same events while `meter` does; those that
/// only count find something everywhere.
pub(super) fn others<'c>(control: &'c Control, meter: &Meter) -> Vec<OtherRule<'c>> {
    let values = control.meters.iter().filter(|other| {
        other.id != meter.id
            && other.rule.event_type == meter.rule.event_type
            && other.rule.aggregation != Aggregation::Count
    });
    let mut rules = BTreeMap::new();
    for other in values {
        let valid = other.valid.intersect(&meter.valid);
        if valid.is_empty() {
            continue;
        }
        let rule = &other.rule;
        let known = rules.entry(rule.key()).or_insert_with(|| OtherRule {
            rule,
            valid: Vec::new(),
        });
        known.valid.push(valid);
    }
    rules.into_values().collect()
}
