//! `PUT` of a meter, as OpenMeter's clients change one.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use domain::meter::Meter;
use domain::path::JsonPath;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::wire::MeterOut;
use super::{find, no_meter};
use crate::api::body::Body;
use crate::api::notes;
use crate::app::App;
use crate::auth::Caller;
use crate::error::{ApiError, ApiResult};
use crate::setup::check::{fields, meter_rule};

/// What a meter is to be like. What is left out goes; unknown members are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeterUpdate {
    /// Name for people; the slug if absent.
    name: Option<String>,
    /// Free text.
    description: Option<String>,
    /// Named paths by which queries may group.
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    group_by: Option<BTreeMap<String, JsonPath>>,
    /// What clients note; nothing is computed from it.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
}

impl MeterUpdate {
    /// A version of the meter with the new texts and groups; what it reads stays.
    fn over(&self, before: &Meter) -> Result<Meter, String> {
        let mut meter = before.clone();
        self.name.as_deref().map_or(Ok(()), fields::name)?;
        meter.name = self.name.clone().unwrap_or_else(|| meter.slug.clone());
        meter.description = self.description.clone().unwrap_or_default();
        meter.group_by = self.group_by.clone().unwrap_or_default();
        meter.valid.end = None;
        meter_rule(&meter)?;
        Ok(meter)
    }
}

/// Replaces name, description, groups and metadata of a meter, for usage of all time.
#[utoipa::path(
    put, path = "/api/v1/meters/{meterIdOrSlug}", tag = "usage", request_body = MeterUpdate,
    params(("meterIdOrSlug" = String, Path)),
    responses((status = 200, body = MeterOut), (status = 400), (status = 401), (status = 403),
        (status = 404, description = "No such meter")),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn put_meter(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    Body(sent): Body<MeterUpdate>,
) -> ApiResult<Json<MeterOut>> {
    caller.may_declare_for_account()?;
    let id = find(&caller, &name)?.id;
    let metadata = notes::to_store(sent.metadata.as_ref())?;
    let versions = caller.control.meter_versions(id)?.iter();
    let versions = versions.map(|version| sent.over(version));
    let versions: Vec<Meter> = versions
        .collect::<Result<_, _>>()
        .map_err(ApiError::invalid)?;
    let mut change = app.metadata.begin_change(app.now()).await?;
    for version in &versions {
        change.put_meter(caller.account, version).await?;
    }
    let noted = metadata.as_deref();
    change.put_meter_metadata(caller.account, id, noted).await?;
    app.commit(change).await?;
    app.declare_readings().await?;
    let found = app.metadata.find_meter(caller.account, id).await?;
    Ok(Json(MeterOut::new(found.ok_or_else(no_meter)?, &app)?))
}
