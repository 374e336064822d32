//! `docs/openapi.yaml` says what the code does: routes, credentials, limits, statuses, and answers.

use std::collections::BTreeSet;

use destination::denial::Denial;
use destination::endpoint::Credential;
use destination::endpoints::Route;
use destination::event::HttpResponse;
use platform::secret_place::MAX_CODE_CHARS;
use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Value, json};

/// The description.
fn description() -> Value {
    let text = include_str!("../../docs/openapi.yaml");
    let documents = Yaml::load_from_str(text).unwrap();
    json_of(&documents[0])
}

/// YAML as JSON; this description needs no more of it.
fn json_of(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(flag)) => json!(flag),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Sequence(list) => list.iter().map(json_of).collect(),
        Yaml::Mapping(fields) => {
            let fields = fields.iter();
            let fields =
                fields.map(|(name, value)| (name.as_str().unwrap().to_owned(), json_of(value)));
            Value::Object(fields.collect())
        }
        other => panic!("{other:?} is not expected here"),
    }
}

/// What a reference of the description leads to.
fn resolved<'a>(whole: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            let found = whole.pointer(reference.trim_start_matches('#'));
            resolved(whole, found.unwrap_or_else(|| panic!("{reference} leads nowhere")))
        }
        None => value,
    }
}

/// The methods that a path has.
fn methods(path: &Value) -> BTreeSet<String> {
    let names = path.as_object().unwrap().keys();
    names.filter(|name| *name != "parameters").map(|name| name.to_uppercase()).collect()
}

#[test]
fn it_has_every_route_with_its_methods_and_credential_and_no_other() {
    let description = description();
    let paths = description["paths"].as_object().unwrap();
    let routes: BTreeSet<&str> = Route::ALL.iter().map(|route| route.endpoint().path).collect();
    assert_eq!(paths.keys().map(String::as_str).collect::<BTreeSet<_>>(), routes);
    let mut ids = BTreeSet::new();
    for route in Route::ALL {
        let endpoint = route.endpoint();
        let path = &paths[endpoint.path];
        let expected: BTreeSet<String> =
            endpoint.methods.iter().map(|method| (*method).to_owned()).collect();
        assert_eq!(methods(path), expected, "{}", endpoint.path);
        let security = match endpoint.credential {
            Credential::ApiKey => json!([{"apiKey": [], "application": []}]),
            Credential::Signature => json!([{"signature": []}]),
        };
        for method in endpoint.methods {
            let operation = &path[method.to_lowercase()];
            assert_eq!(operation["security"], security, "{method} {}", endpoint.path);
            assert!(ids.insert(operation["operationId"].to_string()), "an id is used twice");
            assert_eq!(operation["requestBody"].is_null(), endpoint.kind.is_none());
        }
    }
}

#[test]
fn its_limits_are_those_of_the_code() {
    let description = description();
    let events = description.pointer("/components/schemas/Events/properties/events").unwrap();
    assert_eq!(events["maxItems"], Route::PostEvents.endpoint().max_items);
    let webhook = &description["paths"]["/webhook/{app_code}"];
    let body = resolved(&description, &webhook["post"]["requestBody"]);
    let body = &body["content"]["application/json"]["schema"];
    assert_eq!(body["oneOf"][1]["maxItems"], Route::Webhook.endpoint().max_items);
    let pattern = format!("^[A-Za-z0-9-]{{1,{MAX_CODE_CHARS}}}$");
    assert_eq!(webhook["parameters"][0]["schema"]["pattern"], pattern);
}

/// The statuses that a route can answer with.
fn statuses(route: Route) -> BTreeSet<String> {
    let endpoint = route.endpoint();
    let signature = [
        Denial::NoSignature,
        Denial::WrongSignature,
        Denial::UnsignedList,
        Denial::OutsideWindow,
        Denial::WebhookClosed,
    ];
    let denials = Denial::ALL.iter().filter(|denial| match (endpoint.credential, denial) {
        (_, Denial::TooManyItems) => endpoint.max_items > 1,
        (Credential::ApiKey, denial) => !signature.contains(denial),
        (Credential::Signature, denial) => {
            ![Denial::NoCode, Denial::NoDestination, Denial::WrongKey].contains(denial)
        }
    });
    let denials = denials.map(|denial| denial.status());
    let others = [HttpResponse::ok().status_code, HttpResponse::unavailable().status_code];
    denials.chain(others).map(|status| status.to_string()).collect()
}

#[test]
fn every_status_is_described_and_every_answer_fits() {
    let description = description();
    for route in Route::ALL {
        let endpoint = route.endpoint();
        for method in endpoint.methods {
            let operation = &description["paths"][endpoint.path][method.to_lowercase()];
            let responses = operation["responses"].as_object().unwrap();
            let described: BTreeSet<String> = responses.keys().cloned().collect();
            assert_eq!(described, statuses(*route), "{method} {}", endpoint.path);
        }
    }
    let schema = |name: &str| {
        let mut schema = description["components"]["schemas"][name].clone();
        schema["components"] = description["components"].clone();
        jsonschema::validator_for(&schema).unwrap()
    };
    let body = |response: &HttpResponse| serde_json::from_str::<Value>(&response.body).unwrap();
    for denial in Denial::ALL {
        assert!(schema("Message").is_valid(&json!({"message": denial.message()})));
    }
    assert!(schema("Message").is_valid(&body(&HttpResponse::unavailable())));
    assert!(schema("Failure").is_valid(&body(&HttpResponse::failure("track user", "m"))));
}

/// A reference that leads nowhere would describe nothing.
#[test]
fn every_reference_leads_somewhere() {
    fn follow(whole: &Value, value: &Value, seen: &mut usize) {
        if value["$ref"].is_string() {
            resolved(whole, value);
            *seen += 1;
        }
        match value {
            Value::Object(fields) => fields.values().for_each(|field| follow(whole, field, seen)),
            Value::Array(list) => list.iter().for_each(|one| follow(whole, one, seen)),
            _ => {}
        }
    }
    let description = description();
    let mut seen = 0;
    follow(&description, &description, &mut seen);
    assert!(seen > 40, "{seen}");
}
