//! When a message is tried again: delays double from the setting's first to its longest, drawn at
//! random below that (full jitter), so that what failed together does not come back together.

use std::time::Duration;

use platform::settings::Settings;

/// A message that has to stay on the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Later {
    /// Not before this has passed, if the upstream said so.
    pub after: Option<Duration>,
    /// Older than `PWSEG_RETRY_MAX_AGE_S`: no longer tried, and handed back until the queue's
    /// redrive policy has moved it to the dead-letter queue.
    pub expired: bool,
}

/// A retry is never sooner than this.
const MIN_DELAY: Duration = Duration::from_secs(1);

impl Later {
    /// How long the message is to stay invisible, after it was received this many times.
    pub fn delay(self, settings: &Settings, receives: u32) -> Duration {
        if self.expired {
            return Duration::ZERO;
        }
        let doubled =
            settings.retry_first_delay.saturating_mul(2_u32.saturating_pow(receives.min(31)));
        let ceiling = doubled.min(settings.retry_max_delay);
        let jittered = ceiling.mul_f64(fastrand::f64());
        jittered.max(self.after.unwrap_or_default()).max(MIN_DELAY)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn settings() -> Settings {
        let queues = ["PWSEG_RETRY_QUEUE_URL", "PWSEG_REJECTS_QUEUE_URL"];
        let environment: BTreeMap<_, _> =
            queues.map(|name| (name.to_owned(), "https://q".to_owned())).into();
        Settings::read(&environment).unwrap()
    }

    #[test]
    fn delays_grow_to_the_longest_and_no_further() {
        let (settings, later) = (settings(), Later { after: None, expired: false });
        for receives in [0, 1, 5, 20, u32::MAX] {
            let ceiling =
                settings.retry_first_delay.saturating_mul(2_u32.saturating_pow(receives.min(31)));
            for _ in 0..50 {
                let delay = later.delay(&settings, receives);
                assert!(
                    (MIN_DELAY..=ceiling.min(settings.retry_max_delay)).contains(&delay),
                    "{receives}: {delay:?}"
                );
            }
        }
    }

    #[test]
    fn a_named_time_is_kept_and_an_expired_message_is_handed_back_at_once() {
        let hour = Duration::from_hours(1);
        let later = Later { after: Some(hour), expired: false };
        assert!(later.delay(&settings(), 1) >= hour);
        let expired = Later { after: Some(hour), expired: true };
        assert_eq!(expired.delay(&settings(), 1), Duration::ZERO);
    }
}
