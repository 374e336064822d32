//! Delivers Track calls: the one way in which they reach Segment, for the source and for retries.
//!
//! Invariants: every call ends in exactly one [`Fate`]; nothing runs past the deadline. A batch
//! that is refused as such (400, 413) is halved until the offender is alone. What may succeed
//! later is tried again for a moment here, and for days by way of the retry queue; a limited
//! application (429) and one that does not answer are left to the queue at once, so that they
//! delay nobody.

use std::time::Duration;

use futures::StreamExt;
use platform::application::Segment;
use platform::circuit::Circuits;
use platform::telemetry::{Count, Tally};
use platform::upstream::Verdict;
use reqwest::StatusCode;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::batch::{MAX_EVENT_BYTES, cut};
use crate::{Client, Error};

/// Attempts within one invocation.
const MAX_ATTEMPTS: u32 = 3;

/// First delay between two of them, doubling: what Segment's Node library starts with.
const BASE_DELAY: Duration = Duration::from_millis(500);

/// Longest wait for one answer. Segment's libraries wait 10 s; a poller has others to serve.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Segment has it.
    Delivered,
    /// Segment will never take it.
    Refused {
        /// What to tell the operator.
        message: String,
        /// Whether it is its size.
        too_large: bool,
    },
    /// It has to be sent again.
    Undelivered {
        /// Short, stable name of the cause.
        cause: String,
        /// Not before this has passed.
        after: Option<Duration>,
    },
}

/// Sends calls on behalf of all applications.
#[derive(Debug)]
pub struct Delivery {
    client: Client,
    concurrency: usize,
    circuits: Circuits,
}

impl Delivery {
    /// Delivers with this client, and this many batches at the same time.
    pub fn new(client: Client, concurrency: usize) -> Self {
        Self { client, concurrency, circuits: Circuits::default() }
    }

    /// Sends an application's calls until the deadline; `attempts` tells how often they were tried
    /// before. The result has one fate per call, in their order.
    pub async fn deliver(
        &self,
        code: &str,
        account: &Segment,
        calls: Vec<Box<RawValue>>,
        attempts: u32,
        deadline: Instant,
        tally: &Tally,
    ) -> Vec<Fate> {
        let too_large = Fate::Refused {
            message: format!("Segment takes calls of up to {MAX_EVENT_BYTES} bytes"),
            too_large: true,
        };
        let mut fates = vec![too_large; calls.len()];
        let (indexes, calls): (Vec<usize>, Vec<Box<RawValue>>) = calls
            .into_iter()
            .enumerate()
            .filter(|(_, call)| call.get().len() <= MAX_EVENT_BYTES)
            .unzip();
        let sizes: Vec<usize> = calls.iter().map(|call| call.get().len()).collect();
        let job = Job { delivery: self, code, account, attempts, deadline, tally };
        let (job, calls) = (&job, &calls);
        let results: Vec<(usize, Vec<Fate>)> = futures::stream::iter(cut(&sizes))
            .map(|range| async move {
                (range.start, job.batch(calls.get(range).unwrap_or_default()).await)
            })
            .buffer_unordered(self.concurrency)
            .collect()
            .await;
        for (start, results) in results {
            for (index, fate) in indexes.iter().skip(start).zip(results) {
                if let Some(slot) = fates.get_mut(*index) {
                    *slot = fate;
                }
            }
        }
        fates
    }
}

/// What the batches of one delivery have in common.
struct Job<'a> {
    delivery: &'a Delivery,
    code: &'a str,
    account: &'a Segment,
    attempts: u32,
    deadline: Instant,
    tally: &'a Tally,
}

