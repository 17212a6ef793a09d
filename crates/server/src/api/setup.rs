//! `POST /api/v1/setup`: what `tallyport apply` sends to a running server.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::body::Body;
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::{ApiError, ApiResult, Code};
use crate::setup::Authority;
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
///
/// A server administrator declares any account. An owner of an account's root, such as an API key
/// of that role, declares that account alone.
#[utoipa::path(
    post, path = "/api/v1/setup", tag = "control", request_body = SetupIn,
    responses((status = 200, body = Applied), (status = 400), (status = 401), (status = 403))
)]
pub async fn apply_setup(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(body): Body<SetupIn>,
) -> ApiResult<Json<Applied>> {
    let authority = authority(&caller)?;
    let (setup, mode) = body.read()?;
    let stored = Stored::of(&app.config, app.readings.as_ref());
    let applied = apply(&app.metadata, stored, &setup, authority, mode, app.now()).await;
    app.credentials.forget_all();
    app.declare_readings().await?;
    applied.map(Json)
}

/// What the caller may declare.
fn authority(caller: &Caller) -> ApiResult<Authority> {
    if caller.server_administrator {
        return Ok(Authority::Server);
    }
    if caller.may(Permission::Administer)? == caller.control.root() {
        return Ok(Authority::Account(caller.account));
    }
    let message = "a setup file is applied by a server administrator, or by an owner of the \
                   account's root for that account";
    Err(ApiError::new(Code::Forbidden, message))
}
