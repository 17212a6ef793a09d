//! `GET /api/v1/meters`: by cursor as all lists of ours, or by page as OpenMeter's clients ask.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use metadata::{MeterList, MeterOrder, MeterRecord};

use super::{MeterOut, is_archived};
use crate::api::page::{PageQuery, next_link};
use crate::api::parameters::{FromParameters, Parameters, Query};
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::{ApiError, ApiResult};

/// Meters of a page when the client names no size.
const PAGE_SIZE_DEFAULT: u32 = 100;
/// Meters a page may hold.
const PAGE_SIZE_MAX: u32 = 1_000;

/// Which meters to list, in the words of OpenMeter.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct MetersQuery {
    /// Number of the page, from 1; not with `limit` or `cursor`.
    page: Option<u64>,
    /// Meters of the page, 1 to 1,000; 100 unless given.
    page_size: Option<u32>,
    /// `ASC` or `DESC`.
    order: Option<String>,
    /// `key`, `name`, `aggregation`, `createdAt` or `updatedAt`; `createdAt` unless given.
    order_by: Option<String>,
    /// Whether archived meters are listed, too.
    include_deleted: Option<bool>,
}

impl FromParameters for MetersQuery {
    fn read(sent: &Parameters) -> ApiResult<Self> {
        let asked = Self {
            page: sent.parsed("page", "a whole number from 1")?,
            page_size: sent.parsed("pageSize", "a whole number from 1 to 1000")?,
            order: sent.text("order")?,
            order_by: sent.text("orderBy")?,
            include_deleted: sent.flag("includeDeleted")?,
        };
        let by_cursor = sent.one("cursor").or(sent.one("limit"));
        if asked.is_by_page() && by_cursor.is_some() {
            let message = "limit and cursor are there beside page, pageSize, order or orderBy: \
                           expected either";
            return Err(ApiError::invalid(message));
        }
        Ok(asked)
    }
}

impl MetersQuery {
    fn is_by_page(&self) -> bool {
        let texts = self.order.is_some() || self.order_by.is_some();
        self.page.is_some() || self.page_size.is_some() || texts
    }

    fn list(&self, app: &App) -> ApiResult<MeterList> {
        let (page, limit) = (self.page.unwrap_or(1), self.page_size);
        let limit = limit.unwrap_or(PAGE_SIZE_DEFAULT);
        if page == 0 {
            return Err(ApiError::invalid("page is 0: expected 1 or more"));
        }
        if !(1..=PAGE_SIZE_MAX).contains(&limit) {
            let message = format!("pageSize is {limit}: expected 1 to {PAGE_SIZE_MAX}");
            return Err(ApiError::invalid(message));
        }
        Ok(MeterList {
            order: self
                .order_by
                .as_deref()
                .map_or(Ok(MeterOrder::default()), order)?,
            descending: self.order.as_deref().map_or(Ok(false), is_descending)?,
            live_at: (self.include_deleted != Some(true)).then(|| app.now()),
            offset: (page - 1).saturating_mul(u64::from(limit)),
            limit,
        })
    }
}

fn order(word: &str) -> ApiResult<MeterOrder> {
    match word {
        "key" => Ok(MeterOrder::Slug),
        "name" => Ok(MeterOrder::Name),
        "aggregation" => Ok(MeterOrder::Aggregation),
        "createdAt" => Ok(MeterOrder::Created),
        "updatedAt" => Ok(MeterOrder::Updated),
        _ => Err(ApiError::invalid(format!(
            "orderBy is {word:?}: expected key, name, aggregation, createdAt or updatedAt"
        ))),
    }
}

fn is_descending(word: &str) -> ApiResult<bool> {
    match word.to_ascii_uppercase().as_str() {
        "ASC" => Ok(false),
        "DESC" => Ok(true),
        _ => Err(ApiError::invalid(format!(
            "order is {word:?}: expected ASC or DESC"
        ))),
    }
}

/// Lists the account's meters.
///
/// The header `Link` names the next page, where there is one and no `page` was asked for.
#[utoipa::path(
    get, path = "/api/v1/meters", tag = "usage",
    params(PageQuery, MetersQuery),
    responses((status = 200, body = Vec<MeterOut>), (status = 400)),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn list_meters(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(page): Query<PageQuery>,
    Query(asked): Query<MetersQuery>,
) -> ApiResult<Response> {
    let reader = caller.may(Permission::Read)?;
    let shown = |records: Vec<MeterRecord>| -> ApiResult<Vec<MeterOut>> {
        let records = records.into_iter();
        records.map(|record| MeterOut::new(record, &app)).collect()
    };
    if asked.is_by_page() {
        let list = asked.list(&app)?;
        let found = app.metadata.list_meters_in_order(caller.account, list);
        return Ok(Json(shown(found.await?)?).into_response());
    }
    let page = page.request(reader)?;
    let mut found = app.metadata.list_meters(&caller.control, &page).await?;
    if asked.include_deleted != Some(true) {
        found.items.retain(|record| !is_archived(record, &app));
    }
    let link = next_link("/api/v1/meters", found.next);
    Ok((link, Json(shown(found.items)?)).into_response())
}
