//! The error body of each door, chosen by path prefix in one place.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use domain::ids::RequestId;
use serde_json::{Value, json};

use super::{ApiError, Code, Failure};

/// Bytes of a plain-text refusal of the HTTP layer that are kept as its message.
const PLAIN_BYTES_MAX: usize = 4096;

/// A door: a family of paths that share an error body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Usage in and our own resources: problem+json.
    Own,
    /// Metering export jobs, v3.
    MeteringV3,
    /// Metering login and sessions, v2.
    MeteringV2,
    /// Marketplace usage: a JSON string.
    Marketplace,
    /// Cost by billing tag: E-code body.
    Cost,
    /// Access tokens.
    Token,
}

impl Door {
    /// The door of a path.
    pub fn of(path: &str) -> Self {
        const PREFIXES: [(&str, Door); 7] = [
            ("/saas/public/core/v3", Door::MeteringV3),
            ("/ma/api/v2", Door::MeteringV2),
            ("/saas/api/v2", Door::MeteringV2),
            ("/org", Door::Marketplace),
            ("/public/apiClient", Door::Marketplace),
            ("/v2", Door::Cost),
            ("/oauth2/token", Door::Token),
        ];
        let under = |prefix: &str| {
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let found = PREFIXES.iter().find(|(prefix, _)| under(prefix));
        found.map_or(Self::Own, |(_, door)| *door)
    }

    /// The media type and body that say `error` at this door.
    pub fn body(
        self,
        error: &ApiError,
        status: StatusCode,
        id: RequestId,
    ) -> (&'static str, Value) {
        let message = error.message.as_str();
        let body = match self {
            Self::Own => return ("application/problem+json", problem(error, status, id)),
            Self::MeteringV3 => json!({"error": {
                "code": v3_code(error.code), "message": message, "requestId": id, "details": null,
            }}),
            Self::MeteringV2 => json!({
                "@type": "error", "code": V2_CODE, "description": message,
                "statusCode": status.as_u16(),
            }),
            Self::Marketplace => json!(message),
            Self::Cost => cost(error, status, id),
            Self::Token => json!({
                "errorId": format!("ERROR-{id}"), "httpStatus": status.as_u16(),
                "errorCode": u32::from(status.as_u16()) * 1000, "message": message,
            }),
        };
        ("application/json", body)
    }
}

/// The code of every v2 error.
const V2_CODE: &str = "UI_10000";

fn v3_code(code: Code) -> &'static str {
    match code {
        Code::WrongPassword => "IDS_085",
        code => code.as_str(),
    }
}

fn problem(error: &ApiError, status: StatusCode, id: RequestId) -> Value {
    let title = status.canonical_reason().unwrap_or("Error");
    let mut body = json!({
        "type": "about:blank", "title": title, "status": status.as_u16(),
        "code": error.code.as_str(), "detail": error.message, "requestId": id,
    });
    for (member, value) in &error.extra {
        body[member] = value.clone();
    }
    body
}

fn cost(error: &ApiError, status: StatusCode, id: RequestId) -> Value {
    let (message, title) = (&error.message, status.canonical_reason().unwrap_or("Error"));
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return json!({"error": title, "error_description": message});
    }
    json!({
        "title": title, "status": status.as_u16(),
        "code": format!("E{}000", status.as_u16()), "cause": message,
        "action": error.code.meaning(),
        "errorId": format!("ERROR-{id}"), "correlationId": id,
    })
}

/// Gives a failed response the body of its door and logs what only the log may know.
pub async fn dress(door: Door, id: RequestId, response: Response) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let failure = match parts.extensions.remove::<Failure>() {
        Some(failure) => failure.0,
        None => unsaid(status, &parts.headers, body).await.into(),
    };
    log(&failure, status);
    let (media_type, body) = door.body(&failure, status, id);
    let body = body.to_string();
    let headers = &mut parts.headers;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    Response::from_parts(parts, Body::from(body))
}

/// The error of a response that none of our code made.
async fn unsaid(status: StatusCode, headers: &axum::http::HeaderMap, body: Body) -> ApiError {
    let code = Code::of_status(status);
    let plain = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/plain"));
    let text = match to_bytes(body, PLAIN_BYTES_MAX).await {
        Ok(bytes) if plain => String::from_utf8(bytes.into()).unwrap_or_default(),
        _ => String::new(),
    };
    let message = if text.is_empty() {
        code.meaning().to_owned()
    } else {
        text
    };
    ApiError::new(code, message)
}

fn log(error: &ApiError, status: StatusCode) {
    let (code, status) = (error.code.as_str(), status.as_u16());
    if status >= 500 {
        tracing::error!(status, code, "request failed: {}", error.chain());
    } else {
        tracing::debug!(status, code, "request refused: {}", error.chain());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_is_a_prefix_of_whole_segments() {
        assert_eq!(Door::of("/api/v1/meters"), Door::Own);
        assert_eq!(Door::of("/organization"), Door::Own);
        assert_eq!(Door::of("/org"), Door::Marketplace);
        assert_eq!(Door::of("/public/apiClient/x"), Door::Marketplace);
        assert_eq!(Door::of("/ma/api/v2/user/login"), Door::MeteringV2);
        assert_eq!(Door::of("/saas/api/v2/user/logout"), Door::MeteringV2);
    }

    #[test]
    fn each_door_says_the_same_error_in_its_own_body() {
        let id = RequestId::from_random(1);
        let doors = [
            Door::Own,
            Door::MeteringV3,
            Door::MeteringV2,
            Door::Marketplace,
            Door::Cost,
            Door::Token,
        ];
        let said = |door: &Door| {
            let error = ApiError::new(Code::NotFound, "no such meter").with("slug", "x");
            let (media_type, body) = door.body(&error, StatusCode::NOT_FOUND, id);
            format!("{door:?} {media_type} {body:#}\n")
        };
        let all: String = doors.iter().map(said).collect();
        insta::assert_snapshot!(all, @r#"
        Own application/problem+json {
          "code": "not_found",
          "detail": "no such meter",
          "requestId": "0000000000000000000001",
          "slug": "x",
          "status": 404,
          "title": "Not Found",
          "type": "about:blank"
        }
        MeteringV3 application/json {
          "error": {
            "code": "not_found",
            "details": null,
            "message": "no such meter",
            "requestId": "0000000000000000000001"
          }
        }
        MeteringV2 application/json {
          "@type": "error",
          "code": "UI_10000",
          "description": "no such meter",
          "statusCode": 404
        }
        Marketplace application/json "no such meter"
        Cost application/json {
          "action": "There is no such thing, or not for this credential.",
          "cause": "no such meter",
          "code": "E404000",
          "correlationId": "0000000000000000000001",
          "errorId": "ERROR-0000000000000000000001",
          "status": 404,
          "title": "Not Found"
        }
        Token application/json {
          "errorCode": 404000,
          "errorId": "ERROR-0000000000000000000001",
          "httpStatus": 404,
          "message": "no such meter"
        }
        "#);
    }
}
