//! The organizations that lie under others at an instant, as the start of a statement.

/// Prefixes a statement with `below(id)`: the organization `$1` and everything under it at `$2`.
macro_rules! below {
    ($rest:literal) => {
        concat!(
            "WITH RECURSIVE below(id) AS (
                 SELECT CAST($1 AS TEXT)
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
            "WITH RECURSIVE nearest(id, edges) AS (
                 SELECT CAST($1 AS TEXT), 0
                 UNION
                 SELECT edge.child_id, nearest.edges + 1 FROM organization_edges edge
                 JOIN nearest ON edge.parent_id = nearest.id
                 WHERE edge.ended_revision IS NULL AND edge.valid_from <= $2 AND edge.valid_to > $2
             ) ",
            $rest
        )
    };
}

pub(crate) use {below, nearest};
