//! The SQS queues: `retry` for what could not be delivered yet, `rejects` for what never can be, `dead` for
//! what reached its age limit.
//!
//! Invariants: the caller learns for each item whether it is on its queue; an entry that SQS did not take is
//! sent again while there is time; a message holds no key, and is encrypted by the queue. The client is
//! made on first use, so that start-up does not pay for it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures::StreamExt;
use futures::future::join_all;
use mapping::Cause;
use tokio::sync::OnceCell;

use crate::aws::{NO_ANSWER, trouble};
use crate::clock::{Clock, Instant};
use crate::message::{self, Message};
use crate::settings::Settings;
use crate::upstream::one_line;

/// Entries of one `SendMessageBatch`.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
const MAX_ENTRIES: usize = 10;

/// Requests to SQS at the same time.
const CONCURRENCY: usize = 16;

/// Longest `DelaySeconds` of SQS.
const MAX_DELAY: Duration = Duration::from_mins(15);

/// Why something is not on a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// Larger than a message may be, even compressed.
    #[error("the item is larger than an SQS message may be")]
    TooLarge,
    /// SQS refused it, cannot be reached, or the time was up.
    #[error("SQS did not take the item")]
    NotTaken,
}

impl From<QueueError> for Cause {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::TooLarge => Self::TooLargeForQueue,
            QueueError::NotTaken => Self::QueueUnavailable,
        }
    }
}

/// First wait before what SQS did not take is sent again; it doubles, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_millis(400);

/// How often a batch is sent: for one and a half to three seconds. An SQS that is down for longer is left to whoever
/// resends the whole. So often, since SQS may refuse single entries again and again while it takes others.
const ATTEMPTS: u32 = 10;

/// A message on its way to a queue.
#[derive(Debug, Clone)]
struct Entry {
    /// Its place among the messages.
    index: usize,
    body: String,
    delay: Duration,
    application: Option<String>,
    /// Whether the application is the `MessageGroupId`: SQS hands out what other applications have waiting before the backlog of one.
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html>
    is_grouped: bool,
}

/// Access to the queues.
pub struct Queues {
    config: SdkConfig,
    client: OnceCell<Client>,
    clock: Clock,
    urls: [String; 3],
}

impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queues").field("urls", &self.urls).finish_non_exhaustive()
    }
}

impl Queues {
    /// Queues as the settings name them.
    pub fn from_settings(config: &SdkConfig, settings: &Settings, clock: Clock) -> Self {
        let Settings { retry_queue_url, rejects_queue_url, dead_queue_url, .. } = settings;
        Self {
            config: config.clone(),
            client: OnceCell::new(),
            clock,
            urls: [retry_queue_url.clone(), rejects_queue_url.clone(), dead_queue_url.clone()],
        }
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(async || Client::new(&self.config)).await
    }

    /// Puts messages on their queues until the deadline. The result has one element per message, in
    /// their order.
    pub async fn keep(
        &self,
        messages: &[Message],
        deadline: Instant,
    ) -> Vec<Result<(), QueueError>> {
        let mut results = Vec::with_capacity(messages.len());
        let [mut retry, mut rejects, mut dead] = [const { Vec::new() }; 3];
        for (index, message) in messages.iter().enumerate() {
            let (body, delay, application, queue) = match message {
                Message::Park(parked, delay) => {
                    (message::encode(parked), *delay, Some(&parked.application), &mut retry)
                }
                Message::Reject(reject) => {
                    let application = reject.application.as_ref();
                    (message::encode_reject(reject), Duration::ZERO, application, &mut rejects)
                }
                // A redrive keeps the group.
                Message::Bury(parked) => {
                    let application = Some(&parked.application);
                    (message::encode(parked), Duration::ZERO, application, &mut dead)
                }
            };
            let is_grouped = !matches!(message, Message::Reject(_));
            let application = application.cloned();
            results.push(Err(if body.is_some() {
                QueueError::NotTaken
            } else {
                QueueError::TooLarge
            }));
            queue.extend(body.map(|body| Entry { index, body, delay, application, is_grouped }));
        }
        let sent = [retry, rejects, dead].into_iter().zip(&self.urls);
        let sent = sent.map(|(entries, url)| self.send(url, entries, deadline));
        for index in join_all(sent).await.into_iter().flatten() {
            if let Some(result) = results.get_mut(index) {
                *result = Ok(());
            }
        }
        results
    }

    /// Sends entries. Returns the places of those that SQS took.
    async fn send(&self, url: &str, entries: Vec<Entry>, deadline: Instant) -> Vec<usize> {
        let taken: Vec<Vec<usize>> = futures::stream::iter(group(entries))
            .map(|batch| self.send_batch(url, batch, deadline))
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        taken.into_iter().flatten().collect()
    }

