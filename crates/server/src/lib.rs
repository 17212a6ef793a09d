//! The `tallyport` binary as a library: routes, credentials, configuration, command line.
//!
//! `main.rs` only calls [`cli::main`]; tests call [`run::start`], the same function as `serve`.

pub mod api;
pub mod app;
pub mod auth;
mod blocking;
pub mod bodies;
pub mod bootstrap;
pub mod cli;
pub mod clock;
pub mod config;
mod connections;
pub mod control;
pub mod error;
pub mod exports;
mod flights;
mod import;
pub mod instance;
mod lines;
pub mod log;
pub mod login;
pub mod metrics;
mod percent;
pub mod random;
pub mod request;
mod room;
pub mod run;
pub mod server_file;
pub mod setup;
pub mod store;
pub mod watermark;