impl Job<'_> {
    /// Sends a batch, halving it while it is refused as such.
    async fn batch(&self, calls: &[Box<RawValue>]) -> Vec<Fate> {
        let mut fates = Vec::with_capacity(calls.len());
        let mut parts = vec![calls];
        while let Some(part) = parts.pop() {
            match self.send(part).await {
                Ok(()) => fates.extend(part.iter().map(|_| Fate::Delivered)),
                Err(Failure {
                    status: Some(StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE),
                    ..
                }) if part.len() > 1 => {
                    let (left, right) = part.split_at(part.len() / 2);
                    parts.extend([right, left]);
                }
                Err(failure) => fates.extend(part.iter().map(|_| failure.fate.clone())),
            }
        }
        fates
    }

    async fn send(&self, calls: &[Box<RawValue>]) -> Result<(), Failure> {
        let circuits = &self.delivery.circuits;
        let mut attempts = 0;
        loop {
            let now = Instant::now();
            if now >= self.deadline {
                return Err(Failure::undelivered("time_budget", None));
            }
            if !circuits.allows(self.code, now) {
                return Err(Failure::undelivered("circuit_open", None));
            }
            let until = self.deadline.min(now + ANSWER_TIMEOUT);
            let sent = self.delivery.client.send(self.account, calls, self.attempts + attempts);
            let result = tokio::time::timeout_at(until, sent).await;
            self.tally.time(Count::UpstreamMs, now.elapsed());
            let Ok(result) = result else {
                circuits.timed_out(self.code, Instant::now());
                return Err(Failure::undelivered("timeout", None));
            };
            let Err(error) = result else {
                circuits.succeeded(self.code);
                return Ok(());
            };
            attempts += 1;
            let delay = self.judge(&error, attempts)?;
            tokio::time::sleep(delay).await;
        }
    }

    /// How long to wait before the next attempt, or why there is none.
    fn judge(&self, error: &Error, attempts: u32) -> Result<Duration, Failure> {
        let circuits = &self.delivery.circuits;
        match error.verdict() {
            Verdict::Permanent => {
                circuits.succeeded(self.code);
                let fate = Fate::Refused { message: error.to_string(), too_large: false };
                Err(Failure { status: error.status(), fate })
            }
            // A key can be corrected: what it was refused for is kept until then.
            Verdict::Unauthorized => {
                self.tally.refused(Count::UpstreamUnauthorized, self.code);
                circuits.failed(self.code, None, Instant::now());
                Err(Failure::undelivered("unauthorized", None))
            }
            Verdict::Retry { after } => {
                circuits.failed(self.code, after, Instant::now());
                let throttled = error.status() == Some(StatusCode::TOO_MANY_REQUESTS);
                if throttled {
                    self.tally.refused(Count::UpstreamThrottled, self.code);
                }
                let delay = BASE_DELAY * 2_u32.saturating_pow(attempts - 1);
                let delay = delay.mul_f64(fastrand::f64());
                let left = self.deadline.saturating_duration_since(Instant::now());
                if throttled || after.is_some() || attempts >= MAX_ATTEMPTS || delay >= left {
                    return Err(Failure::undelivered(&error.cause(), after));
                }
                Ok(delay)
            }
        }
    }
}

/// Why a batch was not taken.
struct Failure {
    status: Option<StatusCode>,
    fate: Fate,
}

impl Failure {
    fn undelivered(cause: &str, after: Option<Duration>) -> Self {
        Self { status: None, fate: Fate::Undelivered { cause: cause.to_owned(), after } }
    }
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::any;
    use wiremock::{Mock, MockServer, Request, ResponseTemplate};

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    fn call(name: &str) -> Box<RawValue> {
        RawValue::from_string(format!("{{\"type\":\"track\",\"event\":\"{name}\"}}")).unwrap()
    }

    async fn deliver(server: &MockServer, calls: Vec<Box<RawValue>>, tally: &Tally) -> Vec<Fate> {
        let account = Segment {
            base_url: format!("{}/v1", server.uri()),
            write_key: "key".into(),
            events: None,
        };
        let delivery = Delivery::new(Client::new(reqwest::Client::new(), false), 4);
        delivery.deliver("A", &account, calls, 0, Instant::now() + DEADLINE, tally).await
    }

    /// `X-Retry-Count` of every attempt.
    async fn attempts(server: &MockServer) -> Vec<String> {
        let requests = server.received_requests().await.unwrap();
        let count = |request: &Request| {
            request
                .headers
                .get("x-retry-count")
                .map_or("none", |count| count.to_str().unwrap())
                .to_owned()
        };
        requests.iter().map(count).collect()
    }

    /// What Segment's own libraries agreed on in 2026: which statuses are tried again, and that the
    /// first attempt carries no count.
    #[tokio::test]
    async fn every_status_is_treated_as_segments_own_libraries_do() {
        let again = ["none", "1", "2"];
        let once = ["none"];
        let table: &[(u16, &[&str])] = &[
            (200, &once),
            (201, &once),
            (204, &once),
            (299, &once),
            (301, &once),
            (304, &once),
            (400, &once),
            (401, &once),
            (403, &once),
            (404, &once),
            (413, &once),
            (422, &once),
            (501, &once),
            (505, &once),
            (429, &once),
            (408, &again),
            (410, &again),
            (460, &again),
            (500, &again),
            (502, &again),
            (503, &again),
            (504, &again),
            (508, &again),
            (511, &again),
            (529, &again),
            (599, &again),
        ];
        let cases = table.iter().map(|(status, expected)| async move {
            let server = MockServer::start().await;
            Mock::given(any()).respond_with(ResponseTemplate::new(*status)).mount(&server).await;
            let fate = deliver(&server, vec![call("E")], &Tally::default()).await.remove(0);
            assert_eq!(attempts(&server).await, *expected, "{status}");
            match (*status, fate) {
                (200..=299, Fate::Delivered) => {}
                (401 | 403, Fate::Undelivered { cause, .. }) => assert_eq!(cause, "unauthorized"),
                (
                    408 | 410 | 429 | 460 | 500 | 502..=504 | 508..=599,
                    Fate::Undelivered { cause, .. },
                ) => {
                    assert_eq!(cause, format!("http_{status}"));
                }
                (_, Fate::Refused { message, .. }) => {
                    assert!(message.contains(&status.to_string()));
                }
                (_, fate) => panic!("{status}: {fate:?}"),
            }
        });
        futures::future::join_all(cases).await;
    }

