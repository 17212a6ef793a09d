//! The one list of routes. Each path is stated once, on its handler.

pub mod accept;
mod artifact;
pub mod body;
pub mod client;
pub mod conditions;
pub mod docs;
pub mod events;
pub mod exports;
pub mod field;
pub mod keys;
pub mod metering;
pub mod meters;
pub mod notes;
pub mod ops;
pub mod organizations;
pub mod page;
pub mod parameters;
pub mod rates;
pub mod schedules;
pub mod setup;
pub mod store;
pub mod subjects;
pub mod time;
pub mod users;
pub mod vendor_login;
pub mod verification;
pub mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{from_fn_with_state, map_request};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::docs::Credentials;
use self::parameters::Declared;
use crate::app::App;
use crate::bodies::SMALL_BYTES_MAX;
use crate::connections::{self, Reading};
use crate::error::{ApiError, Code};
use crate::request;
use crate::setup::SETUP_BODY_BYTES_MAX;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tallyport",
        description = "Usage in once, out in every shape. Errors of /api/v1 are problem+json."
    ),
    modifiers(&Credentials),
    tags(
        (name = "usage", description = "Events, meters, subjects and their totals"),
        (name = "control", description = "Organizations, users, keys, rates and setup files"),
        (name = "metering", description = "Login and export jobs of the metering family"),
        (name = "exports", description = "Exports and their schedules"),
        (name = "operations", description = "Health, metrics and this document")
    )
)]
struct Document;

fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(events::ingest_events, events::list_events))
        .routes(routes!(events::list_events_v2))
        .routes(routes!(store::get_store))
        .routes(routes!(meters::create_meter, meters::list_meters))
        .routes(routes!(
            meters::get_meter,
            meters::put_meter,
            meters::patch_meter,
            meters::delete_meter
        ))
        .routes(routes!(meters::query_meter, meters::post_query_meter))
        .routes(routes!(meters::list_meter_subjects))
        .routes(routes!(meters::list_group_by_values))
        .routes(routes!(subjects::put_subjects, subjects::list_subjects))
        .routes(routes!(subjects::get_subject, subjects::delete_subject))
        .merge(control_routes())
        .merge(metering_routes())
        .merge(export_routes())
        .routes(routes!(verification::verify_usage))
        .routes(routes!(ops::healthz))
        .routes(routes!(ops::readyz))
        .routes(routes!(ops::metrics))
        .routes(routes!(docs::openapi_json))
        .routes(routes!(docs::page))
}

fn control_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(
            organizations::list_organizations,
            organizations::create_organization
        ))
        .routes(routes!(
            organizations::get_organization,
            organizations::patch_organization,
            organizations::archive_organization
        ))
        .routes(routes!(users::list_users, users::create_user))
        .routes(routes!(
            users::get_user,
            users::patch_user,
            users::disable_user
        ))
        .routes(routes!(users::put_password))
        .routes(routes!(users::reset_password))
        .routes(routes!(keys::list_keys, keys::create_key))
        .routes(routes!(keys::get_key, keys::patch_key, keys::revoke_key))
        .routes(routes!(keys::rotate_key))
        .merge(webhook_routes())
        .routes(routes!(rates::list_rates, rates::create_rate))
        .routes(routes!(rates::get_rate, rates::patch_rate, rates::end_rate))
        .merge(with_bodies(
            OpenApiRouter::new().routes(routes!(setup::apply_setup)),
            SETUP_BODY_BYTES_MAX,
        ))
}

/// Bounds the bodies of routes that differ from the rest. Without a credential only small ones are
/// read.
fn with_bodies(router: OpenApiRouter<Arc<App>>, bytes_max: usize) -> OpenApiRouter<Arc<App>> {
    let hold = move |request: Request| async move {
        if let Some(reading) = request.extensions().get::<Arc<Reading>>() {
            reading.hold(bytes_max);
        }
        request
    };
    router
        .layer(DefaultBodyLimit::max(bytes_max))
        .layer(map_request(hold))
}

fn webhook_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(webhooks::list_webhooks, webhooks::create_webhook))
        .routes(routes!(
            webhooks::get_webhook,
            webhooks::patch_webhook,
            webhooks::delete_webhook
        ))
        .routes(routes!(webhooks::rotate_webhook))
        .routes(routes!(webhooks::test_webhook))
        .routes(routes!(webhooks::deliveries::list_deliveries))
        .routes(routes!(webhooks::deliveries::replay_delivery))
}

fn metering_routes() -> OpenApiRouter<Arc<App>> {
    let logins = OpenApiRouter::new()
        .routes(routes!(vendor_login::login))
        .routes(routes!(vendor_login::logout))
        .routes(routes!(vendor_login::v2::login))
        .routes(routes!(vendor_login::v2::logout))
        .routes(routes!(vendor_login::v2::logout_all))
        .routes(routes!(vendor_login::v2::valid_session));
    with_bodies(logins, SMALL_BYTES_MAX)
        .routes(routes!(metering::create_export))
        .routes(routes!(metering::create_linked_export))
        .routes(routes!(metering::create_job_level_export))
        .routes(routes!(metering::get_export))
        .routes(routes!(metering::download::download_export))
}

fn export_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(exports::create_export, exports::list_exports))
        .routes(routes!(exports::get_export, exports::cancel_export))
        .routes(routes!(exports::files::export_manifest))
        .routes(routes!(exports::files::download_export))
        .routes(routes!(
            schedules::create_schedule,
            schedules::list_schedules
        ))
        .routes(routes!(
            schedules::get_schedule,
            schedules::patch_schedule,
            schedules::delete_schedule
        ))
}

/// The OpenAPI document of every route.
pub fn document() -> utoipa::openapi::OpenApi {
    routes().into_openapi()
}

/// The router, with everything that surrounds a request.
pub fn router(app: &Arc<App>) -> Router {
    let (router, document) = routes().split_for_parts();
    let declared = Arc::new(Declared::of(&document));
    router
        .fallback(async || ApiError::new(Code::NotFound, "no such path"))
        .method_not_allowed_fallback(async || {
            ApiError::new(Code::MethodNotAllowed, Code::MethodNotAllowed.meaning())
        })
        .layer(from_fn_with_state(declared, parameters::check))
        .layer(DefaultBodyLimit::max(app.config.limits.body_bytes_max))
        .layer(CatchPanicLayer::custom(request::panicked))
        .layer(from_fn_with_state(Arc::clone(app), connections::admit))
        .layer(from_fn_with_state(Arc::clone(app), request::surround))
        .with_state(Arc::clone(app))
}
