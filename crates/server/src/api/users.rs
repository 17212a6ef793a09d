//! Users: who may log in, and what they may do.

mod password;
mod wire;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use metadata::{RoleAssignment, User, UserStatus};

use super::page::{PageOut, PageQuery, id};
use crate::api::body::Body;
use crate::api::parameters::Query;
use crate::app::App;
use crate::auth::{Caller, Permission, Who};
use crate::error::{ApiError, ApiResult, Code};
use wire::{UserIn, UserMade, UserOut, UserPatch};

pub use password::{
    __path_put_password, __path_reset_password, ResetIn, put_password, reset_password,
};

/// Lists the users of the caller's organization and of everything under it.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "control", params(PageQuery),
    responses((status = 200, body = PageOut<UserOut>), (status = 400), (status = 401),
        (status = 403))
)]
pub async fn list_users(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<PageOut<UserOut>>> {
    let reach = caller.reach(Permission::Administer)?;
    let page = page.request(reach.organization)?;
    let found = app
        .metadata
        .list_users(reach.tops.as_slice(), app.now(), &page)
        .await?;
    let mut users = Vec::with_capacity(found.items.len());
    for user in found.items {
        users.push(with_roles(&app, user).await?);
    }
    Ok(Json(PageOut {
        items: users,
        next: found.next.map(|cursor| cursor.to_string()),
    }))
}

/// Gives one user; everyone may see themselves.
#[utoipa::path(
    get, path = "/api/v1/users/{id}", tag = "control",
    responses((status = 200, body = UserOut), (status = 401), (status = 403), (status = 404))
)]
pub async fn get_user(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> ApiResult<Json<UserOut>> {
    let user = find(&app, &caller, &text).await?;
    Ok(Json(with_roles(&app, user).await?))
}

/// Creates a user; without a password a random one is made and shown, once.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "control", request_body = UserIn,
    responses((status = 201, body = UserMade), (status = 400), (status = 401), (status = 403),
        (status = 404, description = "An organization is not under the caller"),
        (status = 409, description = "The name is taken"))
)]
pub async fn create_user(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(body): Body<UserIn>,
) -> ApiResult<(StatusCode, Json<UserMade>)> {
    let own = caller.may(Permission::Administer)?;
    let home = body.organization_id.unwrap_or(own);
    let organization = caller.under(Permission::Administer, home, app.now())?;
    let roles = body.roles(&caller, organization, app.now())?;
    let (new, password) = body.into_new(organization).await?;
    let user = app.metadata.insert_user(new, app.now()).await?;
    for (organization, role) in roles {
        let user = user.id;
        let assignment = RoleAssignment {
            user,
            organization,
            role,
        };
        app.metadata.insert_role(assignment, app.now()).await?;
    }
    let user = with_roles(&app, user).await?;
    Ok((StatusCode::CREATED, Json(UserMade { user, password })))
}

/// Changes names, addresses, status or roles of a user.
#[utoipa::path(
    patch, path = "/api/v1/users/{id}", tag = "control", request_body = UserPatch,
    responses((status = 200, body = UserOut), (status = 400), (status = 401), (status = 403),
        (status = 404))
)]
pub async fn patch_user(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
    Body(body): Body<UserPatch>,
) -> ApiResult<Json<UserOut>> {
    caller.may(Permission::Administer)?;
    let user = find(&app, &caller, &text).await?;
    guard(&caller, &user)?;
    let id = user.id;
    body.put(&app, &caller, user).await?;
    app.credentials.forget_all();
    let found = app.metadata.find_user(id).await?;
    let user = found.ok_or_else(|| ApiError::not_found("user"))?;
    Ok(Json(with_roles(&app, user).await?))
}

/// Disables a user, which ends every session of theirs.
#[utoipa::path(
    delete, path = "/api/v1/users/{id}", tag = "control",
    responses((status = 204), (status = 401), (status = 403), (status = 404))
)]
pub async fn disable_user(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> ApiResult<StatusCode> {
    caller.may(Permission::Administer)?;
    let user = find(&app, &caller, &text).await?;
    guard(&caller, &user)?;
    let (status, now) = (UserStatus::Disabled, app.now());
    app.metadata.put_user_status(user.id, status, now).await?;
    app.credentials.forget_all();
    Ok(StatusCode::NO_CONTENT)
}

/// The user of a path, when the caller administers it or is it.
async fn find(app: &App, caller: &Caller, text: &str) -> ApiResult<User> {
    let id = id(text, "user")?;
    let is_self = matches!(caller.who, Who::Session { user, .. } if user == id);
    if !is_self {
        caller.may(Permission::Administer)?;
    }
    let user = app.metadata.find_user(id).await?;
    let visible = |user: &User| {
        is_self
            || caller
                .under(Permission::Administer, user.organization, app.now())
                .is_ok()
    };
    user.filter(visible)
        .ok_or_else(|| ApiError::not_found("user"))
}

/// Keeps owners from taking over a server administrator of their organization.
fn guard(caller: &Caller, user: &User) -> ApiResult<()> {
    if user.server_administrator && !caller.server_administrator {
        let message = "only a server administrator may change a server administrator";
        return Err(ApiError::new(Code::Forbidden, message));
    }
    Ok(())
}

async fn with_roles(app: &App, user: User) -> ApiResult<UserOut> {
    let roles = app.metadata.list_roles(user.id).await?;
    Ok(UserOut::of(user, roles))
}
