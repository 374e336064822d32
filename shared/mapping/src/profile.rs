//! The body of track-user: a user, their device, and their attributes as tags (spec D1).
//!
//! At most three calls for up to [`MAX_TAGS`] tags: the device and the e-mail address are
//! registered together, then the tags are set. Tag names stay as they came. An unknown platform
//! costs the device its registration, never the user their tags.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::call::{Call, Method, Plan};
use crate::device_platform::Platform;
use crate::field::{id, json, object, text};
use crate::reason::{Reason, Refusal};
use crate::value::to_pushwoosh;

/// Pushwoosh asks for no more tags in one setTags.
/// <https://docs.pushwoosh.com/platform-docs/api-reference/tags>
pub const MAX_TAGS: usize = 50;

/// A field of the body that becomes a tag of its own.
#[derive(Debug, Clone, Copy)]
pub struct TagField {
    /// Name of the field; a part of an object has a dot before it.
    pub name: &'static str,
    /// A value as Segment sends it, for the documentation.
    pub example: &'static str,
    /// Name of the tag in Pushwoosh.
    pub tag: &'static str,
    /// The tag's value; nothing where the field has none that can be used.
    value: fn(&Value) -> Option<Value>,
}

const fn text_tag(name: &'static str, example: &'static str, tag: &'static str) -> TagField {
    TagField { name, example, tag, value: |value| text(value).map(Value::from) }
}

fn number(value: &Value) -> Option<Value> {
    Some(value.clone()).filter(Value::is_number)
}

/// The fields that become tags, in the order in which the tags are sent.
pub const TAG_FIELDS: &[TagField] = &[
    TagField {
        value: |value| language(value).map(Value::from),
        ..text_tag("language", "en-US", "Language")
    },
    text_tag("country", "US", "Country"),
    text_tag("city", "SF", "City"),
    text_tag("app_version", "1.0", "Application Version"),
    text_tag("device_model", "iPhone7,2", "Device Model"),
    text_tag("device_os_version", "17", "OS Version"),
    TagField { value: number, ..text_tag("current_location.latitude", "51.5", "Latitude") },
    TagField { value: number, ..text_tag("current_location.longitude", "0", "Longitude") },
    text_tag("timezone", "Europe/Berlin", "Time Zone"),
    text_tag("user_agent", "UA", "User Agent"),
];

/// The calls for one track-user body. `now` decides the offset of the user's time zone.
pub fn plan(application: &str, body: &[u8], now: Timestamp) -> Result<Plan, Refusal> {
    plan_value(application, json(body)?, now)
}

/// The same for a body that was read before.
pub(crate) fn plan_value(application: &str, body: Value, now: Timestamp) -> Result<Plan, Refusal> {
    let body: Map<String, Value> = object(body)?;
    // Every field may be absent or null.
    let field = |name: &str| body.get(name).unwrap_or(&Value::Null);
    let user = id(field("user_id")).or_else(|| id(field("external_id")));
    let hwid = id(field("device_id"));
    let email = text(field("email")).filter(|address| address.contains('@'));
    if user.is_none() && hwid.is_none() && email.is_none() {
        return Err(Refusal::new(Reason::NoIdentity, "user_id, device_id or email is expected"));
    }
    let platform = text(field("device_platform")).and_then(|name| Platform::parse(&name));
    let language = language(field("language"));
    let offset = text(field("timezone")).and_then(|name| offset(&name, now));
    let tags = tags(&body)?;

    let device = hwid.clone().zip(platform).and_then(|(hwid, platform)| {
        let token = text(field("device_token"));
        let (method, offset_key) = match (&token, &user) {
            (Some(_), _) => (Method::RegisterDevice, "timezone"),
            (None, Some(_)) => (Method::RegisterUser, "tz_offset"),
            (None, None) => return None,
        };
        let call = Call::new(method, application)
            .with("hwid", Some(hwid))
            .with("userId", user.clone())
            .with("device_type", Some(platform.number()))
            .with(offset_key, offset);
        Some(match token {
            None => call,
            token => call
                .with("push_token", token)
                .with("language", language.clone())
                .with("app_version", text(field("app_version")))
                .with("device_model", text(field("device_model")))
                .with("os_version", text(field("device_os_version"))),
        })
    });
    let address = email.clone().map(|email| {
        Call::new(Method::RegisterEmail, application)
            .with("email", Some(email))
            .with("userId", user.clone())
            .with("tz_offset", offset)
            .with("language", language.clone())
    });
    // An e-mail device's HWID is its address.
    let tagged = if user.is_none() { hwid.or(email) } else { hwid.filter(|_| platform.is_some()) };
    let set_tags = chunks(tags)
        .into_iter()
        .map(|tags| {
            Call::new(Method::SetTags, application)
                .with("hwid", tagged.clone())
                .with("userId", user.clone())
                .with("tags", Some(tags))
        })
        .collect();
    let plan = Plan::default().then(device.into_iter().chain(address).collect()).then(set_tags);
    if plan.stages.is_empty() {
        return Err(Refusal::new(Reason::NothingToSave, "attributes: at least one is expected"));
    }
    Ok(plan)
}

/// Attributes and profile fields as tags. An attribute with the name of a profile tag wins: the
/// customer chose it.
fn tags(body: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    let mut tags: Map<String, Value> = TAG_FIELDS
        .iter()
        .filter_map(|field| {
            let mut names = field.name.split('.');
            let value = body.get(names.next()?)?;
            let value = names.try_fold(value, |value, name| value.get(name))?;
            let value = (field.value)(value)?;
            Some((field.tag.to_owned(), value))
        })
        .collect();
    match body.get("attributes") {
        None | Some(Value::Null) => {}
        Some(Value::Object(attributes)) => {
            tags.extend(attributes.iter().map(|(name, value)| (name.clone(), to_pushwoosh(value))));
        }
        Some(_) => {
            return Err(Refusal::new(Reason::BadField, "attributes: an object is expected"));
        }
    }
    Ok(tags)
}

