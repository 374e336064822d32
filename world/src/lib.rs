//! Models of the services around the functions, as strict as the services themselves.
//!
//! Each model is a state machine: a call takes the state, the time and, where chance plays a role, a
//! source of random numbers; it returns the answer. A model reads no clock, opens no socket and starts
//! no thread, so that the sandbox can serve it in real time and a simulation in virtual time.
//!
//! Where the documentation of a service leaves a rule open, the rule is a named option of the model.
//!
//! # Layout
//! * [`sqs`]: queues, dead letters, redrive; [`queue_mapping`]: the event source mapping from a queue.
//! * [`secrets_manager`]: secrets with versions.
//! * [`dynamodb`]: tables with conditional writes.
//! * [`kafka`]: a topic; [`kafka::mapping`]: the event source mapping from a topic.
//! * [`lambda`]: execution environments; [`api_gateway`]: HTTP requests as events.
//! * [`pushwoosh`], [`segment`]: the upstreams.
//! * [`connection`]: what is left of a kept connection after a pause.
//! * [`faults`]: what goes wrong, as a list that calls take from.
//! * [`upstream`], [`aws`]: how a call to an upstream or to an AWS service is answered, faults included.
//! * [`reply`]: an answer, ready for a connection.

pub mod api_gateway;
pub mod aws;
pub mod connection;
pub mod dynamodb;
pub mod faults;
pub mod kafka;
pub mod lambda;
pub mod pushwoosh;
pub mod queue_mapping;
pub mod reply;
pub mod secrets_manager;
pub mod segment;
pub mod sqs;
mod time;
pub mod upstream;
