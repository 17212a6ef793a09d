//! What class an error is of, whatever crate it comes from.

/// The class of an error: it alone decides the HTTP status and whether a retry may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request can never work as it is.
    Invalid,
    /// The thing does not exist, or not for this caller.
    NotFound,
    /// It contradicts what is already there.
    Conflict,
    /// A limit is reached; later it may work.
    Busy,
    /// Something it needs is away or refuses writes.
    Unavailable,
    /// Stored bytes are damaged.
    Corrupt,
    /// What was asked for was kept once and is gone by rule.
    Gone,
    /// A defect of ours.
    Internal,
}
