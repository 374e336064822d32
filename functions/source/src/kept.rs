//! Something for a queue, and the records that it stands for.

use mapping::Outcome;
use platform::message::Message;

use crate::event::ItemIdentifier;

/// A message, and how its records end once SQS has it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) message: Message,
    pub(crate) outcome: Outcome,
    pub(crate) places: Vec<ItemIdentifier>,
}
