//! The only error of the HTTP doors, the table of its public codes, and how each door says it.
//!
//! A handler gives an [`ApiError`]; [`body::dress`] turns it, and every refusal that no handler
//! saw, into the body of the door the request came through.

pub mod body;
pub mod codes;

use std::sync::Arc;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use domain::kind::Kind;
use serde_json::{Map, Value};

pub use codes::Code;

/// The result of a handler.
pub type ApiResult<T> = Result<T, ApiError>;

/// Why a request was not served: what the client is told and, apart, what the log is told.
#[derive(Debug)]
pub struct ApiError {
    /// Public code; decides the status.
    pub code: Code,
    /// What is wrong, with the value, what was expected and what to do. Public.
    pub message: String,
    /// Further members of a problem+json body.
    pub extra: Map<String, Value>,
    /// Seconds after which a repetition may work.
    pub retry_after_s: Option<u64>,
    /// What lies behind it. Only logged.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ApiError {
    /// An error of `code` with its public message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            extra: Map::new(),
            retry_after_s: None,
            cause: None,
        }
    }

    /// The request can never work as it is.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, message)
    }

    /// There is no such thing, or not for this caller: the two are told the same.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("no such {what}"))
    }

    /// A defect of this server; its cause is kept for the log.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(Code::Internal, Code::Internal.meaning()).caused_by(cause)
    }

    /// Adds a member to a problem+json body.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(member.to_owned(), value.into());
        self
    }

    /// Says when a repetition may work.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Keeps what lies behind it for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The error of a crate below, by its class; defects and damage keep their text to the log.
    pub fn of_kind<E>(kind: Kind, error: E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let code = Code::of_kind(kind);
        match kind {
            Kind::Internal | Kind::Corrupt => Self::new(code, code.meaning()).caused_by(error),
            Kind::Unavailable => Self::new(code, error.to_string())
                .retry_after(RETRY_AFTER_S)
                .caused_by(error),
            Kind::Busy => Self::new(code, error.to_string()).retry_after(RETRY_AFTER_S),
            Kind::Invalid | Kind::NotFound | Kind::Conflict | Kind::Gone => {
                Self::new(code, error.to_string())
            }
        }
    }

    /// The cause and everything behind it in one line.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut next: Option<&dyn std::error::Error> = match &self.cause {
            Some(cause) => Some(cause.as_ref()),
            None => None,
        };
        while let Some(error) = next {
            let said = error.to_string();
            if said != text {
                text.push_str(": ");
                text.push_str(&said);
            }
            next = error.source();
        }
        text
    }
}

/// Seconds told to clients where nothing better is known.
pub const RETRY_AFTER_S: u64 = 1;

impl From<usage::Error> for ApiError {
    /// Paths of the server's files and what its system says are for the log alone.
    fn from(error: usage::Error) -> Self {
        let public = match &error {
            usage::Error::Elsewhere { reason } => reason.clone(),
            usage::Error::DiskFull { .. } => "no space left to store usage".to_owned(),
            usage::Error::ReadOnly { .. } => {
                "the usage store takes nothing in until it is restarted".to_owned()
            }
            usage::Error::Io { .. } | usage::Error::InUse { .. } => {
                Code::Unavailable.meaning().to_owned()
            }
            _ => return Self::of_kind(error.kind(), error),
        };
        Self::new(Code::Unavailable, public)
            .retry_after(RETRY_AFTER_S)
            .caused_by(error)
    }
}

impl From<metadata::Error> for ApiError {
    fn from(error: metadata::Error) -> Self {
        Self::of_kind(error.kind(), error)
    }
}

impl From<export::Error> for ApiError {
    fn from(error: export::Error) -> Self {
        Self::of_kind(error.kind(), error)
    }
}

/// The error on its way from the handler to [`body::dress`].
#[derive(Debug, Clone)]
pub struct Failure(pub Arc<ApiError>);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        if self.code == Code::Unauthenticated {
            let value = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, value);
        }
        if let Some(seconds) = self.retry_after_s {
            let value = HeaderValue::from(seconds);
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response.extensions_mut().insert(Failure(Arc::new(self)));
        response
    }
}