    #[tokio::test]
    async fn a_transient_failure_is_overcome_and_a_named_time_is_left_to_the_queue() {
        let server = MockServer::start().await;
        Mock::given(any())
            .respond_with(ResponseTemplate::new(503))
            .up_to_n_times(2)
            .mount(&server)
            .await;
        Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&server).await;
        assert_eq!(deliver(&server, vec![call("E")], &Tally::default()).await, [Fate::Delivered]);
        assert_eq!(attempts(&server).await, ["none", "1", "2"]);

        let past_year = "Fri, 02 Jan 2026 03:04:05 GMT";
        for (status, header, after) in
            [(429, "7", 7), (503, "7", 7), (429, "86400", 300), (529, past_year, 0)]
        {
            let server = MockServer::start().await;
            let limited = ResponseTemplate::new(status).insert_header("retry-after", header);
            Mock::given(any()).respond_with(limited).mount(&server).await;
            let fates = deliver(&server, vec![call("E")], &Tally::default()).await;
            let after = Some(Duration::from_secs(after));
            assert_eq!(fates, [Fate::Undelivered { cause: format!("http_{status}"), after }]);
            assert_eq!(attempts(&server).await, ["none"]);
        }
    }

    #[tokio::test]
    async fn a_refused_batch_is_halved_until_the_offender_is_alone() {
        for status in [400, 413] {
            let server = MockServer::start().await;
            let refuse = move |request: &Request| {
                let poison = String::from_utf8_lossy(&request.body).contains("poison");
                ResponseTemplate::new(if poison { status } else { 200 })
            };
            Mock::given(any()).respond_with(refuse).mount(&server).await;
            let mut calls: Vec<_> = (0..100).map(|n| call(&format!("E{n}"))).collect();
            calls[37] = call("poison");
            let fates = deliver(&server, calls, &Tally::default()).await;
            for (index, fate) in fates.iter().enumerate() {
                assert_eq!(matches!(fate, Fate::Refused { .. }), index == 37, "{index}");
                assert_eq!(*fate == Fate::Delivered, index != 37, "{index}");
            }
            assert!(server.received_requests().await.unwrap().len() < 20);
        }
    }

    #[tokio::test]
    async fn a_call_beyond_the_limit_is_refused_alone_and_never_sent() {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&server).await;
        let calls = vec![call("a"), call(&"x".repeat(MAX_EVENT_BYTES)), call("b")];
        let fates = deliver(&server, calls, &Tally::default()).await;
        assert_eq!((&fates[0], &fates[2]), (&Fate::Delivered, &Fate::Delivered));
        assert!(matches!(fates[1], Fate::Refused { too_large: true, .. }));
        assert_eq!(server.received_requests().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn nobody_answering_opens_the_circuit_at_once() {
        let server = MockServer::start().await;
        let slow = ResponseTemplate::new(200).set_delay(Duration::from_mins(1));
        Mock::given(any()).respond_with(slow).mount(&server).await;
        let account = Segment {
            base_url: format!("{}/v1", server.uri()),
            write_key: "key".into(),
            events: None,
        };
        let delivery = Delivery::new(Client::new(reqwest::Client::new(), false), 4);
        let tally = Tally::default();
        let deadline = || Instant::now() + Duration::from_millis(200);
        let first = delivery.deliver("A", &account, vec![call("E")], 0, deadline(), &tally).await;
        assert_eq!(first, [Fate::Undelivered { cause: "timeout".into(), after: None }]);
        let second = delivery.deliver("A", &account, vec![call("E")], 0, deadline(), &tally).await;
        assert_eq!(second, [Fate::Undelivered { cause: "circuit_open".into(), after: None }]);
    }
}
