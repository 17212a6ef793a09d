//! Passwords: everyone changes their own, owners reset those of others.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use metadata::User;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{find, guard};
use crate::api::body::Body;
use crate::app::App;
use crate::auth::{Caller, Permission, Who, password};
use crate::error::{ApiError, ApiResult, Code};
use crate::random;

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordIn {
    /// The password so far; needed for one's own.
    current: Option<String>,
    /// 8 to 255 characters; for others a random one is made unless given.
    password: Option<String>,
}

impl std::fmt::Debug for PasswordIn {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PasswordIn")
    }
}

/// What became of a password.
#[derive(Debug, Serialize, ToSchema)]
pub struct PasswordOut {
    /// The password, when none was sent; shown only now.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

/// Sets a password and ends the user's other sessions.
///
/// One's own needs the current one; an owner resets those of others.
#[utoipa::path(
    put, path = "/api/v1/users/{id}/password", tag = "control", request_body = PasswordIn,
    responses((status = 200, body = PasswordOut), (status = 400),
        (status = 401, description = "No credential, or the current password is wrong"),
        (status = 403), (status = 404), (status = 429))
)]
pub async fn put_password(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
    Body(body): Body<PasswordIn>,
) -> ApiResult<Json<PasswordOut>> {
    let user = find(&app, &caller, &text).await?;
    let kept = permit(&app, &caller, &user, body.current).await?;
    let (hash, password) = first(body.password).await?;
    app.metadata
        .put_password(user.id, &hash, kept.as_ref(), app.now())
        .await?;
    app.credentials.forget_all();
    Ok(Json(PasswordOut { password }))
}

/// Lets users change their own password and owners those of others; gives the session that stays.
async fn permit(
    app: &App,
    caller: &Caller,
    user: &User,
    current: Option<String>,
) -> ApiResult<Option<[u8; 32]>> {
    match caller.who {
        Who::Session {
            user: own,
            token_sha256,
        } if own == user.id => {
            check_current(app, user, current).await?;
            Ok(Some(token_sha256))
        }
        _ => {
            caller.may(Permission::Administer)?;
            guard(caller, user)?;
            Ok(None)
        }
    }
}

async fn check_current(app: &App, user: &User, current: Option<String>) -> ApiResult<()> {
    let current = current.ok_or_else(|| ApiError::invalid("current is missing"))?;
    let attempt = app.login_throttle().attempt(&user.name, None).await?;
    match password::verify(current, Some(user.password_hash.clone())).await {
        Ok(true) => attempt.give_back().await,
        Ok(false) => {
            let message = "the current password is wrong";
            Err(ApiError::new(Code::WrongPassword, message))
        }
        Err(error) => {
            attempt.give_back().await?;
            Err(error)
        }
    }
}

/// The hash of a new password, and the password itself when none was given.
pub(super) async fn first(given: Option<String>) -> ApiResult<(String, Option<String>)> {
    let made = given.is_none().then(random::password);
    let password = given.or_else(|| made.clone()).unwrap_or_default();
    Ok((password::hash(password).await?, made))
}

/// Whose password to reset.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResetIn {
    /// Login name.
    pub name: String,
}

/// Gives a user of any account a random password; for server administrators only.
#[utoipa::path(
    post, path = "/api/v1/password-resets", tag = "control", request_body = ResetIn,
    responses((status = 200, body = PasswordOut), (status = 400), (status = 401), (status = 403),
        (status = 404))
)]
pub async fn reset_password(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(body): Body<ResetIn>,
) -> ApiResult<Json<PasswordOut>> {
    caller.must_be_server_administrator()?;
    let user = app.metadata.find_user_by_name(&body.name).await?;
    let user = user.ok_or_else(|| ApiError::not_found("user"))?;
    let (hash, password) = first(None).await?;
    app.metadata
        .put_password(user.id, &hash, None, app.now())
        .await?;
    app.login_throttle().forget(&user.name).await?;
    app.credentials.forget_all();
    Ok(Json(PasswordOut { password }))
}
