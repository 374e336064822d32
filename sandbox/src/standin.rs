//! Stand-ins for what the functions call: AWS, Pushwoosh and Segment.

pub(crate) mod aws;
pub(crate) mod fault;
pub(crate) mod pushwoosh;
pub(crate) mod segment;
pub(crate) mod sqs;
pub(crate) mod upstream;
