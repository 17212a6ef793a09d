//! Health, readiness and metrics, open to all.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, header};

use crate::app::App;
use crate::error::{ApiError, ApiResult, Code, RETRY_AFTER_S};

/// Media type of the metrics.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Time the database has to take a write before the server counts as not ready.
const WRITE_LIMIT: Duration = Duration::from_secs(2);

/// Says that the process is alive.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200)))]
pub async fn healthz() -> &'static str {
    "alive\n"
}

/// Says whether everything is recovered and requests can be served.
#[utoipa::path(
    get, path = "/readyz", tag = "operations",
    responses((status = 200), (status = 503, description = "Not ready; the body says why"))
)]
pub async fn readyz(State(app): State<Arc<App>>) -> ApiResult<&'static str> {
    let kind = domain::kind::Kind::Unavailable;
    let ready = tokio::time::timeout(WRITE_LIMIT, app.metadata.check_ready()).await;
    let ready = ready.map_err(|error| {
        let message = format!("the database took no write within {WRITE_LIMIT:?}");
        ApiError::new(Code::Unavailable, message)
            .retry_after(RETRY_AFTER_S)
            .caused_by(error)
    })?;
    ready.map_err(|error| ApiError::of_kind(kind, error))?;
    if let Some(reason) = app.readings.read_only_reason() {
        let message = "the usage store takes nothing in until it is restarted";
        return Err(ApiError::new(Code::Unavailable, message).caused_by(reason));
    }
    if let Some(reason) = app.readings.waits_for_space() {
        let message = "the usage store has no space: free some on its disk";
        let error = ApiError::new(Code::Unavailable, message).retry_after(RETRY_AFTER_S);
        return Err(error.caused_by(reason));
    }
    Ok("ready\n")
}

/// The server's metrics in the text form Prometheus reads.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200)))]
pub async fn metrics(State(app): State<Arc<App>>) -> ([(HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], app.metrics.text())
}
