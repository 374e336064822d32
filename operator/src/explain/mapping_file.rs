//! The file that `--mapping` names: the same entries as `mappings` of an application's secret.

use std::path::Path;

use anyhow::{Context, Result};
use segment_language::subscription::{self, SubscriptionList, preset_entries};
use serde_json::{Value, json};

use super::read_input;
use crate::bad_input::BadInput;

/// The keys of an entry; `partnerAction` as in Segment's metadata.
const KEYS: [&str; 6] = ["name", "subscribe", "action", "partnerAction", "mapping", "enabled"];

/// Keys of an application's secret beside `mappings`.
const OF_SECRETS: [&str; 4] = ["pushwoosh", "segment", "webhook", "sandbox"];

/// Reads the file. At least one of its mappings can be used.
pub(crate) fn read(file: &Path) -> Result<Value> {
    let name = format!("--mapping {}", file.display());
    let text = read_input(file).with_context(|| name.clone())?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| BadInput(format!("{name} is not JSON: {error}")))?;
    usable(&value).map_err(|BadInput(problem)| BadInput(format!("{name}: {problem}")))?;
    Ok(value)
}

/// The mappings of a value, of which at least one can be used.
pub(crate) fn usable(mapping: &Value) -> Result<SubscriptionList, BadInput> {
    let has = |names: &[&str]| names.iter().any(|name| mapping.get(name).is_some());
    if let Some(list) = mapping.get("mappings").filter(|list| !list.is_array()) {
        return Err(BadInput(format!("`mappings` must be a list of mappings, and is {list:.80}")));
    }
    if has(&OF_SECRETS) && !has(&["mappings", "presets", "mapping"]) {
        return Err(BadInput(
            "it is an application's secret without `mappings`, for which the presets apply"
                .to_owned(),
        ));
    }
    if mapping.as_object().is_some_and(serde_json::Map::is_empty) {
        return Err(BadInput(
            "it is empty: `explain --presets` prints mappings to start from".to_owned(),
        ));
    }
    let read = subscription::read_any(mapping);
    if !read.subscriptions.is_empty() {
        return Ok(read);
    }
    Err(BadInput(match read.problems.join("; ") {
        none if none.is_empty() => "it holds no mapping that is enabled".to_owned(),
        problems => format!("no mapping can be used: {problems}"),
    }))
}

/// The presets as such a file, on one line or on several.
pub(super) fn presets(one_line: bool) -> Result<String> {
    let presets = json!({ "mappings": preset_entries() });
    Ok(if one_line { presets.to_string() } else { serde_json::to_string_pretty(&presets)? })
}

/// Keys of entries that resemble one that counts.
pub(super) fn misspelt(mapping: &Value) -> Vec<String> {
    let list = mapping.get("mappings").or_else(|| mapping.get("presets")).unwrap_or(mapping);
    let entries = list.as_array().into_iter().flatten().enumerate();
    let keys = entries.flat_map(|(index, entry)| {
        let keys = entry.as_object().into_iter().flatten();
        keys.map(move |(key, _)| (index, key.as_str()))
    });
    let misspelt = keys.filter(|(_, key)| !KEYS.contains(key)).filter_map(|(index, key)| {
        let nearest = mapping::explain::nearest(key, KEYS)?;
        Some(format!("mappings[{index}].{key} is not read: is {nearest} meant?"))
    });
    misspelt.collect()
}

#[cfg(test)]
mod tests {
    use segment_language::subscription::read_any;

    use super::*;

    #[test]
    fn the_presets_are_a_mapping() {
        for one_line in [true, false] {
            let text = presets(one_line).unwrap();
            assert_eq!(text.lines().count() == 1, one_line);
            let read = read_any(&serde_json::from_str(&text).unwrap());
            assert_eq!((read.subscriptions.len(), read.problems.len()), (2, 0));
        }
    }

    /// Each of these would be a mapping for every event, without a field.
    #[test]
    fn what_holds_no_mapping_is_not_taken_for_one() {
        for (value, part) in [
            (json!({}), "it is empty"),
            (json!({"pushwoosh": {"api_token": "t"}}), "secret without `mappings`"),
            (json!({"pushwoosh": {}, "mappings": null}), "`mappings` must be a list"),
            (json!([]), "no mapping that is enabled"),
            (json!({"mappings": [{"enabled": false}]}), "no mapping that is enabled"),
            (json!({"x": {"@nope": 1}}), "no mapping can be used: "),
            (json!(5), "no mapping can be used: "),
        ] {
            let error = usable(&value).unwrap_err();
            assert!(error.0.contains(part), "{value}: {error}");
        }
        let good = json!([{"subscribe": "type = \"track\"", "action": "trackEvent", "mapping": {"name": "E"}}]);
        let of_secret = json!({"pushwoosh": {}, "mappings": good});
        assert_eq!(usable(&of_secret).unwrap().subscriptions.len(), 1);
        assert_eq!(usable(&good).unwrap().subscriptions.len(), 1);
    }

    #[test]
    fn misspelt_keys_are_reported() {
        let list = json!([{"subscribe": "", "maping": {}, "eventSlug": null}]);
        let expected = ["mappings[0].maping is not read: is mapping meant?"];
        assert_eq!(misspelt(&list), expected);
        assert_eq!(misspelt(&json!({ "mappings": list })), expected);
        assert!(misspelt(&json!({"name": {"@path": "$.event"}})).is_empty());
    }
}
