//! What invokes the function, and what it answers: a batch of the retry queue's event source mapping,
//! and its partial-batch response.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsMessage;
use jiff::Timestamp;

/// A message as it came from the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received<'a> {
    pub(crate) id: &'a str,
    pub(crate) receipt: &'a str,
    pub(crate) body: &'a str,
    /// How often it was received, this time included.
    pub(crate) receives: u32,
    /// When it was sent. Redriving a message resets it.
    sent: Option<u64>,
}

impl<'a> Received<'a> {
    /// Reads a message of the batch. What SQS did not say is absent, and never fails the message.
    pub(crate) fn read(message: &'a SqsMessage) -> Self {
        let number = |name: &str| message.attributes.get(name)?.parse::<u64>().ok();
        let receives = number("ApproximateReceiveCount").and_then(|count| count.try_into().ok());
        Self {
            id: message.message_id.as_deref().unwrap_or_default(),
            receipt: message.receipt_handle.as_deref().unwrap_or_default(),
            body: message.body.as_deref().unwrap_or_default(),
            receives: receives.unwrap_or(1),
            sent: number("SentTimestamp"),
        }
    }

    /// Whether it was sent longer ago than this.
    pub(crate) fn is_older_than(&self, limit: Duration, now: Timestamp) -> bool {
        let now = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let age = self.sent.map_or(0, |sent| now.saturating_sub(sent));
        Duration::from_millis(age) > limit
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_has_its_receives_and_its_age() {
        let message: SqsMessage = serde_json::from_value(json!({
            "messageId": "m", "receiptHandle": "r", "body": "b",
            "attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "4000"},
        }))
        .unwrap();
        let received = Received::read(&message);
        assert_eq!((received.id, received.receipt, received.body), ("m", "r", "b"));
        assert_eq!(received.receives, 3);
        let now = Timestamp::from_millisecond(10_000).unwrap();
        assert!(received.is_older_than(Duration::from_millis(5_999), now));
        assert!(!received.is_older_than(Duration::from_secs(6), now), "exactly as old");
        assert!(!received.is_older_than(Duration::ZERO, Timestamp::UNIX_EPOCH), "sent later");
    }

    #[test]
    fn a_message_without_attributes_is_new() {
        let message = SqsMessage::default();
        let received = Received::read(&message);
        assert_eq!(received.receives, 1);
        assert!(!received.is_older_than(Duration::ZERO, Timestamp::MAX));
    }
}
