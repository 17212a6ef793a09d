//! The server from outside: every test starts it and talks HTTP. The tree mirrors the routes.

mod auth;
mod events;
mod harness;
mod meters;
mod ops;
mod subjects;
