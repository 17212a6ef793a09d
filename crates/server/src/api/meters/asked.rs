//! What a query of a meter may ask for, as parameters and as a body.

use domain::condition::TextCondition;
use domain::meter::Meter;
use domain::range::TimeRange;
use domain::window::{WindowSize, Windows};
use domain::{Timestamp, instant};
use jiff::tz::TimeZone;
use serde::de::{Deserializer, Error, IgnoredAny};
use serde::{Deserialize, Serialize};
use usage::query::{GroupFilter, GroupKey};
use utoipa::ToSchema;

use super::group_key;
use crate::api::conditions::{Members, TextConditionIn, json};
use crate::api::parameters::{FromParameters, Parameters, range};
use crate::error::{ApiError, ApiResult};

/// What a query may ask for; null is as if absent.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueryIn {
    /// First instant; all of time if absent.
    #[serde(default, deserialize_with = "instant_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// First instant after.
    #[serde(default, deserialize_with = "instant_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// `MINUTE`, `HOUR`, `DAY` or `MONTH` in any case; one row over all if absent.
    #[serde(default, deserialize_with = "window_size_or_null")]
    #[schema(value_type = Option<String>)]
    window_size: Option<WindowSize>,
    /// Zone whose clock and calendar cut the windows; UTC if absent.
    window_time_zone: Option<String>,
    /// Only these subjects; they are told apart.
    subject: Option<Vec<String>>,
    /// `subject`, `organization`, or names the meter's `groupBy` declares.
    group_by: Option<Vec<String>>,
    /// Values to keep, by name of a group.
    #[schema(value_type = Option<std::collections::HashMap<String, Vec<String>>>)]
    filter_group_by: Option<Members<Option<Vec<String>>>>,
    /// Conditions on groups, by name; each has one operator.
    #[schema(value_type = Option<std::collections::HashMap<String, TextConditionIn>>)]
    advanced_meter_group_by_filters: Option<Members<Option<TextConditionIn>>>,
    /// There are no customers here: anything but null is refused.
    #[schema(value_type = Option<Vec<String>>)]
    filter_customer_id: Option<IgnoredAny>,
    /// Taken, without effect.
    #[schema(value_type = Option<String>)]
    #[expect(dead_code, reason = "it has no effect")]
    client_id: Option<IgnoredAny>,
    /// Only this organization and what lies under it, by id or alias.
    pub(super) organization: Option<String>,
    /// Whether texts that begin with `=`, `+`, `-`, `@`, tab or CR get an apostrophe before them,
    /// so that spreadsheets run none of them; only where CSV is asked for.
    csv_safe: Option<bool>,
}

impl FromParameters for QueryIn {
    fn read(sent: &Parameters) -> ApiResult<Self> {
        let conditions = sent.one(ADVANCED).map(|text| json(ADVANCED, text));
        Ok(Self {
            from: sent.instant("from")?,
            to: sent.instant("to")?,
            window_size: sent.one("windowSize").map(window_size).transpose()?,
            window_time_zone: sent.text("windowTimeZone")?,
            subject: Some(sent.all("subject")?),
            group_by: Some(sent.all("groupBy")?),
            filter_group_by: Some(filter_group_by(sent)),
            advanced_meter_group_by_filters: conditions.transpose()?,
            filter_customer_id: None,
            client_id: None,
            organization: sent.text("organization")?,
            csv_safe: sent.flag("csvSafe")?,
        })
    }
}

/// Name of the parameter that holds conditions as JSON.
const ADVANCED: &str = "advancedMeterGroupByFilters";

fn filter_group_by(sent: &Parameters) -> Members<Option<Vec<String>>> {
    let mut members: Vec<(String, Option<Vec<String>>)> = Vec::new();
    let named = sent.iter().filter_map(|(name, value)| {
        let key = name.strip_prefix("filterGroupBy[")?.strip_suffix(']')?;
        Some((key, value.to_owned()))
    });
    for (key, value) in named {
        match members.iter_mut().find(|(known, _)| known == key) {
            Some((_, values)) => values.get_or_insert_default().push(value),
            None => members.push((key.to_owned(), Some(vec![value]))),
        }
    }
    Members(members)
}

