//! What an endpoint is: everything that differs between the routes.

use mapping::{ItemKind, Outcome};

use crate::event::HttpResponse;
use crate::result::ItemResult;

/// How a caller proves that it acts for an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// With the API key in `Authorization`; `X-PW-Appcode` names the application.
    ApiKey,
    /// With a signature of the body in `X-Signature`; the path names the application.
    Signature,
}

/// What a route does with a request. Everything else is the same for all of them.
#[derive(Debug)]
pub struct Endpoint {
    /// Its path; `{app_code}` stands for an application's code.
    pub path: &'static str,
    /// Methods that it takes.
    pub methods: &'static [&'static str],
    /// How its callers prove who they are.
    pub credential: Credential,
    /// What the items of its bodies are; nothing where it has none.
    pub kind: Option<ItemKind>,
    /// Most items of a body.
    pub max_items: usize,
    /// The items of a body, as they came. An error is the response to a body that the route does not take.
    pub split: fn(&[u8]) -> Result<Body<'_>, HttpResponse>,
    /// The response, once every item has ended.
    pub(crate) respond: fn(&Body<'_>, &[ItemResult]) -> HttpResponse,
}

impl Endpoint {
    /// The items of a body, as they came; none where it is not read.
    pub fn items<'a>(&self, body: &'a [u8]) -> Vec<&'a [u8]> {
        (self.split)(body).map(|body| body.items().to_vec()).unwrap_or_default()
    }
}

/// The items of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// One item that is the body.
    One(&'a [u8]),
    /// A list of items.
    List(Vec<&'a [u8]>),
    /// A list of more items than are taken, with its first: nothing is read of the others.
    TooMany(&'a [u8]),
}

impl<'a> Body<'a> {
    pub(crate) fn items(&self) -> &[&'a [u8]] {
        match self {
            Self::One(item) => std::slice::from_ref(item),
            Self::List(items) => items,
            Self::TooMany(_) => &[],
        }
    }

    /// The first element of a list: what Segment signs of one.
    pub(crate) fn first_of_list(&self) -> Option<&'a [u8]> {
        match self {
            Self::One(_) => None,
            Self::List(items) => items.first().copied(),
            Self::TooMany(first) => Some(first),
        }
    }
}

/// The only method of Segment's client.
pub(crate) const POST: &[&str] = &["POST"];

/// The response to a request of one item. An item that cannot be decoded is named; one that was
/// refused later is not, since Segment could do nothing about it.
pub(crate) fn respond_to_one(result: Option<&ItemResult>, action: &str) -> HttpResponse {
    match result {
        Some(ItemResult { outcome: Outcome::Failed(_), .. }) => HttpResponse::unavailable(),
        Some(ItemResult { undecodable: Some(message), .. }) => {
            HttpResponse::failure(action, message)
        }
        Some(_) | None => HttpResponse::ok(),
    }
}

#[cfg(test)]
mod tests {
    use mapping::{Cause, Reason};

    use super::*;

    #[test]
    fn the_items_of_a_body_are_those_of_its_list() {
        let endpoint = crate::endpoints::Route::PostEvents.endpoint();
        assert_eq!(endpoint.items(br#"{"events":[1,{"a":2}]}"#), [&b"1"[..], br#"{"a":2}"#]);
        assert_eq!(endpoint.items(b"no json"), [b""; 0]);
    }

    #[test]
    fn one_item_is_answered_by_how_it_ended() {
        let status = |outcome: Outcome, undecodable: Option<&str>| {
            let result = ItemResult { outcome, undecodable: undecodable.map(str::to_owned) };
            respond_to_one(Some(&result), "act").status_code
        };
        assert_eq!(status(Outcome::Delivered, None), 200);
        assert_eq!(status(Outcome::Parked(Cause::Timeout), None), 200);
        assert_eq!(status(Reason::NoIdentity.into(), None), 200);
        assert_eq!(status(Reason::RefusedByPushwoosh.into(), None), 200);
        assert_eq!(status(Reason::NotJson.into(), Some("JSON is expected")), 400);
        assert_eq!(status(Outcome::Failed(Cause::QueueUnavailable), Some("m")), 503);
        assert_eq!(respond_to_one(None, "act").status_code, 200);
    }
}
