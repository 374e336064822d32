//! `delete-user`: a user and their devices leave Pushwoosh (spec D3).
//!
//! Segment may not repeat a deletion: it is answered with 200 once it is delivered or parked.

use mapping::ItemKind;

use crate::endpoint::{Body, Credential, Endpoint, POST, respond_to_one};

/// The body names the user.
pub(super) const ENDPOINT: Endpoint = Endpoint {
    path: "/integration-segment/v1/delete-user",
    methods: POST,
    credential: Credential::ApiKey,
    kind: Some(ItemKind::Deletion),
    max_items: 1,
    split: |body| Ok(Body::One(body)),
    respond: |_, results| respond_to_one(results.first(), "delete user"),
};
