//! One standard queue.
//!
//! Invariant: a message leaves a queue in one of three ways: it is deleted, it expires, or it is moved
//! to another queue. [`Totals`] counts them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;

use super::Chances;
use super::fair::Tenants;
use super::message::{Message, NewMessage, Receive, Received};
use crate::aws::ServiceError;
use crate::time::{after, between};

/// Messages in flight per standard queue, about.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub const MAX_IN_FLIGHT: usize = 120_000;

/// Longest visibility timeout, counted from the receive.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
pub const MAX_VISIBILITY: Duration = Duration::from_hours(12);

/// A message received this often without being deleted no longer counts for the age of the queue.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html>
pub const RECEIVES_WITHOUT_AGE: u32 = 3;

/// What the ids of all messages begin with.
const ID_PREFIX: &str = "00000000-0000-4000-8000-";

/// Attributes of a queue.
#[derive(Debug, Clone)]
pub struct Attributes {
    /// `DelaySeconds` of messages that name none.
    pub delay: Duration,
    /// `VisibilityTimeout` of receives that name none.
    pub visibility: Duration,
    /// `MessageRetentionPeriod`: 60 seconds to 14 days from the first send.
    pub retention: Duration,
    /// `RedrivePolicy`.
    pub redrive: Option<RedrivePolicy>,
    /// Messages in flight, at most. AWS has [`MAX_IN_FLIGHT`]; a test may want fewer.
    pub max_in_flight: usize,
}

impl Default for Attributes {
    /// As `CreateQueue` without attributes.
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            visibility: Duration::from_secs(30),
            retention: Duration::from_hours(4 * 24),
            redrive: None,
            max_in_flight: MAX_IN_FLIGHT,
        }
    }
}

/// Where messages go that were received too often.
#[derive(Debug, Clone)]
pub struct RedrivePolicy {
    /// Name of the dead-letter queue.
    pub dead_letter_queue: String,
    /// `maxReceiveCount`, 1 to 1,000: the receive after this many moves the message.
    pub max_receives: u32,
}

/// What a receive takes.
#[derive(Debug)]
pub(super) struct Taken {
    /// For the consumer.
    pub(super) received: Vec<Received>,
    /// For the dead-letter queue.
    pub(super) dead: Vec<(u64, Message)>,
}

/// What became of all messages of a queue so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sent to this queue.
    pub sent: u64,
    /// Moved here from another queue.
    pub moved_in: u64,
    /// Deleted.
    pub deleted: u64,
    /// Deleted by SQS at the end of the retention.
    pub expired: u64,
    /// Moved to another queue.
    pub moved_out: u64,
}

/// The three metrics whose sum is what waits.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// `ApproximateNumberOfMessagesVisible`.
    pub visible: usize,
    /// `ApproximateNumberOfMessagesNotVisible`: in flight.
    pub not_visible: usize,
    /// `ApproximateNumberOfMessagesDelayed`: never received yet.
    pub delayed: usize,
}

/// A queue.
#[derive(Debug, Clone)]
pub struct Queue {
    /// Name.
    pub name: String,
    /// Attributes.
    pub attributes: Attributes,
    messages: BTreeMap<u64, Message>,
    /// Every message by when it can be received next.
    by_visibility: BTreeSet<(Timestamp, u64)>,
    /// Every message by when it was sent.
    by_age: BTreeSet<(Timestamp, u64)>,
    tenants: Tenants,
    totals: Totals,
}

impl Queue {
    pub(super) fn new(name: &str, attributes: Attributes) -> Self {
        Self {
            name: name.to_owned(),
            attributes,
            messages: BTreeMap::new(),
            by_visibility: BTreeSet::new(),
            by_age: BTreeSet::new(),
            tenants: Tenants::default(),
            totals: Totals::default(),
        }
    }

    /// How many messages there are, visible or not.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is no message, visible or not.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The messages with their ids, in the order of the ids.
    pub fn messages(&self) -> impl Iterator<Item = (String, &Message)> {
        self.messages.iter().map(|(id, message)| (message_id(*id), message))
    }

    /// Whether there is a message of this id.
    pub fn holds(&self, message: &str) -> bool {
        number(message).is_some_and(|id| self.messages.contains_key(&id))
    }

    /// What became of all messages so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The three metrics.
    pub fn counts(&self, now: Timestamp) -> Counts {
        let mut counts = Counts { visible: self.messages.len(), ..Counts::default() };
        for message in self.invisible(now) {
            counts.visible -= 1;
            if message.receives_here > 0 {
                counts.not_visible += 1;
            } else {
                counts.delayed += 1;
            }
        }
        counts
    }

