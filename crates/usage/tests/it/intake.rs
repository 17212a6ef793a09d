//! Usage in: told apart, durable, exactly once, whatever happens to disk and process.

mod bits;
mod conformance;
mod faults;
mod fixture;
mod incomplete;
mod joins;
mod journal;
mod kill;
mod model;
mod order;
mod outcomes;
mod panics;
