//! What a text is, and the items in it: everything that this integration sends, receives or keeps, in the
//! form in which people find it in a log, a queue, a console or a test.

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use aws_lambda_events::event::sqs::SqsEvent;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mapping::json::without_lone_surrogates;
use mapping::{ItemKind, Reason, Refusal};
use platform::message::{self, Reject};
use serde_json::Value;
use source::event::{MskEvent, RecordValue};

use super::http_request::HttpRequest;
use crate::bad_input::BadInput;

/// What is recognised, for who gave something else.
const KNOWN: &str = "a Segment event (type, messageId), a body of track-user (user_id, attributes), post-events (events) or delete-user (external_id), an HTTP request to them, an event of API Gateway, MSK or SQS, a record of the tracking log (event_name, application_code), or a parked or rejected message";

/// Most levels of what is wrapped in something else.
const MAX_WRAPS: usize = 4;

/// A text, recognised.
#[derive(Debug)]
pub(super) struct Input {
    /// Stable code of what it was taken for.
    pub(super) form: &'static str,
    /// The same, for people.
    pub(super) taken_for: String,
    /// Code of the application, where the input names one for all of its items.
    pub(super) application: Option<String>,
    pub(super) items: Vec<InputItem>,
}

/// An item of the input.
#[derive(Debug)]
pub(super) struct InputItem {
    pub(super) kind: ItemKind,
    /// Its JSON, or why it has none.
    pub(super) content: Result<Value, Refusal>,
    /// Its place in the input, where the input names it.
    pub(super) place: Option<String>,
}

impl InputItem {
    fn new(kind: ItemKind, value: Value) -> Self {
        Self { kind, content: Ok(value), place: None }
    }

    /// An item of bytes that may not be JSON.
    fn of_bytes(kind: ItemKind, bytes: &[u8]) -> Self {
        let content = mapping::json::read(bytes)
            .map_err(|_| Refusal::new(Reason::NotJson, "JSON text is expected"));
        Self { kind, content, place: None }
    }

    fn at(self, place: impl Into<String>) -> Self {
        Self { place: Some(place.into()), ..self }
    }
}

/// Recognises a text. `kind`: take it for items of this kind.
pub(super) fn read(text: &str, kind: Option<ItemKind>) -> Result<Input, BadInput> {
    let text = text.trim_start_matches('\u{feff}');
    if let Some(request) = HttpRequest::read(text)? {
        return of_request(&request, "http_request", "an HTTP request");
    }
    let values = values(text)?;
    if let Some(kind) = kind {
        let values = values.into_iter().flat_map(mapping::explain::items);
        let items = values.map(|value| InputItem::new(kind, value)).collect();
        return Ok(plain(items));
    }
    match <[Value; 1]>::try_from(values) {
        Ok([only]) => of_value(only, MAX_WRAPS),
        Err(values) if values.is_empty() => Err(BadInput(format!("it is empty: expected {KNOWN}"))),
        Err(values) => items(values).map(plain),
    }
}

/// Recognises a value that was read before.
pub(super) fn of_json(value: Value, kind: Option<ItemKind>) -> Result<Input, BadInput> {
    match kind {
        Some(kind) => {
            let values = mapping::explain::items(value).into_iter();
            Ok(plain(values.map(|value| InputItem::new(kind, value)).collect()))
        }
        None => of_value(value, MAX_WRAPS),
    }
}

/// The JSON documents of a text: one over several lines, or one after the other.
fn values(text: &str) -> Result<Vec<Value>, BadInput> {
    let mended = without_lone_surrogates(text.as_bytes());
    let stream = serde_json::Deserializer::from_slice(&mended).into_iter::<Value>();
    stream.collect::<Result<Vec<Value>, _>>().map_err(|error| {
        BadInput(format!("it is not JSON ({error}) and no HTTP request: expected {KNOWN}"))
    })
}

