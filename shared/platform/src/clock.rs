//! The one source of time: the wall clock, the monotonic clock, and sleeping.
//!
//! Everything else takes a [`Clock`], so that a simulation can put its own in. clippy.toml keeps other
//! uses of the system's clocks out.

use std::fmt;
use std::future::Future;
use std::ops::Add;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures::future::{Either, select};
use jiff::{SignedDuration, Timestamp};

/// What a clock is made of.
pub trait Time: fmt::Debug + Send + Sync {
    /// The wall clock.
    fn wall(&self) -> Timestamp;

    /// The monotonic clock, as the time since any fixed moment. It may stand still while Lambda
    /// freezes the environment.
    fn monotonic(&self) -> Duration;

    /// Ends when this long has passed on the monotonic clock.
    fn sleep(&self, duration: Duration) -> Sleep;
}

/// What [`Time::sleep`] gives. `Sync`, because the AWS SDK asks for it.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// A moment on a monotonic clock. Only moments of the same clock can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Instant(Duration);

impl Instant {
    /// How much later this is than another moment; zero where it is earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// This much earlier, but not before the clock's start.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// A moment this much later on the wall clock, or the last one that there is.
#[must_use]
pub fn after(moment: Timestamp, duration: Duration) -> Timestamp {
    moment.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

/// How much later a moment is than another on the wall clock; zero where it is earlier.
#[must_use]
pub fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    later.duration_since(earlier).try_into().unwrap_or_default()
}

/// The time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

/// A handle on a clock; cloning shares it.
#[derive(Debug, Clone)]
pub struct Clock(Arc<dyn Time>);

impl Clock {
    /// The system's clocks.
    pub fn system() -> Self {
        Self::new(SystemTime)
    }

    /// Any clock.
    pub fn new(time: impl Time + 'static) -> Self {
        Self(Arc::new(time))
    }

    /// The wall clock.
    pub fn wall(&self) -> Timestamp {
        self.0.wall()
    }

    /// The monotonic clock.
    pub fn now(&self) -> Instant {
        Instant(self.0.monotonic())
    }

    /// How far the wall clock is ahead of the monotonic one. It grows by the time for which Lambda froze the
    /// environment, and changes with a correction of the wall clock.
    pub fn ahead(&self) -> SignedDuration {
        let monotonic = self.now().since(Instant::default());
        let monotonic = SignedDuration::try_from(monotonic).unwrap_or(SignedDuration::MAX);
        self.wall().as_duration().saturating_sub(monotonic)
    }

    /// Time on the monotonic clock since an earlier moment.
    pub fn elapsed(&self, since: Instant) -> Duration {
        self.now().since(since)
    }

    /// Ends when this long has passed.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.0.sleep(duration)
    }

    /// A future's result, where there is one before the deadline. A future that is ready at once wins
    /// over a deadline that has passed.
    pub async fn timeout_at<F: Future>(
        &self,
        deadline: Instant,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let left = deadline.since(self.now());
        match select(std::pin::pin!(future), self.sleep(left)).await {
            Either::Left((output, _)) => Ok(output),
            Either::Right(_) => Err(Elapsed),
        }
    }
}

/// The system's clocks. The monotonic one is Tokio's, which tests may pause.
#[derive(Debug)]
struct SystemTime;

#[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
impl Time for SystemTime {
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        // Earlier than any reading, also of a test's clock that was paused before this was set.
        static START: LazyLock<tokio::time::Instant> = LazyLock::new(|| {
            let now = tokio::time::Instant::now();
            now.checked_sub(Duration::from_hours(1)).unwrap_or(now)
        });
        tokio::time::Instant::now().saturating_duration_since(*START)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn time_passes_by_sleeping() {
        let clock = Clock::system();
        let before = clock.now();
        clock.sleep(3 * SECOND).await;
        assert_eq!(clock.elapsed(before), 3 * SECOND);
        assert_eq!(before.since(clock.now()), Duration::ZERO);
        assert_eq!((before + SECOND).before(SECOND), before);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_cuts_off_what_is_not_ready() {
        let clock = Clock::system();
        let deadline = clock.now() + SECOND;
        let late = clock.timeout_at(deadline, clock.sleep(2 * SECOND)).await;
        assert_eq!((late, clock.now()), (Err(Elapsed), deadline));
        assert_eq!(clock.timeout_at(deadline, async { 5 }).await, Ok(5));
    }

    #[test]
    fn the_wall_clock_is_the_systems() {
        let system = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let wall = u64::try_from(Clock::system().wall().as_second()).unwrap();
        assert!(wall.abs_diff(system) <= 60);
    }
}
