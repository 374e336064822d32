//! The event source mapping from a topic to a function.
//! <https://docs.aws.amazon.com/lambda/latest/dg/kafka-scaling-modes.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html>
//!
//! A [`Delivery`] is one batch until every record of it was taken or given up; then the caller commits.
//! A rebalance, or a poller that dies, is a delivery that the caller drops: its records are read again.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::wire::{self, Condition};
use super::{Record, Topic};

/// Lambda's limit on the event, less what surrounds the records.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const MAX_PAYLOAD: usize = 6 * 1024 * 1024 - 64 * 1024;

/// `MaximumRetryAttempts` where nothing is set and there is an on-failure destination.
/// <https://docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html>
const RETRIES_WITH_DESTINATION: u32 = 10;

/// Pauses between attempts. The documentation names none.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// The mapping's properties.
#[derive(Debug, Clone)]
pub struct TopicMapping {
    /// Name of the topic.
    pub topic: String,
    /// Name of the function.
    pub function: String,
    /// `BatchSize`, 1 to 10,000.
    pub batch_size: usize,
    /// `FunctionResponseTypes: [ReportBatchItemFailures]`; needs provisioned pollers.
    pub partial_response: bool,
    /// `BisectBatchOnFunctionError`; needs provisioned pollers.
    pub bisect: bool,
    /// `MaximumRetryAttempts`; without it as AWS decides.
    pub max_retries: Option<u32>,
    /// There is an on-failure destination.
    pub on_failure: bool,
}

impl TopicMapping {
    /// With provisioned pollers and all their controls.
    pub fn provisioned(topic: &str, function: &str, batch_size: usize, max_retries: u32) -> Self {
        Self {
            topic: topic.to_owned(),
            function: function.to_owned(),
            batch_size,
            partial_response: true,
            bisect: true,
            max_retries: Some(max_retries),
            on_failure: true,
        }
    }

    /// With on-demand pollers, which have no controls, and without an on-failure destination.
    pub fn on_demand(topic: &str, function: &str, batch_size: usize) -> Self {
        Self {
            topic: topic.to_owned(),
            function: function.to_owned(),
            batch_size,
            partial_response: false,
            bisect: false,
            max_retries: None,
            on_failure: false,
        }
    }

    /// Retries after the first attempt; without a number the batch is retried until it succeeds.
    fn retries(&self) -> Option<u32> {
        self.max_retries.or(self.on_failure.then_some(RETRIES_WITH_DESTINATION))
    }

    /// The next batch; empty where there is nothing to read.
    pub fn next_batch(&self, topic: &mut Topic) -> Vec<Record> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        for record in topic.unread() {
            bytes += wire::size(record);
            if batch.len() == self.batch_size || (!batch.is_empty() && bytes > MAX_PAYLOAD) {
                break;
            }
            batch.push(record.clone());
        }
        batch
    }

    /// Starts to deliver a batch.
    pub fn deliver(&self, batch: Vec<Record>) -> Delivery<'_> {
        Delivery { mapping: self, parts: vec![Part { records: batch, attempt: 0 }] }
    }
}

/// A batch that is delivered, in parts where it was halved or answered in part.
#[derive(Debug)]
pub struct Delivery<'a> {
    mapping: &'a TopicMapping,
    /// The last one is invoked next.
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    records: Vec<Record>,
    attempt: u32,
}

/// What follows from an answer of the function.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// The part was taken.
    Taken,
    /// Some or all of the part is invoked again after this long.
    Retry(Duration),
    /// The part was given up. This is the object for the on-failure destination, where there is one.
    GivenUp(Option<Value>),
}