fn of_value(value: Value, wraps: usize) -> Result<Input, BadInput> {
    if wraps == 0 {
        return Err(BadInput("it is wrapped too often".to_owned()));
    }
    let has = |name: &str| value.get(name).is_some();
    if has("requestContext") && has("rawPath") {
        return api_gateway(value);
    }
    if has("KafkaBatchInfo") {
        // The object that Lambda writes into the failure bucket.
        let payload = value.get("payload").and_then(Value::as_str).unwrap_or_default();
        let event = serde_json::from_str(payload).map_err(|_| {
            BadInput(
                "it is a batch that Lambda gave up, and its payload is no event of MSK".to_owned(),
            )
        })?;
        let found = msk(&event)?;
        let taken_for = format!("a batch that Lambda gave up, with {} records", found.items.len());
        return Ok(Input { form: "failed_msk_event", taken_for, ..found });
    }
    if value
        .get("eventSource")
        .is_some_and(|source| source == "aws:kafka" || source == "SelfManagedKafka")
        || value.get("records").is_some_and(Value::is_object)
    {
        return msk(&value);
    }
    if has("Records") {
        return sqs(value);
    }
    if has("gzip") {
        // A message that was too large as it was.
        let message: Option<Value> = message::decode(&value.to_string());
        let message = message
            .ok_or_else(|| BadInput("it is a compressed message that cannot be read".to_owned()))?;
        return of_value(message, wraps - 1);
    }
    if has("kind") && has("origin") && has("reason") {
        return reject(value);
    }
    match value {
        Value::Array(values) => items(values).map(plain),
        Value::Object(mut fields) => {
            for (name, kind, form, text) in [
                ("events", ItemKind::Event, "post_events_body", "a body of post-events"),
                ("batch", ItemKind::RawEvent, "batch_body", "a batch of Segment's tracking API"),
            ] {
                if !fields.get(name).is_some_and(Value::is_array) {
                    continue;
                }
                let Some(Value::Array(values)) = fields.remove(name) else { continue };
                let taken_for = format!("{text} with {}", counted(values.len(), "event"));
                let items = values.into_iter().map(|value| InputItem::new(kind, value)).collect();
                return Ok(Input { form, taken_for, application: None, items });
            }
            items(vec![Value::Object(fields)]).map(plain)
        }
        other => items(vec![other]).map(plain),
    }
}

/// Items that stand by themselves.
fn items(values: Vec<Value>) -> Result<Vec<InputItem>, BadInput> {
    let several = values.len() > 1;
    let mut items = Vec::with_capacity(values.len());
    for (index, value) in values.into_iter().enumerate() {
        let Some(kind) = ItemKind::recognise(&value) else {
            let place = if several { format!("item {} is", index + 1) } else { "it is".to_owned() };
            return Err(BadInput(unknown(&value, &place)));
        };
        let item = InputItem::new(kind, value);
        items.push(if several { item.at((index + 1).to_string()) } else { item });
    }
    Ok(items)
}

/// One line for what is not known.
fn unknown(value: &Value, place: &str) -> String {
    let has = |names: &[&str]| names.iter().any(|name| value.get(name).is_some());
    if has(&["subscribe", "mappings", "partnerAction"]) {
        return format!("{place} a mapping: give it with --mapping FILE, beside an event");
    }
    if has(&["pushwoosh", "segment", "webhook"]) {
        return format!("{place} an application's secret: look at it with `check-secret`");
    }
    let resembles = value.as_object().into_iter().flatten().find_map(|(name, _)| {
        let known = [
            "user_id",
            "external_id",
            "attributes",
            "events",
            "type",
            "userId",
            "messageId",
            "event_name",
            "application_code",
        ];
        Some((name, mapping::explain::nearest(name, known)?))
    });
    let resembles = resembles.map(|(name, known)| format!("; {name:?} resembles {known:?}"));
    format!("{place} none of what is known{}: expected {KNOWN}", resembles.unwrap_or_default())
}

