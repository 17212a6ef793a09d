//! A job as the metering family shows it. The order of its members is part of the contract.

use domain::Timestamp;
use domain::ids::{ExportId, MeterId, OrganizationId, UserId};
use metadata::{Export, ExportKind, ExportStatus};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::time::seconds;

/// An export job.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobOut {
    #[schema(value_type = String)]
    job_id: ExportId,
    /// `CREATED`, `PROCESSING`, `SUCCESS`, `PARTIAL_SUCCESS` or `FAILED`.
    status: &'static str,
    /// Why it failed or what is missing; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
    #[schema(value_type = String)]
    org_id: OrganizationId,
    #[schema(value_type = Option<String>)]
    user_id: Option<UserId>,
    #[schema(value_type = String)]
    selected_org_id: OrganizationId,
    /// Answer of the older summary resource only: `TRUE` or `FALSE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    combined_meter_usage: Option<&'static str>,
    /// Job-level jobs only: `TRUE` or `FALSE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    all_meters: Option<&'static str>,
    /// Null unless one was asked for; absent in the answer of the older summary resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    #[expect(
        clippy::option_option,
        reason = "an id, null and absent are three answers"
    )]
    meter_id: Option<Option<MeterId>>,
    /// As sent.
    start_date: String,
    /// As sent.
    end_date: String,
    callback_url: Option<String>,
    #[serde(serialize_with = "seconds")]
    #[schema(value_type = String, format = DateTime)]
    create_time: Timestamp,
    #[serde(serialize_with = "seconds")]
    #[schema(value_type = String, format = DateTime)]
    update_time: Timestamp,
}

impl JobOut {
    /// The answer to a request, as the resource that took it shows it.
    pub(super) fn accepted(export: Export) -> Self {
        let request = &export.request;
        if request.kind != ExportKind::SummaryAllLinked {
            return Self::of(export);
        }
        let combined = switch(request.combined);
        Self {
            combined_meter_usage: Some(combined),
            meter_id: None,
            ..Self::of(export)
        }
    }

    /// The status of a job of any kind.
    pub(super) fn of(export: Export) -> Self {
        let request = export.request;
        let is_job_level = request.kind == ExportKind::JobLevel;
        let all_meters = switch(request.all_meters);
        Self {
            job_id: export.id,
            status: word(export.status, export.outcome),
            error_message: export.error_message,
            org_id: request.organization,
            user_id: request.user,
            selected_org_id: request.organization,
            combined_meter_usage: None,
            all_meters: is_job_level.then_some(all_meters),
            meter_id: Some(request.meter),
            start_date: request.start,
            end_date: request.end,
            callback_url: request.callback_url,
            create_time: export.created_at,
            update_time: export.updated_at,
        }
    }
}

fn switch(is_on: bool) -> &'static str {
    if is_on { "TRUE" } else { "FALSE" }
}

/// The family knows neither expiry nor cancelling: an expired job shows how it ended.
fn word(status: ExportStatus, outcome: Option<ExportStatus>) -> &'static str {
    match (status, outcome) {
        (ExportStatus::Expired, Some(outcome)) => outcome.as_str(),
        (ExportStatus::Expired, None) => ExportStatus::Success.as_str(),
        (ExportStatus::Cancelled, _) => ExportStatus::Failed.as_str(),
        (status, _) => status.as_str(),
    }
}
