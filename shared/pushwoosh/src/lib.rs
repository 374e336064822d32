//! Pushwoosh's Device API: what it takes, how its answers are read, and what follows from them.
//!
//! Invariants: success is HTTP 200 **and** `status_code` 200 in the body (the v2 Device API has no
//! envelope: there HTTP 2xx is success). The token is in the `Authorization` header and nowhere else;
//! no error holds data of the call.
//!
//! # Layout
//! * [`client`]: sends one call.
//! * [`reply`]: reads the answer as Pushwoosh means it.
//! * [`delivery`]: delivers plans of calls.
//! * [`key_check`]: whether Pushwoosh takes a key.
//! * [`order`]: keeps deliveries in the order in which their items were accepted.

pub mod client;
pub mod delivery;
pub mod key_check;
pub mod order;
pub mod reply;

pub use client::Client;
