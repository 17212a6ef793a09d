//! JSON bodies of our own routes.

use std::error::Error;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::error::{ApiError, Code};

/// A body as a type of its route. A member that the type lacks, or a value that it cannot have, is
/// refused by name.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let read = Json::from_request(request, state).await;
        read.map(|Json(body)| Self(body))
            .map_err(|rejection| refusal(&rejection))
    }
}

/// A body that may be left out.
#[derive(Debug)]
pub struct OptionalBody<T>(pub Option<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for OptionalBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let read = Bytes::from_request(Request::from_parts(parts.clone(), body), state);
        let bytes = read
            .await
            .map_err(|error| ApiError::new(Code::of_status(error.status()), error.body_text()))?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        let request = Request::from_parts(parts, bytes.into());
        let Body(body) = Body::from_request(request, state).await?;
        Ok(Self(Some(body)))
    }
}

fn refusal(rejection: &JsonRejection) -> ApiError {
    let text = match rejection {
        JsonRejection::JsonDataError(error) => reason(error),
        JsonRejection::JsonSyntaxError(error) => {
            return ApiError::invalid(format!("the body is not JSON: {}", reason(error)));
        }
        rejection => {
            return ApiError::new(Code::of_status(rejection.status()), rejection.body_text());
        }
    };
    ApiError::invalid(text)
}

/// What the parser says, without the framework's words around it.
fn reason(error: &dyn Error) -> String {
    let mut reason = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}
