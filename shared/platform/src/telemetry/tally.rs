//! What is counted during an invocation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use mapping::Outcome;

/// A row per count: variant, unit in CloudWatch, what it counts. The metric has the variant's name.
macro_rules! counts {
    ($($variant:ident, $unit:literal, $doc:literal;)*) => {
        /// What is counted beside the outcomes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Count {
            $(#[doc = $doc] $variant,)*
        }

        impl Count {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Name and unit in CloudWatch.
            pub fn metric(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => (stringify!($variant), $unit),)* }
            }
        }
    };
}

counts! {
    Invocations, "Count", "Invocations.";
    ColdStarts, "Count", "Invocations that started the process.";
    DurationMs, "Milliseconds", "Wall time of the invocation.";
    UpstreamMs, "Milliseconds", "Wall time of calls to Pushwoosh or Segment, summed over calls.";
    UpstreamUnauthorized, "Count", "Calls that the upstream refused for their key.";
    UpstreamThrottled, "Count", "Calls that the upstream refused for their rate.";
    SkippedTags, "Count", "Tags that Pushwoosh did not save (spec D7).";
    SecretsStale, "Count", "Settings served after their time because Secrets Manager gave no answer.";
    DeniedUnknown, "Count", "Requests and records for applications that do not exist, or that have no secret.";
    DeniedKey, "Count", "Requests without the key or the signature of the application that they name.";
    DeniedSize, "Count", "Requests with more items than are taken in one.";
    DeniedAddress, "Count", "Requests from addresses that `AllowedAddresses` leaves out.";
    UnknownOverBudget, "Count", "Lookups of unknown applications that were not made, because there were too many.";
    SecretsUnusable, "Count", "Invocations that looked up a secret of which the newest version is unusable, in whole or in part.";
}

/// Stands for the applications that have no name of their own in metrics. It is no code of Pushwoosh's.
pub const OTHER: &str = "other";

/// Most applications that have a name of their own in the metrics of an invocation. `retry` tries ten messages at once,
/// of one application each; more would come of a larger batch, and each name costs 0.60 USD a month, by the hour.
/// <https://aws.amazon.com/cloudwatch/pricing/>
pub const MOST_NAMED: usize = 20;

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// Segment's Pushwoosh destination: the routes with an API key.
    Api,
    /// The route for raw events.
    Webhook,
    /// The topic.
    Topic,
}

impl Door {
    /// Its name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Webhook => "webhook",
            Self::Topic => "topic",
        }
    }
}

/// Outcomes and counts of one invocation. Shared by the items that are worked on together.
#[derive(Debug, Default)]
pub struct Tally {
    inner: Mutex<Totals>,
}

#[derive(Debug, Default)]
struct Totals {
    outcomes: BTreeMap<Outcome, u64>,
    counts: BTreeMap<Count, u64>,
    /// What was denied, by door and kind.
    denied: BTreeMap<(Door, &'static str), u64>,
    /// Applications whose calls an upstream refused.
    refused: BTreeSet<(Count, String)>,
    /// What waits on, by application.
    waiting: BTreeMap<String, Waiting>,
}

/// What of an application was tried and waits on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Items.
    pub items: u64,
    /// Age of the oldest, since it came in.
    pub oldest: Duration,
}

impl Tally {
    /// One item ended in this outcome.
    pub fn item(&self, outcome: Outcome) {
        self.items(outcome, 1);
    }

    /// Several items ended in this outcome.
    pub fn items(&self, outcome: Outcome, number: u64) {
        if number == 0 {
            return;
        }
        *self.lock().outcomes.entry(outcome).or_default() += number;
    }

    /// Adds to a count.
    pub fn add(&self, count: Count, number: u64) {
        if number == 0 {
            return;
        }
        *self.lock().counts.entry(count).or_default() += number;
    }

    /// Something was denied at a door, for a reason of this kind.
    pub fn denied(&self, door: Door, kind: &'static str, count: Count, number: u64) {
        if number == 0 {
            return;
        }
        self.add(count, number);
        *self.lock().denied.entry((door, kind)).or_default() += number;
    }

    /// What was denied, by door and kind.
    pub fn denials(&self) -> BTreeMap<(Door, &'static str), u64> {
        self.lock().denied.clone()
    }

    /// An upstream refused an application's call, for its key or its rate. The log names the
    /// application once an invocation, however many calls there were.
    pub fn refused(&self, count: Count, code: &str) {
        self.add(count, 1);
        self.lock().refused.insert((count, code.to_owned()));
    }

    /// Items of an application were tried again and wait on; this long ago they came in.
    pub fn waits(&self, code: &str, items: u64, age: Duration) {
        let mut totals = self.lock();
        let waiting = totals.waiting.entry(code.to_owned()).or_default();
        waiting.items += items;
        waiting.oldest = waiting.oldest.max(age);
    }

    /// Counts together, as [`OTHER`], what waits of applications that are not known, and of all but the
    /// [`MOST_NAMED`] that wait longest.
    pub fn name_waiting(&self, is_known: impl Fn(&str) -> bool) {
        let mut totals = self.lock();
        let mut known: Vec<(String, Waiting)> = Vec::new();
        let mut other: Option<Waiting> = None;
        let mut unnamed = |waiting: Waiting| {
            let other = other.get_or_insert_default();
            other.items += waiting.items;
            other.oldest = other.oldest.max(waiting.oldest);
        };
        for (code, waiting) in std::mem::take(&mut totals.waiting) {
            if is_known(&code) {
                known.push((code, waiting));
            } else {
                unnamed(waiting);
            }
        }
        known.sort_by_key(|(_, waiting)| std::cmp::Reverse(waiting.oldest));
        for (_, waiting) in known.drain(MOST_NAMED.min(known.len())..) {
            unnamed(waiting);
        }
        totals.waiting = known.into_iter().collect();
        totals.waiting.extend(other.map(|other| (OTHER.to_owned(), other)));
    }

    /// What waits on, by application.
    pub fn waiting(&self) -> BTreeMap<String, Waiting> {
        self.lock().waiting.clone()
    }

    /// Adds a time to a count of milliseconds.
    pub fn time(&self, count: Count, time: Duration) {
        self.add(count, u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    /// Every outcome with the number of items that ended in it.
    pub fn outcomes(&self) -> BTreeMap<Outcome, u64> {
        self.lock().outcomes.clone()
    }

    /// Every count with its number.
    pub fn counts(&self) -> BTreeMap<Count, u64> {
        self.lock().counts.clone()
    }

    /// Applications whose calls an upstream refused, with what was counted.
    pub fn refusals(&self) -> BTreeSet<(Count, String)> {
        self.lock().refused.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Totals> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
