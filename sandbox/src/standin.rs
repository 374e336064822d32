//! What the functions call, served over HTTP in real time: AWS, Pushwoosh and Segment. The models are
//! in the crate `world`.

pub(crate) mod aws;
pub(crate) mod queues;
pub(crate) mod upstream;
