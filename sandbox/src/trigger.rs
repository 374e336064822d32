//! What invokes functions in AWS: the HTTP gateway and the event source mappings.

#[cfg(feature = "kafka")]
pub(crate) mod broker;
pub(crate) mod gateway;
pub(crate) mod kafka;
pub(crate) mod queue;