    /// `ApproximateAgeOfOldestMessage`, without what was received three times or more. In a dead-letter
    /// queue the age counts from the move.
    pub fn age_of_oldest(&self, now: Timestamp) -> Duration {
        let counted =
            self.messages.values().filter(|message| message.receives_here < RECEIVES_WITHOUT_AGE);
        counted.map(|message| between(message.entered_at, now)).max().unwrap_or_default()
    }

    /// When the next message can be received; the time may be past.
    pub fn next_visible_at(&self) -> Option<Timestamp> {
        self.by_visibility.first().map(|(at, _)| *at)
    }

    fn invisible(&self, now: Timestamp) -> impl Iterator<Item = &Message> {
        self.by_visibility
            .iter()
            .rev()
            .take_while(move |(at, _)| *at > now)
            .filter_map(|(_, id)| self.messages.get(id))
    }

    /// How many more messages can be in flight.
    fn room_in_flight(&mut self, now: Timestamp) -> usize {
        self.attributes.max_in_flight.saturating_sub(self.tenants.in_flight(now))
    }

    pub(super) fn send(&mut self, id: u64, new: NewMessage, now: Timestamp) {
        let delay = new.delay.unwrap_or(self.attributes.delay);
        let message = Message {
            body: new.body,
            group: new.group,
            sent_at: now,
            entered_at: now,
            visible_at: after(now, delay),
            receives: 0,
            receives_here: 0,
            first_received: None,
            last_received: None,
            source: self.name.clone(),
            receipt: 0,
            deletion_forgotten: false,
        };
        self.totals.sent += 1;
        self.insert(id, message, now);
    }

    /// Takes a message from another queue: visible at once, its age unchanged.
    pub(super) fn move_in(&mut self, id: u64, mut message: Message, now: Timestamp) {
        message.entered_at = now;
        message.visible_at = now;
        message.receives_here = 0;
        message.last_received = None;
        self.totals.moved_in += 1;
        self.insert(id, message, now);
    }

    /// Takes out the oldest visible message, for a move to another queue.
    pub(super) fn move_out_visible(&mut self, now: Timestamp) -> Option<(u64, Message)> {
        let (_, id) = *self.by_visibility.first().filter(|(at, _)| *at <= now)?;
        self.move_out(id)
    }

    fn move_out(&mut self, id: u64) -> Option<(u64, Message)> {
        let message = self.remove(id)?;
        self.totals.moved_out += 1;
        Some((id, message))
    }

