//! What an invocation brings: the items of a request or the records of a batch, read from the event as
//! the function reads it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use destination::denial::Denial;
use destination::denials::{BAD_BODY, NO_ROUTE};
use destination::endpoints::Route;
use jiff::Timestamp;
use mapping::{ItemKind, Origin};
use serde::Deserialize;
use serde_json::Value;
use source::event::{MskEvent, RecordValue};

use super::row::{Refused, Row, short, shown};
use crate::function_error::FunctionError;

/// Users of a refused request that it is found by.
const MAX_USERS: usize = 100;

/// What an invocation brings.
#[derive(Debug)]
pub(super) struct Arrivals {
    pub(super) at: Timestamp,
    function: &'static str,
    /// Of a request: its path, its application and its body, in case it is refused.
    request: Option<(String, String, Vec<u8>)>,
    invocation: String,
    /// Of a request that is refused: why, in the function's own words.
    pub(super) reason_of_refusal: Option<String>,
    pub(super) items: Vec<Arrival>,
}

/// One item.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) row: Row,
    pub(super) bytes: Vec<u8>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct HttpEvent {
    raw_path: String,
    headers: BTreeMap<String, Value>,
    body: String,
    is_base64_encoded: bool,
    request_context: RequestContext,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RequestContext {
    http: HttpContext,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HttpContext {
    method: String,
}

#[derive(Deserialize)]
struct HttpAnswer {
    #[serde(rename = "statusCode")]
    status: u16,
    #[serde(default)]
    body: String,
}

impl Arrivals {
    /// Reads the event of an invocation; nothing of one that brings no new items.
    pub(super) fn read(
        function: &'static str,
        invocation: &str,
        payload: &[u8],
        at: Timestamp,
    ) -> Option<Self> {
        let mut arrivals = Self {
            at,
            function,
            request: None,
            invocation: invocation.to_owned(),
            reason_of_refusal: None,
            items: Vec::new(),
        };
        match function {
            "destination" => arrivals.request(payload)?,
            "source" => arrivals.records(payload)?,
            _ => return None,
        }
        Some(arrivals)
    }

    /// Whether the items count as soon as the invocation begins. A request may still be refused.
    pub(super) fn is_known_to_be_taken(&self) -> bool {
        self.request.is_none()
    }

    /// The function that was invoked.
    pub(super) fn function(&self) -> &'static str {
        self.function
    }

    fn request(&mut self, payload: &[u8]) -> Option<()> {
        let event: HttpEvent = serde_json::from_slice(payload).ok()?;
        let body = if event.is_base64_encoded {
            STANDARD.decode(&event.body).unwrap_or_default()
        } else {
            event.body.into_bytes()
        };
        let header = event.headers.get("x-pw-appcode").and_then(Value::as_str).unwrap_or_default();
        let mut app = header.trim().to_owned();
        if let Ok((route, code)) = Route::find(&event.request_context.http.method, &event.raw_path)
        {
            if !code.is_empty() {
                code.clone_into(&mut app);
            }
            let endpoint = route.endpoint();
            if let Some(kind) = endpoint.kind {
                for (index, bytes) in endpoint.items(&body).into_iter().enumerate() {
                    let origin = Origin::Request(&self.invocation, index).to_string();
                    let arrival = Arrival::new(kind, Some(&app), origin, bytes, self.at);
                    self.items.push(arrival);
                }
            }
        }
        self.request = Some((event.raw_path, app, body));
        Some(())
    }

    fn records(&mut self, payload: &[u8]) -> Option<()> {
        let event: MskEvent = serde_json::from_slice(payload).ok()?;
        for (partition, records) in &event.records {
            for record in records {
                let bytes = match &record.value {
                    RecordValue::Tombstone => &[],
                    RecordValue::Bytes(bytes) | RecordValue::NotBase64(bytes) => bytes.as_slice(),
                };
                let origin = Origin::Record(partition, record.offset).to_string();
                self.items.push(Arrival::new(ItemKind::Record, None, origin, bytes, self.at));
            }
        }
        Some(())
    }

    /// The refusal, where the request was not worked on.
    pub(super) fn refused(&self, answer: &Result<Bytes, FunctionError>) -> Option<Refused> {
        let (path, app, body) = self.request.as_ref()?;
        let answer: HttpAnswer = serde_json::from_slice(answer.as_ref().ok()?).ok()?;
        let said: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let message = said.get("message").or_else(|| said.pointer("/error/message"));
        let message = message.and_then(Value::as_str).unwrap_or_default();
        let denial = Denial::ALL.iter().find(|denial| {
            denial.status() == answer.status
                && (denial.message() == message || answer.status == 413)
        });
        let reason = match (denial, answer.status) {
            (Some(denial), _) => denial.code(),
            (None, 404 | 405) => NO_ROUTE,
            (None, 400..500) if self.items.is_empty() => BAD_BODY,
            _ => return None,
        };
        Some(Refused {
            at: self.at,
            path: path.clone(),
            app: app.clone(),
            reason: self.reason_of_refusal.clone().unwrap_or_else(|| reason.to_owned()),
            detail: format!("{}: {message}", answer.status),
            origin: self.invocation.clone(),
            users: self.users(),
            body: body.clone(),
        })
    }

    /// The users that the items name, each once; at most [`MAX_USERS`].
    fn users(&self) -> Vec<String> {
        let mut users: Vec<String> = Vec::new();
        for user in self.items.iter().filter_map(|item| item.row.user.as_ref()) {
            if users.len() == MAX_USERS {
                break;
            }
            if !users.contains(user) {
                users.push(user.clone());
            }
        }
        users
    }
}

/// Names of fields, in each form of an item; the first that is there counts.
const USER: [&str; 4] = ["/user_id", "/external_id", "/userId", "/USER_ID"];
const DEVICE: [&str; 6] =
    ["/device_id", "/hwid", "/context/device/id", "/anonymousId", "/deviceId", "/HWID"];
const NAME: [&str; 6] = ["/name", "/event", "/event_name", "/eventName", "/EVENT_NAME", "/type"];
const APP: [&str; 4] =
    ["/application_code", "/application", "/applicationCode", "/APPLICATION_CODE"];

impl Arrival {
    fn new(kind: ItemKind, app: Option<&str>, origin: String, bytes: &[u8], at: Timestamp) -> Self {
        let value: Value = mapping::json::read(bytes).unwrap_or_default();
        let text = |pointers: &[&str]| {
            let values = pointers.iter().filter_map(|pointer| value.pointer(pointer));
            values.into_iter().find_map(|value| match value {
                Value::String(text) => short(text.trim()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            })
        };
        let row = Row {
            at: shown(at),
            kind: kind.name().to_owned(),
            app: app.and_then(short).or_else(|| text(&APP)),
            user: text(&USER),
            device: text(&DEVICE),
            name: text(&NAME),
            message_id: text(&["/messageId", "/message_id"]),
            outcome: super::row::PENDING.to_owned(),
            attempts: 1,
            origin,
            ..Row::default()
        };
        Self { row, bytes: bytes.to_vec() }
    }
}
