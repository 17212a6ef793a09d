//! Exports: jobs become artifacts that never change.
//!
//! The second walk of ARCHITECTURE.md: [`worker`] claims a job, the plan of `domain` says what to
//! read and print, [`csv`] and [`archive`] make the bytes, [`artifact`] keeps them.

pub mod archive;
pub mod csv;
pub mod error;

pub use error::{Error, Result};
