//! `ping`: Segment tests the key that a user has entered (spec D4).

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
