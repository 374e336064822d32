use fastrand::Rng;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};

use super::*;
use crate::aws::Service as _;
use crate::faults::Fault;
use crate::time::after;

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);
const TEN: Receive = Receive { number: 10, visibility: Some(MINUTE), long_poll: true };

fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// The queues of a deployment: retry with its dead letters, at most this many receives.
fn sqs(max_receives: u32) -> Sqs {
    let mut sqs = Sqs::default();
    let fourteen_days = Attributes { retention: 14 * DAY, ..Attributes::default() };
    sqs.create("dead", fourteen_days.clone());
    let redrive = RedrivePolicy { dead_letter_queue: "dead".to_owned(), max_receives };
    sqs.create("retry", Attributes { redrive: Some(redrive), ..fourteen_days });
    sqs
}

fn rng() -> Rng {
    Rng::with_seed(1)
}

fn send(sqs: &mut Sqs, body: &str, now: Timestamp) -> String {
    sqs.send("retry", body, now).unwrap()
}

fn delayed(body: &str, delay: Option<Duration>) -> NewMessage {
    NewMessage { delay, ..body.into() }
}

fn receive(sqs: &mut Sqs, queue: &str, now: Timestamp) -> Vec<Received> {
    sqs.receive(queue, TEN, now, &mut rng()).unwrap()
}

fn call(sqs: &mut Sqs, operation: &str, input: &Value) -> Result<Value, ServiceError> {
    sqs.call(operation, input, None, start(), &mut rng())
}

// Visibility: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>
#[test]
fn a_message_is_invisible_until_its_time_and_gone_once_deleted() {
    let mut sqs = sqs(100);
    sqs.send("retry", delayed("a", Some(MINUTE)), start()).unwrap();
    assert!(receive(&mut sqs, "retry", start()).is_empty());
    let now = after(start(), MINUTE);
    let first = receive(&mut sqs, "retry", now).remove(0);
    assert!(receive(&mut sqs, "retry", now).is_empty());
    sqs.change_visibility("retry", &first.receipt, Duration::ZERO, now).unwrap();
    let second = receive(&mut sqs, "retry", now).remove(0);
    assert_eq!(second.receives, 2);
    // API_DeleteMessage: an old receipt is acknowledged and deletes nothing.
    assert!(!sqs.delete("retry", &first.receipt, now, &mut rng()).unwrap());
    assert_eq!(sqs.queue("retry").unwrap().len(), 1);
    assert!(sqs.delete("retry", &second.receipt, now, &mut rng()).unwrap());
    assert!(sqs.queue("retry").unwrap().is_empty());
}

#[test]
fn a_message_is_found_and_discarded_by_its_id_alone() {
    let mut sqs = sqs(100);
    let id = send(&mut sqs, "a", start());
    let queue = sqs.queue_mut("retry").unwrap();
    for other in ["", "a", "0", "00000000-0000-4000-8000-0", "00000000-0000-4000-8000-000000000001"]
    {
        assert!(!queue.holds(other) && !queue.discard(other), "{other}");
    }
    assert!(queue.holds(&id) && queue.discard(&id));
    assert!(!queue.holds(&id) && !queue.discard(&id));
}

// sqs-dead-letter-queues: "maxReceiveCount".
#[test]
fn the_receive_after_max_receive_count_moves_to_the_dead_letter_queue() {
    let mut sqs = sqs(2);
    let id = send(&mut sqs, "a", start());
    let mut now = start();
    for _ in 0..2 {
        assert_eq!(receive(&mut sqs, "retry", now).len(), 1);
        now = after(now, MINUTE);
    }
    assert!(sqs.queue("dead").unwrap().is_empty(), "the second receive is still delivered");
    assert!(receive(&mut sqs, "retry", now).is_empty());
    let dead = receive(&mut sqs, "dead", now).remove(0);
    assert_eq!((dead.id, dead.sent_at), (id, start()));
}

#[test]
fn the_receive_count_of_a_dead_letter_is_an_option() {
    for (option, receives) in [(DeadLetterReceives::Kept, 2), (DeadLetterReceives::Reset, 1)] {
        let mut sqs = sqs(1);
        sqs.dead_letter_receives = option;
        send(&mut sqs, "a", start());
        receive(&mut sqs, "retry", start());
        let now = after(start(), MINUTE);
        receive(&mut sqs, "retry", now);
        assert_eq!(receive(&mut sqs, "dead", now).remove(0).receives, receives, "{option:?}");
    }
}