impl Delivery<'_> {
    /// The records of the next invocation; nothing where the batch is done.
    pub fn records(&self) -> Option<&[Record]> {
        self.parts.last().map(|part| part.records.as_slice())
    }

    /// The event of the next invocation; nothing where the batch is done.
    pub fn event(&self) -> Option<Value> {
        Some(wire::event(&self.mapping.topic, self.records()?))
    }

    /// Gives up the next part if it cannot be invoked: one record larger than an invocation.
    pub fn too_large(&mut self, now: Timestamp) -> Option<Next> {
        let part = self.parts.last()?;
        let size: usize = part.records.iter().map(wire::size).sum();
        if size <= MAX_PAYLOAD {
            return None;
        }
        let part = self.parts.pop()?;
        Some(self.give_up(&part, Condition::MaximumPayloadSizeExceeded, now))
    }

    /// Takes the function's answer to the invocation, or that it gave none.
    pub fn answered(&mut self, answer: Option<&[u8]>, now: Timestamp) -> Next {
        let Some(mut part) = self.parts.pop() else { return Next::Taken };
        let failed = match answer {
            Some(_) if !self.mapping.partial_response => None,
            Some(answer) => wire::failures(&self.mapping.topic, answer, &part.records),
            None if self.can_halve(&part) && self.may_retry(&part) => {
                let right = part.records.split_off(part.records.len() / 2);
                let attempt = part.attempt + 1;
                self.parts.push(Part { records: right, attempt });
                self.parts.push(Part { records: part.records, attempt });
                return Next::Retry(pause(part.attempt));
            }
            None => Some(std::mem::take(&mut part.records)),
        };
        let Some(records) = failed else { return Next::Taken };
        part.records = records;
        if !self.may_retry(&part) {
            return self.give_up(&part, Condition::RetryAttemptsExhausted, now);
        }
        let attempt = part.attempt;
        self.parts.push(Part { attempt: attempt + 1, ..part });
        Next::Retry(pause(attempt))
    }

    /// Only a batch that failed as a whole is halved.
    fn can_halve(&self, part: &Part) -> bool {
        self.mapping.bisect && part.records.len() > 1
    }

    fn may_retry(&self, part: &Part) -> bool {
        self.mapping.retries().is_none_or(|most| part.attempt < most)
    }

    fn give_up(&self, part: &Part, condition: Condition, now: Timestamp) -> Next {
        let TopicMapping { topic, function, on_failure, .. } = self.mapping;
        Next::GivenUp(on_failure.then(|| {
            wire::on_failure(topic, &part.records, function, condition, part.attempt + 1, now)
        }))
    }
}

