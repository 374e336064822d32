//! What the contestants are invoked with. The same bytes in every run.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha1::Sha1;

/// The application whose secret there is.
pub(crate) const APPLICATION: &str = "DEMO0-00001";

/// Events that Segment receives, with their channel and the platform's number.
const EXPORTED: [(&str, &str, u32); 7] = [
    ("Push Sent", "Push", 3),
    ("Email Sent", "Email", 14),
    ("Push Delivered", "Push", 1),
    ("SMS Sent", "SMS", 18),
    ("Email Delivered", "Email", 14),
    ("SMS Delivered", "SMS", 18),
    ("Email Bounced", "Email", 14),
];

/// Events on the topic that Segment does not receive.
const OTHERS: [&str; 3] = ["Push Opened", "Email Opened", "Email Link Clicked"];

/// A record's value. One in `rare` is exported; of the others every second belongs to an application
/// without a secret, and every second is of a type that is not exported.
fn record(n: usize, rare: usize, applications: usize) -> String {
    let exported = n.is_multiple_of(rare);
    let (event, kind, platform) = EXPORTED.get(n % EXPORTED.len()).copied().unwrap_or(("", "", 0));
    let (application, event) = match (exported, n % 2) {
        (true, _) if applications > 1 => (format!("BENCH-{:05}", n % applications), event),
        (true, _) => (APPLICATION.to_owned(), event),
        (false, 0) => (format!("OTHER-{:05}", n % 50), event),
        (false, _) => {
            (APPLICATION.to_owned(), OTHERS.get(n % OTHERS.len()).copied().unwrap_or_default())
        }
    };
    format!(
        "{{\"event_name\": \"{event}\", \"timestamp\": \"2026-01-31T12:{:02}:{:02}Z\", \"application_code\": \"{application}\", \
         \"message_id\": {}, \"message_code\": \"A444-AAABBBCC-{:08}\", \"campaign_id\": 961234, \"campaign_code\": \
         \"AAAAA-XXXXX\", \"message_type\": \"{kind}\", \"platform\": {platform}, \"hwid\": \
         \"5dcaed99-0b3f-4d7e-9a1c-{n:012}\", \"user_id\": \"user-{n}\", \"payload\": \"Your order is on its way\"}}",
        n / 60 % 60,
        n % 60,
        12_345_678_900_usize + n,
        n / 1_000,
    )
}

/// An event of Amazon MSK on four partitions, as Lambda writes it.
pub(crate) fn msk(records: usize, rare: usize, applications: usize) -> Vec<u8> {
    let mut event = String::from(
        "{\"eventSource\":\"aws:kafka\",\"eventSourceArn\":\"arn:aws:kafka:eu-central-1:123456789012:cluster/bench/1\",\
         \"bootstrapServers\":\"b-1.bench.kafka.eu-central-1.amazonaws.com:9092\",\"records\":{",
    );
    for partition in 0..4 {
        let separator = if partition == 0 { "" } else { "," };
        write!(event, "{separator}\"channels-tracking-log-{partition}\":[").ok();
        let here = (partition..records).step_by(4);
        for (place, n) in here.enumerate() {
            let separator = if place == 0 { "" } else { "," };
            let value = STANDARD.encode(record(n, rare, applications));
            write!(event,
                "{separator}{{\"topic\":\"channels-tracking-log\",\"partition\":{partition},\"offset\":{},\"timestamp\":{},\
                 \"timestampType\":\"CREATE_TIME\",\"value\":\"{value}\",\"headers\":[]}}",
                1_000_000 + place, 1_769_860_800_000_usize + n,
            ).ok();
        }
        event.push(']');
    }
    event.push_str("}}");
    event.into_bytes()
}

