//! The sandbox's own routes, the page, and the way to the destination.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use mapping::tracking_log::OptionalProperty;
use operator::bad_input::BadInput;
use operator::explain::{self, Question};
use platform::settings;
use serde_json::{Map, Value, json};
use world::faults::Fault;
use world::pushwoosh::Pushwoosh;
use world::segment::Segment;
use world::upstream;

use crate::access;
use crate::deployed::TOPIC;
use crate::http::{self, Request, Response};
use crate::lambda::Function;
use crate::logs::Logs;
use crate::standin::aws::Aws;
use crate::standin::upstream::Upstream;
use crate::trigger::gateway;
use crate::trigger::kafka::Topic;

/// Path of Lambda's own API. <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
const INVOKE: &str = "/2015-03-31/functions/";

/// Everything that the routes show and change.
pub(crate) struct Control {
    pub(crate) destination: Arc<Function>,
    pub(crate) functions: Vec<Arc<Function>>,
    pub(crate) topic: Arc<Topic>,
    pub(crate) standins: Standins,
    pub(crate) logs: Arc<Logs>,
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
        if path == "/" {
            return access::page();
        }
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let Some(("_sandbox", parts)) = parts.split_first().map(|(first, rest)| (*first, rest))
        else {
            return not_found();
        };
        match (&method, parts) {
            (&Method::POST, ["topics", topic]) if *topic == TOPIC => self.append(&request),
            (&Method::GET, ["upstream", "pushwoosh"]) => calls(&self.standins.pushwoosh, &request),
            (&Method::GET, ["upstream", "segment"]) => calls(&self.standins.segment, &request),
            (&Method::DELETE, ["upstream", "pushwoosh"]) => {
                done(|| self.standins.pushwoosh.clear())
            }
            (&Method::DELETE, ["upstream", "segment"]) => done(|| self.standins.segment.clear()),
            (&Method::PUT, ["upstream", upstream, "faults"]) => {
                self.set_faults(upstream, request.body())
            }
            (&Method::GET, ["queues", queue]) => {
                let list = self.standins.aws.queues.list(queue);
                list.map_or_else(not_found, |list| http::json(200, &list))
            }
            (&Method::POST, ["queues", "dead", "redrive"]) => self.redrive(),
            (&Method::PUT, ["secrets", code]) => self.put_secret(code, request.body()),
            (&Method::DELETE, ["secrets", code]) => done(|| self.standins.aws.apps.remove(code)),
            (&Method::POST, ["explain"]) => self.explain(request.body()),
            (&Method::GET, ["state"]) => http::json(200, &self.state()),
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
                let response = http::answer(200, "application/json", error.0);
                http::with_header(response, "x-amz-function-error", "Unhandled")
            }
        }
    }

    /// One record per line; `?tombstone` appends a record without a value.
    fn append(&self, request: &Request) -> Response {
        let body = request.body();
        let lines = body.strip_suffix(b"\n").unwrap_or(body);
        let mut values: Vec<Option<Bytes>> = Vec::new();
        if !lines.is_empty() {
            values.extend(
                lines.split(|byte| *byte == b'\n').map(|line| Some(Bytes::copy_from_slice(line))),
            );
        }
        if request.uri().query() == Some("tombstone") {
            values.push(None);
        }
        http::json(202, &json!({"appended": self.topic.append(values)}))
    }

    /// `{"input", "mapping", "application"}`: the input is JSON, or the text of anything that `explain`
    /// knows; the mapping and the application may be missing.
    fn explain(&self, body: &[u8]) -> Response {
        let mut asked: Value = mapping::json::read(body).unwrap_or_default();
        let input = asked.get_mut("input").map(Value::take);
        let question = Question {
            kind: None,
            code: asked.get("application").and_then(Value::as_str),
            settings: &|code| self.standins.aws.apps.application(code),
            mapping: asked.get("mapping").filter(|mapping| !mapping.is_null()),
            track_properties: &self.track_properties(),
            stack: self.stack_name(),
            has_tag: Some(&|code, tag| self.standins.pushwoosh.with(|it| it.has_tag(code, tag))),
        };
        let explained = match input {
            Some(Value::String(text)) => explain::of_text(&text, &question),
            Some(input) => explain::of_json(input, &question),
            None => Err(BadInput("input is required".to_owned())),
        };
        match explained {
            Ok(explained) => http::json(200, &json!(explained)),
            Err(BadInput(message)) => http::json(400, &json!({ "message": message })),
        }
    }

    /// What the source's setting asks for.
    fn track_properties(&self) -> Vec<OptionalProperty> {
        let names = self.functions.iter().find_map(|function| function.track_properties.as_deref());
        names.and_then(settings::track_properties).unwrap_or_default()
    }

    /// Likewise.
    fn stack_name(&self) -> &str {
        let names = self.functions.iter().find_map(|function| function.stack_name.as_deref());
        names.unwrap_or_default()
    }

    fn set_faults(&self, upstream: &str, body: &[u8]) -> Response {
        let list = match serde_json::from_slice::<Vec<Fault>>(body) {
            Ok(list) => list,
            Err(error) => {
                let message = format!("a list of faults is expected: {error}");
                return http::json(400, &json!({ "message": message }));
            }
        };
        let Standins { pushwoosh, segment, aws } = &self.standins;
        match upstream {
            "pushwoosh" => pushwoosh.set_faults(list),
            "segment" => segment.set_faults(list),
            "sqs" => aws.queues.set_faults(list),
            "secretsmanager" => aws.set_secrets_faults(list),
            "dynamodb" => aws.set_table_faults(list),
            _ => return not_found(),
        }
        http::empty(204)
    }

    fn redrive(&self) -> Response {
        match self.standins.aws.queues.redrive() {
            Ok(moved) => http::json(200, &json!({ "moved": moved })),
            Err(message) => http::json(400, &json!({ "message": message })),
        }
    }

    fn put_secret(&self, code: &str, body: &[u8]) -> Response {
        // What is not JSON is kept as text, so that a broken secret can be tried.
        let secret =
            serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into());
        done(|| self.standins.aws.apps.put(code, secret))
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

fn not_found() -> Response {
    http::json(404, &json!({"message": "Not Found"}))
}
