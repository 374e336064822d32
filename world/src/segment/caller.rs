//! Segment as the caller of a destination: several requests at once, in any order, repeated for four hours,
//! and gone for good at most 4xx answers.
//! <https://segment.com/docs/connections/destinations/#retries>
//!
//! Invariant: a request ends once: taken, or given up.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;

use crate::time::{after, between};

/// A request without an answer is given up and repeated after this.
/// <https://github.com/segmentio/action-destinations/blob/main/packages/core/src/request-client.ts>
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A request is repeated for this long.
/// <https://segment.com/docs/connections/destinations/#retries>
pub const REPEATS: Duration = Duration::from_hours(4);

/// Pauses grow from the first to the longest, less up to a half by chance. The documentation says
/// "randomised exponential" and names no times.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const MAX_PAUSE: Duration = Duration::from_mins(20);

/// What Segment does at 410, 460 and 505. Its documentation for partners has 4xx as permanent and 5xx as
/// temporary; a support article has 410 and 460 as repeated and 505 as dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DisputedStatus {
    /// As for partners.
    #[default]
    ByClass,
    /// As in the article.
    ByArticle,
}

/// Open rules and limits.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Requests at the same time. Segment names no number.
    pub parallel: usize,
    /// An open rule.
    pub disputed: DisputedStatus,
}

impl Default for Options {
    fn default() -> Self {
        Self { parallel: 10, disputed: DisputedStatus::default() }
    }
}

/// What an answer means to Segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx.
    Taken,
    /// It is sent again.
    Repeated,
    /// It is never sent again.
    Gone,
}

impl Options {
    /// What an answer means; `None` is a time-out or a broken connection.
    /// <https://segment.com/docs/partners/faqs/>,
    /// <https://github.com/segmentio/action-destinations/blob/main/packages/core/src/errors.ts>
    pub fn verdict(&self, status: Option<u16>) -> Verdict {
        if matches!(status, Some(200..=299)) {
            return Verdict::Taken;
        }
        let temporary = status
            .is_none_or(|status| matches!(status, 408 | 423 | 429 | 500..=599) && status != 501);
        let disputed = matches!(status, Some(410 | 460 | 505));
        // The article says the opposite of the class.
        if temporary == (disputed && self.disputed == DisputedStatus::ByArticle) {
            Verdict::Gone
        } else {
            Verdict::Repeated
        }
    }
}

/// A request. Numbers are not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

#[derive(Debug, Clone)]
struct Request<T> {
    content: T,
    first_sent: Option<Timestamp>,
    pause: Duration,
    /// When it is sent next; none while it is under way.
    due: Option<Timestamp>,
}

/// How requests ended so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Answered with 2xx.
    pub taken: u64,
    /// Refused for good.
    pub gone: u64,
    /// Repeated for four hours without success.
    pub given_up: u64,
}

/// Segment's queue towards one destination.
#[derive(Debug, Clone)]
pub struct Caller<T> {
    options: Options,
    requests: BTreeMap<RequestId, Request<T>>,
    next: u64,
    totals: Totals,
}

impl<T> Caller<T> {
    /// Nothing to send.
    pub fn new(options: Options) -> Self {
        Self { options, requests: BTreeMap::new(), next: 0, totals: Totals::default() }
    }

    /// How requests ended so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Requests that have not ended.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether every request has ended.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Requests that are under way.
    pub fn under_way(&self) -> usize {
        self.requests.values().filter(|request| request.due.is_none()).count()
    }

    /// Takes a request to send as soon as there is room.
    pub fn add(&mut self, content: T, now: Timestamp) {
        let request = Request { content, first_sent: None, pause: FIRST_PAUSE, due: Some(now) };
        self.requests.insert(RequestId(self.next), request);
        self.next += 1;
    }

    /// The next request to send, if one is due and there is room for it: any of those that are due.
    pub fn next(&mut self, now: Timestamp, rng: &mut Rng) -> Option<(RequestId, &T)> {
        if self.under_way() >= self.options.parallel {
            return None;
        }
        let due = |(_, request): &(&RequestId, &mut Request<T>)| {
            request.due.is_some_and(|due| due <= now)
        };
        let (id, request) = rng.choice(self.requests.iter_mut().filter(due).collect::<Vec<_>>())?;
        request.due = None;
        request.first_sent.get_or_insert(now);
        Some((*id, &request.content))
    }

    /// When the next request is due, if there is room for it; the time may be past.
    pub fn next_due(&self) -> Option<Timestamp> {
        let room = self.under_way() < self.options.parallel;
        self.requests.values().filter_map(|request| request.due).min().filter(|_| room)
    }

