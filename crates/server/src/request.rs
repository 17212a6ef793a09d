//! What surrounds every request: its id, its log span, its metrics, its error body, its panics.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::ids::RequestId;
use tracing::Instrument;

use crate::app::App;
use crate::connections::Reading;
use crate::error::body::{Door, dress};
use crate::error::{ApiError, ApiResult};
use crate::{percent, random};

/// Header of every answer that names the request as the log does.
pub const REQUEST_ID: &str = "x-request-id";

/// Gives the request its id and span, and the answer the id and its door's error body.
pub async fn surround(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::from_random(random::bits());
    let door = Door::of(request.uri().path());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let span = span(id, &method, request.uri().path());
    request.extensions_mut().insert(id);
    let reading = request.extensions().get::<Arc<Reading>>().cloned();
    let answer = async {
        let response = match check_query(request.uri().query()) {
            Ok(()) => next.run(request).await,
            Err(error) => error.into_response(),
        };
        // Handlers know only that a body broke off; this is why.
        let refusal = reading.and_then(|reading| reading.refusal());
        let response = refusal.map_or(response, ApiError::into_response);
        dress(door, id, response).await
    };
    let mut response = answer.instrument(span).await;
    let value = HeaderValue::from_str(id.as_str()).expect("an id is ascii");
    response.headers_mut().insert(REQUEST_ID, value);
    app.metrics
        .answered(&method, route, response.status(), started.elapsed());
    response
}

/// Refuses a query that the readers of parameters would have to guess at.
fn check_query(query: Option<&str>) -> ApiResult<()> {
    let Some(parameter) = query.and_then(percent::not_utf8) else {
        return Ok(());
    };
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    Err(ApiError::invalid(format!(
        "{name} is {value:?} in the URL: expected escapes that make UTF-8"
    )))
}

fn span(id: RequestId, method: &Method, path: &str) -> tracing::Span {
    tracing::info_span!("request", request.id = id.as_str(), %method, path)
}

/// Turns a panic of a handler into an internal error.
#[expect(clippy::needless_pass_by_value, reason = "the shape the layer calls")]
pub fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without text");
    ApiError::internal(text).into_response()
}