fn pause(attempt: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempt)).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::kafka::StartingPosition;

    const TOPIC: &str = "channels-tracking-log";

    fn topic(records: usize) -> Topic {
        let mut topic = Topic::new(TOPIC, 2, StartingPosition::TrimHorizon);
        for value in 0..records {
            topic.append([Some(Bytes::from(value.to_string()))], Timestamp::UNIX_EPOCH);
        }
        topic
    }

    fn places(records: &[Record]) -> Vec<(usize, usize)> {
        records.iter().map(|record| (record.partition, record.offset)).collect()
    }

    /// Delivers a batch; says which records were given up, and how often the function was invoked.
    fn delivered(
        mapping: &TopicMapping,
        batch: Vec<Record>,
        function: impl Fn(&[Record]) -> Option<Vec<(usize, usize)>>,
    ) -> (Vec<(usize, usize)>, u32) {
        let (mut given_up, mut invoked) = (Vec::new(), 0);
        let mut delivery = mapping.deliver(batch);
        while let Some(records) = delivery.records() {
            let records = records.to_vec();
            invoked += 1;
            let answer = function(&records).map(|failed| {
                let failures = failed.iter().map(|(partition, offset)| {
                    json!({"itemIdentifier": {"partition": format!("{TOPIC}-{partition}"), "offset": offset}})
                });
                json!({"batchItemFailures": failures.collect::<Vec<_>>()}).to_string()
            });
            let next =
                delivery.answered(answer.as_ref().map(String::as_bytes), Timestamp::UNIX_EPOCH);
            if let Next::GivenUp(object) = next {
                let object = object.unwrap();
                let payload: Value =
                    serde_json::from_str(object["payload"].as_str().unwrap()).unwrap();
                for list in payload["records"].as_object().unwrap().values() {
                    given_up.extend(list.as_array().unwrap().iter().map(|record| {
                        let number =
                            |name: &str| usize::try_from(record[name].as_u64().unwrap()).unwrap();
                        (number("partition"), number("offset"))
                    }));
                }
            }
        }
        (given_up, invoked)
    }

    #[test]
    fn a_poisonous_record_is_found_by_halving_and_given_up_alone() {
        let mapping = TopicMapping::provisioned(TOPIC, "source", 500, 10);
        let batch = mapping.next_batch(&mut topic(16));
        let poison = (1, 5);
        let (given_up, _) = delivered(&mapping, batch, |records| {
            (!places(records).contains(&poison)).then(Vec::new)
        });
        assert_eq!(given_up, [poison]);
    }

    // kafka-retry-configurations: "excludes first attempt".
    #[test]
    fn only_the_failed_records_are_retried_and_given_up_after_the_last_retry() {
        let mapping = TopicMapping::provisioned(TOPIC, "source", 500, 10);
        let batch = mapping.next_batch(&mut topic(4));
        let (given_up, invoked) = delivered(&mapping, batch, |records| {
            Some(places(records).into_iter().filter(|place| *place == (0, 1)).collect())
        });
        assert_eq!((given_up, invoked), (vec![(0, 1)], 11));
    }

    // kafka-retry-configurations: "-1 … with an on-failure destination: 10"; without: until it succeeds.
    #[test]
    fn the_default_of_retries_depends_on_the_destination() {
        let mut mapping = TopicMapping::on_demand(TOPIC, "source", 500);
        assert_eq!(mapping.retries(), None);
        mapping.on_failure = true;
        assert_eq!(mapping.retries(), Some(10));
        let batch = mapping.next_batch(&mut topic(2));
        let (given_up, invoked) = delivered(&mapping, batch, |_| None);
        assert_eq!((given_up.len(), invoked), (2, 11));
        mapping.on_failure = false;
        let batch = mapping.next_batch(&mut topic(2));
        let mut delivery = mapping.deliver(batch);
        for _ in 0..100 {
            assert!(matches!(delivery.answered(None, Timestamp::UNIX_EPOCH), Next::Retry(_)));
        }
    }

    // kafka-scaling-modes: partial responses need provisioned mode; otherwise the answer is ignored.
    #[test]
    fn on_demand_pollers_ignore_the_answer() {
        let mapping = TopicMapping::on_demand(TOPIC, "source", 500);
        let batch = mapping.next_batch(&mut topic(2));
        let mut delivery = mapping.deliver(batch);
        assert_eq!(delivery.answered(Some(b"rubbish"), Timestamp::UNIX_EPOCH), Next::Taken);
        assert_eq!(delivery.records(), None);
    }

    // with-msk-on-failure: MaximumPayloadSizeExceeded.
    #[test]
    fn a_record_larger_than_an_invocation_is_given_up() {
        let mapping = TopicMapping::provisioned(TOPIC, "source", 500, 10);
        let mut topic = topic(0);
        let large = Some(Bytes::from(vec![b'x'; 5 * 1024 * 1024]));
        topic.append(
            [Some(Bytes::from_static(b"a")), large, Some(Bytes::from_static(b"b"))],
            Timestamp::UNIX_EPOCH,
        );
        let first = mapping.next_batch(&mut topic);
        assert_eq!(places(&first), [(0, 0)], "the batch ends before it");
        assert!(mapping.deliver(first.clone()).too_large(Timestamp::UNIX_EPOCH).is_none());
        topic.commit(&first);
        let second = mapping.next_batch(&mut topic);
        let mut delivery = mapping.deliver(second);
        let Some(Next::GivenUp(Some(object))) = delivery.too_large(Timestamp::UNIX_EPOCH) else {
            panic!("it is delivered")
        };
        assert_eq!(object["requestContext"]["condition"], "MaximumPayloadSizeExceeded");
        assert_eq!(delivery.records(), None);
    }

    proptest! {
        /// Over any answers, each record of the topic is taken or given up once, and the lag ends at zero.
        #[test]
        fn every_record_is_taken_or_given_up(number in 0..60_usize, batch_size in 1..20_usize, seed: u64) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mapping = TopicMapping::provisioned(TOPIC, "source", batch_size, 3);
            let mut topic = topic(number);
            let mut ended = Vec::new();
            loop {
                let batch = mapping.next_batch(&mut topic);
                if batch.is_empty() {
                    break;
                }
                if rng.u8(..10) == 0 {
                    continue; // a rebalance
                }
                let seen = std::cell::RefCell::new(std::collections::BTreeMap::new());
                let chances = std::cell::RefCell::new(rng.fork());
                let (given_up, _) = delivered(&mapping, batch.clone(), |records| {
                    let mut rng = chances.borrow_mut();
                    if rng.u8(..4) == 0 {
                        return None;
                    }
                    let (failed, taken): (Vec<_>, Vec<_>) =
                        places(records).into_iter().partition(|_| rng.u8(..4) == 0);
                    for place in taken {
                        *seen.borrow_mut().entry(place).or_insert(0) += 1;
                    }
                    Some(failed)
                });
                let taken = seen.into_inner();
                prop_assert!(taken.values().all(|times| *times == 1));
                prop_assert!(given_up.iter().all(|place| !taken.contains_key(place)));
                ended.extend(taken.into_keys().chain(given_up));
                topic.commit(&batch);
            }
            ended.sort_unstable();
            ended.dedup();
            prop_assert_eq!((ended.len(), topic.lag()), (number, 0));
        }
    }
}
