//! A trigger, as used by the other modules.

use serde_json::Value;

use super::clause::{Clause, clauses};
use super::condition::Group;
use super::evaluate::evaluate;
use super::lexer::tokens;
use super::parser::parse;

/// A parsed trigger.
#[derive(Debug, Clone)]
pub struct Trigger {
    group: Group,
}

impl Trigger {
    /// Parses a trigger. The error is Segment's message.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse(tokens(text)).map(|group| Self { group })
    }

    /// Whether an event is selected.
    pub fn matches(&self, event: &Value) -> bool {
        self.evaluate(event) == Some(true)
    }

    /// Whether an event is selected; `None` where Segment fails, which is at empty parentheses.
    pub fn evaluate(&self, event: &Value) -> Option<bool> {
        evaluate(&self.group, event)
    }

    /// Every part of the trigger, with whether the event meets it.
    pub fn clauses(&self, event: &Value) -> Clause {
        clauses(&self.group, event)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn event() -> Value {
        json!({
            "type": "track", "event": "Order Completed", "userId": "u1",
            "properties": {"total": 5, "half": 0.5, "zero": 0, "text": "5", "yes": true, "no": false, "empty": null,
                "propertiesX": "prefix"},
            "traits": {"plan": "gold"},
            "context": {"app": {"version": "1.2"}, "ip": "1"},
        })
    }

    #[test]
    fn a_trigger_selects_events_as_segment_does() {
        for (text, selected) in [
            (r#"type = "track""#, true),
            (r#"type = "page""#, false),
            (r#"type != "page""#, true),
            (r#"type != "track""#, false),
            (r#"name = "x""#, false),
            (r#"name != "x""#, true),
            ("name = null", true),
            ("name != null", false),
            ("userId = null", false),
            ("userId != null", true),
            ("properties.empty = null", true),
            ("properties.empty != null", false),
            ("properties.total = 5", true),
            ("properties.total = 6", false),
            ("properties.total != 5", false),
            ("properties.total != 6", true),
            ("properties.text = 5", false),
            ("properties.text != 5", false),
            (r#"properties.text = "5""#, true),
            (r#"properties.total = "5""#, false),
            ("properties.total < 5", false),
            ("properties.total < 6", true),
            ("properties.total <= 5", true),
            ("properties.total <= 4", false),
            ("properties.total > 5", false),
            ("properties.total > 4", true),
            ("properties.total >= 5", true),
            ("properties.total >= 6", false),
            ("properties.text < 6", false),
            (r#"properties.total < "6""#, true),
            (r#"properties.total < "x""#, false),
            ("properties.half < true", true),
            ("properties.zero < false", false),
            ("properties.zero >= false", true),
            ("properties.yes = true", true),
            ("properties.yes = false", false),
            ("properties.no = false", true),
            ("properties.no = true", false),
            ("properties.none = false", false),
            (r#"traits.plan = "gold""#, true),
            (r#"context.app.version = "1.2""#, true),
            (r#"context.app.version = "1.3""#, false),
            (r#"contains(event, "Completed")"#, true),
            (r#"contains(event, "Started")"#, false),
            (r#"!contains(event, "Completed")"#, false),
            (r#"!contains(event, "Started")"#, true),
            (r#"!contains(name, "Started")"#, false),
            (r#"contains(properties.propertiesX, "pre")"#, true),
            (r#"contains(propertiesX, "pre")"#, true),
            (r#"contains(traits.plan, "old")"#, true),
            (r#"contains(userId, "u")"#, true),
            (r#"match(event, "Order*")"#, true),
            (r#"match(event, "Completed*")"#, false),
            (r#"!match(event, "Order*")"#, false),
            (r#"match(event, "*Completed")"#, true),
            (r#"match(event, "*Order")"#, false),
            (r#"!match(event, "*Order")"#, true),
            (r#"match(event, "?Completed")"#, true),
            (r#"type = "track" and event = "x""#, false),
            (r#"type = "track" or event = "x""#, true),
            (r#"type = "page" or event = "x""#, false),
            (r#"type = "track" and userId = "u1""#, true),
            (r#"(type = "page" or type = "track") and userId = "u1""#, true),
            (r#"(type = "page" or type = "track") and userId = "u2""#, false),
            (r#"(type = "page" and type = "track") or userId = "u1""#, true),
            // The last conjunction counts for all.
            (r#"type = "page" and event = "x" or userId = "u1""#, true),
            (r#"type = "track" or event = "x" and userId = "u1""#, false),
            // What Segment does not know is ignored.
            (r#"anonymousId = "a" and type = "track""#, true),
            (r#"type = "track" ] , userId = "u1""#, true),
            (r#"type > "track""#, false),
            (r#"type . "track""#, false),
            ("type = track", true),
            ("type = 'track'", false),
        ] {
            assert_eq!(Trigger::parse(text).map(|t| t.matches(&event())), Ok(selected), "{text}");
        }
    }

    #[test]
    fn a_trigger_that_segment_cannot_read_gives_its_error() {
        let nothing = "Cannot read properties of undefined (reading 'type')";
        for (text, error) in [
            ("", nothing),
            (r#"anonymousId = "x""#, nothing),
            (r#"contains(type, "x")"#, nothing),
            (r#"(type = "track""#, nothing),
            (r#"((type = "track"))"#, nothing),
            ("type", "Value token is missing"),
            ("contains(", "contains() is missing a 2nd argument"),
            ("match(event", "match() is missing a 2nd argument"),
            ("contains", "contains() is missing a 1st argument"),
        ] {
            assert_eq!(Trigger::parse(text).map(|_| ()), Err(error.to_owned()), "{text}");
        }
    }

    #[test]
    fn empty_parentheses_fail_where_segment_gets_to_them() {
        let evaluated = |text: &str| Trigger::parse(text).unwrap().evaluate(&event());
        assert_eq!(evaluated(r#"() or type = "track""#), None);
        assert_eq!(evaluated(r#"type = "track" or ()"#), Some(true));
        assert_eq!(evaluated(r#"type = "page" and ()"#), Some(false));
        assert!(!Trigger::parse(r#"() or type = "track""#).unwrap().matches(&event()));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z.()!=<>\"' \\\\*,0-9-]{0,40}|\\PC{0,20}") {
            if let Ok(trigger) = Trigger::parse(&text) {
                trigger.matches(&json!({"type": "track", "properties": {"a": 1}}));
            }
        }
    }
}
