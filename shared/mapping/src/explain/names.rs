//! Fields with unknown names, and the known name that each resembles: most are misspelt.

use segment_language::action::Action;
use serde::Serialize;
use serde_json::{Map, Value};

use super::spec::{CONTEXT, EVENT};
use crate::field::fold;
use crate::item_kind::ItemKind;
use crate::profile::TAG_FIELDS;
use crate::tracking_log::Record;

/// A field with an unknown name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnknownField {
    /// Its name, with dots for parts of objects.
    pub field: String,
    /// The known name that it resembles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
}

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
    // One letter in four, and none of two, so that short names do not resemble everything.
    let most = match folded.chars().count() {
        0..=2 => 0,
        letters => (letters + 2) / 4,
    };
    let distance = |known: &&str| strsim::damerau_levenshtein(&folded, &fold(known));
    let near = known.into_iter().filter(|known| *known != name);
    near.map(|known| (distance(&known), known))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// The fields of an item with unknown names.
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
    let field_of = |name: &str| action.fields().iter().find(|field| field.name == name);
    let unknown = |name: &String| {
        let (of, part) = name.split_once('.').unwrap_or((name, ""));
        let nearest = match field_of(of) {
            // A field of any content takes whatever the mapping puts below it.
            Some(field) if part.is_empty() || field.parts.is_empty() => return None,
            Some(field) if field.parts.iter().any(|known| known.name == part) => return None,
            Some(field) => nearest(part, field.parts.iter().map(|part| part.name))
                .map(|part| format!("{of}.{part}")),
            None => nearest(of, action.fields().iter().map(|field| field.name)).map(str::to_owned),
        };
        Some(UnknownField { field: name.clone(), nearest })
    };
    names.iter().filter(|name| !name.is_empty()).filter_map(unknown).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unknown(kind: ItemKind, item: &Value) -> Vec<(String, Option<String>)> {
        let found = unknown_fields(kind, item).into_iter();
        found.map(|one| (one.field, one.nearest)).collect()
    }

    #[test]
    fn a_name_may_be_one_letter_in_four_off() {
        assert_eq!(nearest("usernaem", ["username"]), Some("username"));
        assert_eq!(nearest("usernxxe", ["username"]), Some("username"));
        assert_eq!(nearest("userxxxe", ["username"]), None);
        assert_eq!(nearest("ip", ["id"]), None);
    }

    fn row(field: &str, nearest: Option<&str>) -> (String, Option<String>) {
        (field.to_owned(), nearest.map(str::to_owned))
    }

    #[test]
    fn a_name_resembles_the_known_one_that_is_nearest() {
        let known = ["user_id", "device_id", "email", "city", "country", "ip"];
        for (name, expected) in [
            ("userId", Some("user_id")),
            ("usre_id", Some("user_id")),
            ("deviceid", Some("device_id")),
            ("e-mail", Some("email")),
            ("emial", Some("email")),
            ("contry", Some("country")),
            ("plan", None),
            ("x", None),
            ("id", None),
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
        let location =
            ["latitude", "latitud", "height"].map(|part| format!("current_location.{part}"));
        let found = unknown_outputs(Action::UpdateUserProfile, &location).into_iter();
        let found: Vec<_> = found.map(|one| (one.field, one.nearest)).collect();
        assert_eq!(
            found,
            [
                row("current_location.latitud", Some("current_location.latitude")),
                row("current_location.height", None),
            ]
        );
    }
}
