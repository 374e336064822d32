//! The judge: compares what callers were told with what the upstreams hold in the end, and knows nothing
//! of how the functions work.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::guarantee::{Guarantee, Verdict};
use crate::items::{Attempt, Item, Key, What, markers};
use crate::service::Service;
use crate::services::{State, UpstreamCall};
use crate::time::{show, wall};
use crate::trouble::{Concerns, Trouble};
use crate::waiting::{Waiting, names};

/// Requests within so little time of each other have no order.
const CONCURRENT: Duration = Duration::from_secs(30);

/// An upstream that answers later than this is not healthy.
const HEALTHY_ANSWER: Duration = Duration::from_millis(1_500);

/// The time budget of the destination, and what the simulation itself may cost.
const BUDGET: Duration = Duration::from_millis(4_050);

const TOPIC_LIMIT: Duration = Duration::from_mins(10);
const NEIGHBOUR_LIMIT: Duration = Duration::from_mins(1);
const RECOVERY_LIMIT: Duration = Duration::from_hours(1);

/// How long the absence of a secret may be remembered, and a little more.
const UNKNOWN: Duration = Duration::from_mins(2);

/// How long after a rotation a request may be answered with 503, and a little more.
const SETTLING: Duration = Duration::from_secs(20);

const DAY: Duration = Duration::from_hours(24);

/// A trouble is felt for so long after its end: pauses of callers, circuits, mappings.
const AFTERMATH: Duration = Duration::from_mins(30);

/// Judges a story that has come to rest. Beside the verdicts: how long after the end of their troubles items were
/// delivered that had waited for it.
pub(crate) fn judge(state: &mut State, now: Duration) -> (Vec<Verdict>, Vec<Duration>) {
    state.pushwoosh.advance(wall(now));
    let end = End::of(state);
    let recoveries =
        state.items.iter().filter_map(|(marker, item)| end.recovery(marker, item)).collect();
    let mut verdicts = Vec::new();
    for (marker, item) in state.items.iter() {
        let mut found = Vec::new();
        end.accounted(marker, item, &mut found);
        match item.what {
            // What equal requests have together comes as often, and more often if both fail at the same time.
            What::Event if item.copies == 1 => end.event_once(marker, &mut found),
            What::Record => end.record(marker, item, &mut found),
            What::Deletion => end.nothing_after(item, &mut found),
            What::Event | What::Profile => {}
        }
        end.delays(marker, item, &mut found);
        verdicts.extend(found.into_iter().map(|(guarantee, at, what)| Verdict {
            guarantee,
            at,
            application: item.application.clone(),
            user: item.user.clone(),
            what,
        }));
    }
    verdicts.extend(end.people());
    verdicts.extend(state.attempts.iter().flat_map(|attempt| end.attempt(attempt)));
    verdicts.sort_by_key(|verdict| (verdict.at, verdict.guarantee));
    (verdicts, recoveries)
}

type Found = Vec<(Guarantee, Duration, String)>;

/// The end of a story, put in order.
struct End<'a> {
    state: &'a State,
    /// Calls that took effect, by marker.
    effects: BTreeMap<u64, Vec<&'a UpstreamCall>>,
    /// Deletions that took effect, by user.
    deletions: BTreeMap<&'a str, Vec<&'a UpstreamCall>>,
    /// Calls that took effect, by user.
    of_user: BTreeMap<&'a str, Vec<&'a UpstreamCall>>,
    waiting: Waiting,
    in_segment: BTreeMap<u64, usize>,
    /// What was in a request whose invocation died.
    died: BTreeSet<u64>,
    /// When profiles and deletions of a user were accepted.
    people: BTreeMap<(&'a str, &'a str), Vec<(Duration, What)>>,
}

