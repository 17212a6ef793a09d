//! Who is calling: the credential of a request becomes a [`Caller`].
//!
//! Keys, sessions and the local administrator's token are all known by the SHA-256 of their
//! secret. [`cache`] keeps who they are for a short while, so that a busy caller costs no query.

pub mod cache;
pub mod caller;
pub mod credential;
pub mod limiter;
pub mod password;
pub mod reach;

pub use cache::Credentials;
pub use caller::{Caller, Identity, Permission, Who};
pub use credential::{Presented, is_key, new_key, sha256};
pub use reach::Reach;
