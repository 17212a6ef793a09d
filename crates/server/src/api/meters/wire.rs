//! A meter as sent and as shown.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::aggregation::Aggregation;
use domain::ids::MeterId;
use domain::limits::{FILTER_VALUES_MAX, FILTERS_MAX, GROUP_BY_MAX, SLUG_CHARS_MAX};
use domain::meter::{Filter, JobLevelLayout, Meter, ReadingRule, Scalar};
use domain::number::NumberRule;
use domain::path::JsonPath;
use domain::range::TimeRange;
use metadata::MeterRecord;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::notes;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::random;
use crate::setup::check::fields;

/// A meter to declare. Unknown fields are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeterIn {
    /// Name for programs, unique in the account: letters, digits, `_` and `-`.
    pub slug: String,
    /// Name for people; the slug if absent.
    pub name: Option<String>,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// CloudEvents `type` it reads.
    pub event_type: String,
    /// How readings become one number.
    #[schema(value_type = String, example = "SUM")]
    pub aggregation: Aggregation,
    /// Path of the value in the data; none for COUNT.
    #[schema(value_type = Option<String>, example = "$.hours")]
    pub value_property: Option<JsonPath>,
    /// Named paths by which queries may group.
    #[serde(default)]
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub group_by: BTreeMap<String, JsonPath>,
    /// Unit of the quantity.
    #[serde(default)]
    pub unit: String,
    /// Service that is metered.
    #[serde(default)]
    pub service: String,
    /// Category printed in cost exports.
    #[serde(default)]
    pub category: String,
    /// Feature printed in cost exports; the slug if absent.
    pub feature: Option<String>,
    /// Unit in which tiers and rates count.
    pub scalar: Option<ScalarWire>,
    /// Columns of its job-level export; `none`, as if absent, for a meter without one.
    #[serde(default, deserialize_with = "JobLevelLayout::or_none")]
    #[schema(value_type = Option<String>, example = "generic")]
    pub job_level_layout: Option<JobLevelLayout>,
    /// Whether days without usage are printed as zero rows.
    #[serde(default)]
    pub zero_rows: bool,
    /// Conditions on the data that must all hold.
    #[serde(default)]
    pub filters: Vec<FilterWire>,
    /// First event time it reads; all of time if absent.
    #[schema(value_type = Option<String>)]
    pub since: Option<Timestamp>,
    /// The same as `since`, as OpenMeter's clients name it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub event_from: Option<Timestamp>,
    /// What clients note; nothing is computed from it.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// The unit in which rates and tiers count.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalarWire {
    /// Name as printed, such as `HOURS`.
    pub name: String,
    /// Readings per unit, at least 1.
    #[serde(default = "one")]
    pub factor: u64,
    /// Metric category as printed.
    #[serde(default)]
    pub metric_category: String,
}

fn one() -> u64 {
    1
}

/// Holds when the value at `path` is one of `values`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FilterWire {
    /// Where to look in the data.
    #[schema(value_type = String)]
    pub path: JsonPath,
    /// Texts that pass.
    pub values: Vec<String>,
}

impl MeterIn {
    /// Checks what was sent and gives it an id.
    pub fn into_meter(self) -> ApiResult<Meter> {
        self.check()?;
        let since = self.since.or(self.event_from);
        let value_property = self
            .value_property
            .filter(|_| self.aggregation != Aggregation::Count);
        let filters = self.filters.into_iter().map(|filter| Filter {
            path: filter.path,
            values: filter.values,
        });
        let scalar = self.scalar.unwrap_or(ScalarWire {
            name: self.unit.clone(),
            factor: 1,
            metric_category: String::new(),
        });
        Ok(Meter {
            id: MeterId::from_random(random::bits()),
            name: self.name.unwrap_or_else(|| self.slug.clone()),
            feature: self.feature.unwrap_or_else(|| self.slug.clone()),
            slug: self.slug,
            description: self.description,
            service: self.service,
            category: self.category,
            unit: self.unit,
            rule: ReadingRule {
                event_type: self.event_type,
                filters: filters.collect(),
                value_property,
                aggregation: self.aggregation,
                numbers: NumberRule::Value,
            },
            group_by: self.group_by,
            scalar: Scalar {
                name: scalar.name,
                factor: scalar.factor,
                metric_category: scalar.metric_category,
            },
            job_level: self.job_level_layout,
            zero_rows: self.zero_rows,
            valid: since.map_or(TimeRange::ALWAYS, TimeRange::since),
        })
    }

