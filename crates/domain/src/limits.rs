//! Every bound of an event, a name or a request, with its unit.

/// Characters of an organization's, meter's or user's name.
pub const NAME_CHARS_MAX: usize = 255;
/// Characters of a meter's slug.
pub const SLUG_CHARS_MAX: usize = 64;
/// Bytes of a CloudEvents `id`, `source`, `type` or `subject`.
pub const ATTRIBUTE_BYTES_MAX: usize = 1024;
/// Bytes of an event's `data`.
pub const DATA_BYTES_MAX: usize = 64 * 1024;
/// Nested objects and arrays inside an event's `data`.
pub const DATA_DEPTH_MAX: usize = 32;
/// Bytes of one dimension value; a longer one is cut out of its column and stays in `data`.
pub const DIMENSION_BYTES_MAX: usize = 1024;
/// Years an event's time may lie before or after its receipt.
pub const TIME_YEARS_MAX: i64 = 100;
/// Dimensions a meter may declare with `groupBy`.
pub const GROUP_BY_MAX: usize = 32;
/// Property filters on one meter.
pub const FILTERS_MAX: usize = 32;
/// Values one filter may list.
pub const FILTER_VALUES_MAX: usize = 100;
/// Tiers on one rate.
pub const TIERS_MAX: usize = 64;
/// Organizations in one account.
pub const ORGANIZATIONS_MAX: usize = 100_000;
/// Edges from an organization up to its root.
pub const TREE_DEPTH_MAX: usize = 3;
/// Distinct values one UNIQUE_COUNT may hold in memory at once.
pub const UNIQUE_VALUES_MAX: usize = 5_000_000;
/// Rows one totals query may answer with.
pub const TOTALS_ROWS_MAX: usize = 1_000_000;
/// Events one batch body may hold when an outcome for each is asked back.
pub const OUTCOME_EVENTS_MAX: usize = 10_000;
/// Outcomes other than accepted that a stream's answer lists.
pub const STREAM_OUTCOMES_MAX: usize = 1_000;
/// Malformed events of one request after which no more of it is read.
pub const MALFORMED_EVENTS_MAX: usize = 100_000;
/// Characters of a webhook's URL.
pub const WEBHOOK_URL_CHARS_MAX: usize = 2_048;
/// Bytes of the key in a webhook's secret, at least.
pub const WEBHOOK_KEY_BYTES_MIN: usize = 24;
/// Bytes of the key in a webhook's secret, at most.
pub const WEBHOOK_KEY_BYTES_MAX: usize = 64;
/// Webhooks one organization may have at once.
pub const WEBHOOKS_MAX: u32 = 20;
/// Seconds the old secret of a webhook may go on signing: 30 days.
pub const WEBHOOK_OVERLAP_SECONDS_MAX: u32 = 30 * 24 * 3600;
/// Bytes of a message's body.
pub const MESSAGE_BODY_BYTES_MAX: usize = 20_000;
