//! Scalars known by name, so that a setup file need not repeat their factor and category.

use domain::meter::Scalar;

/// Name, readings per unit, metric category; as printed in metering exports.
const KNOWN: [(&str, u64, &str); 11] = [
    ("HOURS", 1, "COMPUTE_UNITS"),
    ("GB", 1, "DATA_VOLUME"),
    ("MILLION_ROWS", 1_000_000, "ROWS_PROCESSED"),
    ("TENK_RECORDS", 10_000, "RECORDS_STORED"),
    ("HUNDREDK_RECORDS", 100_000, "RECORDS_STORED"),
    ("HUNDRED_RECORDS", 100, "RECORDS_STORED"),
    ("THOUSAND_RUNS", 1_000, "RUNS"),
    ("THOUSAND_API_CALLS", 1_000, "API_CALLS"),
    ("MILLION_API_CALLS", 1_000_000, "API_CALLS"),
    ("THOUSAND_QUERIES", 1_000, "QUERIES"),
    ("PER_ORG", 1, "ORGS"),
];

/// The scalar of that name, when it is a known one.
pub fn known(name: &str) -> Option<Scalar> {
    let (name, factor, category) = KNOWN.into_iter().find(|(known, ..)| *known == name)?;
    Some(Scalar {
        name: name.to_owned(),
        factor,
        metric_category: category.to_owned(),
    })
}

/// The scalar of a meter that names none: its unit, one by one.
pub fn of_unit(unit: &str) -> Scalar {
    let name = if unit.is_empty() { "UNITS" } else { unit };
    Scalar {
        name: name.to_uppercase(),
        factor: 1,
        metric_category: "UNITS".to_owned(),
    }
}
