//! Messages of queues, in whatever lists them, and items of a sandbox.

use mapping::ItemKind;
use platform::message::{self, Reject};
use serde_json::Value;

use super::hints::kind_named;
use super::{Input, InputItem, counted, empty, of_request, of_value};
use crate::bad_input::BadInput;
use crate::explain::http_request::HttpRequest;

/// `eventSource` of an event of SQS.
const SQS: &str = "aws:sqs";

/// A message: its id, and its body.
type Listed = (String, Value);

/// Reads messages, or an item of a sandbox; nothing where it is none.
pub(super) fn read(value: &Value, wraps: usize) -> Result<Option<Input>, BadInput> {
    let has = |name: &str| value.get(name).is_some();
    if has("Records") {
        return all("sqs_event", "an event of SQS", records(value)?, wraps).map(Some);
    }
    if let Some(Value::Array(received)) = value.get("Messages") {
        let messages = received.iter().map(|one| listed(one, "MessageId", "Body")).collect();
        let name = "what `aws sqs receive-message` received,";
        return all("received_messages", name, messages, wraps).map(Some);
    }
    if has("gzip") {
        // A message that was too large as it was.
        let message: Option<Value> = message::decode(&value.to_string());
        let message = message
            .ok_or_else(|| BadInput("it is a compressed message that cannot be read".to_owned()))?;
        return of_value(message, wraps - 1).map(Some);
    }
    let one = std::slice::from_ref(value);
    let several = value.as_array().map_or(one, Vec::as_slice);
    let each_has = |names: &[&str]| {
        let has_all = |one: &Value| names.iter().all(|name| one.get(name).is_some());
        !several.is_empty() && several.iter().all(has_all)
    };
    if each_has(&["queue", "message", "origin"]) {
        let messages = several.iter().map(|one| listed(one, "origin", "message")).collect();
        return all("shown_messages", "the output of `queue show`", messages, wraps).map(Some);
    }
    if each_has(&["message_id", "body", "receive_count"]) {
        let messages = several.iter().map(|one| listed(one, "message_id", "body")).collect();
        return all("sandbox_queue", "a queue of the sandbox", messages, wraps).map(Some);
    }
    if has("id") && has("outcome") && has("kind") && has("input") {
        return item(value).map(Some);
    }
    if has("kind") && has("origin") && has("reason") && has("at") && !has("outcome") {
        return reject(value.clone()).map(Some);
    }
    Ok(None)
}

/// The messages of an event that invokes a function.
fn records(value: &Value) -> Result<Vec<Listed>, BadInput> {
    let records = value.get("Records").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let of_others = records.iter().find_map(|record| {
        let source = record.get("eventSource").or_else(|| record.get("EventSource"));
        match source.map(|source| source.as_str().unwrap_or("another service")) {
            Some(source) => (source != SQS).then_some(source),
            None => record.get("body").is_none().then_some("another service"),
        }
    });
    if let Some(source) = of_others {
        return Err(BadInput(format!(
            "it is an event of {source}: of events with `Records`, those of {SQS} are expected, which invoke retry"
        )));
    }
    Ok(records.iter().map(|record| listed(record, "messageId", "body")).collect())
}

fn listed(value: &Value, id: &str, body: &str) -> Listed {
    let id = value.get(id).and_then(Value::as_str).unwrap_or_default();
    (id.to_owned(), value.get(body).cloned().unwrap_or_default())
}

/// The items of messages.
fn all(
    form: &'static str,
    name: &str,
    messages: Vec<Listed>,
    wraps: usize,
) -> Result<Input, BadInput> {
    if messages.is_empty() {
        return Err(empty(name.trim_end_matches(',')));
    }
    let (number, mut items, mut rejects) = (messages.len(), Vec::new(), 0);
    for (id, body) in messages {
        let found = message(&id, body, wraps);
        rejects += usize::from(found.form == "reject");
        items.extend(found.items);
    }
    let what = match rejects {
        0 => "parked message",
        _ if rejects == number => "rejected message",
        _ => "message",
    };
    let taken_for = format!("{name} with {}", counted(number, what));
    Ok(Input { form, taken_for, application: None, items })
}

/// A message by itself. What no function writes is a parked message that cannot be read, as it is for `retry`.
fn message(id: &str, body: Value, wraps: usize) -> Input {
    let parked = |item: InputItem| Input {
        form: "parked",
        taken_for: String::new(),
        application: None,
        items: vec![item.at(id)],
    };
    let value = match body {
        Value::String(text) => match message::decode::<Value>(&text) {
            Some(value) => value,
            None => return parked(InputItem::of_bytes(ItemKind::Parked, text.as_bytes())),
        },
        value => value,
    };
    match of_value(value.clone(), wraps - 1) {
        Ok(input) if ["parked", "reject"].contains(&input.form) => {
            let application = input.application;
            let items = input.items.into_iter().map(|item| {
                let item = if item.place.is_none() { item.at(id) } else { item };
                InputItem { application: application.clone(), ..item }
            });
            Input { items: items.collect(), application: None, ..input }
        }
        _ => parked(InputItem::new(ItemKind::Parked, value)),
    }
}

fn reject(value: Value) -> Result<Input, BadInput> {
    let reject: Reject = serde_json::from_value(value).map_err(|error| {
        BadInput(format!("it is a rejected message that cannot be read: {error}"))
    })?;
    let taken_for = format!("a rejected message ({}, {})", reject.kind.name(), reject.reason);
    let item = InputItem::of_bytes(reject.kind, &reject.raw()).at(reject.origin);
    Ok(Input { form: "reject", taken_for, application: reject.application, items: vec![item] })
}

/// An item as `GET /_sandbox/items/ID` has it.
fn item(value: &Value) -> Result<Input, BadInput> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    if value.get("input_cut").is_some_and(|cut| cut == true) {
        return Err(BadInput(
            "it is an item of the sandbox whose input was cut: expected the whole input".to_owned(),
        ));
    }
    let application = Some(text("app").to_owned()).filter(|code| !code.is_empty());
    let input = value.get("input").cloned().unwrap_or_default();
    let bytes = match &input {
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    };
    let Some(kind) = kind_named(text("kind")) else {
        let path = text("name").to_owned();
        let request = HttpRequest { path, application, body: bytes };
        return of_request(&request, "sandbox_item", "a request that the sandbox had");
    };
    let taken_for = format!("an item of the sandbox ({})", kind.name());
    let item = InputItem::of_bytes(kind, &bytes).at(text("origin"));
    Ok(Input { form: "sandbox_item", taken_for, application, items: vec![item] })
}
