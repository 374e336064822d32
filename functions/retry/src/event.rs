//! What invokes the function: a batch of the retry queue's event source mapping.

use aws_lambda_events::event::sqs::SqsMessage;
use jiff::Timestamp;

/// A message as it came from the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received<'a> {
    pub(crate) id: &'a str,
    pub(crate) body: &'a str,
    /// When it was sent. Moving it out of the dead-letter queue sends it anew.
    pub(crate) sent: Option<Timestamp>,
}

impl<'a> Received<'a> {
    /// Reads a message of the batch. What SQS did not say is absent, and never fails the message.
    pub(crate) fn read(message: &'a SqsMessage) -> Self {
        let sent = message.attributes.get("SentTimestamp").and_then(|sent| sent.parse().ok());
        Self {
            id: message.message_id.as_deref().unwrap_or_default(),
            body: message.body.as_deref().unwrap_or_default(),
            sent: sent.and_then(|sent| Timestamp::from_millisecond(sent).ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_read_and_what_it_lacks_is_absent() {
        let message: SqsMessage = serde_json::from_value(json!({
            "messageId": "m", "body": "b", "attributes": {"SentTimestamp": "4000"},
        }))
        .unwrap();
        let sent = Timestamp::from_second(4).ok();
        assert_eq!(Received::read(&message), Received { id: "m", body: "b", sent });
        assert_eq!(Received::read(&SqsMessage::default()).sent, None);
    }
}
