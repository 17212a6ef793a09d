//! Models the store is compared with in tests.

pub mod oracle;
