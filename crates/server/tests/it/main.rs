//! The server from outside: every test starts it and talks HTTP. The tree mirrors the routes.

mod auth;
mod events;
mod harness;
mod keys;
mod login;
mod metering;
mod meters;
mod ops;
mod organizations;
mod rates;
mod setup;
mod subjects;
mod users;
