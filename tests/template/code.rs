//! What the code says. The other files of this test get it from here.

use std::collections::{BTreeMap, BTreeSet};

use mapping::tracking_log::MessageEvent;
use mapping::{Cause, Outcome, Reason};
use platform::settings::{Expected, Settings, VARIABLES, Variable};
use platform::telemetry::{Count, NAMESPACE};

pub(crate) use sandbox::deployed;

/// Metrics of what waits, by application too: names and units.
pub(crate) use platform::telemetry::WAITING;

/// Namespace of the functions' metrics.
pub(crate) const METRICS: &str = NAMESPACE;

/// The dimension of the functions' metrics; see `platform::telemetry`.
pub(crate) const DIMENSION: &str = "Function";

/// The second dimension of metrics of what waits.
pub(crate) const APPLICATION: &str = "Application";

/// The metrics that functions write, apart from one per reason.
pub(crate) fn metrics() -> BTreeSet<&'static str> {
    let outcomes = [
        Outcome::Delivered,
        Outcome::Disregarded(Reason::Duplicate),
        Outcome::Parked(Cause::Timeout),
        Outcome::Rejected(Reason::NotJson),
        Outcome::Failed(Cause::Timeout),
    ];
    let counts = Count::ALL.iter().map(|count| count.metric().0);
    let waiting = WAITING.iter().map(|(name, _)| *name);
    counts.chain(waiting).chain(outcomes.into_iter().map(Outcome::metric)).collect()
}

/// Names of the events that are exported to Segment.
pub(crate) fn event_names() -> BTreeSet<&'static str> {
    MessageEvent::ALL.iter().map(|event| event.name()).collect()
}

/// The settings by name.
pub(crate) fn settings() -> BTreeMap<&'static str, Setting> {
    VARIABLES.iter().map(|variable| (variable.name, Setting(variable))).collect()
}

/// A setting of the functions: an environment variable.
pub(crate) struct Setting(&'static Variable);

impl Setting {
    /// Its default, unless it is required.
    pub(crate) fn default(&self) -> Option<&'static str> {
        self.0.default
    }

    /// Its range if it is a number.
    pub(crate) fn range(&self) -> Option<(u64, u64)> {
        match self.0.expected {
            Expected::Number(min, max) => Some((min, max)),
            _ => None,
        }
    }

    /// Whether it is true or false.
    pub(crate) fn is_flag(&self) -> bool {
        matches!(self.0.expected, Expected::Flag)
    }

    /// Whether it is a list of known words.
    pub(crate) fn is_list_of_words(&self) -> bool {
        matches!(self.0.expected, Expected::TrackProperties)
    }

    /// Whether the functions start with this value.
    pub(crate) fn accepts(&self, value: &str) -> bool {
        let required = VARIABLES.iter().filter(|variable| variable.default.is_none());
        let mut variables: BTreeMap<String, String> =
            required.map(|variable| (variable.name.to_owned(), "x".to_owned())).collect();
        variables.insert(self.0.name.to_owned(), value.to_owned());
        Settings::read(&variables).is_ok()
    }
}
