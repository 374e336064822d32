//! Which events the contestants are invoked with.

use std::sync::Arc;

use crate::contestants::Job;
use crate::events;

/// One event, and who is invoked with it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Short, for the command line.
    pub(crate) name: String,
    /// For people.
    pub(crate) title: String,
    pub(crate) job: Job,
    pub(crate) event: Arc<[u8]>,
    /// Records or events in it.
    pub(crate) items: usize,
    /// Whether the peers are measured too, or ours alone.
    pub(crate) has_peers: bool,
}

/// An event for the source: one in `rare` of its records is exported.
pub(crate) fn source(records: usize, rare: usize, applications: usize) -> Case {
    let event = events::msk(records, rare, applications);
    let share = match rare {
        1 => "all".to_owned(),
        rare => format!("1 in {rare}"),
    };
    let of =
        if applications > 1 { format!(", {applications} applications") } else { String::new() };
    Case {
        name: format!("source-{records}-{rare}-{applications}"),
        title: format!("{records} records, {share} exported{of}"),
        job: Job::Source,
        event: event.into(),
        items: records,
        has_peers: applications == 1,
    }
}

/// A request for the destination.
pub(crate) fn destination(events: usize) -> Case {
    Case {
        name: format!("destination-{events}"),
        title: format!("{events} events"),
        job: Job::Destination,
        event: events::post_events(events).into(),
        items: events,
        has_peers: true,
    }
}

/// A raw event for the destination: with the presets, and with mappings of its own.
pub(crate) fn raw() -> [Case; 2] {
    let case = |name: &str, title: &str, application: &str| Case {
        name: name.to_owned(),
        title: title.to_owned(),
        job: Job::Destination,
        event: events::raw(application).into(),
        items: 1,
        has_peers: false,
    };
    [
        case("destination-raw", "a raw event, with the presets", events::APPLICATION),
        case(
            "destination-raw-heavy",
            "a raw event, with eight mappings, of which four select it",
            events::HEAVY_APPLICATION,
        ),
    ]
}

/// Every case of the full report.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for records in [100, 1_000, 10_000] {
        for rare in [1, 10, 100] {
            cases.push(source(records, rare, 1));
        }
    }
    cases.extend([1_000, 10_000].map(|applications| source(10_000, 1, applications)));
    cases.extend([1, 100, 1_000].map(destination));
    cases.extend(raw());
    cases
}

/// A case by its name.
pub(crate) fn named(name: &str) -> Option<Case> {
    all().into_iter().find(|case| case.name == name)
}
