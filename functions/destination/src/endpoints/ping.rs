//! `ping`: Segment tests the key that a user has entered (spec D4): whether it is ours, and then whether Pushwoosh
//! takes it.
//!
//! Invariants: who does not present our key learns nothing of what Pushwoosh says. A ping fails only where Pushwoosh
//! itself refuses the key: while Pushwoosh is slow or down, the key that is ours is right.

use platform::Invocation;
use platform::application::{Application, PushwooshAccount};
use platform::gate::Account as _;

use crate::Destination;
use crate::denial::Denial;
use crate::endpoint::{Body, Credential, Endpoint, POST};
use crate::event::HttpResponse;

/// The key is all that is looked at: a ping has no items.
pub(super) const ENDPOINT: Endpoint = Endpoint {
    path: "/integration-segment/v1/ping",
    methods: POST,
    credential: Credential::ApiKey,
    kind: None,
    max_items: 0,
    split: |_| Ok(Body::List(Vec::new())),
    respond: |_, _| HttpResponse::ok(),
};

impl Destination {
    /// Refuses a key that Pushwoosh refuses.
    pub(crate) async fn ping(
        &self,
        application: &Application,
        invocation: &Invocation,
    ) -> Result<(), HttpResponse> {
        let Some(account) = PushwooshAccount::from_application(application) else {
            return Ok(());
        };
        if self.delivery.refuses_key(&application.code, &account, invocation).await {
            return Err(Denial::RefusedKey.into());
        }
        Ok(())
    }
}
