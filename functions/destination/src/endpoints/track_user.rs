//! `track-user`: one profile (spec D1).

use mapping::ItemKind;

use crate::endpoint::{Body, Credential, Endpoint, POST, respond_to_one};

/// The body is the profile.
pub(super) const ENDPOINT: Endpoint = Endpoint {
    path: "/integration-segment/v1/track-user",
    methods: POST,
    credential: Credential::ApiKey,
    kind: Some(ItemKind::Profile),
    max_items: 1,
    split: |body| Ok(Body::One(body)),
    respond: |_, results| respond_to_one(results.first(), "track user"),
};