    /// Takes the answer to a request that is under way; `None` is a time-out or a broken connection.
    pub fn answered(
        &mut self,
        id: RequestId,
        status: Option<u16>,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Verdict {
        let verdict = self.options.verdict(status);
        let Some(request) = self.requests.get_mut(&id) else { return verdict };
        let total = match verdict {
            Verdict::Taken => &mut self.totals.taken,
            Verdict::Gone => &mut self.totals.gone,
            Verdict::Repeated => {
                let pause = request.pause.mul_f64(0.5 + rng.f64() / 2.0);
                request.pause = (request.pause * 2).min(MAX_PAUSE);
                let again = after(now, pause);
                if between(request.first_sent.unwrap_or(now), again) <= REPEATS {
                    request.due = Some(again);
                    return verdict;
                }
                &mut self.totals.given_up
            }
        };
        *total += 1;
        self.requests.remove(&id);
        if verdict == Verdict::Repeated { Verdict::Gone } else { verdict }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn start() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn caller(parallel: usize, requests: usize) -> Caller<usize> {
        let mut caller = Caller::new(Options { parallel, ..Options::default() });
        for number in 0..requests {
            caller.add(number, start());
        }
        caller
    }

    /// Sends until nothing is left; `answer` sees the request and how long ago the first was sent.
    fn run(
        caller: &mut Caller<usize>,
        rng: &mut Rng,
        mut answer: impl FnMut(usize, Duration) -> Option<u16>,
    ) -> Vec<(usize, Duration)> {
        let mut sent = Vec::new();
        while let Some(due) = caller.next_due() {
            let now = due.max(start());
            let (id, content) = caller.next(now, rng).unwrap();
            let content = *content;
            sent.push((content, between(start(), now)));
            caller.answered(id, answer(content, between(start(), now)), now, rng);
        }
        sent
    }

    // partners/faqs and action-destinations, errors.ts: "4xx not retried except 408, 423, 429; 5xx retried
    // except 501".
    #[test]
    fn most_4xx_are_final_and_5xx_are_repeated() {
        let verdict = |status| Options::default().verdict(status);
        for status in [200, 202, 204] {
            assert_eq!(verdict(Some(status)), Verdict::Taken);
        }
        for status in [301, 400, 401, 403, 404, 409, 413, 422, 501] {
            assert_eq!(verdict(Some(status)), Verdict::Gone, "{status}");
        }
        for status in [408, 423, 429, 500, 502, 503, 504] {
            assert_eq!(verdict(Some(status)), Verdict::Repeated, "{status}");
        }
        assert_eq!(verdict(None), Verdict::Repeated);
    }

    // Two documents of Segment differ.
    #[test]
    fn what_410_and_505_mean_is_an_option() {
        for (disputed, status, meant) in [
            (DisputedStatus::ByClass, 410, Verdict::Gone),
            (DisputedStatus::ByClass, 505, Verdict::Repeated),
            (DisputedStatus::ByArticle, 460, Verdict::Repeated),
            (DisputedStatus::ByArticle, 505, Verdict::Gone),
        ] {
            let options = Options { disputed, ..Options::default() };
            assert_eq!(options.verdict(Some(status)), meant, "{disputed:?} {status}");
        }
    }

    // destinations, "Retries": four hours, with randomised exponential pauses.
    #[test]
    fn a_request_is_repeated_for_four_hours_and_then_given_up() {
        let mut caller = caller(1, 1);
        let sent = run(&mut caller, &mut Rng::with_seed(1), |_, _| Some(503));
        let (last, times) = (sent.last().unwrap().1, sent.len());
        assert!(last <= REPEATS && last + MAX_PAUSE > REPEATS, "{last:?}");
        assert!((15..60).contains(&times), "{times}");
        assert_eq!(caller.totals(), Totals { given_up: 1, ..Totals::default() });
    }

    // partners/faqs: permanent errors are discarded.
    #[test]
    fn what_is_refused_is_gone_for_good() {
        let mut caller = caller(1, 1);
        let sent = run(&mut caller, &mut Rng::with_seed(1), |_, _| Some(401));
        assert_eq!((sent.len(), caller.totals().gone), (1, 1));
    }

    // destinations: requests are sent in parallel, and their order is not guaranteed.
    #[test]
    fn several_requests_are_under_way_at_once_and_in_any_order() {
        let (mut caller, mut rng) = (caller(3, 9), Rng::with_seed(1));
        let first: Vec<RequestId> =
            std::iter::from_fn(|| caller.next(start(), &mut rng).map(|(id, _)| id)).collect();
        assert_eq!((first.len(), caller.under_way()), (3, 3));
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_ne!(first, sorted);
        caller.answered(first[0], Some(200), start(), &mut rng);
        assert!(caller.next(start(), &mut rng).is_some());
    }

    proptest! {
        /// Whatever the answers, every request ends once, and nothing is sent after four hours.
        #[test]
        fn every_request_ends_once(requests in 1..20_usize, seed: u64) {
            let (mut caller, mut rng) = (caller(4, requests), Rng::with_seed(seed));
            let mut chances = rng.fork();
            let sent = run(&mut caller, &mut rng, |_, _| {
                *chances.choice(&[None, Some(200), Some(400), Some(503), Some(503)]).unwrap()
            });
            let Totals { taken, gone, given_up } = caller.totals();
            prop_assert_eq!(taken + gone + given_up, requests as u64);
            prop_assert!(sent.iter().all(|(_, at)| *at <= REPEATS));
        }
    }
}
