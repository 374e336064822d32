//! What invokes functions in AWS: the HTTP gateway and the event source mappings.

pub(crate) mod gateway;
pub(crate) mod kafka;
pub(crate) mod queue;
