//! What happens in a story: made from the seed before it begins, so that what the functions do changes
//! nothing in it.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use world::faults::Fault;

use crate::service::Service;
use crate::trouble::{
    Concerns, Trouble, of_dynamodb, of_secrets, of_sqs, of_upstream, refused_deletions,
};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

pub(crate) const APPLICATIONS: usize = 3;
const USERS: usize = 4;

/// Codes on the topic that belong to others.
const FOREIGN: usize = 60;
const FEW: usize = 4;

/// Probability that an invocation dies, on an ordinary day and on a bad one.
pub(crate) const CRASH: f64 = 0.001;
pub(crate) const CRASH_IN_TROUBLE: f64 = 0.3;

/// How long items live in stories with a wrong key: the age limit, scaled down with the queue's retention so
/// that stories stay short.
pub(crate) const SHORT_LIFE: Duration = DAY;

/// How long a secret is away: less than the time for which settings are kept.
const AWAY: Duration = Duration::from_mins(3);

/// Something that happens.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Profile(usize, usize),
    Events(usize, usize, usize),
    Deletion(usize, usize),
    /// Events in two equal requests, the second some minutes after the first.
    Twins(usize, usize),
    /// Records of these applications, and of so many foreign codes.
    Records(Vec<(usize, usize)>, usize),
    Begin(usize),
    End(usize),
    Rotate(usize),
    /// Segment gets the new key.
    NewKeyInSegment(usize),
    /// Somebody uses the first key.
    OldKey(usize),
    Redrive,
    /// A new version of every function.
    Deploy,
}

/// A story before it is told.
pub(crate) struct Plan {
    pub(crate) actions: Vec<(Duration, Action)>,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) provisioned: bool,
    /// Items live for [`SHORT_LIFE`] only.
    pub(crate) short_lives: bool,
}

pub(crate) fn code(application: usize) -> String {
    format!("APP{application}-00000")
}

pub(crate) fn user_id(application: usize, user: usize) -> String {
    format!("user-{application}-{user}")
}

struct Planner {
    rng: Rng,
    end: Duration,
    actions: Vec<(Duration, Action)>,
    troubles: Vec<Trouble>,
    /// The application with a wrong key, and when.
    wrong_key: Option<(usize, Duration, Duration)>,
}

