//! The server from outside: every test starts it and talks HTTP. The tree mirrors the routes.

mod harness;
mod ops;
