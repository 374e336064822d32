//! What is on the queues at the end of a story.

use std::collections::BTreeSet;

use crate::items::markers;
use crate::services::State;

/// What waits, by the markers of its items.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// What is on a queue or was given up to the on-failure destination.
    pub(crate) anywhere: BTreeSet<u64>,
    /// What is on the retry queue, or dead.
    pub(crate) undelivered: BTreeSet<u64>,
    /// Messages on queues that hold no marker: deletions.
    deletions: Vec<String>,
    /// Those of them that are on the rejects queue.
    refused: Vec<String>,
}

impl Waiting {
    pub(crate) fn of(state: &State) -> Self {
        let mut waiting = Self::default();
        for body in &state.given_up {
            waiting.anywhere.extend(markers(body));
        }
        for name in ["retry", "dead", "rejects"] {
            let messages = state.sqs.queue(name).into_iter().flat_map(world::sqs::Queue::messages);
            for (_, message) in messages {
                waiting.add(&message.body, name == "rejects");
            }
        }
        waiting
    }

    fn add(&mut self, body: &str, is_refused: bool) {
        let found = markers(body);
        if found.is_empty() {
            // What was rejected stands as text in its message.
            let body = body.replace('\\', "");
            if is_refused {
                self.refused.push(body.clone());
            }
            self.deletions.push(body);
        } else if !is_refused {
            self.undelivered.extend(&found);
        }
        self.anywhere.extend(found);
    }

    /// Whether a deletion of the user is on a queue.
    pub(crate) fn has_deletion(&self, user: &str) -> bool {
        names(&self.deletions, user)
    }

    /// Whether Pushwoosh refused a deletion of the user.
    pub(crate) fn has_refused(&self, user: &str) -> bool {
        names(&self.refused, user)
    }
}

/// Whether one of the messages names the user.
pub(crate) fn names(bodies: &[String], user: &str) -> bool {
    let quoted = format!("\"{user}\"");
    bodies.iter().any(|body| body.contains(&quoted))
}