impl<'a> End<'a> {
    fn of(state: &'a State) -> Self {
        let mut effects: BTreeMap<u64, Vec<&UpstreamCall>> = BTreeMap::new();
        let mut deletions: BTreeMap<&str, Vec<&UpstreamCall>> = BTreeMap::new();
        let mut of_user: BTreeMap<&str, Vec<&UpstreamCall>> = BTreeMap::new();
        for call in state.calls.iter().filter(|call| call.took_effect) {
            for marker in &call.markers {
                effects.entry(*marker).or_default().push(call);
            }
            if let Some(user) = call.user.as_deref() {
                of_user.entry(user).or_default().push(call);
                if call.path.ends_with("/deleteUser") {
                    deletions.entry(user).or_default().push(call);
                }
            }
        }
        let waiting = Waiting::of(state);
        let mut in_segment: BTreeMap<u64, usize> = BTreeMap::new();
        for record in state.segment.records() {
            for marker in markers(campaign(&record.event)) {
                *in_segment.entry(marker).or_default() += 1;
            }
        }
        let died = state.attempts.iter().filter(|attempt| attempt.died);
        let died = died.flat_map(|attempt| attempt.markers.iter().copied()).collect();
        let mut people: BTreeMap<(&str, &str), Vec<(Duration, What)>> = BTreeMap::new();
        for (_, item) in state.items.iter() {
            if let (Some(at), What::Profile | What::Deletion) = (item.accepted, item.what) {
                people.entry((&item.application, &item.user)).or_default().push((at, item.what));
            }
        }
        Self { state, effects, deletions, of_user, waiting, in_segment, died, people }
    }

    fn first_effect(&self, marker: u64, item: &Item) -> Option<Duration> {
        let calls = match item.what {
            What::Deletion => self.deletions.get(item.user.as_str()),
            _ => self.effects.get(&marker),
        };
        calls?.iter().map(|call| call.at).find(|at| *at >= item.created)
    }

    fn waits(&self, marker: u64, item: &Item) -> bool {
        self.waiting.anywhere.contains(&marker)
            || (item.what == What::Deletion && self.waiting.has_deletion(&item.user))
    }

    fn expired(&self, marker: u64, item: &Item) -> bool {
        self.state.expired.contains(&marker)
            || (item.what == What::Deletion && names(&self.state.expired_unmarked, &item.user))
    }

