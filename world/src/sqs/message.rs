//! Messages: as they are sent, as a queue holds them, and as a consumer gets them.

use std::time::Duration;

use jiff::Timestamp;

/// A message.
#[derive(Debug, Clone)]
pub struct Message {
    /// Body.
    pub body: String,
    /// When it was sent first. A move to a dead-letter queue does not change it.
    pub sent_at: Timestamp,
    /// When it came to this queue.
    pub entered_at: Timestamp,
    /// When it can be received next.
    pub visible_at: Timestamp,
    /// `ApproximateReceiveCount`.
    pub receives: u32,
    /// Receives in this queue.
    pub receives_here: u32,
    /// When it was received first.
    pub first_received: Option<Timestamp>,
    /// When it was received last.
    pub last_received: Option<Timestamp>,
    /// The queue that it was sent to first.
    pub source: String,
    /// `MessageGroupId`: the tenant of a fair queue.
    pub group: Option<String>,
    /// Counts receipts: only the latest is valid.
    pub(super) receipt: u32,
    /// A deletion was acknowledged and not done.
    pub(super) deletion_forgotten: bool,
}

/// A message that is sent.
#[derive(Debug, Clone, Default)]
pub struct NewMessage {
    /// `MessageBody`.
    pub body: String,
    /// `DelaySeconds`; without it the queue's.
    pub delay: Option<Duration>,
    /// `MessageGroupId`.
    pub group: Option<String>,
}

impl<T: Into<String>> From<T> for NewMessage {
    fn from(body: T) -> Self {
        Self { body: body.into(), ..Self::default() }
    }
}

/// A message as a consumer gets it.
#[derive(Debug, Clone)]
pub struct Received {
    /// `MessageId`.
    pub id: String,
    /// `ReceiptHandle`.
    pub receipt: String,
    /// `Body`.
    pub body: String,
    /// `ApproximateReceiveCount`.
    pub receives: u32,
    /// `SentTimestamp`.
    pub sent_at: Timestamp,
    /// `ApproximateFirstReceiveTimestamp`.
    pub first_received: Timestamp,
    /// `MessageGroupId`.
    pub group: Option<String>,
}

/// What a receive asks for.
#[derive(Debug, Clone, Copy)]
pub struct Receive {
    /// `MaxNumberOfMessages`.
    pub number: usize,
    /// `VisibilityTimeout`; without it the queue's.
    pub visibility: Option<Duration>,
    /// `WaitTimeSeconds` is above zero. The waiting is the caller's.
    pub long_poll: bool,
}
