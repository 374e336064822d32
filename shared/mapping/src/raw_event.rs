//! A raw Segment event (Webhook destinations, Destination Functions, replays) goes through the
//! mappings that select it; what each gives is what Segment's own destination would send.
//!
//! Invariants: every mapping counts for itself: one that fails leaves the others alone. A deletion
//! needs no mapping, and `integrations` never withhold it.

use segment_language::action::Action;
use segment_language::schema::Mode;
use segment_language::subscription::{PayloadError, Subscription};
use serde_json::{Value, json};

use crate::call::Plan;
use crate::field::json;
use crate::integrations::withheld_by;
use crate::reason::{Disposition, Reason, Refusal};
use crate::rules::Rules;
use crate::work::Planned;
use crate::{deletion, event, profile};

/// The types of calls that Segment has.
pub const TYPES: [&str; 7] = ["track", "page", "screen", "identify", "group", "alias", "delete"];

/// What is to be sent for one event.
pub fn plan(rules: &Rules<'_>, event: &[u8]) -> Result<Planned, Refusal> {
    let event = json(event)?;
    if !event.is_object() {
        return Err(Refusal::new(
            Reason::NotAnObject,
            "a Segment event is expected, as a JSON object",
        ));
    }
    if event.get("type").and_then(Value::as_str) == Some("delete") {
        // A regulation's event: `context` is a list there, and only the user counts.
        let user = event.get("userId").unwrap_or(&Value::Null);
        return Ok(deletion::plan_value(rules.application, json!({ "user_id": user }))?.into());
    }
    if let Some(name) = withheld_by(&event) {
        let message = format!("integrations.{name} withholds the event");
        return Err(Refusal::new(Reason::NotForPushwoosh, message));
    }
    let (mut plan, mut refusals) = (Plan::default(), Vec::new());
    for subscription in rules.subscriptions.iter().filter(|one| one.selects(&event)) {
        match plan_mapping(rules, subscription, &event) {
            Ok(calls) => plan = plan.beside(calls),
            Err(refusal) => refusals.push(refusal),
        }
    }
    if !plan.stages.is_empty() {
        return Ok(Planned { refusals, ..plan.into() });
    }
    if refusals.is_empty() {
        return Err(Reason::NoMapping.into());
    }
    // A rejection was meant to be delivered: it counts for more than an intentional skip.
    let rejected = |refusal: &Refusal| refusal.reason.disposition() == Disposition::Reject;
    let index = refusals.iter().position(rejected).unwrap_or(0);
    Err(refusals.swap_remove(index))
}

/// The calls that one mapping gives. An event is mapped as a single one however many came with it:
/// batches of Segment are mapped a little differently.
pub(crate) fn plan_mapping(
    rules: &Rules<'_>,
    subscription: &Subscription,
    event: &Value,
) -> Result<Plan, Refusal> {
    let Rules { application, now, .. } = *rules;
    let payload = subscription.payload(event, Mode::Single)?;
    let body = subscription.action.body(application, Mode::Single, payload);
    match subscription.action {
        Action::UpdateUserProfile => profile::plan_value(application, body, now),
        Action::TrackEvent => event::plan_value(application, body, now),
    }
}

