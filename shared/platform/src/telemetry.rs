//! Logs and metrics.
//!
//! Invariants: no payload and no id is ever logged, only [`hashed`] ids; a metric's only dimension is
//! the function, and of what waits also the application, where the process knows it.
//!
//! # Layout
//! * `log`: how log lines are written.
//! * `hash`: how an id appears in logs.
//! * `item`: the line of an item that was not delivered.
//! * `tally`: what is counted during an invocation.
//! * `emf`: the counters as CloudWatch metrics.
//! * `report`: what an invocation writes at its end.

mod emf;
mod hash;
mod item;
mod log;
mod report;
mod tally;

pub use emf::{NAMESPACE, WAITING};
pub use hash::{hashed, hashed_with, salt_hashes};
pub use item::{ItemLine, Lines};
pub use log::init;
pub use report::report;
pub use tally::{Count, Door, MOST_NAMED, OTHER, Tally, Waiting};
