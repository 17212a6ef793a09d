//! Login and sessions as clients of the metering family know them, v3; v2 lies in [`v2`].

pub mod v2;

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use domain::ids::{OrganizationId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::client::Client;
use crate::app::App;
use crate::auth::{Caller, Who};
use crate::error::{ApiError, ApiResult, Code};
use crate::login::{Login, log_in};

/// Name and password.
#[derive(Deserialize, ToSchema)]
pub struct LoginIn {
    /// Up to 255 characters.
    username: String,
    /// Up to 255 characters.
    password: String,
}

impl std::fmt::Debug for LoginIn {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("LoginIn")
    }
}

impl LoginIn {
    /// Reads a body of whatever content type clients send.
    fn read(body: &[u8]) -> ApiResult<Self> {
        let object: Result<Map<String, Value>, _> = serde_json::from_slice(body);
        let read = object.and_then(|object| serde_json::from_value(Value::Object(object)));
        read.map_err(|error| ApiError::invalid(format!("not a login: {error}")))
    }
}

/// A session and where to go with it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoginOut {
    products: [Product; 1],
    user_info: UserInfo,
}

/// What the session is good for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Product {
    name: &'static str,
    /// Ends in `/saas`; metering paths are appended to it.
    base_api_url: String,
}

/// Who logged in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserInfo {
    /// To be sent as `INFA-SESSION-ID`; ends after 30 minutes without use.
    session_id: String,
    #[schema(value_type = String)]
    id: UserId,
    name: String,
    /// The organization above; for a root an opaque value.
    parent_org_id: String,
    #[schema(value_type = String)]
    org_id: OrganizationId,
    org_name: String,
    #[schema(value_type = Object)]
    groups: Map<String, Value>,
    status: &'static str,
}

impl LoginOut {
    fn of(login: Login, app: &App, client: &Client) -> Self {
        let above = login.parent(app).map(|parent| parent.to_string());
        let opaque = || login.control.account().to_string();
        Self {
            products: [Product {
                name: "Integration Cloud",
                base_api_url: format!("{}/saas", client.base_url),
            }],
            user_info: UserInfo {
                parent_org_id: above.unwrap_or_else(opaque),
                org_name: login.organization_name().to_owned(),
                org_id: login.user.organization,
                id: login.user.id,
                name: login.user.name,
                session_id: login.session,
                groups: Map::new(),
                status: "Active",
            },
        }
    }
}

/// Starts a session.
#[utoipa::path(
    post, path = "/saas/public/core/v3/login", tag = "metering", request_body = LoginIn,
    responses((status = 200, body = LoginOut), (status = 400),
        (status = 401, description = "Wrong user name or password, code IDS_085"),
        (status = 429, description = "Too many failed logins"))
)]
pub async fn login(
    State(app): State<Arc<App>>,
    client: Client,
    body: Bytes,
) -> ApiResult<Json<LoginOut>> {
    let body = LoginIn::read(&body)?;
    let login = log_in(&app, &body.username, body.password, client.address).await?;
    Ok(Json(LoginOut::of(login, &app, &client)))
}

/// Ends the session of the request.
#[utoipa::path(
    post, path = "/saas/public/core/v3/logout", tag = "metering",
    responses((status = 200), (status = 401))
)]
pub async fn logout(State(app): State<Arc<App>>, caller: Caller) -> ApiResult<StatusCode> {
    end_session(&app, &caller).await
}

async fn end_session(app: &App, caller: &Caller) -> ApiResult<StatusCode> {
    let Who::Session { token_sha256, .. } = &caller.who else {
        return Err(ApiError::new(
            Code::Unauthenticated,
            "only a session logs out",
        ));
    };
    app.metadata.delete_session(token_sha256).await?;
    app.credentials.forget_all();
    Ok(StatusCode::OK)
}
