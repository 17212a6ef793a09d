//! An export as our own API shows it.

use domain::Timestamp;
use domain::export::{FileFormat, Packing, Parameters, utc_date};
use domain::ids::{ExportId, MeterId, OrganizationId, ScheduleId, UserId};
use jiff::ToSpan;
use jiff::civil::Date;
use metadata::{
    Artifact, Export, ExportFilter, ExportKind, ExportSource, ExportStatus, NewExport, Scheduled,
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::api::artifact;
use crate::api::client::Client;
use crate::api::parameters::{FromParameters, Parameters as Sent};
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::{ApiError, ApiResult};

/// An export job.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportOut {
    #[schema(value_type = String)]
    id: ExportId,
    /// `SUMMARY`, `PROJECT_FOLDER`, `ASSET`, `SUMMARY_ALL_LINKED`, `JOB_LEVEL` or `USAGE`.
    kind: &'static str,
    /// `CREATED`, `PROCESSING`, `SUCCESS`, `PARTIAL_SUCCESS`, `FAILED`, `EXPIRED` or `CANCELLED`.
    status: &'static str,
    /// How it ended; stays when it expires.
    outcome: Option<&'static str>,
    /// `own`, or `vendor` for a job of the metering family.
    source: &'static str,
    #[schema(value_type = String)]
    organization_id: OrganizationId,
    #[schema(value_type = Option<String>)]
    user_id: Option<UserId>,
    request: RequestOut,
    /// The watermark it reads at; null until a worker took it, unless one was asked for.
    as_of: Option<String>,
    progress: ProgressOut,
    /// Why it failed, or what is missing in it.
    error_message: Option<String>,
    artifact: Option<ArtifactOut>,
    /// The schedule that asked for it.
    #[schema(value_type = Option<String>)]
    schedule: Option<ScheduleId>,
    /// What the schedule asked it to cover.
    period: Option<PeriodOut>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Until when the file can be downloaded.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    links: LinksOut,
}

/// What was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RequestOut {
    /// First UTC day.
    from: Option<String>,
    /// First UTC day no longer covered.
    to: Option<String>,
    /// Empty for the organization and what its kind covers under it.
    #[schema(value_type = Vec<String>)]
    organizations: Vec<OrganizationId>,
    /// Empty for all.
    #[schema(value_type = Vec<String>)]
    meters: Vec<MeterId>,
    combined: bool,
    /// Empty for all.
    columns: Vec<String>,
    #[schema(value_type = String)]
    format: FileFormat,
    #[schema(value_type = String)]
    packing: Packing,
    csv_safe: bool,
    callback_url: Option<String>,
}

/// How far an export is.
#[derive(Debug, Serialize, ToSchema)]
struct ProgressOut {
    /// Of the work, 0 to 100.
    percent: u8,
    /// Rows written.
    rows: u64,
}

/// The file of an export.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ArtifactOut {
    bytes: u64,
    /// Lower-case hexadecimal digits.
    sha256: String,
    file_name: String,
    media_type: &'static str,
}

/// Whole UTC days.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct PeriodOut {
    /// First day.
    from: String,
    /// First day no longer covered.
    to: String,
}

/// Where to go from an export.
#[derive(Debug, Serialize, ToSchema)]
struct LinksOut {
    #[serde(rename = "self")]
    this: String,
    /// Null where there is no file.
    download: Option<String>,
    /// Null where there is no file.
    manifest: Option<String>,
}

impl ExportOut {
    pub(super) fn of(export: Export, app: &App, client: &Client) -> Self {
        let this = format!("{}/api/v1/exports/{}", client.base_url, export.id);
        let is_there = matches!(
            export.status,
            ExportStatus::Success | ExportStatus::PartialSuccess
        );
        let kept = export.artifact.as_ref().filter(|_| is_there);
        let link = |what: &str| kept.map(|_| format!("{this}/{what}"));
        let pinned = export.pins.map(|pins| pins.as_of);
        let as_of = pinned.or(export.request.as_of);
        Self {
            id: export.id,
            kind: export.request.kind.as_str(),
            status: export.status.as_str(),
            outcome: export.outcome.map(ExportStatus::as_str),
            source: export.request.source.as_str(),
            organization_id: export.request.organization,
            user_id: export.request.user,
            as_of: as_of.map(|as_of| app.seal.text(as_of)),
            progress: ProgressOut {
                percent: export.progress.percent,
                rows: export.progress.rows,
            },
            error_message: export.error_message,
            artifact: kept.map(ArtifactOut::of),
            schedule: export.scheduled.map(|scheduled| scheduled.schedule),
            period: export.scheduled.map(PeriodOut::of),
            created_at: export.created_at,
            updated_at: export.updated_at,
            expires_at: export.artifact.as_ref().map(|artifact| artifact.expires_at),
            links: LinksOut {
                download: link("download"),
                manifest: link("manifest"),
                this,
            },
            request: RequestOut::of(export.request),
        }
    }

