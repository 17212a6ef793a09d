//! The server from outside: every test starts it and talks HTTP. The tree mirrors the routes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(
    clippy::format_push_string,
    reason = "what snapshots show is put together"
)]

mod auth;
mod catalogue;
mod cli;
mod client;
mod connections;
mod cursors;
mod damage;
mod demo;
mod events;
mod exports;
mod full_disk;
mod harness;
mod import;
mod keys;
mod login;
mod metering;
mod meters;
mod names;
mod openmeter;
mod ops;
mod order;
mod organizations;
mod outbox;
mod parameters;
mod proxy;
mod rates;
mod roles;
mod setup;
mod store;
mod subjects;
mod upgrade;
mod users;
mod webhooks;
