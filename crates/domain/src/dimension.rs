//! The dimensions every event may carry and where its data names them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::json::Json;
use crate::limits::DIMENSION_BYTES_MAX;
use crate::number::{NumberRule, Scalar};

macro_rules! dimensions {
    ($($(#[$doc:meta])* $name:ident = $key:literal, $column:literal;)*) => {
        /// A property of usage that has a column of its own in every segment.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Dimension {
            $($(#[$doc])* $name,)*
        }

        impl Dimension {
            /// Every dimension, in column order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The member of an event's data that holds the value.
            pub fn key(self) -> &'static str {
                match self { $(Self::$name => $key,)* }
            }

            /// The dimension that data names by `key`.
            pub fn of_key(key: &str) -> Option<Self> {
                match key { $($key => Some(Self::$name),)* _ => None }
            }

            /// The column's name in segments.
            pub fn column(self) -> &'static str {
                match self { $(Self::$name => $column,)* }
            }
        }
    };
}

dimensions! {
    /// Project the asset lies in.
    Project = "project", "project";
    /// Folder inside the project.
    Folder = "folder", "folder";
    /// Asset that was used.
    Asset = "asset", "asset";
    /// Kind of the asset.
    AssetType = "assetType", "asset_type";
    /// Identifier of the environment the work ran in.
    EnvironmentId = "environmentId", "environment_id";
    /// Name of that environment.
    Environment = "environment", "environment";
    /// Kind of that environment.
    EnvironmentType = "environmentType", "environment_type";
    /// Identifier of the task.
    TaskId = "taskId", "task_id";
    /// Name of the task.
    TaskName = "taskName", "task_name";
    /// Object the task worked on.
    TaskObject = "taskObject", "task_object";
    /// Kind of the task.
    TaskType = "taskType", "task_type";
    /// Number of the task's run.
    TaskRunId = "taskRunId", "task_run_id";
    /// Instant the use started, as RFC 3339.
    Start = "start", "start";
    /// How the task ended.
    Status = "status", "status";
    /// Cores the task used.
    CoresUsed = "coresUsed", "cores_used";
    /// Seconds of overhead inside the task.
    OverheadSeconds = "overheadSeconds", "overhead_seconds";
    /// Who or what started the task.
    InvokedBy = "invokedBy", "invoked_by";
    /// Tag that combines costs.
    BillingTag = "billingTag", "billing_tag";
    /// Application the use belongs to.
    AppId = "appId", "app_id";
    /// Resource name of the project, printed exactly as sent.
    ProjectHrn = "projectHrn", "project_hrn";
    /// Resource that was used.
    Resource = "resource", "resource";
    /// User on whose behalf.
    User = "user", "user";
}

impl Dimension {
    /// The dimension's text in an event's data, as meters of `rule` show it.
    pub fn value<'j>(self, data: &'j Json<'_>, rule: NumberRule) -> Option<Cow<'j, str>> {
        Self::text(data.get(self.key()).and_then(Json::scalar), rule)
    }

    /// What all dimensions have in an event's data, in column order: one pass over its members.
    pub fn scalars<'j>(data: &'j Json<'_>) -> [Option<Scalar<'j>>; Self::ALL.len()] {
        let mut values = [None; Self::ALL.len()];
        if let Json::Object(members) = data {
            for (key, value) in members {
                if let Some(dimension) = Self::of_key(key) {
                    values[dimension as usize] = value.scalar();
                }
            }
        }
        values
    }

    /// The text of what a dimension has; empty texts and over-long ones count as absent.
    pub fn text(found: Option<Scalar<'_>>, rule: NumberRule) -> Option<Cow<'_, str>> {
        let text = found.map(|scalar| scalar.shown(rule));
        text.filter(|text| !text.is_empty() && text.len() <= DIMENSION_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pass_finds_what_looking_up_each_dimension_finds() {
        let long = "x".repeat(DIMENSION_BYTES_MAX + 1);
        let text = format!(
            r#"{{"user":"u","project":"","coresUsed":2,"hours":1,"folder":null,"asset":"{long}",
               "start":["s"],"taskId":"first","taskId":"last","appId":true}}"#
        );
        let json = Json::parse(&text).unwrap();
        let rule = NumberRule::Value;
        let values = Dimension::scalars(&json).map(|found| Dimension::text(found, rule));
        for (index, dimension) in Dimension::ALL.iter().enumerate() {
            assert_eq!(values[index], dimension.value(&json, rule), "{dimension:?}");
        }
        assert_eq!(values.iter().flatten().count(), 4);
        let none = Dimension::scalars(&Json::Null);
        assert_eq!(none, [None; Dimension::ALL.len()]);
    }

    #[test]
    fn a_number_is_shown_as_it_was_sent_and_by_old_meters_as_they_did() {
        let json = Json::parse(r#"{"coresUsed":1e0,"taskId":"1e0","user":4.20}"#).unwrap();
        let shown = |dimension: Dimension, rule| dimension.value(&json, rule).unwrap();
        assert_eq!(shown(Dimension::CoresUsed, NumberRule::Value), "1e0");
        assert_eq!(shown(Dimension::CoresUsed, NumberRule::Spelling), "1e+0");
        for rule in [NumberRule::Spelling, NumberRule::Value] {
            assert_eq!(shown(Dimension::TaskId, rule), "1e0");
            assert_eq!(shown(Dimension::User, rule), "4.20");
        }
    }
}
