//! Meters: what is counted, and how one event is read.

use std::collections::BTreeMap;
use std::hash::Hasher;

use serde::de::IntoDeserializer;
use serde::de::value::StringDeserializer;
use serde::{Deserialize, Deserializer, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::aggregation::{Aggregation, Value};
use crate::ids::MeterId;
use crate::json::{Json, hash_text};
use crate::number::NumberRule;
use crate::path::JsonPath;
use crate::quantity::Quantity;
use crate::range::TimeRange;

/// One version of a meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// Identifier, the same for all versions.
    pub id: MeterId,
    /// Name for programs, unique in the account.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Service that is metered.
    pub service: String,
    /// Category printed in cost exports.
    pub category: String,
    /// Feature printed in cost exports; the slug unless declared.
    pub feature: String,
    /// Unit of the quantity.
    pub unit: String,
    /// What an event must be like, and what is read from it.
    pub rule: ReadingRule,
    /// Named paths by which queries may group.
    pub group_by: BTreeMap<String, JsonPath>,
    /// Unit in which tiers and rates count.
    pub scalar: Scalar,
    /// Columns of the meter's job-level export; `None` where it has none.
    pub job_level: Option<JobLevelLayout>,
    /// Whether days without usage are printed as zero rows.
    pub zero_rows: bool,
    /// Event times this version reads.
    pub valid: TimeRange,
}

/// The part of a meter that decides what it reads from an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadingRule {
    /// CloudEvents `type` it reads.
    pub event_type: String,
    /// Conditions that must all hold.
    pub filters: Vec<Filter>,
    /// Where the value lies; `None` only for COUNT.
    pub value_property: Option<JsonPath>,
    /// How readings become one number.
    pub aggregation: Aggregation,
    /// Which numbers are the same where values are counted, grouped or filtered.
    #[serde(
        default = "NumberRule::first",
        skip_serializing_if = "NumberRule::is_first"
    )]
    pub numbers: NumberRule,
}

/// Holds when the value at `path` is one of `values`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Where to look.
    pub path: JsonPath,
    /// Texts that pass.
    pub values: Vec<String>,
}

/// The unit in which rates and tiers of a meter count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scalar {
    /// Name as printed, such as `HOURS`.
    pub name: String,
    /// Readings per unit, at least 1.
    pub factor: u64,
    /// Metric category as printed, such as `COMPUTE_UNITS`.
    pub metric_category: String,
}

/// Columns of a job-level export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobLevelLayout {
    /// Data Integration: one row per task run, with cores and overhead.
    DataIntegration,
    /// Advanced Pushdown Optimization: one row per task run.
    AdvancedPushdown,
    /// Application Integration: one row per process and day.
    ApplicationIntegration,
    /// Tallyport's own columns.
    Generic,
}

impl JobLevelLayout {
    /// Reads a layout where `none`, null and nothing at all say that a meter has no such export.
    pub fn or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        let word = Option::<String>::deserialize(deserializer)?;
        let layout = word.filter(|word| word != "none").map(|word| {
            let word: StringDeserializer<D::Error> = word.into_deserializer();
            Self::deserialize(word)
        });
        layout.transpose()
    }
}

/// Why an event that a meter's type and filters match cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Nothing lies at the value property.
    #[error("meter {slug}: nothing at {path}: expected a value")]
    Missing {
        /// Slug of the meter.
        slug: String,
        /// The value property.
        path: String,
    },
    /// The value is no number a quantity can hold.
    #[error("meter {slug}: {path} holds {text:?}: expected a decimal number below 10^24")]
    NotANumber {
        /// Slug of the meter.
        slug: String,
        /// The value property.
        path: String,
        /// What lies there.
        text: String,
    },
}

impl ReadingRule {
    /// Reads one event: `None` when the type or a filter does not match.
    ///
    /// `Err(None)` means nothing at the value property, `Err(Some(text))` a text that is no number.
    pub fn read(&self, event_type: &str, data: &Json<'_>) -> Result<Option<Value>, Option<String>> {
        let passes = |filter: &Filter| filter.passes(data, self.numbers);
        if event_type != self.event_type || !self.filters.iter().all(passes) {
            return Ok(None);
        }
        let Some(path) = &self.value_property else {
            return Ok(Some(Value::Number(Quantity::ONE)));
        };
        if self.aggregation == Aggregation::Count {
            return Ok(Some(Value::Number(Quantity::ONE)));
        }
        let found = path.find(data).and_then(Json::scalar).ok_or(None)?;
        if self.aggregation.reads_text() {
            let text = found.counted(self.numbers).into_owned();
            return Ok(Some(Value::Text(text)));
        }
        let text = found.sent();
        match Quantity::read(text) {
            Ok(reading) => Ok(Some(Value::Number(reading.quantity))),
            Err(_) => Err(Some(text.chars().take(64).collect())),
        }
    }

