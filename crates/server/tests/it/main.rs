//! The server from outside: every test starts it and talks HTTP. The tree mirrors the routes.

mod auth;
mod demo;
mod events;
mod harness;
mod import;
mod meters;
mod ops;
mod subjects;
