//! `/api/v1/subjects`: names for what events say they are about.
//!
//! A subject belongs to the organization that named it. Who sees several of one key reads its own,
//! else the nearest below.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::Timestamp;
use domain::ids::OrganizationId;
use domain::limits::ATTRIBUTE_BYTES_MAX;
use metadata::Subject;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::field::Field;
use super::notes;
use super::page::{PageQuery, next_link};
use super::parameters::Query;
use crate::api::body::Body;
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::{ApiError, ApiResult};
use crate::setup::check::fields;

/// Subjects one request may put.
const SUBJECTS_MAX: usize = 1_000;

/// A subject to put.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubjectIn {
    /// The text events carry as `subject`.
    key: String,
    /// Name for people.
    display_name: Option<String>,
    /// What clients note; nothing is computed from it. Absent, it stays; null for none.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Field<Map<String, Value>>,
}

impl SubjectIn {
    fn check(&self) -> ApiResult<()> {
        if !(1..=ATTRIBUTE_BYTES_MAX).contains(&self.key.len()) {
            let length = self.key.len();
            let message = format!("key has {length} bytes: expected 1 to {ATTRIBUTE_BYTES_MAX}");
            return Err(ApiError::invalid(message));
        }
        let name = self.display_name.as_deref();
        name.map_or(Ok(()), fields::name)
            .map_err(ApiError::invalid)?;
        notes::to_store(self.metadata.value()).map(drop)
    }
}

/// A subject.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubjectOut {
    /// The key: nothing else names a subject.
    id: String,
    key: String,
    /// The organization that named it.
    #[schema(value_type = String)]
    organization: OrganizationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    /// What clients noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Box<RawValue>>,
    #[schema(value_type = String)]
    created_at: Timestamp,
    #[schema(value_type = String)]
    updated_at: Timestamp,
}

impl SubjectOut {
    fn new(subject: Subject) -> ApiResult<Self> {
        Ok(Self {
            id: subject.key.clone(),
            metadata: notes::shown(subject.metadata)?,
            key: subject.key,
            organization: subject.organization,
            display_name: subject.display_name,
            created_at: subject.created_at,
            updated_at: subject.updated_at,
        })
    }
}

/// Creates subjects of the caller's organization or sets their display names.
#[utoipa::path(
    post, path = "/api/v1/subjects", tag = "usage",
    request_body = Vec<SubjectIn>,
    responses(
        (status = 200, body = Vec<SubjectOut>),
        (status = 400, description = "A field cannot have its value"),
    ),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn put_subjects(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(sent): Body<Vec<SubjectIn>>,
) -> ApiResult<Json<Vec<SubjectOut>>> {
    let own = caller.may(Permission::Declare)?;
    if sent.len() > SUBJECTS_MAX {
        let message = format!("{} subjects: expected at most {SUBJECTS_MAX}", sent.len());
        return Err(ApiError::invalid(message));
    }
    sent.iter().try_for_each(SubjectIn::check)?;
    let mut put = Vec::with_capacity(sent.len());
    for subject in sent {
        let name = subject.display_name.as_deref();
        let noted = notes::to_store(subject.metadata.value())?;
        let noted = (subject.metadata != Field::Absent).then_some(noted.as_deref());
        let put_subject = app
            .metadata
            .put_subject(own, &subject.key, name, noted, app.now());
        put.push(SubjectOut::new(put_subject.await?)?);
    }
    Ok(Json(put))
}

/// Lists the subjects of the caller's organization and of everything under it, by key.
///
/// The header `Link` names the next page, where there is one.
#[utoipa::path(
    get, path = "/api/v1/subjects", tag = "usage",
    params(PageQuery),
    responses((status = 200, body = Vec<SubjectOut>)),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn list_subjects(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> ApiResult<Response> {
    let reach = caller.reach(Permission::Read)?;
    let page = page.request(reach.organization)?;
    let tops = reach.tops.as_slice();
    let page = app.metadata.list_subjects(tops, app.now(), &page).await?;
    let subjects = page.items.into_iter().map(SubjectOut::new);
    let subjects: Vec<SubjectOut> = subjects.collect::<ApiResult<_>>()?;
    let link = next_link("/api/v1/subjects", page.next);
    Ok((link, Json(subjects)).into_response())
}

/// Gives the subject of a key: the caller's own, else the nearest below.
#[utoipa::path(
    get, path = "/api/v1/subjects/{key}", tag = "usage", params(("key" = String, Path)),
    responses((status = 200, body = SubjectOut), (status = 401), (status = 403), (status = 404)),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn get_subject(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(key): Path<String>,
) -> ApiResult<Json<SubjectOut>> {
    let tops = caller.reach(Permission::Read)?.tops.as_slice();
    let found = app.metadata.find_subject(tops, &key, app.now());
    let found = found.await?.ok_or_else(no_subject)?;
    Ok(Json(SubjectOut::new(found)?))
}

/// Removes the subject that `GET` of the same path gives to who may declare there.
#[utoipa::path(
    delete, path = "/api/v1/subjects/{key}", tag = "usage", params(("key" = String, Path)),
    responses((status = 204), (status = 401), (status = 403), (status = 404)),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn delete_subject(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(key): Path<String>,
) -> ApiResult<StatusCode> {
    let tops = caller.reach(Permission::Declare)?.tops.as_slice();
    let deleted = app.metadata.delete_subject(tops, &key, app.now());
    deleted.await?.ok_or_else(no_subject)?;
    Ok(StatusCode::NO_CONTENT)
}

fn no_subject() -> ApiError {
    ApiError::not_found("subject")
}
