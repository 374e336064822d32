//! Fields that nobody reads, and the known name that each resembles: most are misspelt.

use segment_language::action::Action;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::field::fold;
use crate::item::ItemKind;
use crate::profile::TAG_FIELDS;
use crate::tracking_log::Record;

/// A field that nobody reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnknownField {
    /// Its name, with dots for parts of objects.
    pub field: String,
    /// The known name that it resembles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
}

/// Fields of Segment's calls. <https://segment.com/docs/connections/spec/common/>
const EVENT: [&str; 21] = [
    "_metadata",
    "anonymousId",
    "category",
    "channel",
    "context",
    "event",
    "groupId",
    "integrations",
    "messageId",
    "name",
    "originalTimestamp",
    "previousId",
    "projectId",
    "properties",
    "receivedAt",
    "sentAt",
    "timestamp",
    "traits",
    "type",
    "userId",
    "version",
];

/// Fields of their `context`. Customers add their own: only what resembles one of these is reported.
const CONTEXT: [(&str, &[&str]); 6] = [
    (
        "context",
        &[
            "active",
            "app",
            "campaign",
            "device",
            "groupId",
            "ip",
            "library",
            "locale",
            "location",
            "network",
            "os",
            "page",
            "referrer",
            "screen",
            "timezone",
            "traits",
            "userAgent",
            "userAgentData",
        ],
    ),
    ("context.app", &["build", "name", "namespace", "version"]),
    (
        "context.device",
        &[
            "adTrackingEnabled",
            "advertisingId",
            "id",
            "manufacturer",
            "model",
            "name",
            "token",
            "type",
            "version",
        ],
    ),
    ("context.location", &["city", "country", "latitude", "longitude", "region", "speed"]),
    ("context.os", &["name", "version"]),
    ("context.page", &["path", "referrer", "search", "title", "url"]),
];

/// Fields of a track-user body beside those that become tags.
const PROFILE: [&str; 9] = [
    "user_id",
    "external_id",
    "email",
    "device_id",
    "device_platform",
    "device_token",
    "attributes",
    "app_code",
    "app_id",
];

/// Fields of an event in a post-events body.
const POST_EVENT: [&str; 9] = [
    "user_id",
    "external_id",
    "device_id",
    "device_platform",
    "name",
    "timestamp",
    "attributes",
    "app_code",
    "app_id",
];

/// Fields of a delete-user body.
const DELETION: [&str; 2] = ["external_id", "user_id"];

/// Fields of a record that are not read on purpose.
const NOT_READ: [&str; 3] = ["payload", "error", "description"];

/// The known name that a name resembles: the same but for case and separators, or a few letters off.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let folded = fold(name);
    // One letter in four, so that short names do not resemble everything.
    let most = (folded.chars().count() + 2) / 4;
    let distance = |known: &&str| strsim::damerau_levenshtein(&folded, &fold(known));
    let near = known.into_iter().filter(|known| *known != name);
    near.map(|known| (distance(&known), known))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// The fields of an item that nobody reads.
pub(super) fn unknown_fields(kind: ItemKind, item: &Value) -> Vec<UnknownField> {
    let Value::Object(fields) = item else {
        return Vec::new();
    };
    match kind {
        ItemKind::RawEvent => {
            let mut found = others(fields, "", &EVENT, true);
            for (place, known) in CONTEXT {
                let part = place.split('.').try_fold(item, |value, key| value.get(key));
                if let Some(Value::Object(fields)) = part {
                    found.extend(others(fields, place, known, false));
                }
            }
            found
        }
        ItemKind::Profile => {
            let tags = TAG_FIELDS.iter().filter_map(|field| field.name.split('.').next());
            let known: Vec<&str> = PROFILE.into_iter().chain(tags).collect();
            others(fields, "", &known, true)
        }
        ItemKind::Event => others(fields, "", &POST_EVENT, true),
        ItemKind::Deletion => others(fields, "", &DELETION, true),
        ItemKind::Record => {
            let known: Vec<&str> = Record::FIELDS.into_iter().chain(NOT_READ).collect();
            let named = fields.iter().filter(|(name, _)| !Record::knows(name));
            let named = named.map(|(name, value)| (name.clone(), value.clone())).collect();
            others(&named, "", &known, true)
        }
        ItemKind::Parked => Vec::new(),
    }
}

/// The fields that are not known; all of them, or only those that resemble a known one.
fn others(
    fields: &Map<String, Value>,
    place: &str,
    known: &[&str],
    all: bool,
) -> Vec<UnknownField> {
    let unknown = fields.keys().filter(|name| !known.contains(&name.as_str()));
    unknown
        .map(|name| {
            let nearest = nearest(name, known.iter().copied());
            UnknownField {
                field: if place.is_empty() { name.clone() } else { format!("{place}.{name}") },
                nearest: nearest.map(str::to_owned),
            }
        })
        .filter(|unknown| all || unknown.nearest.is_some())
        .collect()
}

