//! The file that `--mapping` names: the same entries as `mappings` of an application's secret.

use std::path::Path;

use anyhow::{Context, Result};
use segment_language::subscription::preset_entries;
use serde_json::{Value, json};

use crate::bad_input::BadInput;

/// The keys of an entry; `partnerAction` as in Segment's metadata.
const KEYS: [&str; 6] = ["name", "subscribe", "action", "partnerAction", "mapping", "enabled"];

/// Reads the file.
pub(super) fn read(file: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("--mapping {} cannot be read", file.display()))?;
    serde_json::from_str(&text).map_err(|error| {
        BadInput(format!("--mapping {} is not JSON: {error}", file.display())).into()
    })
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

    #[test]
    fn misspelt_keys_are_reported() {
        let list = json!([{"subscribe": "", "maping": {}, "eventSlug": null}]);
        let expected = ["mappings[0].maping is not read: is mapping meant?"];
        assert_eq!(misspelt(&list), expected);
        assert_eq!(misspelt(&json!({ "mappings": list })), expected);
        assert!(misspelt(&json!({"name": {"@path": "$.event"}})).is_empty());
    }
}
