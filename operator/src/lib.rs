//! What the people who run the integration need: to see what an input would do, to check settings, to see
//! and change what is on the queues. Against AWS, or against a running sandbox.
//!
//! # Layout
//! * `application_settings`: an application's settings, read as the functions read them.
//! * [`bad_input`]: input that a command cannot use.
//! * [`check_secret`]: what is wrong with an application's secret; `unsafe_secret`: what it must not hold in production.
//! * [`check_stack`]: whether a deployed stack works.
//! * [`connect`]: connects an application: tries its keys, and writes its secret.
//! * [`content`]: what a message of a queue holds.
//! * [`doctor`]: finds what Pushwoosh would skip, and the calls that mend it.
//! * [`erase`]: removes what the queues keep of a person.
//! * [`explain`]: what an event, a request body or a record would do.
//! * [`hash_id`]: how a user or device id appears in logs.
//! * [`queue`]: what is on the queues: looked at, sent again, discarded; [`resend`]: what is sent for one item.
//! * [`track_properties`]: the flag for the optional properties of Track calls.
//! * [`terminal`]: lines for people, and lines for programs.
//! * `queues`: the queues of a stack or a sandbox, and how one is looked through.
//! * `stack`: what a deployed stack says of itself.
//! * `target`: the stack or the sandbox that a command works on.
//! * `upstreams`: whether Pushwoosh and Segment take a key.
//! * `connection`: where these commands work: in AWS, or in a sandbox.

mod application_settings;
pub mod bad_input;
pub mod check_secret;
pub mod check_stack;
pub mod connect;
mod connection;
pub mod content;
pub mod doctor;
pub mod erase;
pub mod explain;
pub mod hash_id;
pub mod queue;
mod queues;
pub mod resend;
mod stack;
mod target;
pub mod terminal;
pub mod track_properties;
pub mod unsafe_secret;
mod upstreams;