// setting-up-dead-letter-queue-retention: "the enqueue timestamp is unchanged".
#[test]
fn nothing_extends_the_retention_of_a_message() {
    let mut sqs = sqs(1);
    send(&mut sqs, "a", start());
    let late = after(start(), 13 * DAY + 1_438 * MINUTE);
    let message = receive(&mut sqs, "retry", late).remove(0);
    sqs.change_visibility("retry", &message.receipt, MINUTE, late).unwrap();
    assert!(receive(&mut sqs, "retry", after(late, MINUTE)).is_empty());
    assert_eq!(sqs.queue("dead").unwrap().len(), 1);
    let expired = sqs.advance(after(start(), 14 * DAY));
    assert_eq!(expired.len(), 1);
    assert_eq!((expired[0].0.as_str(), expired[0].1.body.as_str()), ("dead", "a"));
    assert_eq!(sqs.queue("dead").unwrap().totals().expired, 1);
}

// sqs-configure-dead-letter-queue-redrive: "considered new messages".
#[test]
fn a_redrive_sends_new_messages_with_a_new_time() {
    let mut sqs = sqs(1);
    let old = send(&mut sqs, "a", start());
    receive(&mut sqs, "retry", start());
    let later = after(start(), 13 * DAY);
    receive(&mut sqs, "retry", later);
    sqs.start_move("dead", None, None, later).unwrap();
    assert!(sqs.tasks()[0].completed);
    let new = receive(&mut sqs, "retry", later).remove(0);
    assert_ne!(new.id, old);
    assert_eq!((new.sent_at, new.receives), (later, 1));
    assert!(sqs.advance(after(start(), 15 * DAY)).is_empty(), "its retention starts again");
}

// API_StartMessageMoveTask: MaxNumberOfMessagesPerSecond; only from a dead-letter queue; one at a time.
#[test]
fn a_redrive_with_a_rate_takes_its_time() {
    let mut sqs = sqs(1);
    for number in 0..30 {
        send(&mut sqs, &number.to_string(), start());
    }
    for _ in 0..3 {
        receive(&mut sqs, "retry", start());
    }
    let now = after(start(), MINUTE);
    receive(&mut sqs, "retry", now);
    assert_eq!(sqs.queue("dead").unwrap().len(), 30);
    assert!(sqs.start_move("retry", None, None, now).is_err());
    sqs.start_move("dead", Some("retry"), Some(10), now).unwrap();
    assert_eq!(sqs.queue("retry").unwrap().len(), 10);
    assert!(sqs.start_move("dead", None, None, now).is_err());
    sqs.advance(after(now, Duration::from_secs(2)));
    assert_eq!(sqs.queue("retry").unwrap().len(), 30);
    assert!(sqs.tasks()[0].completed);
}

// quotas-messages: 120,000 in flight; ReceiveMessage: OverLimit with short polling.
#[test]
fn too_many_in_flight_stop_the_queue_and_delayed_ones_do_not_count() {
    let mut sqs = Sqs::default();
    sqs.create("retry", Attributes { max_in_flight: 3, ..Attributes::default() });
    for _ in 0..5 {
        sqs.send("retry", delayed("delayed", Some(MAX_DELAY)), start()).unwrap();
    }
    for _ in 0..4 {
        send(&mut sqs, "a", start());
    }
    let first = receive(&mut sqs, "retry", start());
    assert_eq!(first.len(), 3);
    let counts = Counts { visible: 1, not_visible: 3, delayed: 5 };
    assert_eq!(sqs.queue("retry").unwrap().counts(start()), counts);
    assert!(receive(&mut sqs, "retry", start()).is_empty());
    let short = Receive { long_poll: false, ..TEN };
    let error = sqs.receive("retry", short, start(), &mut rng()).unwrap_err();
    assert_eq!(error.code, "OverLimit");
    sqs.delete("retry", &first[0].receipt, start(), &mut rng()).unwrap();
    assert_eq!(receive(&mut sqs, "retry", start()).len(), 1);
}

