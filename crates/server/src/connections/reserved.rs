//! What is served where all general places are taken: health, and callers who are known.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::auth::Caller;
use crate::error::{ApiError, Code};

/// Paths that are served to everyone.
const OPEN_PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// Seconds after which a place may be free again.
const RETRY_AFTER_S: u64 = 2;

/// Marks a request that came through a reserved place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reserved;

/// Refuses requests of reserved places that neither ask for health nor carry a valid credential.
pub(crate) async fn admit(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let is_open = OPEN_PATHS.contains(&request.uri().path());
    if is_open || request.extensions().get::<Reserved>().is_none() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    match Caller::find(&parts, &app).await {
        Ok(_) => next.run(Request::from_parts(parts, body)).await,
        Err(_) => busy().into_response(),
    }
}

fn busy() -> ApiError {
    let message = "as many connections are open as there may be (limits.connections_max), and only \
                   requests with a valid credential are served beyond: repeat later";
    ApiError::new(Code::Unavailable, message).retry_after(RETRY_AFTER_S)
}
