//! The OpenAPI document and a page that renders it without any network.

use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use utoipa::Modify;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};

use super::document;

/// Says in the document how requests authenticate.
#[derive(Debug)]
pub struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut OpenApi) {
        let header = |name: &str, text: &str| {
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, text)))
        };
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", bearer);
        let key = header("Authorization", "`Key K` with an API key");
        components.add_security_scheme("key", key);
        let session = header(
            "INFA-SESSION-ID",
            "A login session; icSessionId does as well",
        );
        components.add_security_scheme("session", session);
    }
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", responses((status = 200)))]
pub async fn openapi_json() -> Response {
    match document().to_json() {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => {
            crate::error::ApiError::of_kind(domain::kind::Kind::Internal, error).into_response()
        }
    }
}

/// This document, rendered.
#[utoipa::path(get, path = "/docs", tag = "operations", responses((status = 200)))]
pub async fn page() -> Html<&'static str> {
    Html(include_str!("docs.html"))
}