// API_SendMessage: DelaySeconds 0 to 900.
#[test]
fn a_delay_is_at_most_fifteen_minutes() {
    let mut sqs = sqs(1);
    let delay = |seconds| Some(Duration::from_secs(seconds));
    assert!(sqs.send("retry", delayed("a", delay(900)), start()).is_ok());
    let error = sqs.send("retry", delayed("a", delay(901)), start()).unwrap_err();
    assert_eq!(error.code, "InvalidParameterValue");
    let batch = json!({"QueueUrl": "http://x/1/retry", "Entries": [
        {"Id": "0", "MessageBody": "a", "DelaySeconds": 901}, {"Id": "1", "MessageBody": "b"}]});
    let answer = call(&mut sqs, "SendMessageBatch", &batch).unwrap();
    assert_eq!(
        (&answer["Failed"][0]["Id"], &answer["Failed"][0]["SenderFault"]),
        (&json!("0"), &json!(true))
    );
    assert_eq!(answer["Successful"][0]["Id"], "1");
}

// API_ChangeMessageVisibility: 12 hours in all from the receive.
#[test]
fn a_message_stays_invisible_for_twelve_hours_from_its_receive_at_most() {
    let mut sqs = sqs(9);
    send(&mut sqs, "a", start());
    let ten_hours = Duration::from_hours(10);
    let request = Receive { visibility: Some(ten_hours), ..TEN };
    let receipt = sqs.receive("retry", request, start(), &mut rng()).unwrap().remove(0).receipt;
    let now = after(start(), Duration::from_hours(9));
    let change = |sqs: &mut Sqs, hours| {
        sqs.change_visibility("retry", &receipt, Duration::from_hours(hours), now)
    };
    assert_eq!(change(&mut sqs, 4).unwrap_err().code, "InvalidParameterValue");
    change(&mut sqs, 3).unwrap();
    let past = after(now, Duration::from_hours(3));
    let late = sqs.change_visibility("retry", &receipt, MINUTE, past).unwrap_err();
    assert_eq!(late.code, "MessageNotInflight");
}

// quotas-messages: 10 entries, 1 MiB for a message and for a batch.
#[test]
fn batches_have_limits() {
    let mut sqs = sqs(1);
    let entries = |number: usize, size: usize| {
        let entry = |id: usize| json!({"Id": id.to_string(), "MessageBody": "x".repeat(size)});
        json!({"QueueUrl": "retry", "Entries": (0..number).map(entry).collect::<Vec<_>>()})
    };
    let mut code = |input| call(&mut sqs, "SendMessageBatch", &input).map_err(|error| error.code);
    assert_eq!(code(entries(0, 1)), Err("AWS.SimpleQueueService.EmptyBatchRequest"));
    assert_eq!(code(entries(11, 1)), Err("AWS.SimpleQueueService.TooManyEntriesInBatchRequest"));
    assert_eq!(
        code(entries(2, MAX_MESSAGE / 2 + 1)),
        Err("AWS.SimpleQueueService.BatchRequestTooLong")
    );
    assert!(code(entries(2, MAX_MESSAGE / 2)).is_ok());
    let same = json!({"QueueUrl": "retry", "Entries": [{"Id": "0", "MessageBody": "a"}, {"Id": "0", "MessageBody": "b"}]});
    assert_eq!(code(same), Err("AWS.SimpleQueueService.BatchEntryIdsNotDistinct"));
    let large = sqs.send("retry", "x".repeat(MAX_MESSAGE + 1), start());
    assert_eq!(large.unwrap_err().code, "InvalidParameterValue");
    let contents = sqs.send("retry", "\u{1}", start());
    assert_eq!(contents.unwrap_err().code, "InvalidMessageContents");
}

