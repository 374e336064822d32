//! The whole system on one machine: the real functions, in processes as Lambda has them, and around them
//! the models of AWS, Pushwoosh and Segment from the crate `world`, served over HTTP in real time.
//! Nothing leaves the machine.
//!
//! # Layout
//! * `options`: the flags of `serve`.
//! * `serve`: starts everything.
//! * [`deployed`]: what the template deploys.
//! * `functions`: how a function is run in a process.
//! * `lambda`: the environments of the functions: processes and their runtime API; `function_error`: why an
//!   invocation has no answer.
//! * `trigger`: what invokes functions: HTTP gateway, Kafka and SQS event source mappings.
//! * `standin`: serves the models of Secrets Manager, SQS, DynamoDB, Pushwoosh and Segment.
//! * `apps`: the applications' secrets.
//! * `control`: the routes below `/_sandbox`, and the page.
//! * `access`: who may talk to the servers on this machine.
//! * `items`: what came in, and what became of it.
//! * `page`: the page's files.
//! * `logs`: what the functions write; `recent`: the newest entries of a list, bounded.

#![expect(
    clippy::disallowed_methods,
    reason = "the sandbox is the real world: it runs in real time"
)]

mod access;
mod apps;
mod control;
pub mod deployed;
mod function_error;
mod functions;
mod http;
mod items;
mod lambda;
mod logs;
mod options;
mod page;
mod recent;
mod serve;
mod standin;
mod trigger;

pub use functions::run_function;
pub use options::Options;
pub use serve::serve;
