//! What an endpoint is: everything that differs between the routes.

use mapping::ItemKind;

use crate::event::HttpResponse;
use crate::process::ItemResult;

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
    /// The items of a body, as they came.
    pub(crate) split: fn(&[u8]) -> Result<Body<'_>, HttpResponse>,
    /// The response, once every item has ended.
    pub(crate) respond: fn(&Body<'_>, &[ItemResult]) -> HttpResponse,
}

/// The items of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    /// One item that is the body.
    One(&'a [u8]),
    /// A list of items.
    List(Vec<&'a [u8]>),
}

impl<'a> Body<'a> {
    pub(crate) fn items(&self) -> &[&'a [u8]] {
        match self {
            Self::One(item) => std::slice::from_ref(item),
            Self::List(items) => items,
        }
    }

    /// The first element of a list: what Segment signs of one.
    pub(crate) fn first_of_list(&self) -> Option<&'a [u8]> {
        match self {
            Self::One(_) => None,
            Self::List(items) => items.first().copied(),
        }
    }
}
