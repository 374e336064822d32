//! SQS: standard queues.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/welcome.html>
//!
//! [`Sqs`] holds the queues. Its methods do what the operations do; `wire` reads and writes them in
//! AWS's JSON protocol. Every method first lets time pass: messages expire and move tasks go on.

mod fair;
mod message;
pub mod queue;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;

pub use message::{Message, NewMessage, Receive, Received};
pub use queue::{Attributes, Counts, Queue, RedrivePolicy, Totals};
pub use wire::md5;

use crate::aws::ServiceError;
use crate::time::between;
use queue::message_id;

/// Largest message, and largest batch of them, in bytes.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub const MAX_MESSAGE: usize = 1_048_576;

/// Entries of a batch, and messages of a receive.
pub const MAX_ENTRIES: usize = 10;

/// Longest `DelaySeconds`.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
pub const MAX_DELAY: Duration = Duration::from_mins(15);

/// Longest `MessageGroupId`.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
pub const MAX_GROUP: usize = 128;

/// Message move tasks that are remembered.
const KEPT_TASKS: usize = 10;

/// What happens by chance; nothing unless it is set. Probabilities from 0 to 1.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues.html>
#[derive(Debug, Clone, Copy, Default)]
pub struct Chances {
    /// A receive with room for more also returns a message that is in flight.
    pub duplicate: f64,
    /// A deletion is acknowledged and the message comes back once more.
    pub forgotten_delete: f64,
    /// A receive does not return the oldest messages.
    pub disorder: f64,
    /// A visible message is not found by a receive that does not wait.
    pub unseen: f64,
}

/// `ApproximateReceiveCount` of a message after its move to a dead-letter queue. The documentation does
/// not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeadLetterReceives {
    /// It goes on.
    Kept,
    /// It starts at zero.
    #[default]
    Reset,
}

/// A message move task.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html>
#[derive(Debug, Clone)]
pub struct MoveTask {
    /// `TaskHandle`.
    pub handle: String,
    /// Name of the dead-letter queue.
    pub source: String,
    /// Name of the queue to move to; without it, where each message came from.
    pub destination: Option<String>,
    /// `MaxNumberOfMessagesPerSecond`; without it everything moves at once.
    pub per_second: Option<u32>,
    /// When it was started.
    pub started_at: Timestamp,
    /// `ApproximateNumberOfMessagesToMove`.
    pub to_move: usize,
    /// `ApproximateNumberOfMessagesMoved`.
    pub moved: usize,
    /// It has ended.
    pub completed: bool,
}

/// The queues of an account.
#[derive(Debug, Clone, Default)]
pub struct Sqs {
    /// What happens by chance.
    pub chances: Chances,
    /// An open rule.
    pub dead_letter_receives: DeadLetterReceives,
    queues: BTreeMap<String, Queue>,
    tasks: Vec<MoveTask>,
    next: u64,
}

fn missing(name: &str) -> ServiceError {
    ServiceError::new(
        "AWS.SimpleQueueService.NonExistentQueue",
        format!("the queue {name} does not exist"),
    )
}

impl Sqs {
    /// Creates a queue, or replaces its attributes.
    pub fn create(&mut self, name: &str, attributes: Attributes) {
        match self.queues.get_mut(name) {
            Some(queue) => queue.attributes = attributes,
            None => {
                self.queues.insert(name.to_owned(), Queue::new(name, attributes));
            }
        }
    }

    /// The queue of this name.
    pub fn queue(&self, name: &str) -> Option<&Queue> {
        self.queues.get(name)
    }

    /// The queue of this name, to change.
    pub fn queue_mut(&mut self, name: &str) -> Option<&mut Queue> {
        self.queues.get_mut(name)
    }

