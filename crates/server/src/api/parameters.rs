//! Query parameters of `/api/v1` and `/api/v2`.
//!
//! [`check`] surrounds every route: it decodes the parameters, refuses those that the route does
//! not declare in the OpenAPI document, and leaves the rest for [`Query`], which reads them as a
//! type.

mod declared;
mod decode;

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::Timestamp;
use domain::range::TimeRange;
use jiff::SignedDuration;

pub use self::declared::Declared;
use super::conditions::instant_of;
use crate::error::{ApiError, ApiResult};

/// Lets a request through when its route declares all its parameters and each is well-formed.
pub async fn check(
    State(declared): State<Arc<Declared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let route = path.and_then(|path| declared.route(path.as_str(), request.method()));
    if let Some(route) = route {
        let read = Parameters::parse(request.uri().query());
        match read.and_then(|sent| route.check(&sent).map(|()| sent)) {
            Ok(sent) => request.extensions_mut().insert(Arc::new(sent)),
            Err(error) => return error.into_response(),
        };
    }
    next.run(request).await
}

/// A type that is read from the parameters of a request.
pub trait FromParameters: Sized {
    /// Reads it; a value that it cannot have is refused by the parameter's name.
    fn read(sent: &Parameters) -> ApiResult<Self>;
}

/// The parameters of a request, as a type of its route.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: FromParameters, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let sent = parts.extensions.get::<Arc<Parameters>>();
        let unchecked = || ApiError::internal("a route reads parameters that were not checked");
        T::read(sent.ok_or_else(unchecked)?).map(Self)
    }
}

/// The parameters of a request, in order.
#[derive(Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a query string; escapes that are none, or do not make UTF-8, are refused.
    fn parse(query: Option<&str>) -> ApiResult<Self> {
        decode::pairs(query.unwrap_or_default()).map(Self)
    }

    /// Every pair.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A parameter that may stand once.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// All values of a repeated parameter, also as `name[]`.
    pub fn all(&self, name: &str) -> ApiResult<Vec<String>> {
        let named = |(known, value): (&str, &str)| {
            let is_named = known.strip_suffix("[]").unwrap_or(known) == name;
            is_named.then(|| value.to_owned())
        };
        let values: Vec<String> = self.iter().filter_map(named).collect();
        if values.iter().any(String::is_empty) {
            let message = format!("{name} is empty: expected a text, or no {name}");
            return Err(ApiError::invalid(message));
        }
        Ok(values)
    }

    /// A parameter as a value of another type.
    pub fn parsed<T: FromStr>(&self, name: &str, expected: &str) -> ApiResult<Option<T>> {
        let Some(text) = self.one(name) else {
            return Ok(None);
        };
        let refused = |_| ApiError::invalid(format!("{name} is {text:?}: expected {expected}"));
        text.parse().map(Some).map_err(refused)
    }

    /// A parameter that is a text of at least one character.
    pub fn text(&self, name: &str) -> ApiResult<Option<String>> {
        match self.one(name) {
            Some("") => {
                let message = format!("{name} is empty: expected a text, or no {name}");
                Err(ApiError::invalid(message))
            }
            text => Ok(text.map(str::to_owned)),
        }
    }

    /// A parameter that is true or false.
    pub fn flag(&self, name: &str) -> ApiResult<Option<bool>> {
        self.parsed(name, "true or false")
    }

    /// A parameter as an instant.
    pub fn instant(&self, name: &str) -> ApiResult<Option<Timestamp>> {
        self.one(name)
            .map(|text| instant_of(name, text))
            .transpose()
    }
}

/// The range from `from`, which it contains, to `to`, which it does not; an empty one is refused.
pub fn range(from: Option<Timestamp>, to: Option<Timestamp>) -> ApiResult<TimeRange> {
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        let message = format!("from is {from} and to is {to}: expected from before to");
        return Err(ApiError::invalid(message));
    }
    Ok(TimeRange {
        start: from,
        end: to,
    })
}

/// The same, where without `from` it begins so many hours before now.
pub fn recent(
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    now: Timestamp,
    hours: SignedDuration,
) -> ApiResult<TimeRange> {
    let start = now.saturating_sub(hours).unwrap_or(Timestamp::MIN);
    if from.is_none() && to.is_some_and(|to| to <= start) {
        let message = format!(
            "to lies {} hours or more before now, where a list without from begins: expected from \
             as well",
            hours.as_hours()
        );
        return Err(ApiError::invalid(message));
    }
    range(Some(from.unwrap_or(start)), to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(query: &str) -> Parameters {
        Parameters::parse(Some(query)).unwrap()
    }

    fn message<T: std::fmt::Debug>(result: ApiResult<T>) -> String {
        result.unwrap_err().message
    }

    #[test]
    fn repeated_missing_and_empty_parameters_are_three_things() {
        let sent = sent("subject=a&subject[]=b%20c&limit=x&from=");
        assert_eq!(sent.all("subject").unwrap(), ["a", "b c"]);
        assert_eq!(sent.one("to"), None);
        assert_eq!(
            message(sent.instant("from")),
            format!("from is \"\": expected {}", domain::instant::EXPECTED)
        );
        assert_eq!(
            message(sent.parsed::<u32>("limit", "a whole number")),
            "limit is \"x\": expected a whole number"
        );
    }

    #[test]
    fn a_range_without_an_instant_in_it_is_refused() {
        let at = |text: &str| text.parse().ok();
        let (early, late) = (at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"));
        assert!(range(early, late).is_ok() && range(late, None).is_ok());
        for (from, to) in [(late, early), (late, late)] {
            let refused = message(range(from, to));
            assert!(refused.ends_with("expected from before to"), "{refused}");
        }
    }
}