    fn troubles(&self, application: &str) -> impl Iterator<Item = &'a Trouble> {
        self.state.troubles.iter().filter(move |trouble| trouble.touches(application))
    }

    /// Whether something overlaps this time, its aftermath included.
    fn troubled(
        &self,
        application: &str,
        (from, to): (Duration, Duration),
        concerns: impl Fn(Concerns) -> bool,
    ) -> bool {
        self.troubles(application).any(|trouble| {
            concerns(trouble.concerns) && trouble.overlaps(from.saturating_sub(AFTERMATH), to)
        })
    }

    /// Whether the application's secret was away at a time in this span.
    fn was_away(&self, application: &str, (from, to): (Duration, Duration)) -> bool {
        self.troubles(application)
            .any(|trouble| trouble.concerns == Concerns::Secret && trouble.overlaps(from, to))
    }

    fn accounted(&self, marker: u64, item: &Item, found: &mut Found) {
        let Some(accepted) = item.accepted else { return };
        let delivered = self.first_effect(marker, item);
        if item.bad {
            let kept =
                self.waiting.anywhere.contains(&marker) || self.state.expired.contains(&marker);
            if !kept || delivered.is_some() {
                let what = format!("{:?} {marker} cannot be read and is not kept", item.what);
                found.push((Guarantee::Accounted, accepted, what));
            }
            return;
        }
        if self.waits(marker, item) || self.is_covered(item, accepted) {
            return;
        }
        let times = self.effects.get(&marker).map_or(0, Vec::len);
        if delivered.is_some() && item.copies > 1 && times < item.taken {
            let taken = item.taken;
            let what = format!("event {marker} of {taken} equal requests came {times} times");
            found.push((Guarantee::Accounted, accepted, what));
        }
        if delivered.is_some() {
            return;
        }
        let what = format!("{:?} {marker}, accepted {}", item.what, show(accepted));
        let aways = self.troubles(&item.application);
        let mut aways = aways
            .filter(|trouble| trouble.concerns == Concerns::Secret)
            .filter(|trouble| trouble.to + DAY >= item.created)
            .peekable();
        if self.expired(marker, item) {
            let what = format!("{what}: SQS deleted it at the end of the retention");
            found.push((Guarantee::NotExpired, accepted, what));
        } else if item.what == What::Record && aways.peek().is_some() {
            // Whoever has not served the application yet cannot know that it exists.
            let decided = self.state.committed.get(&marker).copied().unwrap_or(item.created);
            let unclear =
                aways.any(|trouble| trouble.overlaps(decided.saturating_sub(UNKNOWN), decided));
            if self.state.parked.contains(&marker) {
                let what = format!("{what}: it was parked, and is gone since the secret was away");
                found.push((Guarantee::SettingsReturn, accepted, what));
            } else if !unclear {
                let what = format!("{what}: it was dropped when the secret was back");
                found.push((Guarantee::SettingsReturn, accepted, what));
            }
        } else {
            found.push((Guarantee::Accounted, accepted, format!("{what}: nowhere")));
        }
    }

    /// Whether what was accepted later leaves nothing of it to deliver: a deletion of its user, or for a
    /// profile another profile, since all of them set the same tag.
    fn is_covered(&self, item: &Item, accepted: Duration) -> bool {
        let others = self.people.get(&(item.application.as_str(), item.user.as_str()));
        others.into_iter().flatten().any(|(at, what)| {
            *at > accepted
                && match item.what {
                    What::Profile => true,
                    What::Record | What::Event | What::Deletion => *what == What::Deletion,
                }
        })
    }

    fn event_once(&self, marker: u64, found: &mut Found) {
        let Some(calls) = self.effects.get(&marker) else { return };
        for (call, next) in calls.iter().zip(calls.iter().skip(1)) {
            // Also what was parked by an invocation that died comes twice: its caller repeats it.
            let died = self.state.died.contains(&call.invocation) || self.died.contains(&marker);
            let late = call.abandoned && call.took > HEALTHY_ANSWER;
            if died || late || !call.answered {
                continue;
            }
            let took = call.took.as_millis();
            let times = format!("event {marker} at {} and {}", show(call.at), show(next.at));
            let (guarantee, why) = if call.abandoned {
                (Guarantee::EventOnce, format!("the call was given up, answered in {took} ms"))
            } else if self.state.handed_out_twice.contains(&marker) {
                (Guarantee::OncePerMessage, "SQS handed the message out again".to_owned())
            } else if call.invocation == next.invocation {
                (Guarantee::EventOnce, "twice in one invocation".to_owned())
            } else {
                let after = |attempt: &&Attempt| attempt.markers.contains(&marker);
                let statuses = self.state.attempts.iter().filter(after);
                let statuses: Vec<u16> = statuses.map(|attempt| attempt.status).collect();
                (Guarantee::OncePerRequest, format!("its request was answered {statuses:?}"))
            };
            found.push((guarantee, next.at, format!("{times}: {why}")));
        }
    }

    fn record(&self, marker: u64, item: &Item, found: &mut Found) {
        let times = self.in_segment.get(&marker).copied().unwrap_or_default();
        if times > 1 {
            let what = format!("record {marker} is there {times} times");
            found.push((Guarantee::RecordOnce, item.created, what));
        }
        let hindered =
            |concerns| matches!(concerns, Concerns::Service(Service::Sqs) | Concerns::Processes);
        let left = self.state.committed.get(&marker).copied().unwrap_or(Duration::MAX);
        let limit = item.created + TOPIC_LIMIT;
        if left > limit && !self.troubled(&item.application, (item.created, limit), hindered) {
            let after = left.saturating_sub(item.created).as_secs() / 60;
            let what = format!("record {marker} left the topic after {after} min");
            found.push((Guarantee::TopicMoves, item.created, what));
        }
    }

    /// Calls after a deletion with what was accepted before it.
    fn nothing_after(&self, item: &Item, found: &mut Found) {
        let user = item.user.as_str();
        let Some(accepted) = item.accepted else { return };
        // A deletion that took effect and was answered with an error comes again, and takes effect again.
        let calls = || self.deletions.get(user).into_iter().flatten().map(|call| call.at);
        let own = |at: &Duration| *at >= item.created && *at + CONCURRENT >= accepted;
        // A call does not say for which deletion it is: those that may still have waited come first.
        let others = self.state.items.0.iter().filter(|other| {
            other.what == What::Deletion
                && other.user == item.user
                && other.accepted.is_some_and(|other| other < accepted)
        });
        let waited =
            others.filter(|other| !calls().any(|at| (other.created..item.created).contains(&at)));
        let Some(deleted) = calls().filter(own).nth(waited.count()) else {
            return;
        };
        let deleted_at = deleted;
        let calls = self.of_user.get(user).into_iter().flatten();
        for call in calls.filter(|call| call.at > deleted + CONCURRENT) {
            for marker in &call.markers {
                let other = usize::try_from(*marker).ok();
                let other = other.and_then(|index| self.state.items.0.get(index));
                // The second of two equal requests may have come after the deletion.
                let before = other.filter(|other| other.copies == 1).and_then(|one| one.accepted);
                if before.is_some_and(|before| before + CONCURRENT < accepted) {
                    let what = format!(
                        "item {marker}, accepted {}, came after the deletion of {}",
                        show(before.unwrap_or_default()),
                        show(deleted_at)
                    );
                    found.push((Guarantee::DeletedStay, call.at, what));
                }
            }
        }
    }

    fn delays(&self, marker: u64, item: &Item, found: &mut Found) {
        if item.bad || item.accepted.is_none() {
            return;
        }
        let application = item.application.as_str();
        if self.waiting.undelivered.contains(&marker) {
            let what = format!("{:?} {marker} still waits at the end", item.what);
            found.push((Guarantee::Recovery, self.calm(item), what));
            return;
        }
        // The deletion that took effect may be a later one.
        let refused = item.what == What::Deletion && self.waiting.has_refused(&item.user);
        let delivered = self.first_effect(marker, item).filter(|_| !refused);
        let Some(delivered) = delivered else { return };
        let overlaps = |before| {
            let from = item.created.saturating_sub(before);
            self.troubles(application).any(|trouble| trouble.overlaps(from, delivered))
        };
        let others = self.state.troubles.iter().any(|trouble| {
            !trouble.touches(application) && trouble.overlaps(item.created, delivered)
        });
        let late = delivered.saturating_sub(item.created) > NEIGHBOUR_LIMIT;
        let slow = late && !self.died.contains(&marker);
        let calm = self.calm(item);
        let after = delivered.saturating_sub(item.created).as_secs();
        let what = format!("{:?} {marker} took {after} s", item.what);
        if slow && !overlaps(DAY) && others {
            found.push((Guarantee::Neighbours, item.created, what));
        } else if slow && overlaps(DAY) && !overlaps(AFTERMATH) {
            found.push((Guarantee::Resumes, item.created, what));
        } else if delivered > item.accepted.unwrap_or_default() + self.state.age_limit {
            // It was dead, and came when an operator sent it again.
        } else if delivered > calm + RECOVERY_LIMIT {
            let waited = delivered.saturating_sub(calm).as_secs() / 60;
            let what = format!("{:?} {marker} was delivered {waited} min later", item.what);
            found.push((Guarantee::Recovery, calm, what));
        }
    }

    /// The time until which something was wrong.
    fn calm(&self, item: &Item) -> Duration {
        let mut calm = item.created;
        let mut troubles: Vec<&Trouble> = self.troubles(&item.application).collect();
        troubles.sort_by_key(|trouble| trouble.from);
        for trouble in troubles {
            if trouble.from <= calm + AFTERMATH && trouble.to > calm {
                calm = trouble.to;
            }
        }
        calm
    }

    /// How long after the end of its troubles an item was delivered that had waited for it.
    fn recovery(&self, marker: u64, item: &Item) -> Option<Duration> {
        let (accepted, calm) = (item.accepted.filter(|_| !item.bad)?, self.calm(item));
        let waited = self.first_effect(marker, item)?.checked_sub(calm)?;
        (accepted < calm && waited <= self.state.age_limit).then_some(waited)
    }

    /// What is known of people in the end.
    fn people(&self) -> Vec<Verdict> {
        let mut people: BTreeMap<(&str, &str), Vec<(u64, &Item)>> = BTreeMap::new();
        for (marker, item) in self.state.items.iter() {
            if matches!(item.what, What::Profile | What::Deletion) {
                let items = people.entry((&item.application, &item.user)).or_default();
                items.push((marker, item));
            }
        }
        let mut verdicts = Vec::new();
        for ((application, user), items) in people {
            if let Some((guarantee, at, what)) = self.person(application, user, &items) {
                let (application, user) = (application.to_owned(), user.to_owned());
                verdicts.push(Verdict { guarantee, at, application, user, what });
            }
        }
        verdicts
    }

    fn person(
        &self,
        application: &str,
        user: &str,
        items: &[(u64, &Item)],
    ) -> Option<(Guarantee, Duration, String)> {
        let accepted =
            items.iter().filter_map(|(marker, item)| Some((item.accepted?, *marker, *item)));
        let last = accepted.clone().map(|(at, ..)| at).max()?;
        let newest: Vec<(Duration, u64, &Item)> =
            accepted.filter(|(at, ..)| *at + CONCURRENT >= last).collect();
        // What nobody was told about may have had its effect, or not.
        let open = items.iter().any(|(_, item)| item.accepted.is_none() && item.created > last);
        // Without the ledger nobody knows what waits: what is accepted then has no order with it.
        let ledger = |concerns| concerns == Concerns::Service(Service::DynamoDb);
        let open = open || self.troubled(application, (last, last), ledger);
        let deletions = newest.iter().filter(|(.., item)| item.what == What::Deletion).count();
        let undelivered = newest.iter().any(|(_, marker, item)| {
            self.waits(*marker, item) || self.first_effect(*marker, item).is_none()
        });
        if open || undelivered || (deletions > 0 && deletions < newest.len()) {
            return None;
        }
        let there = self.state.pushwoosh.user(application, user);
        if deletions > 0 {
            let what = format!("deleted {} and there at the end", show(last));
            return there.map(|_| (Guarantee::DeletedStay, last, what));
        }
        let value = there.and_then(|there| there.tags.get("plan")?.as_str());
        let value = value.and_then(|value| markers(value).first().copied());
        if newest.iter().any(|(_, marker, _)| value == Some(*marker)) {
            return None;
        }
        let wanted: Vec<u64> = newest.iter().map(|(_, marker, _)| *marker).collect();
        let Some(value) = value else {
            let what =
                format!("plan should be {wanted:?}, accepted {}, and is not there", show(last));
            return Some((Guarantee::ReturnedStay, last, what));
        };
        let what = format!("plan should be {wanted:?}, accepted {}, and is {value}", show(last));
        Some((Guarantee::NewestValue, last, what))
    }

    fn attempt(&self, attempt: &Attempt) -> Vec<Verdict> {
        let mut found: Found = Vec::new();
        let Attempt { at, ended, status, .. } = *attempt;
        let what = format!("{:?} was answered {status}", attempt.markers);
        // Whoever found the secret missing may remember that for a while.
        let away = self.was_away(&attempt.application, (at.saturating_sub(UNKNOWN), at));
        match (attempt.key, status) {
            (Key::Right, 400..=499) if away => {}
            (Key::Right, 400..=499) => found.push((Guarantee::RightKey, at, what.clone())),
            (Key::Revoked, 200..=299) => {
                found.push((Guarantee::RevokedKey, at, "the first key still works".to_owned()));
            }
            _ => {}
        }
        let took = ended.saturating_sub(at).saturating_sub(attempt.cold);
        if !attempt.died && took > BUDGET {
            let what = format!("{what} after {} ms", took.as_millis());
            found.push((Guarantee::InTime, at, what));
        }
        let hindered = |concerns| {
            matches!(
                concerns,
                Concerns::Service(Service::Sqs | Service::SecretsManager) | Concerns::Secret
            )
        };
        let span = (at, ended);
        // A key that matches neither version may be right for a moment after a rotation.
        let rotated = self.troubles(&attempt.application).any(|trouble| {
            trouble.concerns == Concerns::Rotation
                && (trouble.from..trouble.from + SETTLING).contains(&at)
        });
        let hindered = rotated || self.troubled(&attempt.application, span, hindered);
        if status >= 500 && !attempt.died && !attempt.markers.is_empty() && !hindered {
            found.push((Guarantee::Taken, at, what));
        }
        let verdicts = found.into_iter().map(|(guarantee, at, what)| Verdict {
            guarantee,
            at,
            application: attempt.application.clone(),
            user: attempt.user.clone(),
            what,
        });
        verdicts.collect()
    }
}

fn campaign(event: &Value) -> &str {
    event.pointer("/properties/campaign_code").and_then(Value::as_str).unwrap_or_default()
}
