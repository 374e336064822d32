//! When a message is tried again: delays double from the setting's first to its longest, drawn at random
//! below that (full jitter), so that what failed together is not retried together.

use std::time::Duration;

use platform::settings::Settings;

/// Why a message has to stay on the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Postponed {
    /// It is retried with exponential backoff, and not before this has passed.
    Retry(Option<Duration>),
    /// Older than `PWSEG_RETRY_MAX_AGE_S`: no longer tried, and handed back until the queue's redrive
    /// policy has moved it to the dead-letter queue.
    Expired,
}

/// A retry is never sooner than this.
const MIN_DELAY: Duration = Duration::from_secs(1);

impl Postponed {
    /// How long the message is to stay invisible, after it was received this many times.
    pub(crate) fn delay(self, settings: &Settings, receives: u32) -> Duration {
        match self {
            Self::Expired => Duration::ZERO,
            Self::Retry(after) => {
                let jittered = ceiling(settings, receives).mul_f64(fastrand::f64());
                jittered.max(after.unwrap_or_default()).max(MIN_DELAY)
            }
        }
    }
}

/// The longest delay after this many receives.
fn ceiling(settings: &Settings, receives: u32) -> Duration {
    let doubled = settings.retry_first_delay.saturating_mul(2_u32.saturating_pow(receives.min(31)));
    doubled.min(settings.retry_max_delay)
}

#[cfg(test)]
mod tests {
    use platform::testing::World;

    use super::*;

    fn settings() -> Settings {
        let world =
            World::new(&[("PWSEG_RETRY_FIRST_DELAY_S", "30"), ("PWSEG_RETRY_MAX_DELAY_S", "600")]);
        Settings::clone(&world.platform.settings)
    }

    #[test]
    fn the_longest_delay_doubles_up_to_the_limit() {
        let settings = settings();
        for (receives, seconds) in [(0, 30), (1, 60), (2, 120), (4, 480), (5, 600), (u32::MAX, 600)]
        {
            assert_eq!(ceiling(&settings, receives), Duration::from_secs(seconds), "{receives}");
        }
    }

    #[test]
    fn delays_are_drawn_below_the_longest() {
        let settings = settings();
        let delays: Vec<_> = (0..200).map(|_| Postponed::Retry(None).delay(&settings, 2)).collect();
        let longest = ceiling(&settings, 2);
        assert!(delays.iter().all(|delay| (MIN_DELAY..=longest).contains(delay)));
        // Full jitter: both halves are used.
        assert!(delays.iter().any(|delay| *delay < longest / 2));
        assert!(delays.iter().any(|delay| *delay > longest / 2));
    }

    #[test]
    fn a_named_time_is_kept_and_an_expired_message_is_handed_back_at_once() {
        let hour = Duration::from_hours(1);
        assert_eq!(Postponed::Retry(Some(hour)).delay(&settings(), 1), hour);
        assert_eq!(Postponed::Expired.delay(&settings(), 1), Duration::ZERO);
    }
}