    /// Sends one batch, and what is left of it again, until SQS has all of it or the time is up. Returns
    /// the places of the entries that SQS took.
    async fn send_batch(&self, url: &str, mut batch: Vec<Entry>, deadline: Instant) -> Vec<usize> {
        let (mut all, mut wait) = (Vec::with_capacity(batch.len()), FIRST_WAIT);
        for attempt in 1..=ATTEMPTS {
            let taken = self.clock.timeout_at(deadline, self.try_batch(url, &batch)).await;
            let taken = taken.unwrap_or_else(|_| {
                tracing::error!(
                    queue = name_of(url),
                    app.code = applications(&batch),
                    error = NO_ANSWER,
                    "SQS gave no answer in time"
                );
                Vec::new()
            });
            batch.retain(|entry| !taken.contains(&entry.index));
            all.extend(taken);
            let last = attempt == ATTEMPTS || self.clock.now() + wait >= deadline;
            if batch.is_empty() || last {
                break;
            }
            self.clock.sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        all
    }

    /// Sends one batch once. Returns the places of the entries that SQS took.
    async fn try_batch(&self, url: &str, batch: &[Entry]) -> Vec<usize> {
        let entries = batch.iter().map(|entry| {
            let Entry { index, body, delay, application, is_grouped } = entry;
            let delay = i32::try_from((*delay).min(MAX_DELAY).as_secs()).unwrap_or_default();
            SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(body)
                .delay_seconds(delay)
                .set_message_group_id(application.clone().filter(|_| *is_grouped))
                .build()
        });
        let Ok(entries) = entries.collect::<Result<Vec<_>, _>>() else {
            return Vec::new();
        };
        let request = self.client().await.send_message_batch().queue_url(url);
        match request.set_entries(Some(entries)).send().await {
            Ok(answer) => {
                if let Some(failed) = answer.failed().first() {
                    tracing::warn!(
                        queue = name_of(url),
                        app.code = applications(batch),
                        error = one_line(&format!(
                            "{}: {}",
                            failed.code(),
                            failed.message().unwrap_or_default()
                        )),
                        number = answer.failed().len(),
                        "SQS did not take some entries of a batch; they are sent again"
                    );
                }
                answer.successful().iter().filter_map(|entry| entry.id().parse().ok()).collect()
            }
            Err(error) => {
                tracing::error!(
                    queue = name_of(url),
                    app.code = applications(batch),
                    error = trouble(&error, "sqs:SendMessage"),
                    "SQS did not take a batch; it is sent again while there is time"
                );
                Vec::new()
            }
        }
    }
}

/// A queue's name, the last part of its URL.
fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

/// Whose messages a batch has.
fn applications(batch: &[Entry]) -> String {
    let codes: BTreeSet<&str> =
        batch.iter().filter_map(|entry| entry.application.as_deref()).collect();
    codes.into_iter().collect::<Vec<_>>().join(", ")
}

/// Cuts entries into batches that SQS takes: at most ten, together no larger than one may be.
fn group(entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut size = 0;
    for entry in entries {
        if batch.len() == MAX_ENTRIES
            || (!batch.is_empty() && size + entry.body.len() > message::MAX_BYTES)
        {
            batches.push(std::mem::take(&mut batch));
            size = 0;
        }
        size += entry.body.len();
        batch.push(entry);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use mapping::{Item, ItemKind, Origin, Parked, Reason, Work};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::message::Reject;
    use crate::testing::{Logs, Reply, World};

    fn entry(index: usize, size: usize) -> Entry {
        Entry {
            index,
            body: "x".repeat(size),
            delay: Duration::ZERO,
            application: None,
            is_grouped: false,
        }
    }

    proptest! {
        #[test]
        fn batches_lose_nothing_and_keep_the_limits(sizes in proptest::collection::vec(1..message::MAX_BYTES, 0..60)) {
            let batches = group(sizes.iter().enumerate().map(|(index, size)| entry(index, *size)).collect());
            let indexes: Vec<usize> = batches.iter().flatten().map(|entry| entry.index).collect();
            prop_assert_eq!(indexes, (0..sizes.len()).collect::<Vec<_>>());
            for batch in batches {
                prop_assert!((1..=MAX_ENTRIES).contains(&batch.len()));
                prop_assert!(batch.iter().map(|entry| entry.body.len()).sum::<usize>() <= message::MAX_BYTES);
            }
        }
    }

    #[test]
    fn a_batch_is_full_at_its_limits_and_not_before() {
        let sizes = |sizes: &[usize]| {
            let batches = group(sizes.iter().map(|size| entry(0, *size)).collect());
            batches.iter().map(Vec::len).collect::<Vec<_>>()
        };
        let half = message::MAX_BYTES / 2;
        assert_eq!(sizes(&[half, half]), [2]);
        assert_eq!(sizes(&[half, half + 1]), [1, 1]);
        assert_eq!(sizes(&[1; 11]), [10, 1]);
        assert_eq!(sizes(&[message::MAX_BYTES + 1, 1]), [1, 1]);
        assert_eq!(sizes(&[]), [0; 0]);
    }

    fn parked(text: &str, delay: Duration) -> Message {
        let call = serde_json::value::to_raw_value(text).unwrap();
        let work = Work::Segment(vec![call]);
        Message::Park(Parked::new("A", work, Cause::Timeout, Timestamp::UNIX_EPOCH), delay)
    }

    fn reject(bytes: &[u8]) -> Message {
        let (kind, origin) = (ItemKind::Event, Origin::Request("r", 0));
        let item = Item { kind, application: Some("A"), origin, bytes };
        Message::Reject(Reject::new(item, Reason::BadField, "m", Timestamp::UNIX_EPOCH))
    }

    async fn keep(world: &World, messages: &[Message]) -> Vec<Result<(), QueueError>> {
        world.platform.queues.keep(messages, world.now() + Duration::from_secs(3)).await
    }

    #[tokio::test(start_paused = true)]
    async fn messages_go_to_their_queues_with_their_delays() {
        let world = World::new(&[]);
        let messages = [
            parked("a", Duration::from_secs(30)),
            reject(b"x"),
            parked("b", Duration::from_hours(1)),
        ];
        assert_eq!(keep(&world, &messages).await, [Ok(()); 3]);
        let sent = world.messages();
        let delays: Vec<_> = sent
            .iter()
            .map(|(queue, entry)| (queue.as_str(), entry["DelaySeconds"].as_u64()))
            .collect();
        assert_eq!(delays, [("retry", Some(30)), ("retry", Some(900)), ("rejects", Some(0))]);
        assert!(sent[2].1["MessageBody"].as_str().unwrap().contains("bad_field"));
        // SQS tells the applications apart.
        let groups: Vec<_> =
            sent.iter().map(|(_, entry)| entry["MessageGroupId"].as_str()).collect();
        assert_eq!(groups, [Some("A"), Some("A"), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_a_batch_takes_goes_in_several() {
        let world = World::new(&[]);
        let messages: Vec<_> = (0..25).map(|n| parked(&n.to_string(), Duration::ZERO)).collect();
        assert_eq!(keep(&world, &messages).await, [Ok(()); 25]);
        assert_eq!(world.aws_calls("SendMessageBatch"), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_sqs_does_not_take_is_not_kept() {
        for reply in [Reply::Status(500, json!({})), Reply::Broken, Reply::Hang] {
            let world = World::new(&[]);
            let (logs, _guard) = Logs::capture();
            world.sqs(reply);
            let before = world.now();
            let results = keep(&world, &[parked("a", Duration::ZERO), reject(b"x")]).await;
            assert_eq!(results, [Err(QueueError::NotTaken); 2]);
            assert!(world.now().since(before) <= Duration::from_secs(3));
            let errors = logs.errors();
            assert!(!errors.is_empty());
            for line in errors {
                let error = line["error"].as_str().unwrap_or_default();
                assert!(
                    error.contains("AWS Health Dashboard") || error.contains("check the network"),
                    "{line}"
                );
                let queue = line["queue"].as_str().unwrap();
                assert!(["retry", "rejects"].contains(&queue), "{line}");
                assert_eq!(line["app.code"], "A", "{line}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_beyond_the_limit_harms_no_other() {
        let world = World::new(&[]);
        let noise: String = std::iter::repeat_with(fastrand::alphanumeric).take(600_000).collect();
        let results = keep(&world, &[parked(&noise, Duration::ZERO), reject(b"x")]).await;
        assert_eq!(results, [Err(QueueError::TooLarge), Ok(())]);
    }

    /// What could not be kept would come again for ever, and stop its partition.
    #[tokio::test(start_paused = true)]
    async fn a_reject_beyond_the_limit_is_kept_cut() {
        let world = World::new(&[]);
        let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(600_000).collect();
        assert_eq!(keep(&world, &[reject(&noise)]).await, [Ok(())]);
        let [(queue, entry)] = world.messages().try_into().unwrap();
        let kept: Reject = message::decode(entry["MessageBody"].as_str().unwrap()).unwrap();
        assert_eq!(queue, "rejects");
        assert_eq!(kept.cut.unwrap().bytes, noise.len());
    }

    /// A request must not be repeated because SQS was busy for a moment.
    #[tokio::test(start_paused = true)]
    async fn an_entry_that_sqs_did_not_take_is_sent_again() {
        let world = World::new(&[]);
        world.sqs_leaves_out(2);
        let messages: Vec<_> = (0..5).map(|n| parked(&n.to_string(), Duration::ZERO)).collect();
        assert_eq!(keep(&world, &messages).await, [Ok(()); 5]);
        assert_eq!((world.messages().len(), world.aws_calls("SendMessageBatch")), (5, 3));
    }

    /// Together the waits are 100, 200 and seven times 400 ms, each between half of it and all of it.
    #[tokio::test(start_paused = true)]
    async fn the_attempts_at_an_entry_take_between_one_and_three_seconds() {
        for seed in 0..20 {
            fastrand::seed(seed);
            let world = World::new(&[]);
            world.sqs_leaves_out(usize::MAX);
            let before = world.now();
            let deadline = before + Duration::from_mins(1);
            let messages = [parked("a", Duration::ZERO)];
            let results = world.platform.queues.keep(&messages, deadline).await;
            assert_eq!(results, [Err(QueueError::NotTaken)]);
            assert_eq!(world.aws_calls("SendMessageBatch"), 10);
            let longest = Duration::from_millis(3_100);
            let taken = world.now().since(before);
            assert!(taken > longest / 2 && taken < longest, "{taken:?}");
        }
    }
}
