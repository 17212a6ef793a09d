//! The rules of Tallyport, free of I/O, clocks and threads.
//!
//! Everything here is a value or a function of values: what an event is, how a meter reads it,
//! which organizations a caller sees, how quantities add up and what an export contains. The two
//! walks of ARCHITECTURE.md pass through [`event`] (usage in) and [`export`] (usage out).

pub mod aggregation;
pub mod billing;
pub mod condition;
pub mod dimension;
pub mod event;
pub mod export;
pub mod ids;
pub mod instant;
pub mod json;
pub mod kind;
pub mod limits;
pub mod meter;
pub mod name;
pub mod number;
pub mod path;
pub mod quantity;
pub mod range;
pub mod rate;
pub mod retry_after;
pub mod schedule;
pub mod tree;
pub mod webhook;
pub mod window;

pub use jiff::Timestamp;
