//! `POST /api/v1/setup`: what `tallyport apply` sends to a running server.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::Caller;
use crate::error::ApiResult;
use crate::setup::apply::{Applied, apply};
use crate::setup::stored::Stored;

/// A setup file to apply.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetupIn {
    /// The text of setup.yaml.
    pub setup: String,
    /// Values of the environment variables it names.
    #[serde(default)]
    pub environment: HashMap<String, String>,
    /// Whether to tell the changes and write nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Declares accounts and what is in them; applying a file twice changes nothing.
#[utoipa::path(
    post, path = "/api/v1/setup", tag = "control", request_body = SetupIn,
    responses((status = 200, body = Applied), (status = 400), (status = 401), (status = 403))
)]
pub async fn apply_setup(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<SetupIn>,
) -> ApiResult<Json<Applied>> {
    caller.must_be_server_administrator()?;
    let (setup, mode) = body.read()?;
    let stored = Stored::of(&app.config, app.readings.as_ref());
    let applied = apply(&app.metadata, stored, &setup, mode, app.now()).await;
    app.credentials.forget_all();
    app.declare_readings().await?;
    applied.map(Json)
}
