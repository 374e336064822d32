//! What the functions share outside the mappings.
//!
//! # Layout
//! * [`upstream`]: one way to read an answer and to decide whether to try again.

pub mod upstream;
