//! The one list of routes. Each path is stated once, on its handler.

pub mod docs;
pub mod events;
pub mod meters;
pub mod ops;
pub mod parameters;
pub mod subjects;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::docs::Credentials;
use crate::app::App;
use crate::error::{ApiError, Code};
use crate::request;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tallyport",
        description = "Usage in once, out in every shape. Errors of /api/v1 are problem+json."
    ),
    modifiers(&Credentials),
    tags(
        (name = "usage", description = "Events, meters, subjects and their totals"),
        (name = "operations", description = "Health, metrics and this document")
    )
)]
struct Document;

fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(events::ingest_events, events::list_events))
        .routes(routes!(meters::create_meter, meters::list_meters))
        .routes(routes!(meters::get_meter, meters::delete_meter))
        .routes(routes!(meters::query_meter, meters::post_query_meter))
        .routes(routes!(subjects::put_subjects, subjects::list_subjects))
        .routes(routes!(ops::healthz))
        .routes(routes!(ops::readyz))
        .routes(routes!(ops::metrics))
        .routes(routes!(docs::openapi_json))
        .routes(routes!(docs::page))
}

/// The OpenAPI document of every route.
pub fn document() -> utoipa::openapi::OpenApi {
    routes().into_openapi()
}

/// The router, with everything that surrounds a request.
pub fn router(app: &Arc<App>) -> Router {
    let (router, _) = routes().split_for_parts();
    router
        .fallback(async || ApiError::new(Code::NotFound, "no such path"))
        .method_not_allowed_fallback(async || {
            ApiError::new(Code::MethodNotAllowed, Code::MethodNotAllowed.meaning())
        })
        .layer(DefaultBodyLimit::max(app.config.limits.body_bytes_max))
        .layer(CatchPanicLayer::custom(request::panicked))
        .layer(from_fn_with_state(Arc::clone(app), request::surround))
        .with_state(Arc::clone(app))
}
