//! When an item is tried again: delays double from the setting's first to its longest, and are drawn from the
//! upper half of that, so that what failed together is not retried together and a recovery is noticed
//! within the longest delay.

use std::time::Duration;

use platform::gate::Undelivered;
use platform::settings::Settings;

/// An item is never tried again sooner than this.
const MIN_DELAY: Duration = Duration::from_secs(1);

/// How long an item waits after so many attempts. A time that the upstream named is kept.
pub(crate) fn delay(settings: &Settings, attempts: u32, why: &Undelivered) -> Duration {
    let jittered = ceiling(settings, attempts).mul_f64(0.5 + fastrand::f64() / 2.0);
    jittered.max(why.after.unwrap_or_default()).max(MIN_DELAY)
}

/// The longest delay after so many attempts.
fn ceiling(settings: &Settings, attempts: u32) -> Duration {
    let doubled = settings.retry_first_delay.saturating_mul(2_u32.saturating_pow(attempts.min(31)));
    doubled.min(settings.retry_max_delay)
}

#[cfg(test)]
mod tests {
    use mapping::Cause;
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
        for (attempts, seconds) in [(0, 30), (1, 60), (2, 120), (4, 480), (5, 600), (u32::MAX, 600)]
        {
            assert_eq!(ceiling(&settings, attempts), Duration::from_secs(seconds), "{attempts}");
        }
    }

    #[test]
    fn delays_are_drawn_from_the_upper_half() {
        let settings = settings();
        let delays: Vec<_> =
            (0..200).map(|_| delay(&settings, 2, &Cause::Timeout.into())).collect();
        let longest = ceiling(&settings, 2);
        assert!(delays.iter().all(|delay| (longest / 2..=longest).contains(delay)));
        assert!(delays.iter().any(|delay| *delay < longest * 3 / 4));
        assert!(delays.iter().any(|delay| *delay > longest * 3 / 4));
    }

    #[test]
    fn a_named_time_is_kept() {
        let hour = Duration::from_hours(1);
        let named = Undelivered { cause: Cause::Http(429), after: Some(hour), answer: None };
        assert_eq!(delay(&settings(), 1, &named), hour);
    }
}
