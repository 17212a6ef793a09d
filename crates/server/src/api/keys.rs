//! API keys: their secret is shown once, when it is made.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use domain::Timestamp;
use domain::ids::{KeyId, OrganizationId};
use metadata::{Key, KeyState, NewKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::field::Field;
use super::page::{PageOut, PageQuery, id};
use crate::api::body::{Body, OptionalBody};
use crate::api::parameters::Query;
use crate::app::App;
use crate::auth::{Caller, Permission, new_key, sha256};
use crate::error::{ApiError, ApiResult};
use crate::setup::check::fields;

/// Seconds a rotated key may go on working: 30 days.
const OVERLAP_SECONDS_MAX: u32 = 30 * 24 * 3600;

/// An API key without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyOut {
    #[schema(value_type = String)]
    id: KeyId,
    name: String,
    #[schema(value_type = String)]
    organization_id: OrganizationId,
    /// `owner`, `operator`, `writer` or `analyst`.
    role: &'static str,
    /// `live`, `expired` or `revoked`.
    state: &'static str,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// Last use, to a minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    /// When it was or will be ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
    /// The key it took the place of.
    #[schema(value_type = Option<String>)]
    replaces: Option<KeyId>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// A key just made, with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyMade {
    #[serde(flatten)]
    key: KeyOut,
    /// The key itself; shown only now.
    secret: String,
}

/// A key to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyIn {
    /// Up to 255 characters.
    name: String,
    /// `owner`, `operator`, `writer` or `analyst`.
    role: String,
    /// The caller's own unless given.
    #[schema(value_type = Option<String>)]
    organization_id: Option<OrganizationId>,
    /// When it stops to work; never unless given.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// Changes of a key; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyPatch {
    name: Option<String>,
    /// When it stops to work; null for never.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Field<Timestamp>,
}

/// How a key is replaced.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateIn {
    /// Seconds the old key goes on working; 0 unless given.
    #[serde(default)]
    #[schema(maximum = 2_592_000)]
    overlap: u32,
}

impl KeyOut {
    fn of(key: Key, now: Timestamp) -> Self {
        Self {
            state: match key.state(now) {
                KeyState::Live => "live",
                KeyState::Expired => "expired",
                KeyState::Revoked => "revoked",
            },
            id: key.id,
            name: key.name,
            organization_id: key.organization,
            role: key.role.as_str(),
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
            replaces: key.replaces,
            created_at: key.created_at,
        }
    }
}

/// Lists the keys of the caller's organization and of everything under it.
#[utoipa::path(
    get, path = "/api/v1/keys", tag = "control", params(PageQuery),
    responses((status = 200, body = PageOut<KeyOut>), (status = 400), (status = 401),
        (status = 403))
)]
pub async fn list_keys(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<PageOut<KeyOut>>> {
    let reach = caller.reach(Permission::Administer)?;
    let (page, now) = (page.request(reach.organization)?, app.now());
    let found = app
        .metadata
        .list_keys(reach.tops.as_slice(), now, &page)
        .await?;
    Ok(Json(PageOut::of(found, |key| Some(KeyOut::of(key, now)))))
}

/// Gives one key.
#[utoipa::path(
    get, path = "/api/v1/keys/{id}", tag = "control",
    responses((status = 200, body = KeyOut), (status = 401), (status = 403), (status = 404))
)]
pub async fn get_key(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> ApiResult<Json<KeyOut>> {
    let key = find(&app, &caller, &text).await?;
    Ok(Json(KeyOut::of(key, app.now())))
}

/// Creates a key; the answer shows its secret, once.
#[utoipa::path(
    post, path = "/api/v1/keys", tag = "control", request_body = KeyIn,
    responses((status = 201, body = KeyMade), (status = 400), (status = 401), (status = 403),
        (status = 404, description = "The organization is not under the caller"))
)]
pub async fn create_key(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(body): Body<KeyIn>,
) -> ApiResult<(StatusCode, Json<KeyMade>)> {
    let own = caller.may(Permission::Administer)?;
    fields::name(&body.name).map_err(ApiError::invalid)?;
    let (secret, now) = (new_key(), app.now());
    let new = NewKey {
        id: None,
        secret_sha256: sha256(&secret),
        role: fields::role(&body.role).map_err(ApiError::invalid)?,
        organization: caller.under(
            Permission::Administer,
            body.organization_id.unwrap_or(own),
            now,
        )?,
        name: body.name,
        expires_at: body.expires_at,
    };
    let key = app.metadata.insert_key(new, now).await?;
    app.credentials.forget_all();
    let key = KeyOut::of(key, now);
    Ok((StatusCode::CREATED, Json(KeyMade { key, secret })))
}

/// Changes the name or the expiry of a key.
#[utoipa::path(
    patch, path = "/api/v1/keys/{id}", tag = "control", request_body = KeyPatch,
    responses((status = 200, body = KeyOut), (status = 400), (status = 401), (status = 403),
        (status = 404))
)]
pub async fn patch_key(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
    Body(body): Body<KeyPatch>,
) -> ApiResult<Json<KeyOut>> {
    let key = find(&app, &caller, &text).await?;
    let sent = body.name.as_deref();
    sent.map_or(Ok(()), fields::name)
        .map_err(ApiError::invalid)?;
    let name = body.name.unwrap_or(key.name);
    let expires_at = body.expires_at.over(key.expires_at);
    let key = app.metadata.put_key(key.id, &name, expires_at).await?;
    app.credentials.forget_all();
    Ok(Json(KeyOut::of(key, app.now())))
}

/// Revokes a key at once; doing it again changes nothing.
#[utoipa::path(
    delete, path = "/api/v1/keys/{id}", tag = "control",
    responses((status = 204), (status = 401), (status = 403), (status = 404))
)]
pub async fn revoke_key(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> ApiResult<StatusCode> {
    let key = find(&app, &caller, &text).await?;
    app.metadata.revoke_key(key.id, app.now()).await?;
    app.credentials.forget_all();
    Ok(StatusCode::NO_CONTENT)
}

/// Replaces a live key by a new one of the same name, role and expiry.
///
/// The old key ends at once, or after `overlap` seconds.
#[utoipa::path(
    post, path = "/api/v1/keys/{id}/rotate", tag = "control", request_body = RotateIn,
    responses((status = 201, body = KeyMade), (status = 400), (status = 401), (status = 403),
        (status = 404), (status = 409, description = "The key no longer works"))
)]
pub async fn rotate_key(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
    OptionalBody(body): OptionalBody<RotateIn>,
) -> ApiResult<(StatusCode, Json<KeyMade>)> {
    let key = find(&app, &caller, &text).await?;
    let overlap = body.map_or(0, |body| body.overlap);
    if overlap > OVERLAP_SECONDS_MAX {
        let message = format!("overlap is {overlap}: at most {OVERLAP_SECONDS_MAX} seconds");
        return Err(ApiError::invalid(message));
    }
    let (secret, now) = (new_key(), app.now());
    let made = app
        .metadata
        .rotate_key(key.id, sha256(&secret), overlap, now);
    let key = KeyOut::of(made.await?, now);
    app.credentials.forget_all();
    Ok((StatusCode::CREATED, Json(KeyMade { key, secret })))
}

async fn find(app: &App, caller: &Caller, text: &str) -> ApiResult<Key> {
    caller.may(Permission::Administer)?;
    let key = app.metadata.find_key(id(text, "key")?).await?;
    let visible = |key: &Key| {
        caller
            .under(Permission::Administer, key.organization, app.now())
            .is_ok()
    };
    key.filter(visible)
        .ok_or_else(|| ApiError::not_found("key"))
}
