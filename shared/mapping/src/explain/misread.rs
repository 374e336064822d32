//! Paths that a mapping reads and the event does not have, because one of the two is misspelt.

use segment_language::kit::Traced;
use serde_json::{Map, Value};

use super::names::{UnknownField, nearest};
use super::spec::{is_of_traits, names_in};

/// The paths that a mapping reads and the event does not have, each with one that the event has and that it resembles.
/// They are compared name by name, each name with those beside it in the event: whole paths such as `context.device.id`
/// and `context.device.type` have most letters in common.
///
/// Names that the specification knows are never taken for one another: an event may have one of them and lack the
/// other. Neither are two paths that the mapping reads both.
pub(super) fn misread_paths(fields: &[Traced], event: &Value) -> Vec<UnknownField> {
    let mut found: Vec<UnknownField> = Vec::new();
    let read: Vec<&String> =
        fields.iter().flat_map(|field| field.inputs.iter().chain(&field.missing)).collect();
    for path in fields.iter().flat_map(|field| &field.missing) {
        let unknown = misread(path, event).filter(|(_, other)| !read.contains(&other));
        let unknown = unknown.map(|(unknown, _)| unknown);
        found.extend(unknown.filter(|unknown| !found.contains(unknown)));
    }
    found
}

/// What is misspelt about a path that the event does not have, and the path that is read instead of it.
fn misread(path: &str, event: &Value) -> Option<(UnknownField, String)> {
    let (place, name, rest, beside) = first_absent(path, event)?;
    let known = names_in(place);
    let is_known = known.contains(&name);
    if is_known && !is_of_traits(place) {
        // `unknown_fields` finds names of the event that resemble these.
        return None;
    }
    let beside = beside.keys().map(String::as_str);
    let nearest = nearest(name, beside.filter(|other| !(is_known && known.contains(other))))?;
    let at =
        |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
    let other = at(nearest) + rest;
    let (field, nearest) = if is_known {
        // It is the event that is wrong.
        (at(nearest), at(name))
    } else {
        (path.to_owned(), other.clone())
    };
    Some((UnknownField { field, nearest: Some(nearest) }, other))
}

/// Where a path leaves an event: the place of the last object that is there, the name that it has not, what of the path
/// comes after it with its dot, and the object.
fn first_absent<'p, 'e>(
    path: &'p str,
    event: &'e Value,
) -> Option<(&'p str, &'p str, &'p str, &'e Map<String, Value>)> {
    let (mut place, mut rest, mut value) = ("", path, event);
    loop {
        let length = rest.find('.').unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(length)?;
        match value.get(name) {
            Some(inner) => value = inner,
            None => return Some((place, name, after, value.as_object()?)),
        }
        place = path.strip_suffix(after)?;
        rest = after.strip_prefix('.')?;
    }
}
#[cfg(test)]
mod tests {
    use segment_language::subscription::read_any;
    use serde_json::json;

    use super::super::spec::{CONTEXT, EVENT, TRAITS};
    use super::super::{attempts, explain};
    use super::*;
    use crate::item_kind::ItemKind;
    use crate::rules::Rules;

    /// What the presets' explanation says of an event's fields.
    fn of_presets(event: &Value) -> Vec<UnknownField> {
        let explanation = explain(ItemKind::RawEvent, event, &Rules::of_presets("A"));
        let attempts = explanation.mappings.into_iter().flat_map(|attempt| attempt.unknown);
        attempts.chain(explanation.unknown).collect()
    }

    /// Every field that the presets or the specification know.
    fn known_paths() -> Vec<String> {
        let below = |place: &'static str, names: &'static [&'static str]| {
            names.iter().map(move |name| format!("{place}.{name}"))
        };
        let mut paths: Vec<String> = EVENT.iter().map(|name| (*name).to_owned()).collect();
        paths.extend(CONTEXT.iter().flat_map(|(place, names)| below(place, names)));
        paths.extend(below("traits", &TRAITS));
        paths
    }

    fn put(event: &mut Value, path: &str) {
        let mut place = event;
        for key in path.split('.') {
            if !place.is_object() {
                *place = json!({});
            }
            place = &mut place[key];
        }
        if place.is_null() {
            *place = json!("ios");
        }
    }

