//! The tables whose rows carry a checksum, and their columns.

use std::sync::LazyLock;

use super::Form::{Flag, Integer, Text};
use super::{Form, Table};

/// What every table of dated versions ends in.
const DATED: [(&str, Form); 4] = [
    ("valid_from", Integer),
    ("valid_to", Integer),
    ("revision", Integer),
    ("ended_revision", Integer),
];

/// Organizations: what never changes, and when one was archived.
pub(crate) static ORGANIZATIONS: LazyLock<Table> = LazyLock::new(|| {
    let columns = [
        ("id", Text),
        ("account_id", Text),
        ("kind", Text),
        ("created_at", Integer),
        ("archived_at", Integer),
        ("archived_revision", Integer),
        ("revision", Integer),
    ];
    Table::new("organizations", &["id"], &columns)
});

/// Versions of organizations.
pub(crate) static VERSIONS: LazyLock<Table> = LazyLock::new(|| {
    let columns = [
        ("organization_id", Text),
        ("name", Text),
        ("realm_id", Text),
        ("partner_id", Text),
        ("anchor_period", Text),
        ("anchor_day", Integer),
        ("anchor_month", Integer),
        ("currency", Text),
        ("metering_enabled", Flag),
        ("anchor_inherited", Integer),
    ];
    dated(
        "organization_versions",
        &["organization_id", "valid_from"],
        &columns,
    )
});

/// Aliases of organizations.
pub(crate) static ALIASES: LazyLock<Table> = LazyLock::new(|| {
    let columns = [
        ("account_id", Text),
        ("alias", Text),
        ("organization_id", Text),
        ("revision", Integer),
        ("ended_revision", Integer),
    ];
    Table::new(
        "organization_aliases",
        &["organization_id", "alias"],
        &columns,
    )
});

/// Edges of trees.
pub(crate) static EDGES: LazyLock<Table> = LazyLock::new(|| {
    let columns = [("child_id", Text), ("parent_id", Text)];
    dated("organization_edges", &["child_id", "valid_from"], &columns)
});

/// Versions of meters.
pub(crate) static METER_VERSIONS: LazyLock<Table> = LazyLock::new(|| {
    let columns = [
        ("meter_id", Text),
        ("account_id", Text),
        ("slug", Text),
        ("name", Text),
        ("description", Text),
        ("service", Text),
        ("category", Text),
        ("feature", Text),
        ("unit", Text),
        ("event_type", Text),
        ("aggregation", Text),
        ("value_property", Text),
        ("filters", Text),
        ("group_by", Text),
        ("scalar_name", Text),
        ("scalar_factor", Integer),
        ("metric_category", Text),
        ("job_level", Text),
        ("zero_rows", Flag),
        ("number_rule", Integer),
    ];
    let key = &["account_id", "meter_id", "valid_from"];
    dated("meter_versions", key, &columns)
});

/// Versions of rates.
pub(crate) static RATE_VERSIONS: LazyLock<Table> = LazyLock::new(|| {
    let columns = [
        ("rate_id", Text),
        ("account_id", Text),
        ("meter_id", Text),
        ("organization_id", Text),
        ("kind", Text),
        ("per_units", Integer),
        ("unit", Text),
        ("tiers", Text),
        ("allowance", Text),
        ("billable", Flag),
        ("list_price", Text),
        ("subscription_id", Text),
        ("charge_number", Text),
        ("currency", Text),
    ];
    dated("rate_versions", &["rate_id", "valid_from"], &columns)
});

/// All of them.
pub(super) fn tables() -> [&'static Table; 6] {
    [
        &ORGANIZATIONS,
        &VERSIONS,
        &ALIASES,
        &EDGES,
        &METER_VERSIONS,
        &RATE_VERSIONS,
    ]
}

fn dated(
    name: &'static str,
    key: &'static [&'static str],
    columns: &[(&'static str, Form)],
) -> Table {
    let columns: Vec<_> = columns.iter().copied().chain(DATED).collect();
    Table::new(name, key, &columns)
}
