//! The system as a whole, as its users meet it: every test runs the sandbox with the real functions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits in real time"
)]

mod connect;
mod destination;
mod docs;
mod doctor;
mod doors;
mod environments;
mod erase;
mod events;
mod explain;
mod imports;
mod insights;
mod items;
mod limits;
mod openapi;
mod queries;
mod queue;
mod reliability;
mod runbooks;
mod sandbox;
mod sandbox_docs;
mod schema;
mod secret;
mod soak;
mod source;
mod startup;
mod surrogates;
mod webhook;
