//! Whether Pushwoosh and Segment take an application's keys. One call each, which reads and changes nothing.

use std::sync::Arc;
use std::time::Duration;

use platform::application::{PushwooshAccount, SegmentAccount};
use platform::gate::Upstream as _;
use platform::upstream::{CallError, Verdict};
use pushwoosh::key_check::KeyCheck;
use segment::calls::Part;
use segment::client::Batch;
use serde::Serialize;

use crate::connection::Connection;

/// Longest wait for an answer.
const WAIT: Duration = Duration::from_secs(15);

/// What an upstream says of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(crate) enum KeyAnswer {
    /// It takes the key, as far as it says.
    Taken,
    /// It refuses the key, or the application.
    Refused {
        /// In its words.
        words: String,
    },
    /// It gave no answer that says anything of the key.
    Unclear {
        /// What happened.
        words: String,
    },
}

/// Asks Pushwoosh whether a device is registered that nobody has.
pub(crate) async fn pushwoosh_takes(
    connection: &Connection,
    code: &str,
    account: &PushwooshAccount,
) -> KeyAnswer {
    let clock = connection.clock.clone();
    let client = pushwoosh::Client::new(Arc::clone(&connection.transport), clock.clone());
    let call = client.send(account, KeyCheck(code));
    judged(clock.timeout_at(clock.now() + WAIT, call).await.ok())
}

/// Sends Segment a batch without events. Segment answers 200 to nearly everything, so that only a refusal says
/// something.
pub(crate) async fn segment_takes(connection: &Connection, account: &SegmentAccount) -> KeyAnswer {
    let clock = connection.clock.clone();
    let client = segment::Client::new(Arc::clone(&connection.transport), clock.clone(), false);
    let call = client.send(account, Batch { calls: Part::default(), attempts: 0 });
    judged(clock.timeout_at(clock.now() + WAIT, call).await.ok())
}

fn judged(answer: Option<Result<(), CallError>>) -> KeyAnswer {
    match answer {
        Some(Ok(())) => KeyAnswer::Taken,
        Some(Err(error)) => match error.verdict() {
            Verdict::Unauthorized | Verdict::Permanent => {
                KeyAnswer::Refused { words: error.to_string() }
            }
            Verdict::Retry { .. } => KeyAnswer::Unclear { words: error.to_string() },
        },
        None => KeyAnswer::Unclear { words: format!("no answer within {WAIT:?}") },
    }
}
