//! Pages of lists: `limit`, an opaque `cursor`, and `next` in the answer.

use axum::http::{HeaderMap, HeaderValue, header};
use domain::ids::OrganizationId;
use metadata::{Cursor, Page, PageRequest};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::parameters::{FromParameters, Parameters};
use crate::error::{ApiError, ApiResult};

/// Which part of a list is wanted.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Items of the page, 1 to 1,000.
    #[param(default = 100, minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before, of the same list with the same filters.
    cursor: Option<String>,
}

impl PageQuery {
    /// The part as the database knows it, for the organization the caller acts for. Cursors of
    /// other readers are refused.
    pub fn request(&self, reader: OrganizationId) -> ApiResult<PageRequest> {
        let after = self.cursor.as_deref().map(str::parse).transpose()?;
        let limit = self.limit.unwrap_or(metadata::PAGE_LIMIT_DEFAULT);
        Ok(PageRequest::new(after, limit)?.read_by(reader))
    }
}

impl FromParameters for PageQuery {
    fn read(sent: &Parameters) -> ApiResult<Self> {
        Ok(Self {
            limit: sent.parsed("limit", "a whole number from 1 to 1000")?,
            cursor: sent.text("cursor")?,
        })
    }
}

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct PageOut<T> {
    /// The items.
    pub items: Vec<T>,
    /// `cursor` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> PageOut<T> {
    /// The page with each item in its wire form; `None` leaves an item out.
    pub fn of<I>(page: Page<I>, wire: impl FnMut(I) -> Option<T>) -> Self {
        Self {
            next: page.next.map(|cursor| cursor.to_string()),
            items: page.items.into_iter().filter_map(wire).collect(),
        }
    }
}

/// The identifier in a path; one that cannot be any names nothing.
pub fn id<I: std::str::FromStr>(text: &str, what: &str) -> ApiResult<I> {
    text.parse().map_err(|_| ApiError::not_found(what))
}

/// The header `Link` that names the next page of `path`, for lists whose body is a bare array.
pub(super) fn next_link(path: &str, next: Option<Cursor>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(next) = next {
        let link = format!("<{path}?cursor={next}>; rel=\"next\"");
        headers.insert(
            header::LINK,
            HeaderValue::try_from(link).expect("hex is ascii"),
        );
    }
    headers
}
