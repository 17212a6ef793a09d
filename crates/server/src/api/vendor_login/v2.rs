//! Login and sessions, v2: the same sessions in an older shape.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use domain::Timestamp;
use domain::ids::{OrganizationId, UserId};
use metadata::SESSION_IDLE_SECONDS_MAX;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{LoginIn, end_session};
use crate::api::client::Client;
use crate::api::time::seconds;
use crate::app::App;
use crate::auth::{Caller, Who, sha256};
use crate::error::{ApiError, ApiResult, Code};
use crate::login::{Login, log_in};

/// The user who logged in, with the session.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserOut {
    #[serde(rename = "@type")]
    kind: &'static str,
    #[schema(value_type = String)]
    id: UserId,
    #[schema(value_type = String)]
    org_id: OrganizationId,
    #[schema(value_type = String)]
    org_uuid: OrganizationId,
    name: String,
    description: &'static str,
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "seconds")]
    create_time: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "seconds")]
    update_time: Timestamp,
    first_name: String,
    last_name: String,
    emails: String,
    timezone: &'static str,
    #[schema(value_type = String)]
    uuid: UserId,
    /// Base of every further path; ends in `/saas`.
    server_url: String,
    spi_url: String,
    /// To be sent as `icSessionId` or `INFA-SESSION-ID`.
    ic_session_id: String,
    force_change_password: bool,
    roles: Vec<Role>,
    usergroups: Vec<String>,
}

/// A role of the user.
#[derive(Debug, Serialize, ToSchema)]
pub struct Role {
    name: &'static str,
}

/// A session to look at.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenIn {
    user_name: String,
    ic_token: String,
}

impl std::fmt::Debug for TokenIn {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TokenIn")
    }
}

/// Whether a session is alive.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenOut {
    #[serde(rename = "@type")]
    kind: &'static str,
    user_name: String,
    ic_token: String,
    /// Minutes it lives on without use.
    time_until_expire: i64,
    is_valid_token: bool,
}

impl UserOut {
    async fn of(login: Login, app: &App, client: &Client) -> ApiResult<Self> {
        let held = app.metadata.list_roles(login.user.id).await?;
        let roles = held.into_iter().map(|held| Role {
            name: held.role.as_str(),
        });
        let (user, server_url) = (login.user, format!("{}/saas", client.base_url));
        Ok(Self {
            kind: "user",
            id: user.id,
            org_id: user.organization,
            org_uuid: user.organization,
            name: user.name,
            description: "",
            create_time: user.created_at,
            update_time: user.updated_at,
            first_name: user.profile.first_name,
            last_name: user.profile.last_name,
            emails: user.profile.emails.join(","),
            timezone: "UTC",
            uuid: user.id,
            spi_url: server_url.clone(),
            server_url,
            ic_session_id: login.session,
            force_change_password: false,
            roles: roles.collect(),
            usergroups: Vec::new(),
        })
    }
}

/// Starts a session.
#[utoipa::path(
    post, path = "/ma/api/v2/user/login", tag = "metering", request_body = LoginIn,
    responses((status = 200, body = UserOut), (status = 400), (status = 401), (status = 429))
)]
pub async fn login(
    State(app): State<Arc<App>>,
    client: Client,
    body: Bytes,
) -> ApiResult<Json<UserOut>> {
    let body = LoginIn::read(&body)?;
    let login = log_in(&app, &body.username, body.password, client.address).await?;
    Ok(Json(UserOut::of(login, &app, &client).await?))
}

/// Ends the session of the request.
#[utoipa::path(
    post, path = "/saas/api/v2/user/logout", tag = "metering",
    responses((status = 200), (status = 401))
)]
pub async fn logout(State(app): State<Arc<App>>, caller: Caller) -> ApiResult<StatusCode> {
    end_session(&app, &caller).await
}

/// Ends every session of a user, known by a session header or by name and password in the body.
#[utoipa::path(
    post, path = "/ma/api/v2/user/logoutall", tag = "metering", request_body = Option<LoginIn>,
    responses((status = 200), (status = 400), (status = 401), (status = 429))
)]
pub async fn logout_all(
    State(app): State<Arc<App>>,
    client: Client,
    caller: Result<Caller, ApiError>,
    headers: HeaderMap,
    body: Bytes,
) -> ApiResult<StatusCode> {
    let user = match caller {
        Ok(caller) => session_user(&caller)?,
        Err(refusal) if has_session(&headers) => return Err(refusal),
        Err(_) => {
            let body = LoginIn::read(&body)?;
            let login = log_in(&app, &body.username, body.password, client.address).await?;
            login.user.id
        }
    };
    app.metadata.delete_sessions(user, None).await?;
    app.credentials.forget_all();
    Ok(StatusCode::OK)
}

fn has_session(headers: &HeaderMap) -> bool {
    let names = ["icsessionid", "infa-session-id", "ids-session-id"];
    names.iter().any(|name| headers.contains_key(*name))
}

fn session_user(caller: &Caller) -> ApiResult<UserId> {
    match caller.who {
        Who::Session { user, .. } => Ok(user),
        Who::Key(_) | Who::Local => {
            let message = "only a session logs out";
            Err(ApiError::new(Code::Unauthenticated, message))
        }
    }
}

/// Tells whether a session is alive; counts as a use of it.
#[utoipa::path(
    post, path = "/saas/api/v2/user/validSessionId", tag = "metering", request_body = TokenIn,
    responses((status = 200, body = TokenOut), (status = 400))
)]
pub async fn valid_session(State(app): State<Arc<App>>, body: Bytes) -> ApiResult<Json<TokenOut>> {
    let body: TokenIn = serde_json::from_slice(&body)
        .map_err(|error| ApiError::invalid(format!("not a token to look at: {error}")))?;
    let digest = sha256(&body.ic_token);
    let used = app.metadata.use_session(&digest, app.now()).await?;
    let is_valid_token = used.is_some_and(|(_, user)| user.name == body.user_name);
    Ok(Json(TokenOut {
        kind: "validatedToken",
        user_name: body.user_name,
        ic_token: body.ic_token,
        time_until_expire: if is_valid_token {
            SESSION_IDLE_SECONDS_MAX / 60
        } else {
            0
        },
        is_valid_token,
    }))
}