/// What items by themselves are, together.
fn plain(items: Vec<InputItem>) -> Input {
    let first = items.first().map(|item| item.kind);
    let kind = first.filter(|kind| items.iter().all(|item| item.kind == *kind));
    let (form, name) = kind.map_or(("items", "item"), |kind| match kind {
        ItemKind::Event => ("event", "event of a post-events body"),
        ItemKind::Profile => ("track_user_body", "track-user body"),
        ItemKind::Deletion => ("delete_user_body", "delete-user body"),
        ItemKind::RawEvent => ("raw_event", "raw Segment event"),
        ItemKind::Record => ("record", "record of the tracking log"),
        ItemKind::Parked => ("parked", "parked message"),
    });
    let taken_for = match items.len() {
        1 => format!("{} {name}", if name.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" }),
        several => counted(several, name),
    };
    Input { form, taken_for, application: None, items }
}

/// `1 record`, `2 records`; of more words the first is counted.
fn counted(number: usize, name: &str) -> String {
    if number == 1 {
        return format!("1 {name}");
    }
    match name.split_once(" of ") {
        Some((name, of)) => format!("{number} {name}s of {of}"),
        None if name.ends_with("body") => format!("{number} {}ies", name.trim_end_matches('y')),
        None => format!("{number} {name}s"),
    }
}

fn api_gateway(event: Value) -> Result<Input, BadInput> {
    let event: ApiGatewayV2httpRequest = serde_json::from_value(event).map_err(|error| {
        BadInput(format!("it is an event of API Gateway that cannot be read: {error}"))
    })?;
    let body = event.body.unwrap_or_default();
    let body = if event.is_base64_encoded {
        STANDARD.decode(body).map_err(|_| {
            BadInput("it is an event of API Gateway whose body is not base64".to_owned())
        })?
    } else {
        body.into_bytes()
    };
    let header = event.headers.get("x-pw-appcode").and_then(|code| code.to_str().ok());
    let request = HttpRequest {
        path: event.raw_path.unwrap_or_default(),
        application: header.map(str::to_owned),
        body,
    };
    of_request(&request, "api_gateway_event", "an event of API Gateway")
}

/// A request to the destination.
fn of_request(request: &HttpRequest, form: &'static str, name: &str) -> Result<Input, BadInput> {
    let path = request.path.split('?').next().unwrap_or_default();
    let endpoint = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let webhook = path.strip_prefix("/webhook/").map(str::to_owned);
    let application = webhook.clone().or_else(|| request.application.clone());
    let input = |kinds: &str, items: Vec<InputItem>| Input {
        form,
        taken_for: format!("{name} to {kinds}"),
        application: application.clone(),
        items,
    };
    let numbered = |kind: ItemKind, values: Vec<Value>| -> Vec<InputItem> {
        let values = values.into_iter().enumerate();
        values
            .map(|(index, value)| InputItem::new(kind, value).at((index + 1).to_string()))
            .collect()
    };
    let body = || mapping::json::read::<Value>(&request.body);
    Ok(match (endpoint, webhook) {
        (code, Some(_)) => {
            let title = format!("the webhook of {code}");
            match body() {
                Ok(Value::Array(values)) => input(&title, numbered(ItemKind::RawEvent, values)),
                _ => input(&title, vec![InputItem::of_bytes(ItemKind::RawEvent, &request.body)]),
            }
        }
        ("ping", None) => input("ping, which has no items", Vec::new()),
        ("track-user", None) => {
            input(endpoint, vec![InputItem::of_bytes(ItemKind::Profile, &request.body)])
        }
        ("delete-user", None) => {
            input(endpoint, vec![InputItem::of_bytes(ItemKind::Deletion, &request.body)])
        }
        ("post-events", None) => match body() {
            Ok(Value::Object(mut fields)) => match fields.remove("events") {
                Some(Value::Array(events)) => input(endpoint, numbered(ItemKind::Event, events)),
                _ => {
                    return Err(BadInput(
                        "its body has no list `events`, which post-events expects".to_owned(),
                    ));
                }
            },
            _ => input(endpoint, vec![InputItem::of_bytes(ItemKind::Event, &request.body)]),
        },
        _ => {
            return Err(BadInput(format!(
                "it is a request to {path}: expected one to /integration-segment/v1/track-user, post-events, delete-user or ping, or to /webhook/CODE"
            )));
        }
    })
}

fn msk(event: &Value) -> Result<Input, BadInput> {
    let event: MskEvent = serde_json::from_value(event.clone())
        .map_err(|error| BadInput(format!("it is an event of MSK that cannot be read: {error}")))?;
    let records = event.records.into_iter().flat_map(|(partition, records)| {
        records
            .into_iter()
            .map(move |record| (format!("{partition}-{}", record.offset), record.value))
    });
    let items: Vec<InputItem> = records
        .map(|(place, value)| {
            let refused = |reason: Reason| InputItem {
                kind: ItemKind::Record,
                content: Err(reason.into()),
                place: None,
            };
            let item = match value {
                RecordValue::Bytes(bytes) => InputItem::of_bytes(ItemKind::Record, &bytes),
                RecordValue::Tombstone => refused(Reason::Tombstone),
                RecordValue::NotBase64(_) => refused(Reason::NotBase64),
            };
            item.at(place)
        })
        .collect();
    let taken_for = format!("an event of MSK with {}", counted(items.len(), "record"));
    Ok(Input { form: "msk_event", taken_for, application: None, items })
}

fn sqs(event: Value) -> Result<Input, BadInput> {
    let event: SqsEvent = serde_json::from_value(event).map_err(|_| {
        BadInput("it has `Records` and is no event of SQS, which is what invokes retry".to_owned())
    })?;
    let mut items = Vec::new();
    for message in event.records {
        let id = message.message_id.unwrap_or_default();
        let body = message.body.unwrap_or_default();
        let decoded: Option<Value> = message::decode(&body);
        let item = match decoded {
            Some(value) => InputItem::new(ItemKind::Parked, value),
            None => InputItem::of_bytes(ItemKind::Parked, body.as_bytes()),
        };
        items.push(item.at(id));
    }
    let taken_for = format!("an event of SQS with {}", counted(items.len(), "parked message"));
    Ok(Input { form: "sqs_event", taken_for, application: None, items })
}

fn reject(value: Value) -> Result<Input, BadInput> {
    let reject: Reject = serde_json::from_value(value).map_err(|error| {
        BadInput(format!("it is a rejected message that cannot be read: {error}"))
    })?;
    let taken_for = format!("a rejected message ({}, {})", reject.kind.name(), reject.reason);
    let item = InputItem::of_bytes(reject.kind, &reject.raw()).at(reject.origin);
    Ok(Input { form: "reject", taken_for, application: reject.application, items: vec![item] })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn taken(text: &str) -> (&'static str, String, usize) {
        let input = read(text, None).unwrap();
        (input.form, input.taken_for, input.items.len())
    }

    fn kinds(text: &str) -> Vec<ItemKind> {
        read(text, None).unwrap().items.iter().map(|item| item.kind).collect()
    }

    #[test]
    fn every_form_is_recognised_and_named() {
        let record = json!({"event_name": "Push Sent", "application_code": "A", "hwid": "H", "timestamp": 1});
        let event = json!({"name": "E", "user_id": "u"});
        let raw = json!({"type": "track", "userId": "u"});
        for (text, form, taken_for, number) in [
            (raw.to_string(), "raw_event", "a raw Segment event", 1),
            (json!([raw, raw]).to_string(), "raw_event", "2 raw Segment events", 2),
            (json!({"batch": [raw]}).to_string(), "batch_body", "a batch of Segment's tracking API with 1 event", 1),
            (json!({"user_id": "u"}).to_string(), "track_user_body", "a track-user body", 1),
            (json!({"external_id": "u"}).to_string(), "delete_user_body", "a delete-user body", 1),
            (event.to_string(), "event", "an event of a post-events body", 1),
            (json!({"events": [event, 5]}).to_string(), "post_events_body", "a body of post-events with 2 events", 2),
            (record.to_string(), "record", "a record of the tracking log", 1),
            (format!("{record:#}"), "record", "a record of the tracking log", 1),
            (format!("\u{feff}{record}\n\n{record}\n"), "record", "2 records of the tracking log", 2),
            (format!("{record:#}\n{record:#}"), "record", "2 records of the tracking log", 2),
            (json!([raw, record]).to_string(), "items", "2 items", 2),
            (json!({"records": {"t-0": [{"offset": 5, "value": STANDARD.encode(record.to_string())}]}}).to_string(), "msk_event", "an event of MSK with 1 record", 1),
        ] {
            assert_eq!(taken(&text), (form, taken_for.to_owned(), number), "{text}");
        }
    }

    #[test]
    fn requests_are_read_with_their_application() {
        let text = "POST /integration-segment/v1/post-events HTTP/1.1\r\nX-PW-Appcode: AB-1\r\nAuthorization: Token k\r\n\r\n{\"events\":[{},{}]}";
        let input = read(text, None).unwrap();
        assert_eq!(
            (input.form, input.application.as_deref(), input.items.len()),
            ("http_request", Some("AB-1"), 2)
        );
        let text = "POST /webhook/AB-2\n\n[{\"type\":\"track\"}]";
        let input = read(text, None).unwrap();
        assert_eq!(input.application.as_deref(), Some("AB-2"));
        assert_eq!(input.taken_for, "an HTTP request to the webhook of AB-2");
        let error = read("POST /other HTTP/1.1\n\n{}", None).unwrap_err();
        assert!(error.0.starts_with("it is a request to /other: expected"), "{error:?}");
    }

    #[test]
    fn records_without_json_stay_items_with_their_reason() {
        let event = json!({"records": {"t-0": [
            {"offset": 1, "value": null}, {"offset": 2, "value": "no base64"}, {"offset": 3, "value": STANDARD.encode("none")}]}});
        let input = read(&event.to_string(), None).unwrap();
        let reasons: Vec<_> = input
            .items
            .iter()
            .map(|item| (item.place.as_deref().unwrap(), item.content.as_ref().unwrap_err().reason))
            .collect();
        assert_eq!(
            reasons,
            [
                ("t-0-1", Reason::Tombstone),
                ("t-0-2", Reason::NotBase64),
                ("t-0-3", Reason::NotJson)
            ]
        );
    }

    #[test]
    fn messages_of_queues_are_unwrapped() {
        let parked = json!({"application": "A", "work": {"pushwoosh": []}, "first_seen": "1970-01-01T00:00:00Z",
            "attempts": 1, "cause": "timeout"});
        let sqs = json!({"Records": [{"messageId": "m", "body": parked.to_string()}]});
        assert_eq!(kinds(&sqs.to_string()), [ItemKind::Parked]);
        let reject = json!({"application": "A", "kind": "profile", "origin": "r 0", "reason": "bad_field",
            "message": "", "at": "1970-01-01T00:00:00Z", "raw": "{\"user_id\":\"u\"}"});
        assert_eq!(taken(&reject.to_string()).1, "a rejected message (profile, bad_field)");
        assert_eq!(kinds(&reject.to_string()), [ItemKind::Profile]);
        let large = json!({"application": "A", "kind": "profile", "origin": "r 0", "reason": "bad_field",
            "message": "", "at": "1970-01-01T00:00:00Z", "raw": "x".repeat(300_000)});
        let compressed = message::encode(&large).unwrap();
        assert!(compressed.starts_with("{\"gzip\""));
        assert_eq!(taken(&compressed).0, "reject");
    }

    #[test]
    fn what_is_not_known_is_refused_in_one_line_that_helps() {
        for (text, part) in [
            ("", "it is empty: expected a Segment event"),
            ("none", "it is not JSON"),
            ("{} trailing", "it is not JSON"),
            ("{}", "it is none of what is known: expected"),
            (r#"{"usr_id":"u"}"#, r#""usr_id" resembles "user_id""#),
            (r#"[{"user_id":"u"},{"x":1}]"#, "item 2 is none of what is known"),
            (r#"{"subscribe":"","mapping":{}}"#, "--mapping"),
            (r#"{"pushwoosh":{"api_token":"t"}}"#, "check-secret"),
            (r#"{"name":"a package","version":"1"}"#, "it is none of what is known"),
        ] {
            let error = read(text, None).unwrap_err();
            assert!(error.0.contains(part) && !error.0.contains('\n'), "{text}: {error:?}");
        }
    }

    #[test]
    fn a_kind_that_is_named_counts() {
        let input = read(r#"{"x":1}"#, Some(ItemKind::Profile)).unwrap();
        assert_eq!(input.items[0].kind, ItemKind::Profile);
        let input = read(r#"{"events":[1,2]}"#, Some(ItemKind::Event)).unwrap();
        assert_eq!(input.items.len(), 2);
    }
}