impl QueryIn {
    /// Refuses what cannot be meant.
    pub(super) fn check(&self) -> ApiResult<()> {
        if self.filter_customer_id.is_some() {
            let message = "filterCustomerId is not known: there are no customers here, expected \
                           subject or organization";
            return Err(ApiError::invalid(message));
        }
        self.range().map(drop)
    }

    pub(super) fn csv_safe(&self) -> bool {
        self.csv_safe.unwrap_or(false)
    }

    pub(super) fn window_size(&self) -> Option<WindowSize> {
        self.window_size
    }

    pub(super) fn windows(&self) -> ApiResult<Option<Windows>> {
        let name = self.window_time_zone.as_deref().unwrap_or("UTC");
        let zone = TimeZone::get(name).map_err(|_| {
            let message =
                format!("windowTimeZone is {name:?}: expected a name such as Europe/Paris");
            ApiError::invalid(message)
        })?;
        Ok(self.window_size.map(|size| Windows { size, zone }))
    }

    pub(super) fn range(&self) -> ApiResult<TimeRange> {
        range(self.from, self.to)
    }

    fn subjects(&self) -> &[String] {
        self.subject.as_deref().unwrap_or_default()
    }

    /// The groups by name: asked subjects are told apart even when not grouped by.
    pub(super) fn groups(&self, meter: &Meter) -> ApiResult<Vec<(String, GroupKey)>> {
        let mut names: Vec<&str> = Vec::new();
        let asked = self.group_by.iter().flatten().map(String::as_str);
        for name in asked {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if !self.subjects().is_empty() && !names.contains(&"subject") {
            names.insert(0, "subject");
        }
        let keys = names.into_iter().map(|name| {
            let key = group_key(meter, name)?;
            Ok((name.to_owned(), key))
        });
        keys.collect()
    }

    pub(super) fn filters(&self, meter: &Meter) -> ApiResult<Vec<GroupFilter>> {
        let mut filters = Vec::new();
        let lists = self.filter_group_by.iter().flat_map(|members| &members.0);
        for (name, values) in lists {
            let Some(values) = values else { continue };
            if values.is_empty() {
                let message = format!("filterGroupBy[{name}] is empty: expected a value");
                return Err(ApiError::invalid(message));
            }
            filters.push((group_key(meter, name)?, TextCondition::from(values.clone())));
        }
        let conditions = self.advanced_meter_group_by_filters.iter();
        for (name, condition) in conditions.flat_map(|members| &members.0) {
            let Some(condition) = condition.clone() else {
                continue;
            };
            let condition = condition.read(&format!("{ADVANCED}.{name}"))?;
            filters.push((group_key(meter, name)?, condition));
        }
        if !self.subjects().is_empty() {
            filters.push((GroupKey::Subject, self.subjects().to_vec().into()));
        }
        let filters = filters.into_iter();
        Ok(filters
            .map(|(key, values)| GroupFilter { key, values })
            .collect())
    }
}

/// A size of windows as it is shown.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum WindowSizeOut {
    Minute,
    Hour,
    Day,
    Month,
}

impl From<WindowSize> for WindowSizeOut {
    fn from(size: WindowSize) -> Self {
        match size {
            WindowSize::Minute => Self::Minute,
            WindowSize::Hour => Self::Hour,
            WindowSize::Day => Self::Day,
            WindowSize::Month => Self::Month,
        }
    }
}

fn window_size(text: &str) -> ApiResult<WindowSize> {
    match text.to_ascii_uppercase().as_str() {
        "MINUTE" => Ok(WindowSize::Minute),
        "HOUR" => Ok(WindowSize::Hour),
        "DAY" => Ok(WindowSize::Day),
        "MONTH" => Ok(WindowSize::Month),
        _ => Err(ApiError::invalid(format!(
            "windowSize is {text:?}: expected MINUTE, HOUR, DAY or MONTH"
        ))),
    }
}

fn window_size_or_null<'de, D: Deserializer<'de>>(sent: D) -> Result<Option<WindowSize>, D::Error> {
    let text = Option::<String>::deserialize(sent)?;
    let size = text.as_deref().map(window_size).transpose();
    size.map_err(|error| D::Error::custom(error.message))
}

fn instant_or_null<'de, D: Deserializer<'de>>(sent: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(sent)? else {
        return Ok(None);
    };
    let refused = || D::Error::custom(format!("{text:?}: expected {}", instant::EXPECTED));
    instant::parse(&text).map(Some).ok_or_else(refused)
}
