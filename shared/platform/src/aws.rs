//! How AWS's SDK is set up, the same for every function.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

/// A call to AWS within a region takes milliseconds; the caller waits for us meanwhile.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// First attempt and one more.
const ATTEMPTS: u32 = 2;

/// Configuration from the environment that Lambda sets.
pub async fn config() -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(ATTEMPT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .load()
        .await
}
