//! The sandbox's own routes, the page, and the way to the destination.
//!
//! # Layout
//! * `items`: what came in, and what became of it.
//! * `explanations`: what an input would become.
//! * `queues`: what is parked, dead, rejected; send again; discard.
//! * `faults`: what the services do wrong.
//! * `metrics`: all of it in numbers.

mod explanations;
mod faults;
mod items;
pub(crate) mod metrics;
mod queues;

use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Map, Value, json};
use world::pushwoosh::Pushwoosh;
use world::segment::Segment;
use world::upstream;

use crate::deployed::TOPIC;
use crate::http::{self, Request, Response};
use crate::items::Items;
use crate::lambda::Function;
use crate::logs::Logs;
use crate::page;
use crate::standin::aws::Aws;
use crate::standin::upstream::Upstream;
use crate::trigger::gateway;
use crate::trigger::kafka::Topic;

/// Path of Lambda's own API. <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
const INVOKE: &str = "/2015-03-31/functions/";

/// Applications that are listed: more than a person chooses from.
const LISTED_APPLICATIONS: usize = 1_000;

/// Everything that the routes show and change.
pub(crate) struct Control {
    pub(crate) destination: Arc<Function>,
    pub(crate) functions: Vec<Arc<Function>>,
    pub(crate) topic: Arc<Topic>,
    pub(crate) standins: Standins,
    pub(crate) logs: Arc<Logs>,
    pub(crate) items: Arc<Items>,
}

/// What the functions call.
pub(crate) struct Standins {
    pub(crate) aws: Arc<Aws>,
    pub(crate) pushwoosh: Arc<Upstream<Pushwoosh>>,
    pub(crate) segment: Arc<Upstream<Segment>>,
}

impl Control {
    /// Answers a request.
    pub(crate) async fn handle(&self, request: Request) -> Response {
        let (method, path) = http::route(&request);
        if path.starts_with("/integration-segment/") || path.starts_with("/webhook/") {
            return gateway::answer(&self.destination, &request).await;
        }
        let function = path.strip_prefix(INVOKE).and_then(|rest| rest.strip_suffix("/invocations"));
        if let Some(function) = function {
            return self.invoke(function, request).await;
        }
        if let Some(file) = page::file(&path) {
            return file;
        }
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let Some(("_sandbox", parts)) = parts.split_first().map(|(first, rest)| (*first, rest))
        else {
            return not_found();
        };
        match (&method, parts) {
            (&Method::POST, ["topics", topic]) if *topic == TOPIC => self.append(&request),
            (method, ["upstream", parts @ ..]) => self.upstream(method, parts, &request),
            (method, ["queues", parts @ ..]) => self.queues(method, parts, &request),
            (method, ["secrets", parts @ ..]) => self.secrets(method, parts, &request),
            (&Method::GET, ["items"]) => self.list_items(&request),
            (&Method::GET, ["items", id]) => self.item(id),
            (&Method::GET, ["events"]) => self.events(&request),
            (&Method::POST, ["explain"]) => self.explain(request.body()),
            (&Method::GET, ["presets"]) => Self::presets(),
            (&Method::GET, ["state"]) => http::json(200, &self.state()),
            (&Method::GET, ["metrics"]) => {
                http::answer(200, "text/plain; version=0.0.4", metrics::text(self))
            }
            (&Method::GET, ["logs"]) => list(self.logs.lines()),
            (&Method::GET, ["on-failure"]) => list(self.topic.given_up()),
            _ => not_found(),
        }
    }

    /// Invokes a function with any event, as `aws lambda invoke` does.
    async fn invoke(&self, name: &str, request: Request) -> Response {
        let Some(function) = self.functions.iter().find(|function| function.name == name) else {
            return not_found();
        };
        match function.invoke(request.into_body()).await {
            Ok(answer) => http::answer(200, "application/json", answer),
            Err(error) => {
                let response = http::answer(200, "application/json", error.to_string());
                http::with_header(response, "x-amz-function-error", "Unhandled")
            }
        }
    }

    /// One record per line, or a single one over several lines; `?tombstone` appends a record without a value.
    fn append(&self, request: &Request) -> Response {
        let mut values = records(request.body());
        if request.uri().query() == Some("tombstone") {
            values.push(None);
        }
        http::json(202, &json!({"appended": self.topic.append(values)}))
    }