    /// Deletes what is older than the retention, and returns it.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<Message> {
        let mut expired = Vec::new();
        while let Some((sent_at, id)) = self.by_age.first().copied()
            && between(sent_at, now) >= self.attributes.retention
        {
            expired.extend(self.remove(id));
            self.totals.expired += 1;
        }
        expired
    }

    /// Takes visible messages, and those that go to the dead-letter queue instead.
    pub(super) fn receive(
        &mut self,
        request: Receive,
        chances: &Chances,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<Taken, ServiceError> {
        let room = self.room_in_flight(now);
        if room == 0 && !request.long_poll {
            return Err(ServiceError::new(
                "OverLimit",
                "too many messages are in flight: delete some first",
            ));
        }
        let number = request.number.min(room);
        let most = self.attributes.redrive.as_ref().map_or(u32::MAX, |policy| policy.max_receives);
        let mut dead = Vec::new();
        let mut visible = Vec::new();
        let shuffled = rng.f64() < chances.disorder;
        let wanted = if shuffled { number.saturating_mul(4) } else { number };
        let fair = self.tenants.order(wanted, now);
        let oldest_first = self.by_visibility.iter().take_while(|(at, _)| *at <= now);
        let order: &mut dyn Iterator<Item = u64> = match &fair {
            Some(order) => &mut order.iter().copied(),
            None => &mut oldest_first.map(|(_, id)| *id),
        };
        for id in order {
            if visible.len() >= wanted {
                break;
            }
            if self.messages.get(&id).is_some_and(|message| message.receives_here >= most) {
                dead.push(id);
            } else if request.long_poll || rng.f64() >= chances.unseen {
                visible.push(id);
            }
        }
        if shuffled {
            rng.shuffle(&mut visible);
        }
        visible.truncate(number);
        if visible.len() < number && rng.f64() < chances.duplicate {
            let in_flight: Vec<u64> = self
                .messages
                .iter()
                .filter(|(_, message)| {
                    message.visible_at > now && (1..most).contains(&message.receives_here)
                })
                .map(|(id, _)| *id)
                .collect();
            visible.extend(rng.choice(in_flight));
        }
        let dead = dead.into_iter().filter_map(|id| self.move_out(id)).collect();
        let until = after(now, request.visibility.unwrap_or(self.attributes.visibility));
        let received = visible.into_iter().filter_map(|id| self.hand_out(id, until, now));
        Ok(Taken { received: received.collect(), dead })
    }

    fn hand_out(&mut self, id: u64, until: Timestamp, now: Timestamp) -> Option<Received> {
        self.make_visible_at(id, until);
        let message = self.messages.get_mut(&id)?;
        message.receives += 1;
        message.receives_here += 1;
        message.receipt += 1;
        message.last_received = Some(now);
        Some(Received {
            id: message_id(id),
            receipt: format!("{id}:{}", message.receipt),
            body: message.body.clone(),
            receives: message.receives,
            sent_at: message.sent_at,
            first_received: *message.first_received.get_or_insert(now),
            group: message.group.clone(),
        })
    }

    /// Deletes a message. A receipt that is not the latest deletes nothing, without an error.
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>
    pub(super) fn delete(
        &mut self,
        receipt: &str,
        chances: &Chances,
        rng: &mut Rng,
    ) -> Result<bool, ServiceError> {
        let Some(id) = self.latest(receipt)? else { return Ok(false) };
        if let Some(message) = self.messages.get_mut(&id)
            && !message.deletion_forgotten
            && rng.f64() < chances.forgotten_delete
        {
            message.deletion_forgotten = true;
            return Ok(true);
        }
        self.remove(id);
        self.totals.deleted += 1;
        Ok(true)
    }

    /// Deletes whatever has this id, as an operator does; returns whether there was one.
    pub fn discard(&mut self, message: &str) -> bool {
        let discarded = number(message).and_then(|id| self.remove(id)).is_some();
        self.totals.deleted += u64::from(discarded);
        discarded
    }

    /// Changes when a message in flight can be received next.
    pub(super) fn change_visibility(
        &mut self,
        receipt: &str,
        visibility: Duration,
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        let id = self.latest(receipt)?;
        let message = id.and_then(|id| self.messages.get(&id));
        let (Some(id), Some(message)) = (id, message.filter(|message| message.visible_at > now))
        else {
            return Err(ServiceError::new("MessageNotInflight", "the message is not in flight"));
        };
        let until = after(now, visibility);
        let received = message.last_received.unwrap_or(now);
        if visibility > MAX_VISIBILITY || between(received, until) > MAX_VISIBILITY {
            return Err(ServiceError::new(
                "InvalidParameterValue",
                "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
            ));
        }
        self.make_visible_at(id, until);
        Ok(())
    }

    /// The message of a receipt, if the receipt is the latest.
    fn latest(&self, receipt: &str) -> Result<Option<u64>, ServiceError> {
        let invalid =
            || ServiceError::new("ReceiptHandleIsInvalid", "the receipt handle is invalid");
        let (id, number) = receipt.split_once(':').ok_or_else(invalid)?;
        let id = id.parse::<u64>().map_err(|_| invalid())?;
        let number = number.parse::<u32>().map_err(|_| invalid())?;
        let latest = self.messages.get(&id).is_some_and(|message| message.receipt == number);
        Ok(latest.then_some(id))
    }

    fn insert(&mut self, id: u64, message: Message, now: Timestamp) {
        self.tenants.enter(message.group.as_ref(), message.visible_at, id, now);
        self.by_visibility.insert((message.visible_at, id));
        self.by_age.insert((message.sent_at, id));
        self.messages.insert(id, message);
    }

    fn remove(&mut self, id: u64) -> Option<Message> {
        let message = self.messages.remove(&id)?;
        self.by_visibility.remove(&(message.visible_at, id));
        self.by_age.remove(&(message.sent_at, id));
        self.tenants.leave(message.group.as_ref(), message.visible_at, id);
        Some(message)
    }

    fn make_visible_at(&mut self, id: u64, at: Timestamp) {
        if let Some(message) = self.messages.get_mut(&id) {
            self.by_visibility.remove(&(message.visible_at, id));
            self.tenants.reappear(message.group.as_ref(), (message.visible_at, at), id);
            message.visible_at = at;
            self.by_visibility.insert((at, id));
        }
    }
}

/// An id in the form that SQS gives them.
pub(super) fn message_id(number: u64) -> String {
    format!("{ID_PREFIX}{number:012x}")
}

/// The number in an id.
fn number(text: &str) -> Option<u64> {
    let digits = text.strip_prefix(ID_PREFIX)?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (message_id(number) == text).then_some(number)
}
