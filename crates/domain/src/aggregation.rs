//! Aggregations, as folds that can be merged.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::quantity::{Quantity, Total};

/// How a meter turns its readings into one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Aggregation {
    /// Adds the quantities.
    Sum,
    /// Counts the events.
    Count,
    /// The smallest quantity.
    Min,
    /// The largest quantity.
    Max,
    /// The mean quantity, rounded to twelve places.
    Avg,
    /// Counts the distinct values.
    UniqueCount,
    /// The quantity of the latest event by (time, sequence).
    Latest,
}

impl Aggregation {
    /// Whether usage splits along every dimension and adds up again.
    pub fn is_additive(self) -> bool {
        matches!(self, Self::Sum | Self::Count)
    }

    /// Whether a rate may be put on it: AVG and MIN cannot be rated.
    pub fn is_rateable(self) -> bool {
        !matches!(self, Self::Avg | Self::Min)
    }

    /// Whether readings are texts to be told apart rather than numbers.
    pub fn reads_text(self) -> bool {
        matches!(self, Self::UniqueCount)
    }
}

/// A reading: what a meter saw in one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// An exact number.
    Number(Quantity),
    /// A text to be told apart from others.
    Text(String),
}

/// The state of one aggregation over the readings seen so far.
///
/// Order does not matter: folding and merging in any order gives the same value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fold {
    /// State of SUM.
    Sum(Total),
    /// State of COUNT.
    Count(u64),
    /// State of MIN.
    Min(Option<Quantity>),
    /// State of MAX.
    Max(Option<Quantity>),
    /// State of AVG.
    Avg {
        /// Sum of the quantities.
        sum: Total,
        /// Number of quantities.
        count: u64,
    },
    /// State of UNIQUE_COUNT.
    Unique(HashSet<Box<str>>),
    /// State of LATEST.
    Latest(Option<Latest>),
}

/// The latest reading: ordered by time, then by sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Latest {
    /// Time of its event.
    pub time: Timestamp,
    /// Sequence of its event.
    pub sequence: u64,
    /// Its quantity.
    pub quantity: Quantity,
}

impl Fold {
    /// The state before any reading.
    pub fn new(aggregation: Aggregation) -> Self {
        match aggregation {
            Aggregation::Sum => Self::Sum(Total::ZERO),
            Aggregation::Count => Self::Count(0),
            Aggregation::Min => Self::Min(None),
            Aggregation::Max => Self::Max(None),
            Aggregation::Avg => Self::Avg {
                sum: Total::ZERO,
                count: 0,
            },
            Aggregation::UniqueCount => Self::Unique(HashSet::new()),
            Aggregation::Latest => Self::Latest(None),
        }
    }

    /// Adds the number read from the event at `time` with `sequence`.
    pub fn add(&mut self, quantity: Quantity, time: Timestamp, sequence: u64) {
        match self {
            Self::Sum(sum) => *sum += quantity.into(),
            Self::Count(count) => *count += 1,
            Self::Min(min) => *min = Some(min.map_or(quantity, |least| least.min(quantity))),
            Self::Max(max) => *max = Some(max.map_or(quantity, |most| most.max(quantity))),
            Self::Avg { sum, count } => {
                *sum += quantity.into();
                *count += 1;
            }
            Self::Unique(_) => self.add_text(&quantity.to_string()),
            Self::Latest(latest) => {
                *latest = (*latest).max(Some(Latest {
                    time,
                    sequence,
                    quantity,
                }));
            }
        }
    }

    /// Adds a text; only UNIQUE_COUNT and COUNT take one.
    pub fn add_text(&mut self, text: &str) {
        match self {
            Self::Unique(values) if values.contains(text) => {}
            Self::Unique(values) => {
                values.insert(text.into());
            }
            Self::Count(count) => *count += 1,
            _ => {}
        }
    }

    /// Adds all that another fold of the same aggregation has seen.
    pub fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Sum(sum), Self::Sum(more)) => *sum += more,
            (Self::Count(count), Self::Count(more)) => *count += more,
            (Self::Min(min), Self::Min(other)) => {
                *min = [*min, other].into_iter().flatten().min();
            }
            (Self::Max(max), Self::Max(other)) => *max = (*max).max(other),
            (
                Self::Avg { sum, count },
                Self::Avg {
                    sum: more,
                    count: others,
                },
            ) => {
                *sum += more;
                *count += others;
            }
            (Self::Unique(values), Self::Unique(others)) => values.extend(others),
            (Self::Latest(latest), Self::Latest(other)) => *latest = (*latest).max(other),
            (state, other) => unreachable!("folds of one meter agree: {state:?} and {other:?}"),
        }
    }

    /// The aggregated number; `None` where nothing was read and zero would be a lie.
    pub fn value(&self) -> Option<Total> {
        match self {
            Self::Sum(sum) => Some(*sum),
            Self::Count(count) => Some(Total::whole(*count)),
            Self::Min(quantity) | Self::Max(quantity) => quantity.map(Total::from),
            Self::Avg { sum, count } => sum.divide(*count),
            Self::Unique(values) => Some(Total::whole(values.len() as u64)),
            Self::Latest(latest) => latest.map(|latest| latest.quantity.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(aggregation: Aggregation, readings: &[(&str, i64)]) -> Option<String> {
        let state = |readings: &[(&str, i64)], first: u64| {
            let mut state = Fold::new(aggregation);
            for ((quantity, second), sequence) in readings.iter().zip(first..) {
                let time = Timestamp::from_second(*second).unwrap();
                state.add(quantity.parse().unwrap(), time, sequence);
            }
            state
        };
        let whole = state(readings, 0);
        for cut in 0..=readings.len() {
            let mut merged = state(&readings[cut..], cut as u64);
            merged.merge(state(&readings[..cut], 0));
            assert_eq!(merged, whole, "merging at {cut} changes nothing");
        }
        whole.value().map(|value| value.to_string())
    }

    #[test]
    fn each_aggregation_gives_its_number() {
        let readings = [("2.5", 30), ("-1", 10), ("2.50", 20), ("7", 30)];
        let value = |aggregation| fold(aggregation, &readings).unwrap();
        assert_eq!(value(Aggregation::Sum), "11");
        assert_eq!(value(Aggregation::Count), "4");
        assert_eq!(value(Aggregation::Min), "-1");
        assert_eq!(value(Aggregation::Max), "7");
        assert_eq!(value(Aggregation::Avg), "2.75");
        assert_eq!(value(Aggregation::UniqueCount), "3");
        assert_eq!(value(Aggregation::Latest), "7");
    }

    #[test]
    fn nothing_read_is_zero_only_where_zero_is_true() {
        assert_eq!(fold(Aggregation::Sum, &[]).as_deref(), Some("0"));
        assert_eq!(fold(Aggregation::UniqueCount, &[]).as_deref(), Some("0"));
        assert_eq!(fold(Aggregation::Max, &[]), None);
        assert_eq!(fold(Aggregation::Avg, &[]), None);
    }
}
