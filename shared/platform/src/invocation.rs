//! What one invocation of a function has: its id, its deadlines and its counters.

use std::time::Duration;

use jiff::Timestamp;
use mapping::{Outcome, Parked};

use crate::clock::{Clock, Instant};
use crate::message::Message;
use crate::settings::LogItems;
use crate::telemetry::{ItemLine, Lines, Tally};

/// Until when an invocation may do what.
///
/// A call that was started is not cut off at `start`: so a slow, healthy upstream does not make us send
/// anything twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Until then calls to the upstreams may start.
    pub start: Instant,
    /// Until then their answers are waited for.
    pub answer: Instant,
    /// Until then everything must be done.
    pub end: Instant,
}

/// One invocation. Shared by the items that are worked on together.
#[derive(Debug)]
pub struct Invocation {
    /// Lambda's id of the request, the origin of the items in it.
    pub id: String,
    /// When it began, on the wall clock: the time of arrival of its items.
    pub received: Timestamp,
    /// When it began.
    pub started: Instant,
    /// Its limits.
    pub deadlines: Deadlines,
    /// What became of its items.
    pub tally: Tally,
    lines: Lines,
}

impl Invocation {
    /// An invocation that begins now.
    pub fn begin(id: impl Into<String>, clock: &Clock, deadlines: Deadlines) -> Self {
        Self {
            id: id.into(),
            received: clock.wall(),
            started: clock.now(),
            deadlines,
            tally: Tally::default(),
            lines: Lines::default(),
        }
    }

    /// The same, with log lines for these items.
    #[must_use]
    pub fn logging(self, items: LogItems) -> Self {
        Self { lines: Lines::new(items), ..self }
    }

    /// An item ended. It is counted, and has a line in the log if it was not delivered.
    pub fn ended<'l>(&self, outcome: Outcome, line: impl FnOnce() -> ItemLine<'l>) {
        self.tally.item(outcome);
        self.lines.write(outcome, line);
    }

    /// An item was delivered, but for a part of it, of which the line says why.
    pub fn delivered_in_part<'l>(&self, line: impl FnOnce() -> ItemLine<'l>) {
        self.tally.item(Outcome::Delivered);
        self.lines.write_any(Outcome::Delivered, line);
    }

    /// Several items ended alike. They are counted at once, and have lines as with [`Self::ended`].
    pub fn all_ended<'l>(
        &self,
        outcome: Outcome,
        number: usize,
        line: impl FnMut(usize) -> ItemLine<'l>,
    ) {
        self.tally.items(outcome, number as u64);
        self.lines.write_all(outcome, number, line);
    }

    /// Items ended that were never meant to be delivered, such as records of somebody else's: they are
    /// counted.
    pub fn passed_over<'l>(
        &self,
        outcome: Outcome,
        number: usize,
        line: impl FnMut(usize) -> ItemLine<'l>,
    ) {
        self.tally.items(outcome, number as u64);
        self.lines.pass_over(outcome, number, line);
    }

    /// The items of parked work ended.
    pub fn ended_parked(&self, outcome: Outcome, parked: &Parked) {
        self.tally.items(outcome, parked.number() as u64);
        // What waits on has a line already.
        let again = matches!(outcome, Outcome::Parked(_)) && parked.attempts > 1;
        for index in 0..parked.number() {
            let line = || ItemLine::parked(parked, index);
            if again {
                self.lines.write_again(outcome, line);
            } else {
                self.lines.write(outcome, line);
            }
        }
    }

    /// The items of a message ended, with the message on its queue or not.
    pub fn ended_message(&self, outcome: Outcome, message: &Message) {
        match message {
            Message::Park(parked, _) | Message::Bury(parked) => self.ended_parked(outcome, parked),
            Message::Reject(reject) => self.ended(outcome, || ItemLine::reject(reject)),
        }
    }

    /// Writes how many items have no line of their own, after the last of them.
    pub fn finish(&self) {
        self.lines.finish();
    }
}

impl Deadlines {
    /// Everything within `budget` from `now`. Its end is kept for the queues, but no more than a quarter
    /// of it; what is before that is kept for answers, but no more than half of that: so that even the
    /// smallest budget delivers something.
    pub fn within(
        now: Instant,
        budget: Duration,
        for_queues: Duration,
        for_answers: Duration,
    ) -> Self {
        let upstream = budget.saturating_sub(for_queues.min(budget / 4));
        let start = upstream.saturating_sub(for_answers.min(upstream / 2));
        Self { start: now + start, answer: now + upstream, end: now + budget }
    }
}

#[cfg(test)]
mod tests {
    use mapping::{Cause, Item, ItemKind, Origin, Reason, Work};
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;
    use crate::message::Reject;
    use crate::testing::{Logs, World};

    const SECOND: Duration = Duration::from_secs(1);