impl Planner {
    fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (least, most) = (milliseconds(least), milliseconds(most));
        Duration::from_millis(self.rng.u64(least..=most.max(least)))
    }

    fn add(&mut self, at: Duration, action: Action) {
        // Secrets Manager shows a secret late that was made a moment ago. Nobody connects an application within a second.
        let at = at.max(MINUTE);
        if at < self.end {
            self.actions.push((at, action));
        }
    }

    fn trouble(&mut self, mut trouble: Trouble) {
        let index = self.troubles.len();
        trouble.to = trouble.to.min(self.end);
        self.add(trouble.from, Action::Begin(index));
        // Also what lasts beyond the story ends with it.
        self.actions.push((trouble.to, Action::End(index)));
        self.troubles.push(trouble);
    }

    /// Nobody corrects an application's key for longer than its items live.
    fn wrong_key(&mut self) {
        let from = self.between(DAY, 3 * DAY);
        let to = from + self.between(2 * SHORT_LIFE, 3 * SHORT_LIFE);
        let number = self.rng.usize(..APPLICATIONS);
        self.wrong_key = Some((number, from, to));
        let application = Some(code(number));
        let (concerns, label) = (Concerns::Key, "takes another key than the secret holds");
        let faults = Vec::new();
        self.trouble(Trouble { from, to, concerns, application, label, faults });
    }

    /// Whether an application's users do little: what they do is tried again every few minutes for days.
    fn is_quiet(&mut self, application: usize, at: Duration) -> bool {
        let quiet = self
            .wrong_key
            .is_some_and(|(number, from, to)| number == application && (from..to).contains(&at));
        quiet && self.rng.u8(0..5) > 0
    }

    /// What users do on an ordinary day.
    fn ordinary_day(&mut self, day: Duration) {
        for application in 0..APPLICATIONS {
            for user in 0..USERS {
                for _ in 0..self.rng.usize(0..=2) {
                    let mut at = day + self.between(Duration::ZERO, DAY);
                    for _ in 0..self.rng.usize(1..=3) {
                        let action = match self.rng.u8(0..100) {
                            0..45 => Action::Profile(application, user),
                            45..95 => Action::Events(application, user, self.rng.usize(1..=4)),
                            _ => Action::Deletion(application, user),
                        };
                        if !self.is_quiet(application, at) {
                            self.add(at, action);
                        }
                        at += self.between(MINUTE, 20 * MINUTE);
                    }
                }
            }
        }
        for _ in 0..self.rng.usize(2..=4) {
            let at = day + self.between(Duration::ZERO, DAY);
            self.records(at);
        }
    }

    fn records(&mut self, at: Duration) {
        let number = self.rng.usize(1..=5);
        let records = (0..number)
            .map(|_| (self.rng.usize(..APPLICATIONS), self.rng.usize(..USERS)))
            .collect();
        let foreign = self.rng.usize(0..=4);
        self.add(at, Action::Records(records, foreign));
    }

    /// What users do while an application's upstream is in trouble, and a little later.
    fn drama(&mut self, application: usize, from: Duration, to: Duration) {
        for user in 0..USERS {
            let mut at = from + self.between(MINUTE, 10 * MINUTE);
            for _ in 0..self.rng.usize(2..=5) {
                let action = match self.rng.u8(0..10) {
                    0..5 => Action::Profile(application, user),
                    5 => Action::Events(application, user, self.rng.usize(1..=3)),
                    6 => Action::Twins(application, user),
                    _ => Action::Deletion(application, user),
                };
                if at < to + 30 * MINUTE {
                    self.add(at, action);
                }
                at += self.between(MINUTE, 40 * MINUTE);
            }
        }
    }

    fn some_trouble(&mut self) {
        let from = self.between(HOUR, self.end.saturating_sub(6 * HOUR));
        let to = from + self.between(5 * MINUTE, 3 * HOUR);
        let number = self.rng.usize(..APPLICATIONS);
        let application = Some(code(number));
        match self.rng.u8(0..100) {
            0..35 => {
                let (label, faults) = match self.rng.u8(0..=7) {
                    7 => refused_deletions(),
                    kind => {
                        let (label, fault) = of_upstream(kind);
                        (label, vec![fault])
                    }
                };
                let concerns = Concerns::Service(Service::Pushwoosh);
                let own = |fault| Fault { application: application.clone(), ..fault };
                let faults = faults.into_iter().map(own).collect();
                self.trouble(Trouble { from, to, concerns, application, label, faults });
                self.drama(number, from, to);
                if label.contains("slow") {
                    let at = from + self.between(MINUTE, 5 * MINUTE);
                    let events = self.rng.usize(100..=250);
                    self.add(at, Action::Events(number, 0, events));
                }
            }
            35..50 => {
                let (label, fault) = of_upstream(self.rng.u8(0..=6));
                let concerns = Concerns::Service(Service::Segment);
                let faults = vec![Fault { application: application.clone(), ..fault }];
                self.trouble(Trouble { from, to, concerns, application, label, faults });
                for _ in 0..6 {
                    let at = self.between(from, to);
                    let records = vec![(number, 0), (number, 1)];
                    self.add(at, Action::Records(records, 0));
                }
                if self.rng.bool() {
                    let place = self.rng.f64();
                    self.away(number, place, (from, to));
                }
            }
            50..62 => {
                let (label, fault) = of_secrets(self.rng.u8(0..=3));
                let concerns = Concerns::Service(Service::SecretsManager);
                let faults = vec![fault];
                self.trouble(Trouble { from, to, concerns, application: None, label, faults });
                // Many foreign codes once: each of them waits until it is known to be nobody's, at two calls an attempt.
                for foreign in [FOREIGN, FEW, FEW] {
                    let at = self.between(from, to);
                    let records = vec![(number, 0), (number, 1)];
                    self.add(at, Action::Records(records, foreign));
                }
            }
            62..72 => self.rotation(number, from),
            72..80 => {
                let (label, fault) = of_sqs(self.rng.u8(0..=2));
                let concerns = Concerns::Service(Service::Sqs);
                let faults = vec![fault];
                self.trouble(Trouble { from, to, concerns, application: None, label, faults });
            }
            80..88 => {
                // Some entries are not taken while an upstream makes them necessary.
                let concerns = Concerns::SingleEntries;
                let fault = Fault {
                    path: Some("SendMessageBatch".to_owned()),
                    failed_entries: Some(1),
                    probability: Some(0.2),
                    ..Fault::default()
                };
                let faults = vec![fault];
                let label = "takes all but one entry of a batch";
                self.trouble(Trouble { from, to, concerns, application: None, label, faults });
                let (label, fault) = of_upstream(0);
                let faults = vec![Fault { application: application.clone(), ..fault }];
                let concerns = Concerns::Service(Service::Pushwoosh);
                self.trouble(Trouble { from, to, concerns, application, label, faults });
                self.drama(number, from, to);
            }
            88..91 => {
                let (label, fault) = of_dynamodb(self.rng.u8(0..=3));
                let concerns = Concerns::Service(Service::DynamoDb);
                let faults = vec![fault];
                self.trouble(Trouble { from, to, concerns, application: None, label, faults });
                self.drama(number, from, to);
            }
            91..95 => {
                let to = from + self.between(5 * MINUTE, HOUR);
                let (concerns, label) = (Concerns::Processes, "invocations die");
                let faults = Vec::new();
                self.trouble(Trouble { from, to, concerns, application: None, label, faults });
                self.drama(number, from, to);
            }
            _ => self.away(number, 0.0, (from, to)),
        }
    }

    /// An application's secret is deleted and comes back.
    fn away(&mut self, number: usize, place: f64, (from, to): (Duration, Duration)) {
        let from = from + to.saturating_sub(from).mul_f64(place * 0.9);
        let to = from + AWAY;
        let application = Some(code(number));
        let label = "the secret is away";
        let (concerns, faults) = (Concerns::Secret, Vec::new());
        self.trouble(Trouble { from, to, concerns, application, label, faults });
    }

    /// A rotation; half of them while Secrets Manager fails.
    fn rotation(&mut self, number: usize, from: Duration) {
        let switched = from + self.between(MINUTE, 20 * MINUTE);
        let settled = switched + 30 * MINUTE;
        self.add(from, Action::Rotate(number));
        self.add(switched, Action::NewKeyInSegment(number));
        let (concerns, application) = (Concerns::Rotation, Some(code(number)));
        let (label, faults) = ("a rotation", Vec::new());
        self.trouble(Trouble { from, to: settled, concerns, application, label, faults });
        for user in 0..USERS {
            let at = self.between(switched, settled);
            self.add(at, Action::Events(number, user, 1));
        }
        let later = from + self.between(2 * DAY, 5 * DAY);
        self.add(later, Action::OldKey(number));
        if self.rng.bool() {
            let (label, fault) = of_secrets(self.rng.u8(0..=2));
            let concerns = Concerns::Service(Service::SecretsManager);
            let (from, faults) = (from + MINUTE / 2, vec![fault]);
            self.trouble(Trouble { from, to: settled, concerns, application: None, label, faults });
        }
    }
}

