//! What may be asked of a usage store, and the shape of its answers.

mod batch;

use domain::Timestamp;
use domain::aggregation::Fold;
use domain::condition::{TextCondition, TimeCondition};
use domain::dimension::Dimension;
use domain::ids::OrganizationId;
use domain::meter::{Meter, ReadingRule};
use domain::number::NumberRule;
use domain::path::JsonPath;
use domain::range::TimeRange;
use domain::tree::Scope;
use domain::window::{Window, Windows};
use futures::stream::BoxStream;

use crate::error::Result;

pub use batch::Batch;

/// Rows to stream. Conflicting copies are left out.
#[derive(Debug, Clone)]
pub struct ScanQuery {
    /// Whose usage, and when.
    pub scope: Scope,
    /// Event types to read; empty for all.
    pub event_types: Vec<String>,
    /// Dimensions to give, in this order.
    pub dimensions: Vec<Dimension>,
    /// Readings to give, in this order.
    pub rules: Vec<ReadingRule>,
}

impl ScanQuery {
    /// The rule for numbers of its readings, by which dimensions are shown.
    pub fn numbers(&self) -> NumberRule {
        let rules = self.rules.iter().map(|rule| rule.numbers);
        rules.max().unwrap_or(NumberRule::Value)
    }
}

/// Batches of a scan, in order.
pub type Batches = BoxStream<'static, Result<Batch>>;

/// Totals to compute.
#[derive(Debug, Clone)]
pub struct TotalsQuery {
    /// Whose usage, and when.
    pub scope: Scope,
    /// Meters to total, each within its own validity.
    pub meters: Vec<Meter>,
    /// How to cut time; `None` for one window over all.
    pub windows: Option<Windows>,
    /// What to tell apart, in this order.
    pub group_by: Vec<GroupKey>,
    /// Conditions that must all hold.
    pub filters: Vec<GroupFilter>,
    /// Whether each total says when its first and last readings were; only without windows.
    pub spans: bool,
}

impl TotalsQuery {
    /// The rule for numbers of its meters, by which groups and filters compare values.
    ///
    /// All meters of an account change it at one revision, so the meters of a query share it.
    pub fn numbers(&self) -> NumberRule {
        let rules = self.meters.iter().map(|meter| meter.rule.numbers);
        rules.max().unwrap_or(NumberRule::Value)
    }
}

/// Something rows can be told apart by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GroupKey {
    /// The organization's id.
    Organization,
    /// The event's subject.
    Subject,
    /// A dimension.
    Dimension(Dimension),
    /// The value at a path in the data.
    Path(JsonPath),
}

/// Holds when the text of the key fulfils the condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFilter {
    /// What to look at.
    pub key: GroupKey,
    /// Texts that pass.
    pub values: TextCondition,
}

/// One total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotalRow {
    /// Index of the meter in the query.
    pub meter: usize,
    /// The window; `None` when the query had none.
    pub window: Option<Window>,
    /// One value per group key; `None` where rows have none.
    pub keys: Vec<Option<String>>,
    /// The folded readings.
    pub fold: Fold,
    /// Event times of the first and the last of them, where the query asks for them.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// Events to list, newest first by time, then by sequence.
#[derive(Debug, Clone)]
pub struct EventsQuery {
    /// Whose events, and when.
    pub scope: Scope,
    /// Range of event time.
    pub range: TimeRange,
    /// Conditions on texts of the event that must all hold.
    pub texts: Vec<(EventText, TextCondition)>,
    /// A condition on the event time beside the range.
    pub time: Option<TimeCondition>,
    /// A condition on the instant of receipt.
    pub received: Option<TimeCondition>,
    /// Only events that a list without this would give after the one of this time and sequence.
    pub after: Option<(Timestamp, u64)>,
    /// An event that each of these meters reads, or leaves alone, has no error.
    pub meters: Vec<Meter>,
    /// `Some(true)` lists only events with an error, `Some(false)` only those without.
    pub with_error: Option<bool>,
    /// Most events to give.
    pub limit: usize,
}

/// A text of an event that a list may be narrowed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventText {
    /// CloudEvents `id`.
    Id,
    /// CloudEvents `source`.
    Source,
    /// CloudEvents `subject`.
    Subject,
    /// CloudEvents `type`.
    Type,
}

/// An event as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number.
    pub sequence: u64,
    /// Organization the use belongs to.
    pub organization: OrganizationId,
    /// CloudEvents `type`.
    pub event_type: String,
    /// CloudEvents `subject`.
    pub subject: String,
    /// CloudEvents `source`.
    pub source: String,
    /// CloudEvents `id`.
    pub id: String,
    /// Event time.
    pub time: Timestamp,
    /// Instant of receipt.
    pub received: Timestamp,
    /// The data object as sent.
    pub data: Option<Box<str>>,
    /// Why it counts nowhere: it fits no meter, or it conflicts with an earlier event.
    pub validation_error: Option<String>,
}
