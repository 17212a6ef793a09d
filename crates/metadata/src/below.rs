//! The organizations that lie under others at an instant, as the start of a statement.

use domain::ids::OrganizationId;

use crate::database::Bind;

/// The organizations a list is read for: each of them and everything under it.
///
/// None of them lies under another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tops(String);

impl From<OrganizationId> for Tops {
    fn from(top: OrganizationId) -> Self {
        Self(top.to_string())
    }
}

impl From<&[OrganizationId]> for Tops {
    fn from(tops: &[OrganizationId]) -> Self {
        let mut all: Vec<_> = tops.iter().map(OrganizationId::as_str).collect();
        // One text for the same ones, since cursors are bound to it.
        all.sort_unstable();
        Self(all.join(" "))
    }
}

impl From<Tops> for Bind {
    fn from(tops: Tops) -> Self {
        Self::from(tops.0)
    }
}

/// Prefixes a statement with `below(id)`: the organizations `$1` and everything under them at `$2`.
///
/// `$1` is bound to [`Tops`]: ids of 22 characters, with a space between.
macro_rules! below {
    ($rest:literal) => {
        concat!(
            "WITH RECURSIVE top(id, rest) AS (
                 SELECT substr(CAST($1 AS TEXT), 1, 22), substr(CAST($1 AS TEXT), 24)
                 UNION ALL
                 SELECT substr(rest, 1, 22), substr(rest, 24) FROM top WHERE rest <> ''
             ), below(id) AS (
                 SELECT id FROM top
                 UNION
                 SELECT edge.child_id FROM organization_edges edge
                 JOIN below ON edge.parent_id = below.id
                 WHERE edge.ended_revision IS NULL AND edge.valid_from <= $2 AND edge.valid_to > $2
             ) ",
            $rest
        )
    };
}

/// The same as `nearest(id, edges)`: how many edges lie between.
macro_rules! nearest {
    ($rest:literal) => {
        concat!(
            "WITH RECURSIVE top(id, rest) AS (
                 SELECT substr(CAST($1 AS TEXT), 1, 22), substr(CAST($1 AS TEXT), 24)
                 UNION ALL
                 SELECT substr(rest, 1, 22), substr(rest, 24) FROM top WHERE rest <> ''
             ), nearest(id, edges) AS (
                 SELECT id, 0 FROM top
                 UNION
                 SELECT edge.child_id, nearest.edges + 1 FROM organization_edges edge
                 JOIN nearest ON edge.parent_id = nearest.id
                 WHERE edge.ended_revision IS NULL AND edge.valid_from <= $2 AND edge.valid_to > $2
             ) ",
            $rest
        )
    };
}

const _: () = assert!(
    domain::ids::ID_LENGTH == 22,
    "the statements cut ids of 22 characters"
);

pub(crate) use {below, nearest};