impl Plan {
    /// The story of a seed.
    pub(crate) fn new(seed: u64, days: u32) -> Self {
        let (rng, end) = (Rng::with_seed(seed), DAY * days);
        let (actions, troubles) = (Vec::new(), Vec::new());
        let mut planner = Planner { rng, end, actions, troubles, wrong_key: None };
        if days >= 7 && planner.rng.u8(0..3) == 0 {
            planner.wrong_key();
        }
        for day in 0..days {
            planner.ordinary_day(DAY * day);
            if day % 7 == 6 {
                planner.add(DAY * day + 9 * HOUR, Action::Redrive);
            }
            if day % 7 == 3 {
                planner.add(DAY * day + 14 * HOUR, Action::Deploy);
            }
        }
        for _ in 0..(days * 2 / 3).max(2) {
            planner.some_trouble();
        }
        let provisioned = planner.rng.bool();
        let Planner { mut actions, troubles, wrong_key, .. } = planner;
        actions.sort_by_key(|(at, _)| *at);
        Self { actions, troubles, provisioned, short_lives: wrong_key.is_some() }
    }
}

/// After every story, and not so late that adding to it overflows.
const NEVER: Duration = Duration::from_hours(24 * 36_500);

/// What is left out of a story.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cut {
    /// The story ends with this day.
    pub until: Option<u32>,
    /// Troubles that do not happen, by their numbers.
    pub without: BTreeSet<usize>,
}

impl Plan {
    /// Leaves out what the cut says. What is left happens as it would have.
    pub(crate) fn cut(&mut self, cut: &Cut) {
        let until = cut.until.map_or(NEVER, |days| DAY * days);
        for (index, trouble) in self.troubles.iter_mut().enumerate() {
            if cut.without.contains(&index) || trouble.from >= until {
                (trouble.from, trouble.to) = (NEVER, NEVER);
            }
            trouble.to = trouble.to.min(until.max(trouble.from));
        }
        let troubles = &self.troubles;
        let happens = |index: usize| troubles.get(index).is_some_and(|one| one.from < until);
        self.actions.retain_mut(|(at, action)| match action {
            Action::Begin(index) => happens(*index),
            Action::End(index) => {
                // What lasts beyond the story ends with it.
                *at = (*at).min(until);
                happens(*index)
            }
            _ => *at < until,
        });
        self.actions.sort_by_key(|(at, _)| *at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_depends_on_its_seed_alone() {
        let show = |seed| format!("{:?}", Plan::new(seed, 10).actions);
        assert_eq!(show(1), show(1));
        assert_ne!(show(1), show(2));
    }

    #[test]
    fn a_cut_story_is_the_same_but_for_what_is_left_out() {
        let whole = Plan::new(2, 10);
        let mut cut = Plan::new(2, 10);
        cut.cut(&Cut::default());
        assert_eq!(format!("{:?}", cut.actions), format!("{:?}", whole.actions));
        cut.cut(&Cut { until: Some(5), without: BTreeSet::from([0]) });
        assert!(cut.actions.iter().all(|(at, _)| *at <= DAY * 5));
        let of_first = |action: &Action| matches!(action, Action::Begin(0) | Action::End(0));
        assert!(!cut.actions.iter().any(|(_, action)| of_first(action)));
        let begun = |plan: &Plan| {
            plan.actions.iter().filter(|(_, action)| matches!(action, Action::Begin(_))).count()
        };
        let ended = cut.actions.iter().filter(|(_, action)| matches!(action, Action::End(_)));
        assert_eq!(ended.count(), begun(&cut), "what begins ends");
        assert!(begun(&cut) < begun(&whole));
    }
}