/// A request of Segment's own Pushwoosh destination: a batch of events.
pub(crate) fn post_events(events: usize) -> Vec<u8> {
    let events: Vec<_> = (0..events)
        .map(|n| {
            json!({
                "user_id": format!("user-{n}"), "device_id": format!("5dcaed99-{n:012}"), "device_platform": "ios",
                "app_id": APPLICATION, "name": "Order Completed", "timestamp": "2026-01-31T12:00:00.000Z",
                "attributes": {"revenue": 9.99, "currency": "EUR", "coupon": "WINTER", "items": 3, "first": false},
            })
        })
        .collect();
    gateway("/integration-segment/v1/post-events", &json!({ "events": events }).to_string())
}

/// The application with mappings of its own.
pub(crate) const HEAVY_APPLICATION: &str = "BENCH-HEAVY";

/// Signs raw events.
pub(crate) const SHARED_SECRET: &str = "bench-shared-secret";

/// Eight mappings, of which all are tried and half select the event, with most directives.
pub(crate) fn heavy_mappings() -> Value {
    let mapping = |n: usize| {
        let event = if n.is_multiple_of(2) { "Order Completed" } else { "Another" };
        json!({
            "subscribe": format!("type = \"track\" and event = \"{event}\" and properties.revenue > {n} and contains(context.locale, \"de\")"),
            "action": "trackEvent",
            "mapping": {
                "external_id": {"@if": {"exists": {"@path": "$.userId"}, "then": {"@path": "$.userId"}, "else": {"@path": "$.anonymousId"}}},
                "device_id": {"@path": "$.context.device.id"},
                "device_platform": {"@path": "$.context.device.type"},
                "name": {"@template": format!("{{{{event}}}} of {{{{properties.currency}}}} {n}")},
                "timestamp": {"@path": "$.timestamp"},
                "properties": {
                    "@merge": {"direction": "right", "objects": [{"@path": "$.properties"}, {"n": n, "locale":
                        {"@replace": {"value": {"@path": "$.context.locale"}, "pattern": "-", "replacement": "_"}}}]},
                },
            },
        })
    };
    (0..8).map(mapping).collect()
}

/// A raw event of Segment for this application. It has no `messageId`: the second one with the same would be a duplicate.
pub(crate) fn raw(application: &str) -> Vec<u8> {
    let event = json!({
        "type": "track", "event": "Order Completed", "userId": "user-1", "anonymousId": "a-1",
        "timestamp": "2026-01-31T12:00:00.000Z", "properties": {"revenue": 9.99, "currency": "EUR", "items": 3},
        "context": {"device": {"id": "5dcaed99", "type": "ios"}, "locale": "de-DE", "os": {"name": "iOS", "version": "19.1"}},
    });
    gateway(&format!("/webhook/{application}"), &event.to_string())
}

/// As Segment's webhooks sign a body.
fn signature(body: &str) -> String {
    // A key may have any length.
    Hmac::<Sha1>::new_from_slice(SHARED_SECRET.as_bytes()).map_or_else(
        |_| String::new(),
        |mac| hex::encode(mac.chain_update(body).finalize().into_bytes()),
    )
}

fn gateway(path: &str, body: &str) -> Vec<u8> {
    let event = json!({
        "version": "2.0", "routeKey": "ANY /{proxy+}", "rawPath": path, "rawQueryString": "",
        "headers": {"authorization": "Token demo-token", "x-pw-appcode": APPLICATION, "content-type": "application/json",
            "host": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com", "user-agent": "Segment (Actions)",
            "x-signature": signature(body)},
        "requestContext": {"accountId": "123456789012", "apiId": "a1b2c3d4e5", "stage": "$default",
            "requestId": "X8kQ3jHrliAEJQA=", "routeKey": "ANY /{proxy+}",
            "domainName": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com", "domainPrefix": "a1b2c3d4e5",
            "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.10",
                "userAgent": "Segment (Actions)"},
            "time": "31/Jan/2026:12:00:00 +0000", "timeEpoch": 1_769_860_800_003_u64},
        "body": body, "isBase64Encoded": false,
    });
    event.to_string().into_bytes()
}
