//! Which applications are unsettled: something of theirs waits, and must not undo what comes meanwhile.

use std::time::Duration;

use jiff::Timestamp;

use super::table::{Change, moment_of};
use super::{LIVE_WAIT, Ledger, Unavailable};
use crate::clock::{Instant, after, between};

/// For how long a process believes what it read. What another process parks is seen this much later.
const FRESH: Duration = Duration::from_secs(5);

/// A mark lasts for so many of the longest delays: an item that waits renews it with every attempt, and a
/// queue that is behind makes it wait longer than its delay.
const DELAYS: u32 = 4;

/// For as long as a queue keeps a message: what is dead or rejected may be sent again until then.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub(super) const RETENTION: Duration = Duration::from_hours(14 * 24);

/// Bound on remembered applications.
const MAX_MARKS: usize = 10_000;

const UNTIL: &str = "until";

/// What is known of an application's mark.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    read_at: Timestamp,
    until: Timestamp,
}

impl Ledger {
    /// Whether something of the application is unsettled, as far as can be known within [`LIVE_WAIT`].
    pub async fn is_unsettled(&self, application: &str, deadline: Instant) -> bool {
        let now = self.clock.wall();
        let known = self.marks().get(application).copied();
        if let Some(mark) = known
            && (between(mark.read_at, now) < FRESH || now < mark.until)
        {
            return now < mark.until;
        }
        let deadline = deadline.min(self.clock.now() + LIVE_WAIT);
        match self.get(&key(application), deadline).await {
            Ok(row) => {
                let until = row.and_then(|row| moment_of(&row, UNTIL)).unwrap_or_default();
                self.remember(application, until);
                now < until
            }
            // A mark that lasts was believed without a look.
            Err(Unavailable) => false,
        }
    }

    /// Notes that an item of the application waits on the retry queue from now on.
    pub async fn unsettle(&self, application: &str, deadline: Instant) -> Result<(), Unavailable> {
        let (renew, life) = (self.longest_delay * (DELAYS / 2), self.longest_delay * DELAYS);
        self.raise_mark(application, renew, life, deadline).await
    }

    /// Notes that an item of the application may be sent again by an operator, for as long as a queue keeps
    /// it.
    pub async fn unsettle_for_long(
        &self,
        application: &str,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        let slack = Duration::from_hours(1);
        self.raise_mark(application, RETENTION, RETENTION + slack, deadline).await
    }

    /// Raises the mark to `life` from now, unless this process knows that it lasts for `enough` anyway.
    async fn raise_mark(
        &self,
        application: &str,
        enough: Duration,
        life: Duration,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        let now = self.clock.wall();
        let known = self.marks().get(application).copied();
        if known.is_some_and(|mark| between(now, mark.until) >= enough) {
            return Ok(());
        }
        let until = after(now, life);
        let change = Change::default().raise(UNTIL, until);
        let raised = self.change(&key(application), change, life, deadline).await?;
        let until = raised.err().and_then(|row| moment_of(&row, UNTIL)).unwrap_or(until);
        self.remember(application, until);
        Ok(())
    }

    fn remember(&self, application: &str, until: Timestamp) {
        let read_at = self.clock.wall();
        let mut marks = self.marks();
        if marks.len() >= MAX_MARKS {
            marks.retain(|_, mark| read_at < mark.until);
        }
        marks.insert(application.to_owned(), Mark { read_at, until });
    }

    fn marks(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<String, Mark>> {
        self.marks.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn key(application: &str) -> String {
    format!("mark#{application}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    #[tokio::test(start_paused = true)]
    async fn of_too_many_marks_those_that_ended_are_forgotten() {
        let world = World::new(&[]);
        let ledger = &world.platform.ledger;
        let now = world.platform.clock.wall();
        let later = after(now, FRESH);
        for n in 0..MAX_MARKS {
            ledger.remember(&n.to_string(), if n % 2 == 0 { now } else { later });
        }
        assert_eq!(ledger.marks().len(), MAX_MARKS);
        ledger.remember("next", later);
        let marks = ledger.marks();
        assert_eq!(marks.len(), MAX_MARKS / 2 + 1);
        assert!(marks.contains_key("1") && !marks.contains_key("2"));
    }
}
