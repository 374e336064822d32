//! Segment's HTTP Tracking API: what it takes, how its answers are read, and what follows from them.
//!
//! Invariants: success is HTTP 2xx and nothing else; `sentAt` is the moment of the attempt, since
//! Segment corrects every timestamp by it; `X-Retry-Count` is absent on the first attempt. The write
//! key is in the header and the body, as Segment's own server library sends it, and in no error.
//!
//! # Layout
//! * [`calls`]: calls in batches that Segment takes, written as they are sent.
//! * [`client`]: sends one batch.
//! * [`delivery`]: delivers calls, with retries, and says how each ended.

pub mod calls;
pub mod client;
pub mod delivery;

pub use calls::Calls;
pub use client::Client;