    fn upstream(&self, method: &Method, parts: &[&str], request: &Request) -> Response {
        let Standins { pushwoosh, segment, .. } = &self.standins;
        match (method, parts) {
            (&Method::GET, ["pushwoosh"]) => calls(pushwoosh, request),
            (&Method::GET, ["segment"]) => calls(segment, request),
            (&Method::DELETE, ["pushwoosh"]) => done(|| pushwoosh.clear()),
            (&Method::DELETE, ["segment"]) => done(|| segment.clear()),
            (&Method::PUT, [upstream, "faults"]) => self.set_faults(upstream, request.body()),
            (&Method::GET, [upstream, "faults"]) => self.faults(upstream),
            _ => not_found(),
        }
    }

    fn secrets(&self, method: &Method, parts: &[&str], request: &Request) -> Response {
        let apps = &self.standins.aws.apps;
        match (method, parts) {
            (&Method::GET, []) => http::json(200, &json!(apps.codes(LISTED_APPLICATIONS))),
            (&Method::GET, [code]) => {
                apps.secret(code).map_or_else(not_found, |secret| http::json(200, &secret))
            }
            (&Method::PUT, [code]) => {
                // What is not JSON is kept as text, so that a broken secret can be tried.
                let body = request.body();
                let secret = serde_json::from_slice(body)
                    .unwrap_or_else(|_| String::from_utf8_lossy(body).into());
                done(|| apps.put(code, secret))
            }
            (&Method::DELETE, [code]) => done(|| apps.remove(code)),
            _ => not_found(),
        }
    }

    fn state(&self) -> Value {
        let functions: Map<String, Value> = self
            .functions
            .iter()
            .map(|function| (function.name.to_owned(), function.state()))
            .collect();
        let queues = self.standins.aws.queues.lengths();
        json!({
            "topic": self.topic.state(), "outcomes": self.logs.outcomes(), "metrics": self.logs.metrics(),
            "queues": queues, "functions": functions, "aws": self.standins.aws.state(),
            "upstream": self.standins.aws.apps.upstreams(),
        })
    }
}

/// The values of the records in a body.
fn records(body: &Bytes) -> Vec<Option<Bytes>> {
    let lines = body.strip_suffix(b"\n").unwrap_or(body);
    if lines.is_empty() {
        return Vec::new();
    }
    // What a person pasted is one record, however it is laid out.
    if serde_json::from_slice::<serde::de::IgnoredAny>(lines).is_ok() {
        return vec![Some(Bytes::copy_from_slice(lines))];
    }
    let lines = lines.split(|byte| *byte == b'\n');
    lines.map(|line| Some(Bytes::copy_from_slice(line))).collect()
}

/// Does something that cannot fail.
fn done(act: impl FnOnce()) -> Response {
    act();
    http::empty(204)
}

/// The calls of an upstream; with `?after=NUMBER` those after that one, as lines of a number and JSON.
fn calls<M: upstream::Upstream + Send + 'static>(
    upstream: &Upstream<M>,
    request: &Request,
) -> Response {
    let after = request.uri().query().and_then(|query| query.strip_prefix("after=")?.parse().ok());
    match after {
        Some(number) => http::answer(200, "application/x-ndjson", upstream.calls_after(number)),
        None => list(upstream.calls()),
    }
}

fn list(text: String) -> Response {
    http::answer(200, "application/json", text)
}

fn bad_request(error: &anyhow::Error) -> Response {
    http::json(400, &json!({ "message": format!("{error:#}") }))
}

fn not_found() -> Response {
    http::json(404, &json!({"message": "Not Found"}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_over_several_lines_is_one_record() {
        let read = |body: &'static str| {
            let values = records(&Bytes::from_static(body.as_bytes()));
            values.into_iter().flatten().map(|value| value.to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(read("{\n  \"a\": 1\n}\n"), [b"{\n  \"a\": 1\n}"]);
        assert_eq!(read("{\"a\":1}\n{\"a\":2}\n"), [b"{\"a\":1}", b"{\"a\":2}"]);
        assert_eq!(read("no json\n{}"), [b"no json".as_slice(), b"{}"]);
        assert!(read("").is_empty() && read("\n").is_empty());
    }
}