    #[test]
    fn a_known_field_is_never_a_misspelling() {
        for kind in ["track", "identify", "page"] {
            let base = json!({"type": kind, "userId": "u", "event": "E", "timestamp": "2026-01-31T12:00:00Z"});
            for path in known_paths() {
                let mut event = base.clone();
                put(&mut event, &path);
                assert_eq!(of_presets(&event), [], "{path} of {kind}");
            }
            let mut all = base.clone();
            for path in known_paths() {
                put(&mut all, &path);
            }
            for path in known_paths() {
                let mut event = all.clone();
                let pointer = format!("/{}", path.replace('.', "/"));
                let (object, name) = pointer.rsplit_once('/').unwrap();
                event.pointer_mut(object).unwrap().as_object_mut().unwrap().remove(name);
                let found: Vec<_> = attempts(&event, &Rules::of_presets("A"))
                    .into_iter()
                    .flat_map(|one| one.unknown)
                    .collect();
                assert_eq!(found, [], "all but {path} of {kind}");
            }
        }
    }

    /// What is said of an event with a mapping that reads these paths.
    fn of_paths(paths: &[&str], event: &Value) -> Vec<(String, String)> {
        let fields = paths.iter().enumerate().map(|(index, path)| {
            (format!("attribute{index}"), json!({"@path": format!("$.{path}")}))
        });
        let properties: Value = fields.collect::<Map<_, _>>().into();
        let list = json!([{"subscribe": "type = \"track\"", "action": "trackEvent", "mapping": {"properties": properties}}]);
        let read = read_any(&list);
        assert_eq!(read.problems.len(), 0, "{:?}", read.problems);
        let rules = Rules { subscriptions: &read.subscriptions, ..Rules::of_presets("A") };
        let found = attempts(event, &rules).into_iter().flat_map(|one| one.unknown);
        found.map(|one| (one.field, one.nearest.unwrap())).collect()
    }

    #[test]
    fn a_path_that_resembles_one_of_the_event_is_flagged() {
        let event = json!({"type": "track", "userId": "u", "id": "i", "context": {"device": {"id": "d", "type": "ios"}},
            "properties": {"price": 1, "address": "x", "ids": 1, "list": [{"sku": 1}]}, "traits": {"emial": "e", "firstName": "f"}});
        for (read, field, nearest) in [
            ("userID", "userID", "userId"),
            ("context.device.idd", "context.device.idd", "context.device.id"),
            ("context.devise.id", "context.devise.id", "context.device.id"),
            ("context.devise.model", "context.devise.model", "context.device.model"),
            ("propertes.price", "propertes.price", "properties.price"),
            ("properties.adress", "properties.adress", "properties.address"),
            // The specification knows `email`: the event is wrong.
            ("traits.email", "traits.emial", "traits.email"),
        ] {
            assert_eq!(of_paths(&[read], &event), [(field.to_owned(), nearest.to_owned())]);
        }
        for read in [
            "traits.nothing",
            "traits.lastName",
            "context.device.token",
            "context.app.name",
            "properties.price.sum",
            "properties.total",
            "properties.id",
            "properties.is",
            "properties.list.1.sku",
        ] {
            assert_eq!(of_paths(&[read], &event), [], "{read}");
        }
        // One is read where the other is absent.
        assert_eq!(of_paths(&["properties.prices", "properties.price"], &event), []);
    }

    #[test]
    fn a_misspelt_field_of_an_event_is_flagged_with_the_presets() {
        for (event, field, nearest) in [
            (json!({"propertes": {"price": 1}}), "propertes", "properties"),
            (json!({"context": {"devise": {"id": "d"}}}), "context.devise", "device"),
            (json!({"context": {"device": {"tokn": "t"}}}), "context.device.tokn", "token"),
            (json!({"traits": {"emial": "e"}}), "traits.emial", "traits.email"),
        ] {
            let mut event = event;
            event["type"] = json!("identify");
            event["userId"] = json!("u");
            let found = of_presets(&event);
            let expected =
                UnknownField { field: field.to_owned(), nearest: Some(nearest.to_owned()) };
            assert_eq!(found, [expected], "{event}");
        }
    }
}
