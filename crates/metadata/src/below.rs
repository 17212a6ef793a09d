//! The organizations that lie under another at an instant, as the start of a statement.

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

pub(crate) use below;
