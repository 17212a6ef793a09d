//! The server from outside: every test starts it and talks HTTP. The tree mirrors the routes.

mod demo;
mod harness;
mod import;
mod ops;