    /// All queues, by name.
    pub fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.values()
    }

    /// The message move tasks, oldest first.
    pub fn tasks(&self) -> &[MoveTask] {
        &self.tasks
    }

    /// Lets time pass: deletes what has reached its queue's retention and lets the move tasks go on.
    /// Returns what was deleted, with the name of its queue; a caller who wants to see all of it calls
    /// this before every other method.
    pub fn advance(&mut self, now: Timestamp) -> Vec<(String, Message)> {
        let mut expired = Vec::new();
        for (name, queue) in &mut self.queues {
            expired.extend(queue.expire(now).into_iter().map(|message| (name.clone(), message)));
        }
        for index in 0..self.tasks.len() {
            self.go_on(index, now);
        }
        expired
    }

    /// Sends a message and returns its id.
    pub fn send(
        &mut self,
        queue: &str,
        message: impl Into<NewMessage>,
        now: Timestamp,
    ) -> Result<String, ServiceError> {
        self.advance(now);
        let queue = self.queues.get_mut(queue).ok_or_else(|| missing(queue))?;
        let message = message.into();
        check_message(&message)?;
        let id = self.next;
        self.next += 1;
        queue.send(id, message, now);
        Ok(message_id(id))
    }

    /// Receives up to ten messages. What was received too often goes to the dead-letter queue.
    pub fn receive(
        &mut self,
        name: &str,
        request: Receive,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<Vec<Received>, ServiceError> {
        self.advance(now);
        let chances = self.chances;
        let queue = self.queues.get_mut(name).ok_or_else(|| missing(name))?;
        if !(1..=MAX_ENTRIES).contains(&request.number) {
            return Err(ServiceError::new(
                "InvalidParameterValue",
                "MaxNumberOfMessages must be between 1 and 10",
            ));
        }
        if request.visibility.is_some_and(|visibility| visibility > queue::MAX_VISIBILITY) {
            return Err(ServiceError::new(
                "InvalidParameterValue",
                "VisibilityTimeout must be between 0 and 43200",
            ));
        }
        let queue::Taken { received, dead } = queue.receive(request, &chances, now, rng)?;
        let policy = queue.attributes.redrive.clone();
        if let Some(policy) = policy
            && let Some(dead_letters) = self.queues.get_mut(&policy.dead_letter_queue)
        {
            for (id, mut message) in dead {
                if self.dead_letter_receives == DeadLetterReceives::Reset {
                    message.receives = 0;
                    message.first_received = None;
                }
                dead_letters.move_in(id, message, now);
            }
        }
        Ok(received)
    }

    /// Deletes a message; whether the receipt was the latest of a message.
    pub fn delete(
        &mut self,
        queue: &str,
        receipt: &str,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<bool, ServiceError> {
        self.advance(now);
        let chances = self.chances;
        self.queues.get_mut(queue).ok_or_else(|| missing(queue))?.delete(receipt, &chances, rng)
    }

    /// Changes when a message in flight can be received next.
    pub fn change_visibility(
        &mut self,
        queue: &str,
        receipt: &str,
        visibility: Duration,
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        self.advance(now);
        self.queues
            .get_mut(queue)
            .ok_or_else(|| missing(queue))?
            .change_visibility(receipt, visibility, now)
    }

    /// Starts to move the messages of a dead-letter queue. They are sent as new messages.
    pub fn start_move(
        &mut self,
        source: &str,
        destination: Option<&str>,
        per_second: Option<u32>,
        now: Timestamp,
    ) -> Result<String, ServiceError> {
        self.advance(now);
        let not_found =
            || ServiceError::new("ResourceNotFoundException", "the queue does not exist");
        let queue = self.queues.get(source).ok_or_else(not_found)?;
        if destination.is_some_and(|destination| !self.queues.contains_key(destination)) {
            return Err(not_found());
        }
        let mut policies =
            self.queues.values().filter_map(|queue| queue.attributes.redrive.as_ref());
        if !policies.any(|policy| policy.dead_letter_queue == source) {
            return Err(ServiceError::new(
                "AWS.SimpleQueueService.UnsupportedOperation",
                "Source queue must be configured as a Dead Letter Queue.",
            ));
        }
        if self.tasks.iter().any(|task| task.source == source && !task.completed) {
            return Err(ServiceError::new(
                "AWS.SimpleQueueService.UnsupportedOperation",
                "There is already a task running. Only one active task is allowed for a source queue",
            ));
        }
        let handle = format!("task-{}", self.next);
        self.next += 1;
        let task = MoveTask {
            handle: handle.clone(),
            source: source.to_owned(),
            destination: destination.map(str::to_owned),
            per_second,
            started_at: now,
            to_move: queue.len(),
            moved: 0,
            completed: false,
        };
        if self.tasks.len() == KEPT_TASKS {
            self.tasks.remove(0);
        }
        self.tasks.push(task);
        self.go_on(self.tasks.len() - 1, now);
        Ok(handle)
    }

    fn go_on(&mut self, index: usize, now: Timestamp) {
        let Some(task) = self.tasks.get_mut(index).filter(|task| !task.completed) else {
            return;
        };
        let passed = between(task.started_at, now).as_secs() + 1;
        let allowed = task.per_second.map_or(usize::MAX, |per_second| {
            usize::try_from(passed.saturating_mul(u64::from(per_second))).unwrap_or(usize::MAX)
        });
        while task.moved < task.to_move.min(allowed) {
            let Some(source) = self.queues.get_mut(&task.source) else { return };
            let Some((old, message)) = source.move_out_visible(now) else { break };
            let to = task.destination.as_ref().unwrap_or(&message.source);
            if let Some(queue) = self.queues.get_mut(to) {
                let Message { body, group, .. } = message;
                queue.send(self.next, NewMessage { body, delay: Some(Duration::ZERO), group }, now);
                self.next += 1;
            } else if let Some(source) = self.queues.get_mut(&task.source) {
                source.move_in(old, message, now);
                break;
            }
            task.moved += 1;
        }
        let empty = self.queues.get(&task.source).is_none_or(Queue::is_empty);
        task.completed = task.moved >= task.to_move || empty;
    }
}

fn check_message(message: &NewMessage) -> Result<(), ServiceError> {
    let NewMessage { body, delay, group } = message;
    let invalid = |message: &str| Err(ServiceError::new("InvalidParameterValue", message));
    if body.is_empty() {
        return invalid("the message must not be empty");
    }
    if body.len() > MAX_MESSAGE {
        return invalid("the message is longer than 1048576 bytes");
    }
    if delay.is_some_and(|delay| delay > MAX_DELAY) {
        return invalid("DelaySeconds must be between 0 and 900");
    }
    let in_group = |byte: u8| byte.is_ascii_alphanumeric() || byte.is_ascii_punctuation();
    let wrong =
        |group: &String| !(1..=MAX_GROUP).contains(&group.len()) || !group.bytes().all(in_group);
    if group.as_ref().is_some_and(wrong) {
        return invalid("MessageGroupId must be 1 to 128 letters, digits and punctuation marks");
    }
    let allowed = |character: char| {
        matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}')
            || character >= '\u{10000}'
    };
    if !body.chars().all(allowed) {
        return Err(ServiceError::new(
            "InvalidMessageContents",
            "the message contains characters outside the allowed set",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
