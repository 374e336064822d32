//! What `template.yaml` deploys, as far as the sandbox repeats it. A test compares these constants with
//! the translated template.

use std::time::Duration;

/// A function and its time limit, as in `template.yaml`.
#[derive(Debug, Clone, Copy)]
pub struct Deployed {
    /// Name of the function, also of its binary.
    pub name: &'static str,
    /// `Timeout`.
    pub timeout: Duration,
}

/// The functions of the deployment.
pub const FUNCTIONS: [Deployed; 3] = [
    Deployed { name: "destination", timeout: Duration::from_secs(29) },
    Deployed { name: "source", timeout: Duration::from_mins(1) },
    Deployed { name: "retry", timeout: Duration::from_mins(1) },
];

/// Stands for the name of the stack, which the template hands to the source.
pub const STACK_NAME: &str = "sandbox";

/// `VisibilityTimeout` of the retry queue: six times the function's time limit, as AWS advises.
pub const RETRY_VISIBILITY: Duration = Duration::from_mins(6);

/// `maxReceiveCount` of the retry queue.
pub const RETRY_MAX_RECEIVES: u32 = 100;

/// `MessageRetentionPeriod` of all queues.
pub const QUEUE_RETENTION: Duration = Duration::from_hours(14 * 24);

/// `BatchSize` of the retry queue's event source mapping.
pub const RETRY_BATCH_SIZE: usize = 10;

/// `MaximumConcurrency` of the retry queue's event source mapping.
pub const RETRY_CONCURRENCY: usize = 5;

/// `BatchSize` of the topic's event source mapping.
pub const TOPIC_BATCH_SIZE: usize = 500;

/// `MaximumRetryAttempts` of the topic's event source mapping.
pub const TOPIC_MAX_RETRIES: u32 = 10;

/// `Topics` of the topic's event source mapping.
pub const TOPIC: &str = "channels-tracking-log";
