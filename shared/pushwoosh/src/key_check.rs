//! Whether Pushwoosh takes an application's key: one call that reads and changes nothing.
//!
//! Invariant: only Pushwoosh's own words say that a key is refused, 401 or its `status_code`. Everything else, such
//! as a proxy's 403, an overload or no answer, says nothing about the key.

use mapping::Method;
use platform::application::PushwooshAccount;
use platform::gate::{CallOutcome, Upstream};
use platform::invocation::Invocation;
use platform::transport::{Request, TransportError};
use platform::upstream::{CallError, MAX_ANSWER_BYTES, Verdict};
use reqwest::StatusCode;
use serde_json::json;

use crate::client::{Client, authorized};
use crate::delivery::Delivery;
use crate::reply::{self, NAME};

/// The method: it says whether a device is registered. Pushwoosh's own web SDK uses it.
/// <https://github.com/Pushwoosh/web-push-notifications>
pub const PATH: &str = "/json/1.3/checkDevice";

/// A device that nobody has.
const NO_DEVICE: &str = "segment-pushwoosh-key-check";

/// Asks whether the key of the application with this code is taken.
#[derive(Debug, Clone, Copy)]
pub struct KeyCheck<'c>(pub &'c str);

/// The request of a check.
pub fn request(account: &PushwooshAccount, check: KeyCheck<'_>) -> Result<Request, TransportError> {
    let body = json!({"request": {"application": check.0, "hwid": NO_DEVICE}});
    authorized(account, PATH, body.to_string())
}

impl Upstream<KeyCheck<'_>> for Client {
    type Account = PushwooshAccount;
    type Accepted = ();

    async fn send(&self, account: &PushwooshAccount, check: KeyCheck<'_>) -> Result<(), CallError> {
        let failed = |error| CallError::Transport { upstream: NAME, error };
        let request = request(account, check).map_err(failed)?;
        let response = self.transport.send(request, MAX_ANSWER_BYTES).await.map_err(failed)?;
        // Read as any other call in an envelope.
        let answer = reply::read(Method::SetTags, response, self.clock.wall());
        answer.map(|_| ()).map_err(|error| match error {
            CallError::Refused {
                upstream,
                status,
                code,
                verdict: Verdict::Unauthorized,
                words,
            } if status != StatusCode::UNAUTHORIZED && !matches!(code, Some(401 | 403)) => {
                let verdict = Verdict::Retry { after: None };
                CallError::Refused { upstream, status, code, verdict, words }
            }
            error => error,
        })
    }
}

impl Delivery {
    /// Whether Pushwoosh refuses the application's key. No answer within the time of the invocation is no
    /// refusal.
    pub async fn refuses_key(
        &self,
        code: &str,
        account: &PushwooshAccount,
        invocation: &Invocation,
    ) -> bool {
        let (deadlines, tally) = (invocation.deadlines, &invocation.tally);
        let check = KeyCheck(code);
        let outcome = self.gate.call(&self.client, code, account, check, deadlines, tally).await;
        matches!(outcome, CallOutcome::Undelivered(undelivered)
            if undelivered.cause == mapping::Cause::Unauthorized)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use platform::gate::Account as _;
    use platform::testing::{Reply, World, application};
    use serde_json::{Value, json};

    use super::*;

    async fn refused(reply: Reply) -> bool {
        let world = World::new(&[]);
        world.secret("A", &application("token", "key"));
        world.upstream(move |request| {
            assert_eq!(request.uri().path(), PATH);
            reply.clone()
        });
        let invocation = world.invocation(Duration::from_secs(3));
        let application =
            world.platform.secrets.application("A", invocation.deadlines.answer).await.unwrap();
        let account = PushwooshAccount::from_application(&application).unwrap();
        Delivery::new(&world.platform).refuses_key("A", &account, &invocation).await
    }

    fn coded(code: u16) -> Value {
        json!({"status_code": code, "status_message": "", "response": null})
    }

    #[tokio::test(start_paused = true)]
    async fn only_pushwoosh_itself_refuses_a_key() {
        assert!(refused(Reply::Status(401, json!({"message": "unauthorized"}))).await);
        assert!(refused(Reply::Status(200, coded(403))).await);
        for reply in [
            Reply::Status(200, coded(200)),
            Reply::Status(403, json!({"message": "a firewall"})),
            Reply::Status(400, coded(210)),
            Reply::Status(503, json!({})),
            Reply::Status(200, json!("a proxy")),
        ] {
            assert!(!refused(reply).await);
        }
    }
}
