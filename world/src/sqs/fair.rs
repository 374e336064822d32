//! Fair queues: which of the visible messages of a standard queue are handed out first, where senders name
//! a message group.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues-detailed.html>
//!
//! A message group is a tenant; a message without one is a tenant of its own. A tenant that takes too much of
//! the consumers is a *noisy neighbour*: messages of the others go first while there are any. AWS calls its
//! numbers approximate. It also looks at the share of the processing time, which is left out here: with that
//! a noisy neighbour is noticed earlier.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::time::between;

/// A noisy neighbour has at least this many messages in flight,
const MIN_IN_FLIGHT: usize = 30;

/// and more than one in so many of the queue's.
const SHARE: usize = 10;

/// A tenant that sent nothing for so long is not noisy any more.
const QUIET_AFTER: Duration = Duration::from_mins(5);

/// Messages by when they can be received next.
type ByVisibility = BTreeSet<(Timestamp, u64)>;

/// What a queue knows of its tenants.
#[derive(Debug, Clone, Default)]
pub(super) struct Tenants {
    /// The messages of each group; those without a group are under `None`.
    messages: BTreeMap<Option<String>, ByVisibility>,
    /// Messages that were received and neither deleted nor visible again, with their group.
    in_flight: BTreeMap<(Timestamp, u64), Option<String>>,
    /// When each group sent last.
    sent: BTreeMap<String, Timestamp>,
    noisy: BTreeSet<String>,
}

impl Tenants {
    /// A message was sent, or came back from another queue.
    pub(super) fn enter(&mut self, group: Option<&String>, at: Timestamp, id: u64, now: Timestamp) {
        self.messages.entry(group.cloned()).or_default().insert((at, id));
        if let Some(group) = group {
            self.sent.insert(group.clone(), now);
        }
    }

    /// A message has left the queue.
    pub(super) fn leave(&mut self, group: Option<&String>, at: Timestamp, id: u64) {
        self.in_flight.remove(&(at, id));
        let group = group.cloned();
        let Some(messages) = self.messages.get_mut(&group) else { return };
        messages.remove(&(at, id));
        if messages.is_empty() {
            self.messages.remove(&group);
            if let Some(group) = group {
                self.sent.remove(&group);
                self.noisy.remove(&group);
            }
        }
    }

    /// A message that was received can be received next at another time.
    pub(super) fn reappear(
        &mut self,
        group: Option<&String>,
        (from, to): (Timestamp, Timestamp),
        id: u64,
    ) {
        let group = group.cloned();
        self.in_flight.remove(&(from, id));
        self.in_flight.insert((to, id), group.clone());
        let messages = self.messages.entry(group).or_default();
        messages.remove(&(from, id));
        messages.insert((to, id));
    }

    /// How many messages are in flight.
    pub(super) fn in_flight(&mut self, now: Timestamp) -> usize {
        // Those that can be received again are not in flight any more.
        self.in_flight = self.in_flight.split_off(&(now, u64::MAX));
        self.in_flight.len()
    }

    /// The visible messages of the tenants that go first, if there is a noisy neighbour; then those of the
    /// noisy ones, of which the one with the fewest in flight goes first. Each tenant names `number` at most.
    pub(super) fn order(&mut self, number: usize, now: Timestamp) -> Option<Vec<u64>> {
        self.notice(now);
        if self.noisy.is_empty() {
            return None;
        }
        let visible = |messages: &ByVisibility| -> Vec<(Timestamp, u64)> {
            messages.iter().take_while(|(at, _)| *at <= now).take(number).copied().collect()
        };
        let (mut first, mut noisy) = (Vec::new(), Vec::new());
        for (group, messages) in &self.messages {
            match group {
                Some(group) if self.noisy.contains(group) => {
                    noisy.push((self.share(group), visible(messages)));
                }
                _ => first.extend(visible(messages)),
            }
        }
        first.sort_unstable();
        noisy.sort();
        let noisy = noisy.into_iter().flat_map(|(_, messages)| messages);
        Some(first.into_iter().chain(noisy).map(|(_, id)| id).collect())
    }

