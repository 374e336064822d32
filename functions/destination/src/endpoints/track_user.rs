//! `track-user`: one profile (spec D1).

use mapping::ItemKind;

use super::{POST, respond_to_one};
use crate::endpoint::{Body, Credential, Endpoint};

/// The body is the profile.
pub(crate) const ENDPOINT: Endpoint = Endpoint {
    path: "/integration-segment/v1/track-user",
    methods: POST,
    credential: Credential::ApiKey,
    kind: Some(ItemKind::Profile),
    split: |body| Ok(Body::One(body)),
    respond: |_, results| respond_to_one(results.first(), "track user"),
};
