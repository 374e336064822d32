//! Requests to the destination: as text, and as events of API Gateway.

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mapping::ItemKind;
use serde_json::Value;

use super::{Input, InputItem};
use crate::bad_input::BadInput;
use crate::explain::http_request::HttpRequest;

/// An event that invokes `destination`.
pub(super) fn api_gateway(event: Value) -> Result<Input, BadInput> {
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
pub(super) fn of_request(
    request: &HttpRequest,
    form: &'static str,
    name: &str,
) -> Result<Input, BadInput> {
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
