//! Virtual time: Tokio's paused clock, read as a wall clock and as the monotonic clock of an environment.

#![expect(clippy::disallowed_methods, reason = "the virtual clock is Tokio's paused one")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use platform::clock::{Clock, Sleep, Time};

/// When every story begins: 2027-01-01.
const START: Timestamp = Timestamp::constant(1_798_761_600, 0);

/// What the monotonic clock of an environment shows when it starts: its machine has run before.
const UPTIME: Duration = Duration::from_hours(1);

/// The wall clock of a story.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoryTime(tokio::time::Instant);

impl StoryTime {
    pub(crate) fn begin() -> Self {
        Self(tokio::time::Instant::now())
    }

    /// Time since the story began.
    pub(crate) fn now(self) -> Duration {
        tokio::time::Instant::now().saturating_duration_since(self.0)
    }

    pub(crate) fn wall(self) -> Timestamp {
        wall(self.now())
    }

    pub(crate) async fn sleep_until(self, at: Duration) {
        tokio::time::sleep_until(self.0 + at).await;
    }
}

pub(crate) async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// The wall clock so long after the beginning.
pub(crate) fn wall(since: Duration) -> Timestamp {
    START.checked_add(since).unwrap_or(Timestamp::MAX)
}

/// Day and time of day, as a story is printed.
pub(crate) fn show(since: Duration) -> String {
    let (seconds, day) = (since.as_secs() % 86_400, since.as_secs() / 86_400 + 1);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("day {day:02} {hour:02}:{minute:02}:{second:02}.{:03}", since.subsec_millis())
}

/// The clocks of one environment. The monotonic one stands still between invocations.
#[derive(Debug)]
pub(crate) struct EnvironmentTime {
    story: StoryTime,
    /// How long it ran before, and since when it runs.
    ran: Mutex<(Duration, Option<Duration>)>,
}

impl EnvironmentTime {
    pub(crate) fn frozen(story: StoryTime) -> Arc<Self> {
        Arc::new(Self { story, ran: Mutex::new((UPTIME, None)) })
    }

    pub(crate) fn clock(self: &Arc<Self>) -> Clock {
        Clock::new(Shared(Arc::clone(self)))
    }

    pub(crate) fn thaw(&self) {
        let mut ran = self.ran.lock().unwrap_or_else(PoisonError::into_inner);
        ran.1 = Some(self.story.now());
    }

    pub(crate) fn freeze(&self) {
        let now = self.monotonic();
        *self.ran.lock().unwrap_or_else(PoisonError::into_inner) = (now, None);
    }

    fn monotonic(&self) -> Duration {
        let (ran, since) = *self.ran.lock().unwrap_or_else(PoisonError::into_inner);
        ran + since.map(|since| self.story.now().saturating_sub(since)).unwrap_or_default()
    }
}

#[derive(Debug)]
struct Shared(Arc<EnvironmentTime>);

impl Time for Shared {
    fn wall(&self) -> Timestamp {
        self.0.story.wall()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}