impl From<PayloadError> for Refusal {
    /// A required field that is not there has the reason that it would have in a body.
    fn from(error: PayloadError) -> Self {
        let reason = match &error {
            PayloadError::Mapping(_) => Reason::MappingFailed,
            PayloadError::Fields(misfits) => match misfits.first() {
                Some(misfit) if misfit.missing && misfit.field == "external_id" => {
                    Reason::NoIdentity
                }
                Some(misfit) if misfit.missing && misfit.field == "name" => Reason::NoEventName,
                Some(misfit) if misfit.field == "timestamp" => Reason::BadTimestamp,
                _ => Reason::BadField,
            },
        };
        Self::new(reason, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::Work;
    use segment_language::subscription::{presets, read};

    fn pushwoosh(work: Work) -> Value {
        let Work::Pushwoosh(plan) = work else { panic!("not for Pushwoosh") };
        serde_json::to_value(plan).unwrap()
    }

    fn calls(event: &Value, subscriptions: &[Subscription]) -> Result<Value, Reason> {
        let rules = Rules { subscriptions, ..Rules::of_presets("A") };
        let planned = plan(&rules, event.to_string().as_bytes());
        planned.map(|planned| pushwoosh(planned.work)).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn the_presets_serve_events_and_profiles() {
        let track = json!({"type": "track", "userId": "u1", "event": "E", "timestamp": "2026-01-02T03:04:05Z",
            "context": {"device": {"id": "d1", "type": "ios"}}, "properties": {"a": 1}});
        assert_eq!(
            calls(&track, presets()).unwrap(),
            json!([[{"method": "postEvent", "request": {"application": "A", "hwid": "d1", "userId": "u1", "event": "E",
                "attributes": {"a": 1}, "timestampUTC": 1_767_323_045, "device_type": 1}}]])
        );
        let identify =
            json!({"type": "identify", "userId": "u1", "traits": {"plan": "gold", "city": "B"}});
        assert_eq!(
            calls(&identify, presets()).unwrap(),
            json!([[{"method": "setTags", "request": {"application": "A", "userId": "u1", "tags": {"plan": "gold"}}}]])
        );
    }

    #[test]
    fn what_segment_would_drop_is_dropped() {
        let track = |change: Value| {
            let mut event = json!({"type": "track", "userId": "u1", "event": "E", "timestamp": "2026-01-02T03:04:05Z",
                "context": {"device": {"id": "d1", "type": "ios"}}});
            event.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            calls(&event, presets()).map(|_| ())
        };
        for (change, expected) in [
            (json!({}), Ok(())),
            (json!({"userId": 5}), Ok(())),
            (json!({"userId": null}), Err(Reason::NoIdentity)),
            (json!({"userId": ""}), Err(Reason::NoIdentity)),
            (json!({"event": null}), Err(Reason::NoEventName)),
            (json!({"timestamp": "today"}), Err(Reason::BadTimestamp)),
            (json!({"timestamp": null}), Err(Reason::BadTimestamp)),
            (json!({"properties": "text"}), Err(Reason::BadField)),
            (json!({"context": []}), Err(Reason::NoPlatform)),
            (json!({"type": "group"}), Err(Reason::NoMapping)),
            (json!({"type": 5}), Err(Reason::NoMapping)),
        ] {
            assert_eq!(track(change.clone()), expected, "{change}");
        }
    }

    #[test]
    fn what_is_not_for_pushwoosh_is_disregarded() {
        let event = |integrations: &Value| json!({"type": "identify", "userId": "u1", "traits": {"a": 1}, "integrations": integrations});
        for integrations in [
            json!(null),
            json!([]),
            json!("text"),
            json!({}),
            json!({"All": true}),
            json!({"All": null}),
            json!({"Mixpanel": false}),
            // Names are compared as they are written.
            json!({"pushwoosh": false}),
            json!({"All": false, "Pushwoosh": true}),
            json!({"All": false, "Pushwoosh": {}}),
            json!({"All": false, "Pushwoosh": {"option": 1}}),
        ] {
            assert!(calls(&event(&integrations), presets()).is_ok(), "{integrations}");
        }
        for integrations in [
            json!({"All": false}),
            json!({"All": false, "Mixpanel": true}),
            json!({"All": false, "Pushwoosh": null}),
            json!({"All": false, "pushwoosh": true}),
            json!({"Pushwoosh": false}),
            json!({"All": true, "Pushwoosh": false}),
        ] {
            let reason = calls(&event(&integrations), presets()).unwrap_err();
            assert_eq!(reason.code(), "not_for_pushwoosh", "{integrations}");
        }
    }

    /// The Track calls that the source sends to Segment come back over a webhook.
    #[test]
    fn our_own_track_calls_do_not_come_back_as_events() {
        let record = json!({"event_name": "Push Sent", "timestamp": 1, "application_code": "A", "hwid": "H"});
        let record = record.to_string();
        let record = crate::tracking_log::Record::read(record.as_bytes()).unwrap();
        let track = serde_json::to_value(record.track(&Rules::of_presets("A")).unwrap()).unwrap();
        assert_eq!(calls(&track, presets()).unwrap_err().code(), "not_for_pushwoosh");
    }

    #[test]
    fn a_deletion_is_never_withheld() {
        for integrations in [json!([]), json!({"All": false}), json!({"Pushwoosh": false})] {
            let event = json!({"type": "delete", "userId": "u1", "integrations": integrations});
            assert!(calls(&event, presets()).is_ok(), "{integrations}");
        }
    }

    #[test]
    fn a_deletion_needs_no_mapping_and_comes_in_two_shapes() {
        for event in [
            json!({"type": "delete", "userId": "u1"}),
            json!({"type": "delete", "userId": "u1", "context": [], "integrations": []}),
        ] {
            assert_eq!(
                calls(&event, &[]).unwrap(),
                json!([[{"method": "deleteUser", "request": {"application": "A", "user_id": "u1"}}]])
            );
        }
        assert_eq!(calls(&json!({"type": "delete"}), &[]), Err(Reason::NoIdentity));
    }

    #[test]
    fn a_rejection_is_named_before_an_intentional_skip() {
        let entry = |platform: &str, name: &str| {
            json!({"subscribe": "type = \"track\"", "action": "trackEvent", "mapping": {
                "external_id": {"@path": "$.userId"}, "device_platform": platform, "timestamp": 5, "name": name}})
        };
        let (skipped, rejected) = (entry("toaster", "E"), entry("web", ""));
        for list in [[skipped.clone(), rejected.clone()], [rejected, skipped]] {
            let list = read(&list);
            let rules = Rules { subscriptions: &list.subscriptions, ..Rules::of_presets("A") };
            let event = json!({"type": "track", "userId": "u1"}).to_string();
            let refusal = plan(&rules, event.as_bytes()).unwrap_err();
            assert_eq!(refusal.reason, Reason::NoEventName);
        }
    }

    #[test]
    fn every_mapping_counts_for_itself() {
        let entry = |event: &str| {
            json!({"subscribe": "type = \"track\"", "action": "trackEvent", "mapping": {
                "external_id": {"@path": "$.userId"}, "device_platform": "web", "timestamp": 5, "name": {"@path": event}}})
        };
        let read = read(&[entry("$.event"), entry("$.nothing"), entry("$.event")]);
        let event = json!({"type": "track", "userId": "u1", "event": "E"});
        let rules = Rules { subscriptions: &read.subscriptions, ..Rules::of_presets("A") };
        let planned = plan(&rules, event.to_string().as_bytes()).unwrap();
        assert_eq!(planned.refusals.len(), 1);
        let calls = pushwoosh(planned.work);
        assert_eq!((calls.as_array().unwrap().len(), calls[0].as_array().unwrap().len()), (1, 2));
    }
}
