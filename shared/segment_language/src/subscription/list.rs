//! Reads what a customer wrote, and reports what is wrong with it.

use serde_json::Value;

use super::entry::Subscription;
use crate::action::Action;
use crate::fql;
use crate::kit::Mapping;

/// Subscriptions that were read, and what is wrong with the others.
#[derive(Debug, Default)]
pub struct SubscriptionList {
    /// The usable ones, in their order.
    pub subscriptions: Vec<Subscription>,
    /// What is wrong with the others, and what the authors of these may not expect.
    pub problems: Vec<String>,
    /// How many others there are.
    pub unusable: usize,
}

/// Reads entries: `{"subscribe", "action", "mapping"}`, or `partnerAction` as in Segment's metadata;
/// an entry with `"enabled": false` is skipped.
pub fn read(entries: &[Value]) -> SubscriptionList {
    let mut read = SubscriptionList::default();
    for (index, entry) in entries.iter().enumerate() {
        let place = format!("mappings[{index}]");
        if entry.get("enabled") == Some(&Value::Bool(false)) {
            continue;
        }
        match Subscription::read(entry, &place) {
            Ok(subscription) => {
                let lints = fql::lint(&subscription.trigger).into_iter();
                read.problems.extend(lints.map(|lint| format!("{place}.subscribe: {lint}")));
                read.subscriptions.push(subscription);
            }
            Err(problems) => {
                read.unusable += 1;
                read.problems.extend(problems);
            }
        }
    }
    read
}

/// Reads what people paste: entries, an object with `mappings` or `presets`, one entry, or only a
/// mapping, which is then for every event.
pub fn read_any(value: &Value) -> SubscriptionList {
    let list = ["mappings", "presets"]
        .iter()
        .find_map(|key| value.get(key)?.as_array())
        .or_else(|| value.as_array());
    if let Some(list) = list {
        return read(list);
    }
    if value.get("mapping").is_some() {
        return read(std::slice::from_ref(value));
    }
    let is_event =
        ["name", "properties", "timestamp"].iter().any(|field| value.get(field).is_some());
    let action = if is_event { Action::TrackEvent } else { Action::UpdateUserProfile };
    match Mapping::compile(value) {
        Ok(mapping) => SubscriptionList {
            subscriptions: vec![Subscription::unconditional(action, mapping)],
            ..SubscriptionList::default()
        },
        Err(faults) => SubscriptionList {
            subscriptions: Vec::new(),
            problems: faults.iter().map(ToString::to_string).collect(),
            unusable: 1,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_wrong_entry_is_reported_and_the_others_still_work() {
        let good = json!({"subscribe": "type = \"track\"", "partnerAction": "trackEvent", "mapping": {"name": {"@path": "$.event"}}});
        let read = read(&[
            json!({"subscribe": "", "action": "nope", "mapping": {"x": {"@nope": 1}}}),
            good.clone(),
            json!({"subscribe": "type = 'track'", "action": "trackEvent", "mapping": {}}),
            json!({"subscribe": "type = \"track\"", "action": "trackEvent"}),
            json!({"enabled": false}),
        ]);
        assert_eq!((read.subscriptions.len(), read.unusable), (2, 2));
        let places: Vec<&str> =
            read.problems.iter().filter_map(|problem| problem.split([' ', ':']).next()).collect();
        assert_eq!(
            places,
            [
                "mappings[0].action",
                "mappings[0].subscribe",
                "mappings[0].mapping",
                "mappings[2].subscribe",
                "mappings[3].mapping",
            ]
        );
        for one in [good.clone(), json!([good]), json!({"presets": [good]}), json!({"name": "x"})] {
            assert_eq!(read_any(&one).subscriptions.len(), 1, "{one}");
        }
    }
}
