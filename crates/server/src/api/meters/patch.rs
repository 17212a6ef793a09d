//! Changing a meter: each change makes a new version.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use domain::Timestamp;
use domain::meter::{Filter, JobLevelLayout, Meter, Scalar};
use domain::path::JsonPath;
use domain::range::TimeRange;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::wire::{FilterWire, MeterOut, ScalarWire};
use super::{find, no_meter};
use crate::api::body::Body;
use crate::api::field::Field;
use crate::api::notes;
use crate::app::App;
use crate::auth::Caller;
use crate::error::{ApiError, ApiResult};
use crate::setup::check::{fields, meter_rule};

/// Changes of a meter; what is left out stays. Slug, event type and aggregation never change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MeterPatch {
    /// First event time the new version reads; now if absent, null for all of time.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Field<Timestamp>,
    name: Option<String>,
    description: Option<String>,
    unit: Option<String>,
    service: Option<String>,
    category: Option<String>,
    feature: Option<String>,
    /// Path of the value in the data.
    #[schema(value_type = Option<String>)]
    value_property: Option<JsonPath>,
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    group_by: Option<BTreeMap<String, JsonPath>>,
    filters: Option<Vec<FilterWire>>,
    scalar: Option<ScalarWire>,
    /// Columns of its job-level export; `none` or null for a meter without one.
    #[serde(default, deserialize_with = "layout")]
    #[schema(value_type = Option<String>)]
    job_level_layout: Field<JobLevelLayout>,
    zero_rows: Option<bool>,
    /// What clients note; nothing is computed from it. Null for none.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Field<Map<String, Value>>,
}

/// Makes a new version of a meter: usage from `since` on is read by it, stored usage too.
#[utoipa::path(
    patch, path = "/api/v1/meters/{meterIdOrSlug}", tag = "usage", request_body = MeterPatch,
    params(("meterIdOrSlug" = String, Path)),
    responses((status = 200, body = MeterOut), (status = 400), (status = 401), (status = 403),
        (status = 404, description = "No such meter")),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn patch_meter(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    Body(sent): Body<MeterPatch>,
) -> ApiResult<Json<MeterOut>> {
    caller.may_declare_for_account()?;
    let before = find(&caller, &name)?;
    let noted = notes::to_store(sent.metadata.value())?;
    let is_noted = sent.metadata != Field::Absent;
    let meter = sent.over(before.clone(), app.now());
    let meter = meter.map_err(ApiError::invalid)?;
    let mut change = app.metadata.begin_change(app.now()).await?;
    change.put_meter(caller.account, &meter).await?;
    if is_noted {
        let noted = noted.as_deref();
        change
            .put_meter_metadata(caller.account, meter.id, noted)
            .await?;
    }
    app.commit(change).await?;
    app.declare_readings().await?;
    let found = app.metadata.find_meter(caller.account, meter.id).await?;
    Ok(Json(MeterOut::new(found.ok_or_else(no_meter)?, &app)?))
}

fn layout<'de, D: Deserializer<'de>>(sent: D) -> Result<Field<JobLevelLayout>, D::Error> {
    let layout = JobLevelLayout::or_none(sent)?;
    Ok(layout.map_or(Field::Null, Field::Value))
}

impl MeterPatch {
    fn over(self, mut meter: Meter, now: Timestamp) -> Result<Meter, String> {
        let start = self.since.over(Some(now));
        meter.valid = TimeRange { start, end: None };
        self.name.as_deref().map_or(Ok(()), fields::name)?;
        fields::paths(
            self.value_property.as_ref(),
            self.filters.iter().flatten().map(|filter| &filter.path),
            self.group_by.iter().flatten(),
        )?;
        meter.name = self.name.unwrap_or(meter.name);
        meter.description = self.description.unwrap_or(meter.description);
        meter.unit = self.unit.unwrap_or(meter.unit);
        meter.service = self.service.unwrap_or(meter.service);
        meter.category = self.category.unwrap_or(meter.category);
        meter.feature = self.feature.unwrap_or(meter.feature);
        meter.group_by = self.group_by.unwrap_or(meter.group_by);
        meter.job_level = self.job_level_layout.over(meter.job_level);
        meter.zero_rows = self.zero_rows.unwrap_or(meter.zero_rows);
        if let Some(path) = self.value_property {
            meter.rule.value_property = Some(path);
        }
        if let Some(filters) = self.filters {
            let filters = filters.into_iter().map(|filter| Filter {
                path: filter.path,
                values: filter.values,
            });
            meter.rule.filters = filters.collect();
        }
        if let Some(scalar) = self.scalar {
            meter.scalar = Scalar {
                name: scalar.name,
                factor: scalar.factor,
                metric_category: scalar.metric_category,
            };
        }
        meter_rule(&meter)?;
        Ok(meter)
    }
}
