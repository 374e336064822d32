//! One event of a post-events body: a Pushwoosh event with the same name (spec D2, D5).
//!
//! The application is the caller's, whatever `app_code` or `app_id` in the event say: the key that
//! came with the request was checked for that one.

use jiff::Timestamp;
use segment_language::instant::instant;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::call::{Call, Method, Plan};
use crate::device_platform::Platform;
use crate::field::{id, json, object, text, verbatim};
use crate::reason::{Reason, Refusal};
use crate::value::to_pushwoosh;

/// The event as callers send it; every field may be absent or null.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire {
    user_id: Value,
    external_id: Value,
    device_id: Value,
    device_platform: Value,
    name: Value,
    timestamp: Value,
    attributes: Value,
}

/// The call for one event. `received` is the time for an event that names none.
pub fn plan(application: &str, event: &[u8], received: Timestamp) -> Result<Plan, Refusal> {
    plan_value(application, json(event)?, received)
}

/// The same for an event that was read before.
pub(crate) fn plan_value(
    application: &str,
    event: Value,
    received: Timestamp,
) -> Result<Plan, Refusal> {
    let wire: Wire = object(event)?;
    let user = id(&wire.user_id).or_else(|| id(&wire.external_id));
    let device = id(&wire.device_id);
    if user.is_none() && device.is_none() {
        return Err(Refusal::new(Reason::NoIdentity, "user_id or device_id is expected"));
    }
    let platform = match text(&wire.device_platform) {
        None => Err(Refusal::new(
            Reason::NoPlatform,
            "device_platform: ios, android or web is expected",
        )),
        Some(name) => Platform::parse(&name).ok_or_else(|| {
            Refusal::new(
                Reason::UnknownPlatform,
                "device_platform: ios, android or web is expected",
            )
        }),
    }?;
    let name = verbatim(&wire.name).ok_or_else(|| {
        Refusal::new(Reason::NoEventName, "name: the name of the event is expected")
    })?;
    let at = match &wire.timestamp {
        Value::Null => received,
        value => text(value).as_deref().and_then(instant).ok_or_else(|| {
            Refusal::new(
                Reason::BadTimestamp,
                "timestamp: RFC 3339 text or a unix time is expected",
            )
        })?,
    };
    let attributes: Map<String, Value> = match wire.attributes {
        Value::Null => Map::new(),
        Value::Object(attributes) => attributes
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, to_pushwoosh(&value)))
            .collect(),
        _ => {
            return Err(Refusal::new(Reason::BadField, "attributes: an object is expected"));
        }
    };
    let call = Call::new(Method::PostEvent, application)
        .with("hwid", device)
        .with("userId", user)
        .with("event", Some(name))
        .with("attributes", Some(attributes))
        .with("timestampUTC", Some(at.as_second()))
        .with("device_type", Some(platform.number()));
    Ok(Plan::one(call))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(change: &[(&str, Value)]) -> Result<Value, Reason> {
        let mut event = json!({
            "user_id": "u1", "device_id": "d1", "device_platform": "ios", "app_code": "DEMO0-00001",
            "name": "SubscribedToOffers", "timestamp": "2026-01-02T03:04:05.678Z",
            "attributes": {"searched_product": "shoes", "none": null},
        });
        for (key, value) in change {
            event[key] = value.clone();
        }
        let plan = plan("DEMO0-00001", event.to_string().as_bytes(), Timestamp::UNIX_EPOCH)
            .map_err(|refusal| refusal.reason)?;
        let [stage] = plan.stages.as_slice() else { panic!("one stage") };
        let [call] = stage.as_slice() else { panic!("one call") };
        assert_eq!(call.method, Method::PostEvent);
        Ok(Value::Object(call.request.clone()))
    }

    #[test]
    fn an_event_keeps_its_name_attributes_time_and_people() {
        assert_eq!(
            event(&[]).unwrap(),
            json!({
                "application": "DEMO0-00001", "hwid": "d1", "userId": "u1", "event": "SubscribedToOffers",
                "attributes": {"searched_product": "shoes"}, "timestampUTC": 1_767_323_045, "device_type": 1,
            })
        );
    }

    #[test]
    fn an_event_needs_somebody_and_a_known_platform() {
        assert_eq!(event(&[("user_id", json!(""))]).unwrap().get("userId"), None);
        assert_eq!(event(&[("device_id", json!(null))]).unwrap().get("hwid"), None);
        let nobody = [("user_id", json!("")), ("device_id", json!("false"))];
        assert_eq!(event(&nobody), Err(Reason::NoIdentity));
        assert_eq!(event(&[("device_platform", json!(null))]), Err(Reason::NoPlatform));
        assert_eq!(event(&[("device_platform", json!("false"))]), Err(Reason::UnknownPlatform));
        assert_eq!(event(&[("device_platform", json!(" Android "))]).unwrap()["device_type"], 3);
    }

    #[test]
    fn times_are_read_as_text_seconds_or_milliseconds() {
        for time in
            [json!(1_767_323_045), json!("1767323045678"), json!("2026-01-02T04:04:05+01:00")]
        {
            assert_eq!(event(&[("timestamp", time)]).unwrap()["timestampUTC"], 1_767_323_045);
        }
        assert_eq!(event(&[("timestamp", json!(null))]).unwrap()["timestampUTC"], 0);
        assert_eq!(event(&[("timestamp", json!("bad"))]), Err(Reason::BadTimestamp));
    }

    #[test]
    fn attributes_may_be_missing_but_not_of_another_type() {
        assert_eq!(event(&[("attributes", json!(null))]).unwrap()["attributes"], json!({}));
        assert_eq!(event(&[("attributes", json!([1]))]), Err(Reason::BadField));
    }
}
