//! What a text is, and the items in it: everything that this integration sends, receives or keeps, in the
//! form in which people find it in a log, a queue, a console or a test.
//!
//! # Layout
//! * `request`: requests to the destination; `kafka`: records of the topic.
//! * `messages`: messages of queues, and items of a sandbox.
//! * `hints`: what is said of something that is not known.

mod hints;
mod kafka;
mod messages;
mod request;
#[cfg(test)]
mod tests;

use mapping::json::without_lone_surrogates;
use mapping::{ItemKind, Reason, Refusal};
use serde_json::Value;

use self::hints::unknown;
use self::request::of_request;
use super::http_request::HttpRequest;
use crate::bad_input::BadInput;

/// What is recognised, for who gave something else.
const KNOWN: &str = "a Segment event (type, messageId), a body of track-user (user_id, attributes), post-events (events) or delete-user (external_id), an HTTP request to them, an event of API Gateway, MSK or SQS, a record of the tracking log (event_name, application_code), or a parked or rejected message";

/// What is said of an input that holds nothing.
fn empty(what: &str) -> BadInput {
    BadInput(format!("{what} holds nothing: expected {KNOWN}"))
}

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
    /// Code of its application, where the input names it beside the item.
    pub(super) application: Option<String>,
}

impl InputItem {
    fn new(kind: ItemKind, value: Value) -> Self {
        Self { kind, content: Ok(value), place: None, application: None }
    }

    /// An item of bytes that may not be JSON.
    fn of_bytes(kind: ItemKind, bytes: &[u8]) -> Self {
        let content = mapping::json::read(bytes)
            .map_err(|_| Refusal::new(Reason::NotJson, "JSON text is expected"));
        Self { kind, content, place: None, application: None }
    }

    /// An item that was refused before it was read.
    fn refused(kind: ItemKind, refusal: Refusal) -> Self {
        Self { kind, content: Err(refusal), place: None, application: None }
    }

    fn at(self, place: impl Into<String>) -> Self {
        let place = Some(place.into()).filter(|place| !place.is_empty());
        Self { place, ..self }
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
        return request::api_gateway(value);
    }
    if has("KafkaBatchInfo") {
        return kafka::failed_batch(&value);
    }
    let source = value.get("eventSource");
    if source.is_some_and(|source| source == "aws:kafka" || source == "SelfManagedKafka")
        || value.get("records").is_some_and(Value::is_object)
    {
        return kafka::msk(&value);
    }
    if let Some(found) = messages::read(&value, wraps)? {
        return Ok(found);
    }
    match value {
        Value::Array(values) if values.is_empty() => Err(empty("an empty list")),
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
