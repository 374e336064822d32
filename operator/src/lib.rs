//! What the people who run the integration need: to see what an input would do, to check settings, to see
//! and change what is on the queues. Against AWS, or against a running sandbox.
//!
//! # Layout
//! * [`bad_input`]: input that a command cannot use.
//! * [`check_secret`]: what is wrong with an application's secret; `unsafe_secret`: what it must not hold in production.
//! * [`check_stack`]: whether a deployed stack works.
//! * [`erase`]: removes what the queues keep of a person.
//! * [`explain`]: what an event, a request body or a record would do.
//! * [`hash_id`]: how a user or device id appears in logs.
//! * [`queue`]: what is on the queues: looked at, sent again, discarded; [`resend`]: what is sent for one item.
//! * [`track_properties`]: the flag for the optional properties of Track calls.
//! * [`terminal`]: lines for people, and lines for programs.
//! * `stack`: what a deployed stack says of itself.
//! * `connection`: where these commands work: in AWS, or in a sandbox.

pub mod bad_input;
pub mod check_secret;
pub mod check_stack;
mod connection;
pub mod erase;
pub mod explain;
pub mod hash_id;
pub mod queue;
pub mod resend;
mod stack;
pub mod terminal;
pub mod track_properties;
pub mod unsafe_secret;
