//! `GET /api/v1/store`: where the events of a credential go.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::ids::OrganizationId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::ApiResult;

/// Where events go. Both together tell whether events sent before can be there.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct StoreOut {
    /// Tells the usage store from every other, at whatever URL its server is reached.
    pub id: String,
    /// The organization that owns the credential: its events have names of their own.
    #[schema(value_type = String)]
    pub organization: OrganizationId,
}

/// Says which store keeps the events of this credential.
///
/// Who remembers how much was sent, as `tallyport import` does, remembers it by this.
#[utoipa::path(
    get, path = "/api/v1/store", tag = "usage",
    responses(
        (status = 200, body = StoreOut),
        (status = 401),
        (status = 403, description = "The credential may not send events"),
        (status = 503, description = "The store is not reached from here"),
    ),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn get_store(State(app): State<Arc<App>>, caller: Caller) -> ApiResult<Json<StoreOut>> {
    let organization = caller.may(Permission::Write)?;
    let id = app.intake.identity().await?;
    Ok(Json(StoreOut { id, organization }))
}