fn chunks(tags: Map<String, Value>) -> Vec<Map<String, Value>> {
    let mut tags = tags.into_iter().peekable();
    let mut chunks = Vec::new();
    while tags.peek().is_some() {
        chunks.push(tags.by_ref().take(MAX_TAGS).collect());
    }
    chunks
}

/// `en-US` → `en`: the ISO 639 code that Pushwoosh takes.
fn language(locale: &Value) -> Option<String> {
    let code = text(locale)?.split(['-', '_']).next()?.to_ascii_lowercase();
    let is_code = matches!(code.len(), 2 | 3) && code.bytes().all(|b| b.is_ascii_alphabetic());
    is_code.then_some(code)
}

/// Seconds east of UTC in this IANA time zone at this moment.
fn offset(zone: &str, now: Timestamp) -> Option<i32> {
    Some(now.in_tz(zone).ok()?.offset().seconds())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn calls(body: &Value) -> Result<Value, Reason> {
        // In January Berlin is one hour ahead of UTC.
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        plan("DEMO0-00001", body.to_string().as_bytes(), now)
            .map(|plan| serde_json::to_value(plan).unwrap())
            .map_err(|refusal| refusal.reason)
    }

    #[test]
    fn a_full_identify_registers_device_and_address_then_sets_tags() {
        let body = json!({"attributes": {"name": "N", "n": null, "o": {"q": null}}, "user_id": "u1",
            "email": "a@b.c", "app_version": "1.0", "device_id": "d", "device_model": "m",
            "device_platform": "android", "device_token": "tok", "language": "en-US", "country": "US",
            "city": "SF", "current_location": {"latitude": 51.5, "longitude": 0},
            "device_os_version": "14", "timezone": "Europe/Berlin", "user_agent": "UA"});
        assert_eq!(
            calls(&body).unwrap(),
            json!([
                [
                    {"method": "registerDevice", "request": {
                        "application": "DEMO0-00001", "hwid": "d", "userId": "u1", "device_type": 3,
                        "timezone": 3600, "push_token": "tok", "language": "en", "app_version": "1.0",
                        "device_model": "m", "os_version": "14"}},
                    {"method": "registerEmail", "request": {
                        "application": "DEMO0-00001", "email": "a@b.c", "userId": "u1",
                        "tz_offset": 3600, "language": "en"}}
                ],
                [
                    {"method": "setTags", "request": {
                        "application": "DEMO0-00001", "hwid": "d", "userId": "u1", "tags": {
                            "Language": "en", "Country": "US", "City": "SF",
                            "Application Version": "1.0", "Device Model": "m", "OS Version": "14",
                            "Latitude": 51.5, "Longitude": 0, "Time Zone": "Europe/Berlin",
                            "User Agent": "UA", "name": "N", "n": null, "o": "{\"q\":null}"}}}
                ]
            ])
        );
    }

    #[test]
    fn each_identity_alone_gets_the_calls_it_allows() {
        let methods = |body: Value| -> Vec<String> {
            let plan = calls(&body).unwrap();
            let stages =
                plan.as_array().unwrap().iter().flat_map(|stage| stage.as_array().unwrap());
            stages.map(|call| call["method"].as_str().unwrap().to_owned()).collect()
        };
        let tag = json!({"a": 1});
        assert_eq!(methods(json!({"attributes": tag, "user_id": "u"})), ["setTags"]);
        assert_eq!(methods(json!({"attributes": tag, "device_id": "d"})), ["setTags"]);
        assert_eq!(
            methods(json!({"attributes": tag, "email": "a@b.c"})),
            ["registerEmail", "setTags"]
        );
        assert_eq!(
            methods(
                json!({"attributes": {}, "user_id": "u", "device_id": "d", "device_platform": "IOS"})
            ),
            ["registerUser"]
        );
        assert_eq!(
            methods(
                json!({"attributes": tag, "user_id": "u", "device_id": "d", "device_platform": "toaster"})
            ),
            ["setTags"]
        );
        assert_eq!(calls(&json!({"attributes": tag})), Err(Reason::NoIdentity));
        assert_eq!(calls(&json!({"attributes": {}, "user_id": "u"})), Err(Reason::NothingToSave));
    }

    #[test]
    fn more_tags_than_one_call_takes_are_split_without_loss() {
        let attributes: Map<String, Value> =
            (0..120).map(|n| (format!("t{n}"), n.into())).collect();
        let plan = calls(&json!({"user_id": "u", "attributes": attributes})).unwrap();
        let sizes: Vec<usize> = plan[0]
            .as_array()
            .unwrap()
            .iter()
            .map(|call| call["request"]["tags"].as_object().unwrap().len())
            .collect();
        assert_eq!(sizes, [50, 50, 20]);
    }

    #[test]
    fn languages_and_time_zones_that_are_none_are_left_out() {
        assert_eq!(language(&json!("zh_Hans-CN")).as_deref(), Some("zh"));
        for none in [json!(true), json!("12"), json!("abcd"), json!("e1-US")] {
            assert_eq!(language(&none), None, "{none}");
        }
        assert_eq!(language(&json!("DEU")).as_deref(), Some("deu"));
        assert_eq!(offset("Mars/Olympus", Timestamp::UNIX_EPOCH), None);
        assert_eq!(offset("Asia/Kolkata", Timestamp::UNIX_EPOCH), Some(19_800));
    }
}
