//! Schedules as the API takes and shows them.

use domain::Timestamp;
use domain::export::{FileFormat, Packing, Parameters};
use domain::ids::{MeterId, OrganizationId, ScheduleId, UserId};
use domain::schedule::{DELAY_HOURS_MAX, Rhythm};
use metadata::{NewSchedule, Schedule, SchedulePatch};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::client::Client;
use crate::api::exports::{PeriodOut, Selected, View, callback_url, fields, user};
use crate::api::field::Field;
use crate::auth::Caller;
use crate::error::{ApiError, ApiResult};

/// Hours after a period's end unless said otherwise.
const DELAY_HOURS_DEFAULT: u8 = 1;

fields! {
    /// A schedule to create.
    pub struct ScheduleIn {
        /// `daily`: once for each UTC day; `monthly`: once for each calendar month.
        #[schema(value_type = String)]
        every: Rhythm,
        /// Hours to wait for late usage after a period's end, 0 to 72; 1 unless given.
        delay_hours: Option<u8>,
    }
}

/// Changes of a schedule; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SchedulePatchIn {
    /// A pause delays: the periods that end meanwhile get their exports when it is over.
    paused: Option<bool>,
    /// 0 to 72.
    delay_hours: Option<u8>,
    /// Null for none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    callback_url: Field<String>,
}

/// A schedule of exports.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleOut {
    #[schema(value_type = String)]
    id: ScheduleId,
    #[schema(value_type = String)]
    organization_id: OrganizationId,
    #[schema(value_type = Option<String>)]
    user_id: Option<UserId>,
    /// `daily` or `monthly`.
    every: &'static str,
    delay_hours: u8,
    paused: bool,
    request: ScheduleRequestOut,
    /// What the next export covers.
    period: PeriodOut,
    /// When the next export is tried.
    #[schema(value_type = String, format = DateTime)]
    due_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    links: ScheduleLinksOut,
}

/// What each export contains.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ScheduleRequestOut {
    kind: &'static str,
    /// Empty for the organization and everything under it.
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

/// Where to go from a schedule.
#[derive(Debug, Serialize, ToSchema)]
struct ScheduleLinksOut {
    #[serde(rename = "self")]
    this: String,
    /// The exports it made.
    exports: String,
}

impl ScheduleIn {
    pub(super) fn check(self, caller: &Caller, view: &View) -> ApiResult<NewSchedule> {
        let Selected {
            kind,
            combined,
            parameters,
            callback_url,
        } = self.selection().resolve(view)?;
        let organization = caller.reader_of(&view.control, &parameters.organizations)?;
        let delay_hours = self.delay_hours.unwrap_or(DELAY_HOURS_DEFAULT);
        Ok(NewSchedule {
            organization,
            user: user(caller),
            kind,
            combined,
            parameters: parameters.to_json(),
            callback_url,
            rhythm: self.every,
            delay_hours: checked(delay_hours)?,
        })
    }
}

impl SchedulePatchIn {
    pub(super) fn check(self) -> ApiResult<SchedulePatch> {
        let url = match self.callback_url {
            Field::Absent => None,
            Field::Null => Some(None),
            Field::Value(url) => Some(callback_url(Some(url))?),
        };
        Ok(SchedulePatch {
            is_paused: self.paused,
            delay_hours: self.delay_hours.map(checked).transpose()?,
            callback_url: url,
        })
    }
}

impl ScheduleOut {
    pub(super) fn of(schedule: Schedule, client: &Client) -> Self {
        let (id, new) = (schedule.id, schedule.new);
        let parameters = Parameters::from_json(&new.parameters).unwrap_or_default();
        let base = format!("{}/api/v1", client.base_url);
        Self {
            id,
            organization_id: new.organization,
            user_id: new.user,
            every: new.rhythm.as_str(),
            delay_hours: new.delay_hours,
            paused: schedule.is_paused,
            request: ScheduleRequestOut {
                kind: new.kind.as_str(),
                organizations: parameters.organizations,
                meters: parameters.meters,
                combined: new.combined,
                columns: parameters.columns,
                format: parameters.format,
                packing: parameters.packing,
                csv_safe: parameters.csv_safe,
                callback_url: new.callback_url,
            },
            period: PeriodOut::from(schedule.next),
            due_at: schedule.due_at,
            created_at: schedule.created_at,
            updated_at: schedule.updated_at,
            links: ScheduleLinksOut {
                this: format!("{base}/export-schedules/{id}"),
                exports: format!("{base}/exports?schedule={id}"),
            },
        }
    }

    /// Where it is found again.
    pub(super) fn location(&self) -> &str {
        &self.links.this
    }
}

fn checked(delay_hours: u8) -> ApiResult<u8> {
    if delay_hours <= DELAY_HOURS_MAX {
        return Ok(delay_hours);
    }
    Err(ApiError::invalid(format!(
        "delayHours is {delay_hours}: expected 0 to {DELAY_HOURS_MAX}"
    )))
}