    /// Where it is found again.
    pub(super) fn location(&self) -> &str {
        &self.links.this
    }
}

impl RequestOut {
    fn of(request: NewExport) -> Self {
        let parameters = request.parameters.as_deref().map(Parameters::from_json);
        let parameters = parameters.flatten().unwrap_or_default();
        let mut meters = parameters.meters;
        meters.extend(request.meter);
        let end = day(&request.end).map(|last| last.saturating_add(1.day()));
        Self {
            from: day(&request.start).map(|day| day.to_string()),
            to: end.map(|day| day.to_string()),
            organizations: parameters.organizations,
            meters,
            combined: request.combined,
            columns: parameters.columns,
            format: parameters.format,
            packing: parameters.packing,
            csv_safe: parameters.csv_safe,
            callback_url: request.callback_url,
        }
    }
}

impl ArtifactOut {
    fn of(artifact: &Artifact) -> Self {
        Self {
            bytes: artifact.size_bytes,
            sha256: artifact::sha256(artifact),
            file_name: artifact::file_name(artifact).to_owned(),
            media_type: artifact::media_type(artifact),
        }
    }
}

impl PeriodOut {
    fn of(scheduled: Scheduled) -> Self {
        Self::from(scheduled.period)
    }
}

impl From<domain::schedule::Period> for PeriodOut {
    fn from(period: domain::schedule::Period) -> Self {
        Self {
            from: period.from.to_string(),
            to: period.to.to_string(),
        }
    }
}

/// The UTC day of a stored date, which the metering family keeps as sent.
fn day(text: &str) -> Option<Date> {
    let instant = text.parse::<Timestamp>().map(utc_date);
    instant.or_else(|_| text.parse()).ok()
}

/// Which exports to list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// One status.
    status: Option<String>,
    /// One kind.
    kind: Option<String>,
    /// `own` or `vendor`.
    source: Option<String>,
    /// Id or alias of the organization that asked.
    organization: Option<String>,
    /// Id of the schedule that asked.
    schedule: Option<String>,
}

impl FromParameters for ListQuery {
    fn read(sent: &Sent) -> ApiResult<Self> {
        Ok(Self {
            status: sent.text("status")?,
            kind: sent.text("kind")?,
            source: sent.text("source")?,
            organization: sent.text("organization")?,
            schedule: sent.text("schedule")?,
        })
    }
}

impl ListQuery {
    pub(super) fn filter(&self, caller: &Caller) -> ApiResult<ExportFilter> {
        let organization = self.organization.as_deref();
        let organization = organization.map(|name| caller.organization(Permission::Read, name));
        let schedule = self.schedule.as_deref().map(str::parse::<ScheduleId>);
        Ok(ExportFilter {
            status: word("status", self.status.as_deref(), ExportStatus::from_word)?,
            kind: word("kind", self.kind.as_deref(), ExportKind::from_word)?,
            source: word("source", self.source.as_deref(), ExportSource::from_word)?,
            organization: organization.transpose()?,
            schedule: schedule
                .transpose()
                .map_err(|error| ApiError::invalid(error.to_string()))?,
        })
    }
}

fn word<T>(
    name: &str,
    sent: Option<&str>,
    read: impl Fn(&str) -> Option<T>,
) -> ApiResult<Option<T>> {
    let Some(sent) = sent else {
        return Ok(None);
    };
    let refused = || ApiError::invalid(format!("{name} is {sent:?}: no such {name}"));
    read(sent).map(Some).ok_or_else(refused)
}