    fn item() -> Item<'static> {
        let origin = Origin::Request("r", 0);
        Item { kind: ItemKind::Event, application: Some("A"), origin, bytes: b"{}" }
    }

    /// Two Track calls.
    fn parked(attempts: u32) -> Parked {
        let calls = ["{}", "{}"].map(|call| RawValue::from_string(call.to_owned()).unwrap());
        let work = Work::Segment(calls.into());
        Parked { attempts, ..Parked::new("A", work, Cause::Timeout, Timestamp::UNIX_EPOCH) }
    }

    /// How many items were counted, in which outcomes.
    fn counted(invocation: &Invocation) -> Vec<(Outcome, u64)> {
        invocation.tally.outcomes().into_iter().collect()
    }

    #[test]
    fn an_item_that_ended_is_counted_and_has_its_line() {
        let (logs, _guard) = Logs::capture();
        let invocation = World::new(&[]).invocation(SECOND);
        let (refused, waits) = (Reason::NotJson.into(), Outcome::Parked(Cause::Timeout));
        invocation.ended(refused, || ItemLine::item(&item()));
        invocation.delivered_in_part(|| ItemLine { detail: "a tag", ..ItemLine::item(&item()) });
        invocation.all_ended(waits, 2, |_| ItemLine::item(&item()));
        let expected = [(Outcome::Delivered, 1), (waits, 2), (refused, 1)];
        assert_eq!(counted(&invocation), expected);
        let outcomes = logs.with_message("item").into_iter().map(|line| line["outcome"].clone());
        assert_eq!(outcomes.collect::<Vec<_>>(), ["rejected", "delivered", "parked", "parked"]);
    }

    #[test]
    fn items_that_are_passed_over_are_counted_and_named_in_the_end() {
        let (logs, _guard) = Logs::capture();
        let invocation = World::new(&[]).invocation(SECOND);
        let foreign = Reason::NotConfigured.into();
        invocation.passed_over(foreign, 3, |_| ItemLine::item(&item()));
        invocation.finish();
        assert_eq!(counted(&invocation), [(foreign, 3)]);
        let further = logs.with_message("further items");
        assert_eq!(further.iter().map(|line| &line["items"]).collect::<Vec<_>>(), [3]);
        assert_eq!(logs.with_message("item"), Vec::<Value>::new());
    }

    #[test]
    fn a_message_counts_for_its_items() {
        let (logs, _guard) = Logs::capture();
        let invocation = World::new(&[]).invocation(SECOND);
        let (waits, refused) = (Outcome::Parked(Cause::Timeout), Reason::NotJson.into());
        invocation.ended_message(waits, &Message::Park(parked(1), SECOND));
        invocation.ended_message(Outcome::Failed(Cause::Expired), &Message::Bury(parked(9)));
        let reject = Reject::new(item(), Reason::NotJson, "m", Timestamp::UNIX_EPOCH);
        invocation.ended_message(refused, &Message::Reject(reject));
        let expected = [(waits, 2), (refused, 1), (Outcome::Failed(Cause::Expired), 2)];
        assert_eq!(counted(&invocation), expected);
        assert_eq!(logs.with_message("item").len(), 5);
    }

    /// All items may have lines, but not each time that an attempt fails.
    #[test]
    fn what_waits_on_has_so_many_lines_also_where_all_items_have_one() {
        let lines = |outcome: Outcome, attempts: u32| {
            let (logs, _guard) = Logs::capture();
            let invocation = World::new(&[]).invocation(SECOND).logging(LogItems::All);
            for _ in 0..100 {
                invocation.ended_parked(outcome, &parked(attempts));
            }
            logs.with_message("item").len()
        };
        let waits = Outcome::Parked(Cause::Timeout);
        assert_eq!((lines(waits, 1), lines(waits, 2), lines(waits, 9)), (200, 100, 100));
        assert_eq!((lines(Outcome::Delivered, 1), lines(Outcome::Delivered, 2)), (200, 200));
    }

    #[test]
    fn every_budget_has_time_to_start_to_wait_and_to_park() {
        let now = Instant::default() + 100 * SECOND;
        let usual = Deadlines::within(now, 20 * SECOND, 3 * SECOND, 5 * SECOND);
        let (start, answer, end) = (now + 12 * SECOND, now + 17 * SECOND, now + 20 * SECOND);
        assert_eq!(usual, Deadlines { start, answer, end });
        let short = Deadlines::within(now, 4 * SECOND, 3 * SECOND, 5 * SECOND);
        let (start, answer, end) = (now + SECOND * 3 / 2, now + 3 * SECOND, now + 4 * SECOND);
        assert_eq!(short, Deadlines { start, answer, end });
        let none = Deadlines::within(now, Duration::ZERO, SECOND, SECOND);
        assert_eq!(none, Deadlines { start: now, answer: now, end: now });
    }
}