/// The fields of a mapping that its action does not have.
pub(super) fn unknown_outputs(action: Action, names: &[String]) -> Vec<UnknownField> {
    let fields = action.fields().iter();
    let known: Vec<String> = fields
        .flat_map(|field| {
            let parts = field.parts.iter().map(|part| format!("{}.{}", field.name, part.name));
            std::iter::once(field.name.to_owned()).chain(parts)
        })
        .collect();
    // A field of any content takes whatever the mapping puts below it.
    let is_known = |name: &String| {
        known.contains(name)
            || action.fields().iter().any(|field| {
                field.parts.is_empty()
                    && name.strip_prefix(field.name).is_some_and(|rest| rest.starts_with('.'))
            })
    };
    let unknown = names.iter().filter(|name| !name.is_empty() && !is_known(name));
    unknown
        .map(|name| UnknownField {
            field: name.clone(),
            nearest: nearest(name, known.iter().map(String::as_str)).map(str::to_owned),
        })
        .collect()
}

/// Paths that a mapping reads, that the event does not have, and that resemble one that it has.
pub(super) fn misread_paths<'p>(
    missing: impl IntoIterator<Item = &'p String>,
    present: &[&str],
) -> Vec<UnknownField> {
    let mut found: Vec<UnknownField> = Vec::new();
    for path in missing {
        let parent = |path: &str| path.rsplit_once('.').map(|(parent, _)| parent.to_owned());
        let siblings = present.iter().copied().filter(|one| parent(one) == parent(path));
        if let Some(nearest) = nearest(path, siblings) {
            let unknown = UnknownField { field: path.clone(), nearest: Some(nearest.to_owned()) };
            if !found.contains(&unknown) {
                found.push(unknown);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unknown(kind: ItemKind, item: &Value) -> Vec<(String, Option<String>)> {
        let found = unknown_fields(kind, item).into_iter();
        found.map(|one| (one.field, one.nearest)).collect()
    }

    fn row(field: &str, nearest: Option<&str>) -> (String, Option<String>) {
        (field.to_owned(), nearest.map(str::to_owned))
    }

    #[test]
    fn a_name_resembles_the_known_one_that_is_nearest() {
        let known = ["user_id", "device_id", "email", "city", "country"];
        for (name, expected) in [
            ("userId", Some("user_id")),
            ("usre_id", Some("user_id")),
            ("deviceid", Some("device_id")),
            ("e-mail", Some("email")),
            ("emial", Some("email")),
            ("contry", Some("country")),
            ("plan", None),
            ("x", None),
            ("user_id", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }

    #[test]
    fn unknown_fields_of_every_kind_are_flagged() {
        let profile = json!({"userid": "u", "attributes": {"anything": 1}, "current_location": {}, "plan": 1});
        assert_eq!(
            unknown(ItemKind::Profile, &profile),
            [row("userid", Some("user_id")), row("plan", None)]
        );
        let event = json!({"name": "E", "user_id": "u", "timestmap": 1});
        assert_eq!(unknown(ItemKind::Event, &event), [row("timestmap", Some("timestamp"))]);
        let deletion = json!({"externalid": "u"});
        assert_eq!(
            unknown(ItemKind::Deletion, &deletion),
            [row("externalid", Some("external_id"))]
        );
        let record = json!({"eventName": "Push Sent", "HWID": "H", "payload": "p", "mesage_code": "m", "extra": 1});
        assert_eq!(
            unknown(ItemKind::Record, &record),
            [row("mesage_code", Some("message_code")), row("extra", None)]
        );
    }

    /// Customers put fields of their own into `context`.
    #[test]
    fn in_the_context_only_what_resembles_a_known_field_is_flagged() {
        let event = json!({"type": "track", "userid": "u", "properties": {"any": 1},
            "context": {"shop": 1, "devise": {}, "device": {"Id": "d", "colour": "red"}}});
        assert_eq!(
            unknown(ItemKind::RawEvent, &event),
            [
                row("userid", Some("userId")),
                row("context.devise", Some("device")),
                row("context.device.Id", Some("id")),
            ]
        );
    }

    #[test]
    fn a_mappings_misspelt_fields_are_flagged() {
        let names = ["external_id", "nmae", "properties.anything", "current_location.latitude", ""]
            .map(str::to_owned);
        let found = unknown_outputs(Action::TrackEvent, &names);
        let found: Vec<_> = found.into_iter().map(|one| (one.field, one.nearest)).collect();
        assert_eq!(found, [row("nmae", Some("name")), row("current_location.latitude", None)]);
        let location = ["current_location.latitude", "current_location.lat"].map(str::to_owned);
        let found = unknown_outputs(Action::UpdateUserProfile, &location);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn a_path_that_resembles_one_of_the_event_is_flagged() {
        let missing = ["userID", "context.device.idd", "traits.nothing"].map(str::to_owned);
        let found = misread_paths(&missing, &["userId", "context.device.id", "id", "type"]);
        let found: Vec<_> = found.into_iter().map(|one| (one.field, one.nearest)).collect();
        assert_eq!(
            found,
            [row("userID", Some("userId")), row("context.device.idd", Some("context.device.id"))]
        );
    }
}
