//! SQS queues: visibility, receive counts, redrive policy. Kept in memory.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/welcome.html>

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Largest message, and largest batch of them.
pub(crate) const MAX_MESSAGE: usize = 1_048_576;

/// A poller looks again after this, for messages whose visibility has run out.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A queue.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) name: &'static str,
    messages: Mutex<Messages>,
    sent: Notify,
    /// Where messages go that were received too often.
    redrive: Option<(Arc<Self>, u32)>,
}

#[derive(Debug, Default)]
struct Messages {
    next: u64,
    by_id: BTreeMap<u64, Message>,
}

#[derive(Debug, Clone)]
struct Message {
    body: String,
    sent_at: Timestamp,
    visible_at: Instant,
    receives: u32,
    first_received: Option<Timestamp>,
}

/// A message as a consumer gets it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) id: String,
    pub(crate) receipt: String,
    pub(crate) body: String,
    pub(crate) md5: String,
    pub(crate) attributes: Value,
}

impl Queue {
    /// A queue; after this many receives a message goes to the other one.
    pub(crate) fn new(name: &'static str, redrive: Option<(Arc<Self>, u32)>) -> Arc<Self> {
        Arc::new(Self { name, messages: Mutex::default(), sent: Notify::new(), redrive })
    }

    /// Puts a message on the queue; returns its id.
    pub(crate) fn send(&self, body: String, delay: Duration) -> String {
        let mut messages = self.lock();
        let id = messages.next;
        messages.next += 1;
        let message = Message {
            body,
            sent_at: Timestamp::now(),
            visible_at: Instant::now() + delay,
            receives: 0,
            first_received: None,
        };
        messages.by_id.insert(id, message);
        drop(messages);
        self.sent.notify_one();
        self.id(id)
    }

    /// Takes visible messages; they stay invisible for this long.
    pub(crate) fn receive(&self, number: usize, visibility: Duration) -> Vec<Received> {
        let now = Instant::now();
        let mut messages = self.lock();
        let mut received = Vec::new();
        let mut dead = Vec::new();
        for (id, message) in &mut messages.by_id {
            if message.visible_at > now {
                continue;
            }
            if self.redrive.as_ref().is_some_and(|(_, most)| message.receives >= *most) {
                dead.push(*id);
                continue;
            }
            if received.len() == number {
                break;
            }
            message.receives += 1;
            message.visible_at = now + visibility;
            let first = *message.first_received.get_or_insert_with(Timestamp::now);
            received.push(Received {
                id: self.id(*id),
                receipt: format!("{id}:{}", message.receives),
                md5: md5(&message.body),
                body: message.body.clone(),
                attributes: json!({
                    "ApproximateReceiveCount": message.receives.to_string(),
                    "SentTimestamp": message.sent_at.as_millisecond().to_string(),
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": first.as_millisecond().to_string(),
                }),
            });
        }
        let dead: Vec<Message> = dead.iter().filter_map(|id| messages.by_id.remove(id)).collect();
        drop(messages);
        if let Some((queue, _)) = &self.redrive {
            for message in dead {
                queue.send(message.body, Duration::ZERO);
            }
        }
        received
    }

    /// Waits until there may be something to receive.
    pub(crate) async fn wait(&self) {
        tokio::time::timeout(LOOK_AGAIN, self.sent.notified()).await.ok();
    }

    /// Deletes a message; a receipt that is no longer the latest deletes nothing.
    pub(crate) fn delete(&self, receipt: &str) -> bool {
        self.with(receipt, |messages, id| messages.by_id.remove(&id).is_some())
    }

    /// Lets a message become visible after this long.
    pub(crate) fn change_visibility(&self, receipt: &str, visibility: Duration) {
        self.with(receipt, |messages, id| {
            if let Some(message) = messages.by_id.get_mut(&id) {
                message.visible_at = Instant::now() + visibility;
            }
            true
        });
        self.sent.notify_one();
    }

    fn with(&self, receipt: &str, act: impl FnOnce(&mut Messages, u64) -> bool) -> bool {
        let Some((id, receives)) = receipt.split_once(':') else {
            return false;
        };
        let (Ok(id), Ok(receives)) = (id.parse(), receives.parse::<u32>()) else {
            return false;
        };
        let mut messages = self.lock();
        let latest = messages.by_id.get(&id).is_some_and(|message| message.receives == receives);
        latest && act(&mut messages, id)
    }

    /// Moves everything to another queue, as SQS's own redrive does; returns how many.
    pub(crate) fn redrive_to(&self, other: &Self) -> usize {
        let messages = std::mem::take(&mut self.lock().by_id);
        let number = messages.len();
        for (_, message) in messages {
            other.send(message.body, Duration::ZERO);
        }
        number
    }

    /// How many messages there are, visible or not.
    pub(crate) fn len(&self) -> usize {
        self.lock().by_id.len()
    }

    /// For `/_sandbox/queues`.
    pub(crate) fn list(&self) -> Value {
        let now = Instant::now();
        let messages = self.lock();
        let list = messages.by_id.iter().map(|(id, message)| {
            let left = message.visible_at.saturating_duration_since(now);
            json!({
                "message_id": self.id(*id),
                "body": serde_json::from_str(&message.body).unwrap_or_else(|_| Value::from(message.body.clone())),
                "receive_count": message.receives,
                "sent_at": format!("{:.3}", message.sent_at),
                "visible_in_ms": u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            })
        });
        Value::Array(list.collect())
    }

    fn id(&self, id: u64) -> String {
        format!("{}-{id:08}", self.name)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// As SQS tells it; the SDK compares.
pub(crate) fn md5(body: &str) -> String {
    Md5::digest(body.as_bytes()).iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn a_message_is_invisible_until_its_time_and_gone_once_deleted() {
        let queue = Queue::new("retry", None);
        queue.send("a".into(), MINUTE);
        assert!(queue.receive(10, MINUTE).is_empty());
        tokio::time::advance(MINUTE).await;
        let first = queue.receive(10, MINUTE).remove(0);
        assert!(queue.receive(10, MINUTE).is_empty());
        queue.change_visibility(&first.receipt, Duration::ZERO);
        let second = queue.receive(10, MINUTE).remove(0);
        assert_eq!(second.attributes["ApproximateReceiveCount"], "2");
        assert!(!queue.delete(&first.receipt), "an old receipt");
        assert!(queue.delete(&second.receipt));
        assert_eq!(queue.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_received_too_often_is_dead_until_it_is_redriven() {
        let dead = Queue::new("dead", None);
        let queue = Queue::new("retry", Some((Arc::clone(&dead), 2)));
        queue.send("a".into(), Duration::ZERO);
        for _ in 0..2 {
            assert_eq!(queue.receive(10, Duration::ZERO).len(), 1);
        }
        assert_eq!((queue.receive(10, MINUTE).len(), queue.len(), dead.len()), (0, 0, 1));
        assert_eq!(dead.redrive_to(&queue), 1);
        assert_eq!(queue.receive(10, MINUTE).len(), 1);
    }
}
