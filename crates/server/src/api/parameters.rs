//! Query parameters: repeated ones, instants, pages.

use std::str::FromStr;

use domain::Timestamp;
use domain::ids::OrganizationId;
use metadata::PageRequest;

use super::page;
use crate::error::{ApiError, ApiResult};

/// The parameters of a request, in order.
#[derive(Debug)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a query string.
    pub fn parse(query: Option<&str>) -> Self {
        let query = query.unwrap_or_default().as_bytes();
        let pairs = url::form_urlencoded::parse(query);
        Self(
            pairs
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// Every pair.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The first value of a parameter that is not empty.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(known, value)| *known == name && !value.is_empty())
            .map(|(_, value)| value)
    }

    /// All values of a repeated parameter, also as `name[]`.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.iter()
            .filter(|(known, _)| known.strip_suffix("[]").unwrap_or(known) == name)
            .map(|(_, value)| value.to_owned())
            .collect()
    }

    /// A parameter as a value of another type.
    pub fn parsed<T: FromStr>(&self, name: &str, expected: &str) -> ApiResult<Option<T>> {
        let Some(text) = self.first(name) else {
            return Ok(None);
        };
        let refused = |_| ApiError::invalid(format!("{name} is {text:?}: expected {expected}"));
        text.parse().map(Some).map_err(refused)
    }

    /// A parameter as an instant.
    pub fn instant(&self, name: &str) -> ApiResult<Option<Timestamp>> {
        self.parsed(name, "an RFC 3339 instant such as 2026-01-31T12:00:00Z")
    }

    /// The part of a list that `limit` and `cursor` ask for.
    pub fn page(&self, reader: OrganizationId) -> ApiResult<PageRequest> {
        let limit = self.parsed("limit", "a whole number")?;
        page::request(limit, self.first("cursor"), reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_and_missing_parameters_are_told_apart() {
        let sent = Parameters::parse(Some("subject=a&subject[]=b%20c&limit=x&from="));
        assert_eq!(sent.all("subject"), ["a", "b c"]);
        assert_eq!(sent.first("from"), None);
        let error = sent.parsed::<u32>("limit", "a whole number").unwrap_err();
        assert_eq!(error.message, "limit is \"x\": expected a whole number");
    }
}