    /// The rule that counts every event this one looks at, whether it finds a reading there or not;
    /// `None` when the event type alone tells.
    pub fn matching(&self) -> Option<Self> {
        (!self.filters.is_empty()).then(|| Self {
            value_property: None,
            aggregation: Aggregation::Count,
            ..self.clone()
        })
    }

    /// A name for what this rule reads: equal rules share it, whatever the meter is called.
    ///
    /// 32 hexadecimal digits; part of the stored format (FORMAT.md).
    pub fn key(&self) -> String {
        let mut hasher = SipHasher13::new();
        hash_text(b'T', &self.event_type, &mut hasher);
        for filter in &self.filters {
            hash_text(b'F', filter.path.as_str(), &mut hasher);
            filter
                .values
                .iter()
                .for_each(|value| hash_text(b'V', value, &mut hasher));
        }
        if let Some(path) = self.read_path() {
            hash_text(b'P', path.as_str(), &mut hasher);
        }
        // SUM, MIN, MAX, AVG and LATEST read the same numbers.
        hasher.write_u8(if self.aggregation.reads_text() {
            b't'
        } else {
            b'n'
        });
        // Most rules read the same whichever numbers are equal: their columns stay.
        let tells_apart = self.aggregation.reads_text() || !self.filters.is_empty();
        if tells_apart && self.numbers == NumberRule::Value {
            hasher.write_u8(b'2');
        }
        let hash = hasher.finish128();
        format!("{:016x}{:016x}", hash.h1, hash.h2)
    }

    fn read_path(&self) -> Option<&JsonPath> {
        self.value_property
            .as_ref()
            .filter(|_| self.aggregation != Aggregation::Count)
    }
}

impl Filter {
    fn passes(&self, data: &Json<'_>, numbers: NumberRule) -> bool {
        let found = self.path.find(data).and_then(Json::scalar);
        found.is_some_and(|found| found.is_one_of(&self.values, numbers))
    }
}

impl Meter {
    /// Reads one event, naming this meter where it does not fit.
    pub fn read(&self, event_type: &str, data: &Json<'_>) -> Result<Option<Value>, Misfit> {
        self.rule.read(event_type, data).map_err(|text| {
            let path = self.rule.value_property.as_ref().map(ToString::to_string);
            let (slug, path) = (self.slug.clone(), path.unwrap_or_default());
            match text {
                None => Misfit::Missing { slug, path },
                Some(text) => Misfit::NotANumber { slug, path, text },
            }
        })
    }
}

