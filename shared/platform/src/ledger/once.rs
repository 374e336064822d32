//! What must not be done twice: items whose message SQS hands out again, requests that are sent again.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::table::{Change, moment};
use super::{Ledger, Unavailable, hashed};
use crate::clock::Instant;

/// How long an item's claim is kept: as long as SQS may keep another message of it.
const CLAIMS: Duration = super::mark::RETENTION;

/// How long a failed request is remembered. Segment repeats for four hours.
/// <https://segment.com/docs/connections/destinations/#retries>
const REQUESTS: Duration = Duration::from_hours(5);

const UNTIL: &str = "until";
const DONE: &str = "done";
const SETTLED: &str = "items";

/// Who works on an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The caller.
    Taken,
    /// Another invocation, or one that died: it is free again some time later.
    Busy,
    /// Nobody any more: it was worked on.
    Done,
}

impl Ledger {
    /// Claims an item until a moment at which the caller has certainly ended.
    pub async fn claim(
        &self,
        item: &str,
        until: Timestamp,
        deadline: Instant,
    ) -> Result<Claim, Unavailable> {
        let now = self.clock.wall();
        let change = Change::default()
            .set(UNTIL, moment(until))
            .value(":now", moment(now))
            .only_if("attribute_not_exists(#until) OR #until < :now")
            .only_if("attribute_not_exists(#done)");
        Ok(match self.change(&claim_key(item), change, CLAIMS, deadline).await? {
            Ok(()) => Claim::Taken,
            Err(row) if row.contains_key(DONE) => Claim::Done,
            Err(_) => Claim::Busy,
        })
    }

    /// Notes that a claimed item has ended.
    pub async fn finish(&self, item: &str, deadline: Instant) -> Result<(), Unavailable> {
        let change = Change::default().set(DONE, moment(self.clock.wall()));
        self.change(&claim_key(item), change, CLAIMS, deadline).await.map(drop)
    }

    /// Gives up a claim: the item is to be tried again.
    pub async fn release(&self, item: &str, deadline: Instant) -> Result<(), Unavailable> {
        let change = Change::default().set(UNTIL, moment(Timestamp::UNIX_EPOCH));
        self.change(&claim_key(item), change, CLAIMS, deadline).await.map(drop)
    }

    /// Notes which items of a request need not be sent again, although it is answered with an error.
    /// `request` is the whole body.
    pub async fn request_failed(
        &self,
        application: &str,
        request: &[u8],
        settled: &BTreeSet<usize>,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        let list: Vec<String> = settled.iter().map(usize::to_string).collect();
        let change = Change::default().set(SETTLED, AttributeValue::S(list.join(",")));
        self.change(&request_key(application, request), change, REQUESTS, deadline).await.map(drop)
    }

    /// The items of a request that need not be sent again, where an equal one failed before. The list is taken
    /// away, so that one request is the repetition and the next equal one is new: what a caller sends twice is
    /// not lost. Should the repetition fail too, it leaves a list of its own.
    pub async fn take_settled(
        &self,
        application: &str,
        request: &[u8],
        deadline: Instant,
    ) -> Result<BTreeSet<usize>, Unavailable> {
        let key = request_key(application, request);
        let row = self.get(&key, deadline).await?.unwrap_or_default();
        let Some(list) = row.get(SETTLED) else { return Ok(BTreeSet::new()) };
        let change =
            Change::default().remove(SETTLED).value(":own", list.clone()).only_if("#items = :own");
        if self.change(&key, change, REQUESTS, deadline).await?.is_err() {
            // Another process has taken it.
            return Ok(BTreeSet::new());
        }
        let numbers = list.as_s().map(String::as_str).unwrap_or_default().split(',');
        Ok(numbers.filter_map(|number| number.parse().ok()).collect())
    }
}

fn claim_key(item: &str) -> String {
    format!("claim#{item}")
}

fn request_key(application: &str, request: &[u8]) -> String {
    format!("request#{application}#{}", hashed(&[request]))
}
