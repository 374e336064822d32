//! Requests to the destination: as text, and as events of API Gateway.

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use destination::endpoint::{Body, Endpoint};
use destination::endpoints::Route;
use destination::event::HttpResponse;
use mapping::{ItemKind, Reason, Refusal};
use serde_json::Value;

use super::{Input, InputItem};
use crate::bad_input::BadInput;
use crate::explain::http_request::HttpRequest;

/// An event that invokes `destination`.
pub(super) fn api_gateway(event: Value) -> Result<Input, BadInput> {
    let event: ApiGatewayV2httpRequest = serde_json::from_value(event).map_err(|error| {
        BadInput(format!("it is an event of API Gateway that cannot be read: {error}"))
    })?;
    let request = destination::event::HttpRequest::read(event).map_err(|response| {
        BadInput(format!("it is an event of API Gateway that is refused: {}", message(&response)))
    })?;
    let application = request.header("x-pw-appcode").map(str::to_owned);
    let request = HttpRequest { path: request.path, application, body: request.body };
    of_request(&request, "api_gateway_event", "an event of API Gateway")
}

/// A request to the destination.
pub(super) fn of_request(
    request: &HttpRequest,
    form: &'static str,
    name: &str,
) -> Result<Input, BadInput> {
    let path = request.path.split('?').next().unwrap_or_default();
    let (route, code) = Route::find("POST", path).map_err(|_| {
        let paths: Vec<&str> = Route::ALL.iter().map(|route| route.endpoint().path).collect();
        BadInput(format!("it is a request to {path}: expected one to {}", paths.join(", ")))
    })?;
    let endpoint = route.endpoint();
    let route = match endpoint.path.split_once("/{") {
        Some((route, _)) => format!("the {} of {code}", last(route)),
        None => last(endpoint.path).to_owned(),
    };
    let (taken_for, items) = match endpoint.kind {
        Some(kind) => (format!("{name} to {route}"), items(endpoint, kind, &request.body)?),
        None => (format!("{name} to {route}, which has no items"), Vec::new()),
    };
    let application = Some(code.to_owned()).filter(|code| !code.is_empty());
    let application = application.or_else(|| request.application.clone());
    Ok(Input { form, taken_for, application, items })
}

/// The items of a body, read as the destination reads them.
fn items(endpoint: &Endpoint, kind: ItemKind, body: &[u8]) -> Result<Vec<InputItem>, BadInput> {
    match (endpoint.split)(body) {
        Ok(Body::One(item)) => Ok(vec![InputItem::of_bytes(kind, item)]),
        Ok(Body::List(items)) => {
            let items = items.into_iter().enumerate();
            Ok(items
                .map(|(index, item)| InputItem::of_bytes(kind, item).at((index + 1).to_string()))
                .collect())
        }
        Ok(Body::TooMany(_)) => {
            Err(BadInput(format!("it has more than {} items, and is refused", endpoint.max_items)))
        }
        // What is no JSON is explained as such.
        Err(_) if mapping::json::read::<Value>(body).is_err() => {
            Ok(vec![InputItem::of_bytes(kind, body)])
        }
        Err(response) => {
            let refusal = Refusal::new(Reason::BadField, message(&response));
            Ok(vec![InputItem::refused(kind, refusal)])
        }
    }
}

/// What a response says is wrong.
fn message(response: &HttpResponse) -> String {
    platform::upstream::words(response.body.as_bytes())
}

/// The last part of a path.
fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