/// Says which meter of its type cannot read an event, though another may, or that none reads it.
pub fn validation_error(meters: &[Meter], event_type: &str, data: &Json<'_>) -> Option<String> {
    let mut is_read = false;
    for meter in meters {
        match meter.read(event_type, data) {
            Ok(reading) => is_read |= reading.is_some(),
            Err(misfit) => return Some(misfit.to_string()),
        }
    }
    (!is_read).then(|| format!("no meter reads events of type {event_type:?} like this"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(aggregation: Aggregation) -> ReadingRule {
        let filters = vec![Filter {
            path: "$.kind".parse().unwrap(),
            values: vec!["a".into(), "b".into()],
        }];
        let value_property = Some("$.n".parse().unwrap());
        ReadingRule {
            event_type: "t".into(),
            filters,
            value_property,
            aggregation,
            numbers: NumberRule::Value,
        }
    }

    fn read(aggregation: Aggregation, data: &str) -> String {
        match rule(aggregation).read("t", &Json::parse(data).unwrap()) {
            Ok(Some(Value::Number(quantity))) => quantity.to_string(),
            Ok(Some(Value::Text(text))) => format!("{text:?}"),
            Ok(None) => "no match".into(),
            Err(None) => "missing".into(),
            Err(Some(text)) => format!("not a number: {text}"),
        }
    }

    #[test]
    fn numbers_may_be_json_strings_but_not_words() {
        assert_eq!(read(Aggregation::Sum, r#"{"kind":"a","n":1.5}"#), "1.5");
        assert_eq!(read(Aggregation::Sum, r#"{"kind":"b","n":"100"}"#), "100");
        assert_eq!(
            read(Aggregation::Sum, r#"{"kind":"b","n":"NaN"}"#),
            "not a number: NaN"
        );
        assert_eq!(read(Aggregation::Sum, r#"{"kind":"b","n":[1]}"#), "missing");
        assert_eq!(read(Aggregation::Sum, r#"{"kind":"c","n":1}"#), "no match");
    }

    #[test]
    fn count_reads_one_and_unique_count_reads_text() {
        assert_eq!(read(Aggregation::Count, r#"{"kind":"a"}"#), "1");
        assert_eq!(
            read(Aggregation::UniqueCount, r#"{"kind":"a","n":"x"}"#),
            "\"x\""
        );
        assert_eq!(
            read(Aggregation::UniqueCount, r#"{"kind":"a","n":7}"#),
            "\"7\""
        );
    }

    #[test]
    fn a_meter_may_say_that_it_has_no_job_level_export() {
        let read = |json: &str| {
            let mut json = serde_json::Deserializer::from_str(json);
            JobLevelLayout::or_none(&mut json).map_err(|error| error.to_string())
        };
        assert_eq!(read(r#""generic""#), Ok(Some(JobLevelLayout::Generic)));
        assert_eq!(read(r#""none""#), Ok(None));
        assert_eq!(read("null"), Ok(None));
        let refused = read(r#""nothing""#).unwrap_err();
        assert!(
            refused.starts_with("unknown variant `nothing`"),
            "{refused}"
        );
    }

    #[test]
    fn a_number_passes_a_filter_by_value_and_a_text_byte_for_byte() {
        let counts = |values: &[&str], sent: &str, numbers| {
            let filter = Filter {
                path: "$.v".parse().unwrap(),
                values: values.iter().map(ToString::to_string).collect(),
            };
            let data = format!(r#"{{"v":{sent}}}"#);
            filter.passes(&Json::parse(&data).unwrap(), numbers)
        };
        let by_value = |values: &[&str], sent: &str| counts(values, sent, NumberRule::Value);
        for sent in ["42", "42.0", "4.2e1", "\"42\""] {
            assert!(by_value(&["42"], sent), "{sent}");
            assert_eq!(by_value(&["4.20e1"], sent), sent != "\"42\"", "{sent}");
        }
        for [value, other] in [["3.10", "3.1"], ["007", "7"], ["1e0", "1"]] {
            assert!(by_value(&[value], &format!("{value:?}")));
            assert!(!by_value(&[value], &format!("{other:?}")));
            assert!(!by_value(&[other], &format!("{value:?}")));
        }
        assert!(!counts(&["42"], "42.0", NumberRule::Spelling));
        assert!(counts(&["1e+0"], "1E0", NumberRule::Spelling));
    }

    #[test]
    fn only_rules_that_tell_values_apart_get_another_key_with_the_rule_for_numbers() {
        let key = |aggregation, filtered: bool, numbers| {
            let mut rule = rule(aggregation);
            rule.numbers = numbers;
            if !filtered {
                rule.filters.clear();
            }
            rule.key()
        };
        let same = |aggregation, filtered| {
            let [old, new] = [NumberRule::Spelling, NumberRule::Value];
            key(aggregation, filtered, old) == key(aggregation, filtered, new)
        };
        assert!(same(Aggregation::Sum, false));
        assert!(!same(Aggregation::Sum, true));
        assert!(!same(Aggregation::UniqueCount, false));
    }

    #[test]
    fn rules_that_read_the_same_share_a_key() {
        assert_eq!(rule(Aggregation::Sum).key(), rule(Aggregation::Max).key());
        assert_ne!(
            rule(Aggregation::Sum).key(),
            rule(Aggregation::UniqueCount).key()
        );
        assert_ne!(rule(Aggregation::Sum).key(), rule(Aggregation::Count).key());
        assert_eq!(rule(Aggregation::Sum).key().len(), 32);
    }
}