    fn check(&self) -> ApiResult<()> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let slug_holds =
            (1..=SLUG_CHARS_MAX).contains(&self.slug.len()) && self.slug.bytes().all(letter);
        if !slug_holds {
            return Err(ApiError::invalid(format!(
                "slug is {:?}: expected 1 to {SLUG_CHARS_MAX} letters, digits, _ and -",
                self.slug
            )));
        }
        if let (Some(since), Some(from)) = (self.since, self.event_from)
            && since != from
        {
            let message = format!("since is {since} and eventFrom is {from}: expected one of them");
            return Err(ApiError::invalid(message));
        }
        let name = self.name.as_deref();
        name.map_or(Ok(()), fields::name)
            .map_err(ApiError::invalid)?;
        let filters = self.filters.iter().map(|filter| &filter.path);
        fields::paths(self.value_property.as_ref(), filters, &self.group_by)
            .map_err(ApiError::invalid)?;
        bounded("groupBy", self.group_by.len(), GROUP_BY_MAX)?;
        bounded("filters", self.filters.len(), FILTERS_MAX)?;
        for filter in &self.filters {
            bounded("filters.values", filter.values.len(), FILTER_VALUES_MAX)?;
        }
        if self.event_type.is_empty() {
            return Err(ApiError::invalid("eventType is empty: expected a text"));
        }
        if self.value_property.is_none() && self.aggregation != Aggregation::Count {
            let message = "valueProperty is missing: expected a path such as $.hours";
            return Err(ApiError::invalid(message));
        }
        if self
            .scalar
            .as_ref()
            .is_some_and(|scalar| scalar.factor == 0)
        {
            return Err(ApiError::invalid("scalar.factor is 0: expected at least 1"));
        }
        Ok(())
    }
}

fn bounded(field: &str, length: usize, most: usize) -> ApiResult<()> {
    if length <= most {
        return Ok(());
    }
    let message = format!("{field} has length {length}: expected at most {most}");
    Err(ApiError::invalid(message))
}

/// A declared meter.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeterOut {
    #[schema(value_type = String)]
    id: MeterId,
    slug: String,
    name: String,
    description: String,
    event_type: String,
    #[schema(value_type = String)]
    aggregation: Aggregation,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    value_property: Option<JsonPath>,
    #[schema(value_type = std::collections::HashMap<String, String>)]
    group_by: BTreeMap<String, JsonPath>,
    unit: String,
    service: String,
    category: String,
    feature: String,
    scalar: ScalarWire,
    #[schema(value_type = Option<String>)]
    job_level_layout: Option<JobLevelLayout>,
    zero_rows: bool,
    filters: Vec<FilterWire>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    archived_at: Option<Timestamp>,
    /// The same as `since`, as OpenMeter's clients name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    event_from: Option<Timestamp>,
    /// The same as `archivedAt`, as OpenMeter's clients name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    deleted_at: Option<Timestamp>,
    /// What clients noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Box<RawValue>>,
    /// `building` while stored events are prepared for it, else `ready`. It can be queried anyway.
    status: &'static str,
    /// How far the building is.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressOut>,
    #[schema(value_type = String)]
    created_at: Timestamp,
    #[schema(value_type = String)]
    updated_at: Timestamp,
}

/// How far stored events are prepared for a meter.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProgressOut {
    /// Events it may concern.
    rows: u64,
    /// Those of them that are prepared.
    rows_built: u64,
}

impl MeterOut {
    /// Shows a record, and how far its column is.
    pub fn new(record: MeterRecord, app: &App) -> ApiResult<Self> {
        let meter = record.meter;
        let progress = app.readings.progress(&meter.rule, &meter.group_by);
        let building = progress.rows_built < progress.rows;
        let filters = meter.rule.filters.into_iter().map(|filter| FilterWire {
            path: filter.path,
            values: filter.values,
        });
        Ok(Self {
            id: meter.id,
            slug: meter.slug,
            name: meter.name,
            description: meter.description,
            event_type: meter.rule.event_type,
            aggregation: meter.rule.aggregation,
            value_property: meter.rule.value_property,
            group_by: meter.group_by,
            unit: meter.unit,
            service: meter.service,
            category: meter.category,
            feature: meter.feature,
            scalar: ScalarWire {
                name: meter.scalar.name,
                factor: meter.scalar.factor,
                metric_category: meter.scalar.metric_category,
            },
            job_level_layout: meter.job_level,
            zero_rows: meter.zero_rows,
            filters: filters.collect(),
            since: meter.valid.start,
            archived_at: meter.valid.end,
            event_from: meter.valid.start,
            deleted_at: meter.valid.end,
            metadata: notes::shown(record.metadata)?,
            status: if building { "building" } else { "ready" },
            progress: building.then_some(ProgressOut {
                rows: progress.rows,
                rows_built: progress.rows_built,
            }),
            created_at: record.created_at,
            updated_at: record.updated_at,
        })
    }
}