    /// Messages of a group in flight.
    fn share(&self, group: &String) -> usize {
        self.in_flight.values().filter(|other| other.as_ref() == Some(group)).count()
    }

    /// Finds who is noisy now.
    fn notice(&mut self, now: Timestamp) {
        let all = self.in_flight(now);
        let mut shares: BTreeMap<&String, usize> = BTreeMap::new();
        for group in self.in_flight.values().flatten() {
            *shares.entry(group).or_default() += 1;
        }
        let found =
            shares.iter().filter(|(_, share)| **share >= MIN_IN_FLIGHT && **share * SHARE > all);
        self.noisy.extend(found.map(|(group, _)| (*group).clone()));
        let (sent, messages) = (&self.sent, &self.messages);
        self.noisy.retain(|group| {
            let waits = messages
                .get(&Some(group.clone()))
                .and_then(|messages| messages.first())
                .is_some_and(|(at, _)| *at <= now);
            waits && sent.get(group).is_some_and(|sent| between(*sent, now) < QUIET_AFTER)
        });
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use crate::sqs::{Attributes, NewMessage, Receive, Sqs};
    use crate::time::after;

    use super::*;

    const TEN: Receive =
        Receive { number: 10, visibility: Some(Duration::from_mins(6)), long_poll: true };

    fn start() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    /// A queue on which a tenant's backlog waits, and a message of another that came after it.
    fn queue(backlog: usize, other: Option<&str>) -> Sqs {
        let mut sqs = Sqs::default();
        sqs.create("retry", Attributes::default());
        let send = |sqs: &mut Sqs, body: &str, group: Option<&str>, at| {
            let group = group.map(str::to_owned);
            sqs.send("retry", NewMessage { group, ..body.into() }, at).unwrap();
        };
        for _ in 0..backlog {
            send(&mut sqs, "noisy", Some("A"), start());
        }
        send(&mut sqs, "quiet", other, after(start(), Duration::from_secs(1)));
        sqs
    }

    /// Which receive brings the quiet tenant's message, if each takes ten and deletes none.
    fn comes_with(sqs: &mut Sqs, now: Timestamp) -> Option<usize> {
        (1..100).find(|_| {
            let received = sqs.receive("retry", TEN, now, &mut Rng::with_seed(1)).unwrap();
            received.iter().any(|message| message.body == "quiet")
        })
    }

    // "more than 10% of in-flight messages in the queue and ... at least 30 of its own"
    #[test]
    fn a_quiet_tenant_goes_before_the_backlog_of_a_noisy_one() {
        let now = after(start(), Duration::from_secs(1));
        // Three receives of ten make tenant A noisy.
        assert_eq!(comes_with(&mut queue(500, Some("B")), now), Some(4));
        // "Each message without a MessageGroupId is treated as belonging to its own distinct tenant."
        assert_eq!(comes_with(&mut queue(500, None), now), Some(4));
        // In one group all wait in their order.
        assert_eq!(comes_with(&mut queue(500, Some("A")), now), Some(51));
        assert_eq!(comes_with(&mut queue(29, Some("B")), now), Some(3));
    }

    // "the tenant has not sent any messages" for 5 consecutive minutes.
    #[test]
    fn who_sends_nothing_for_a_while_is_not_noisy_any_more() {
        let later = after(start(), QUIET_AFTER);
        assert_eq!(comes_with(&mut queue(500, Some("B")), later), Some(51));
    }

    // "consumer instances receive messages from noisy neighbors as usual"
    #[test]
    fn what_is_noisy_is_handed_out_when_nobody_else_waits() {
        let (mut sqs, mut rng) = (queue(100, Some("B")), Rng::with_seed(1));
        let now = after(start(), Duration::from_secs(1));
        let mut received = 0;
        for _ in 0..11 {
            let messages = sqs.receive("retry", TEN, now, &mut rng).unwrap();
            received += messages.len();
            for message in messages {
                assert!(message.group.is_some());
                sqs.delete("retry", &message.receipt, now, &mut rng).unwrap();
            }
        }
        assert_eq!(received, 101);
        assert!(sqs.queue("retry").unwrap().is_empty());
    }
}