// API_SendMessageBatch: "the result of each action is reported individually".
#[test]
fn a_fault_makes_entries_of_a_batch_fail() {
    let mut sqs = sqs(1);
    let entry = |id: usize| json!({"Id": id.to_string(), "MessageBody": id.to_string()});
    let input = json!({"QueueUrl": "retry", "Entries": (0..10).map(entry).collect::<Vec<_>>()});
    let fault = Fault { failed_entries: Some(3), ..Fault::default() };
    let answer = sqs.call("SendMessageBatch", &input, Some(&fault), start(), &mut rng()).unwrap();
    let failed: Vec<&str> = answer["Failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["Id"].as_str().unwrap())
        .collect();
    assert_eq!((failed.len(), answer["Successful"].as_array().unwrap().len()), (3, 7));
    assert_eq!(answer["Failed"][0]["SenderFault"], false);
    let queue = sqs.queue("retry").unwrap();
    assert_eq!(queue.len(), 7);
    assert!(queue.messages().all(|(_, message)| !failed.contains(&message.body.as_str())));
}

// standard-queues-at-least-once-delivery.
#[test]
fn messages_come_twice_and_out_of_order_where_that_is_asked_for() {
    let bodies = |chances: Chances| {
        let mut sqs = sqs(100);
        sqs.chances = chances;
        let mut rng = rng();
        for number in 0..40 {
            send(&mut sqs, &number.to_string(), start());
        }
        let mut bodies = Vec::new();
        let mut now = start();
        for _ in 0..60 {
            for message in sqs.receive("retry", TEN, now, &mut rng).unwrap() {
                bodies.push(message.body.parse::<u32>().unwrap());
                sqs.delete("retry", &message.receipt, now, &mut rng).unwrap();
            }
            now = after(now, MINUTE);
        }
        assert!(sqs.queue("retry").unwrap().is_empty());
        bodies
    };
    let sent: Vec<u32> = (0..40).collect();
    assert_eq!(bodies(Chances::default()), sent);
    let unordered = bodies(Chances { disorder: 1.0, ..Chances::default() });
    assert_ne!(unordered, sent);
    let mut sorted = unordered;
    sorted.sort_unstable();
    assert_eq!(sorted, sent);
    let twice = bodies(Chances { forgotten_delete: 0.5, ..Chances::default() });
    assert!(twice.len() > 50, "{}", twice.len());
}

#[test]
fn a_message_in_flight_is_received_by_a_second_consumer_where_that_is_asked_for() {
    let mut sqs = sqs(100);
    sqs.chances.duplicate = 1.0;
    send(&mut sqs, "a", start());
    let first = receive(&mut sqs, "retry", start()).remove(0);
    let second = receive(&mut sqs, "retry", start()).remove(0);
    assert_eq!((first.id, second.receives), (second.id, 2));
}

#[test]
fn a_short_poll_can_miss_messages_and_a_long_one_does_not() {
    let mut sqs = sqs(100);
    sqs.chances.unseen = 1.0;
    send(&mut sqs, "a", start());
    let short = Receive { long_poll: false, ..TEN };
    assert!(sqs.receive("retry", short, start(), &mut rng()).unwrap().is_empty());
    assert_eq!(receive(&mut sqs, "retry", start()).len(), 1);
}

// sqs-available-cloudwatch-metrics: ApproximateAgeOfOldestMessage.
#[test]
fn the_age_of_a_queue_leaves_out_what_was_received_three_times() {
    let mut sqs = sqs(100);
    send(&mut sqs, "old", start());
    let mut now = start();
    for _ in 0..3 {
        assert_eq!(sqs.queue("retry").unwrap().age_of_oldest(now), between(start(), now));
        receive(&mut sqs, "retry", now);
        now = after(now, MINUTE);
    }
    assert_eq!(sqs.queue("retry").unwrap().age_of_oldest(now), Duration::ZERO);
    send(&mut sqs, "new", now);
    let later = after(now, MINUTE);
    assert_eq!(sqs.queue("retry").unwrap().age_of_oldest(later), MINUTE);
}

// sqs-available-cloudwatch-metrics: "For dead-letter queues, … the longest time that a message has been
// in the queue".
#[test]
fn the_age_of_a_dead_letter_queue_counts_from_the_move() {
    let mut sqs = sqs(1);
    send(&mut sqs, "a", start());
    receive(&mut sqs, "retry", start());
    let moved = after(start(), DAY);
    receive(&mut sqs, "retry", moved);
    assert_eq!(sqs.queue("dead").unwrap().age_of_oldest(after(moved, MINUTE)), MINUTE);
}

#[test]
fn the_attributes_are_those_of_the_queue() {
    let mut sqs = sqs(7);
    send(&mut sqs, "a", start());
    let answer = call(&mut sqs, "GetQueueAttributes", &json!({"QueueUrl": "retry"})).unwrap();
    let attributes = &answer["Attributes"];
    assert_eq!(attributes["ApproximateNumberOfMessages"], "1");
    assert_eq!(attributes["MessageRetentionPeriod"], "1209600");
    assert_eq!(
        attributes["RedrivePolicy"],
        r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-central-1:123456789012:dead","maxReceiveCount":7}"#
    );
    let unknown = call(&mut sqs, "GetQueueAttributes", &json!({"QueueUrl": "none"})).unwrap_err();
    assert_eq!(unknown.code, "AWS.SimpleQueueService.NonExistentQueue");
}

#[derive(Debug, Clone)]
enum Step {
    Send { delay: u64 },
    Receive { queue: usize, number: usize, visibility: u64 },
    Delete { receipt: usize },
    Change { receipt: usize, visibility: u64 },
    Redrive { rate: Option<u32> },
    Wait { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..1_000_u64).prop_map(|delay| Step::Send { delay }),
        6 => (0..2_usize, 1..12_usize, 0..4_000_u64)
            .prop_map(|(queue, number, visibility)| Step::Receive { queue, number, visibility }),
        3 => any::<usize>().prop_map(|receipt| Step::Delete { receipt }),
        2 => (any::<usize>(), 0..50_000_u64)
            .prop_map(|(receipt, visibility)| Step::Change { receipt, visibility }),
        1 => proptest::option::of(1..5_u32).prop_map(|rate| Step::Redrive { rate }),
        3 => (0..100_000_u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

proptest! {
    /// Over any operations, every message that was sent is in exactly one place or was counted out.
    #[test]
    fn no_message_is_lost_or_invented(
        steps in proptest::collection::vec(step(), 1..150),
        seed: u64,
        chance in prop_oneof![Just(0.0), Just(0.3)],
    ) {
        let mut sqs = sqs(2);
        sqs.chances =
            Chances { duplicate: chance, forgotten_delete: chance, disorder: chance, unseen: chance };
        let mut rng = Rng::with_seed(seed);
        let mut now = start();
        let mut receipts: Vec<(&str, String)> = Vec::new();
        let mut sent = 0;
        for step in steps {
            match step {
                Step::Send { delay } => {
                    let delay = Some(Duration::from_secs(delay));
                    sent += u64::from(sqs.send("retry", delayed(&sent.to_string(), delay), now).is_ok());
                }
                Step::Receive { queue, number, visibility } => {
                    let queue = ["retry", "dead"][queue];
                    let visibility = Some(Duration::from_secs(visibility));
                    let request = Receive { number, visibility, long_poll: true };
                    if let Ok(received) = sqs.receive(queue, request, now, &mut rng) {
                        prop_assert!(received.len() <= number);
                        receipts.extend(received.into_iter().map(|message| (queue, message.receipt)));
                    }
                }
                Step::Delete { receipt } if !receipts.is_empty() => {
                    let (queue, receipt) = &receipts[receipt % receipts.len()];
                    sqs.delete(queue, receipt, now, &mut rng).unwrap();
                }
                Step::Change { receipt, visibility } if !receipts.is_empty() => {
                    let (queue, receipt) = &receipts[receipt % receipts.len()];
                    sqs.change_visibility(queue, receipt, Duration::from_secs(visibility), now).ok();
                }
                Step::Redrive { rate } => {
                    sqs.start_move("dead", None, rate, now).ok();
                }
                Step::Wait { seconds } => now = after(now, Duration::from_secs(seconds)),
                Step::Delete { .. } | Step::Change { .. } => {}
            }
            for queue in sqs.queues() {
                let totals = queue.totals();
                let came = totals.sent + totals.moved_in;
                let left = totals.deleted + totals.expired + totals.moved_out;
                prop_assert_eq!(came - left, queue.len() as u64, "{}", queue.name);
                let counts = queue.counts(now);
                prop_assert_eq!(counts.visible + counts.not_visible + counts.delayed, queue.len());
            }
        }
        sqs.advance(now);
        let totals: Vec<Totals> = sqs.queues().map(Queue::totals).collect();
        let sum = |number: fn(&Totals) -> u64| totals.iter().map(number).sum::<u64>();
        let present: u64 = sqs.queues().map(|queue| queue.len() as u64).sum();
        // A redrive leaves the dead-letter queue as a move and enters as a message that is sent.
        let redriven = totals[1].sent - sent;
        prop_assert_eq!(
            sent + redriven + sum(|totals| totals.moved_in),
            present + sum(|totals| totals.deleted) + sum(|totals| totals.expired) + sum(|totals| totals.moved_out)
        );
        let bodies: std::collections::HashSet<String> =
            sqs.queues().flat_map(|queue| queue.messages().map(|(_, message)| message.body.clone())).collect();
        prop_assert_eq!(bodies.len() as u64, present, "a message is in one place only");
    }
}
