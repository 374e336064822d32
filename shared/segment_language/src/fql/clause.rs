//! Which parts of a trigger an event meets, for people who ask why it is not selected.
//!
//! A part is shown as the parser understood it, and not as it was written: so a condition that Segment
//! drops or reads in another way is seen at once.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::condition::{Condition, EventField, Expected, Group, Operator};
use super::evaluate::{Subject, found};

/// A part of a trigger, and whether an event meets it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Clause {
    /// The condition, as Segment understands it.
    pub clause: String,
    /// Whether the event meets it; nothing where Segment fails.
    pub holds: Option<bool>,
    /// What the event has there; absent where it has nothing, and for groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Value>,
    /// `and` or `or`, for a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined: Option<&'static str>,
    /// The parts of a group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Self>,
}

/// Every part of a trigger. Parts that Segment would not get to are judged all the same.
pub(super) fn clauses(group: &Group, event: &Value) -> Clause {
    match group.children.as_slice() {
        [only] => of_condition(only, event),
        _ => of_group(group, event),
    }
}

fn of_group(group: &Group, event: &Value) -> Clause {
    let parts: Vec<Clause> =
        group.children.iter().map(|child| of_condition(child, event)).collect();
    let joined = if group.any { "or" } else { "and" };
    let texts: Vec<String> = parts
        .iter()
        .map(|part| match part.joined {
            Some(_) => format!("({})", part.clause),
            None => part.clause.clone(),
        })
        .collect();
    Clause {
        clause: texts.join(&format!(" {joined} ")),
        holds: group.evaluate(&mut Subject::of(event)),
        found: None,
        joined: Some(joined),
        parts,
    }
}

fn of_condition(condition: &Condition, event: &Value) -> Clause {
    let holds = || condition.evaluate(&mut Subject::of(event));
    let leaf = |clause: String, found: Option<Value>| Clause {
        clause,
        holds: holds(),
        found,
        joined: None,
        parts: Vec::new(),
    };
    match condition {
        Condition::Group(group) => of_group(group, event),
        Condition::Nothing => leaf("()".to_owned(), None),
        Condition::Leaf { field, operator, expected } => {
            leaf(shown(field, *operator, expected), found(field, event))
        }
    }
}

/// A comparison, as one would write it.
fn shown(field: &EventField, operator: Operator, expected: &Expected) -> String {
    let not = |wanted: bool| if wanted { "" } else { "!" };
    let text = expected.text();
    match operator {
        Operator::Exists(wanted) => format!("{field} {}= null", if wanted { "!" } else { "" }),
        Operator::Is(wanted) => format!("{field} = {wanted}"),
        Operator::Contains(wanted) => format!("{}contains({field}, {text:?})", not(wanted)),
        Operator::StartsWith(wanted) => format!("{}match({field}, \"{text}*\")", not(wanted)),
        Operator::EndsWith(wanted) => format!("{}match({field}, \"*{text}\")", not(wanted)),
        Operator::Equals | Operator::NumberEquals => format!("{field} = {expected}"),
        Operator::NotEquals | Operator::NumberNotEquals => format!("{field} != {expected}"),
        Operator::Less => format!("{field} < {expected}"),
        Operator::LessOrEqual => format!("{field} <= {expected}"),
        Operator::Greater => format!("{field} > {expected}"),
        Operator::GreaterOrEqual => format!("{field} >= {expected}"),
        Operator::Unknown => format!("{field} (an operator that never holds) {expected}"),
    }
}

impl fmt::Display for EventField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Below(part, path) => write!(f, "{part}.{}", path.text()),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Number(_) | Self::Bool(_) => f.write_str(&self.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::fql::Trigger;

    fn judged(trigger: &str) -> Vec<(String, Option<bool>)> {
        let event = json!({"type": "track", "event": "Order", "userId": "u1",
            "properties": {"total": 5, "gift": true}});
        let root = Trigger::parse(trigger).unwrap().clauses(&event);
        let parts = root.parts.iter().map(|part| (part.clause.clone(), part.holds));
        std::iter::once((root.clause.clone(), root.holds)).chain(parts).collect()
    }

    #[test]
    fn every_clause_says_whether_it_holds() {
        let rows = judged(r#"type = "track" and properties.total > 7 and userId != null"#);
        let expected = [
            (r#"type = "track" and properties.total > 7 and userId != null"#, Some(false)),
            (r#"type = "track""#, Some(true)),
            ("properties.total > 7", Some(false)),
            ("userId != null", Some(true)),
        ];
        let rows: Vec<_> = rows.iter().map(|(text, holds)| (text.as_str(), *holds)).collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_single_condition_is_no_group_and_shows_what_was_found() {
        let event = json!({"type": "page"});
        let root = Trigger::parse(r#"type = "track""#).unwrap().clauses(&event);
        assert_eq!(
            serde_json::to_value(root).unwrap(),
            json!({"clause": "type = \"track\"", "holds": false, "found": "page"})
        );
    }

    /// What Segment makes of it is shown, so that a surprise can be seen.
    #[test]
    fn a_trigger_is_shown_as_it_is_understood() {
        for (written, understood) in [
            (r#"anonymousId = "a" and type = "track""#, r#"type = "track""#),
            ("type = 'track'", r#"type = "'track'""#),
            (
                r#"type = "a" or type = "b" and event = "c""#,
                r#"type = "a" and type = "b" and event = "c""#,
            ),
            (
                r#"(type = "a" or type = "b") and !match(event, "Order*")"#,
                r#"(type = "a" or type = "b") and !match(event, "Order*")"#,
            ),
            (
                "properties.gift = true and userId = null",
                "properties.gift = true and userId = null",
            ),
            (
                r#"contains(event, "x") or match(event, "*y")"#,
                r#"contains(event, "x") or match(event, "*y")"#,
            ),
        ] {
            assert_eq!(judged(written)[0].0, understood, "{written}");
        }
    }

    #[test]
    fn empty_parentheses_hold_and_fail_nothing() {
        assert_eq!(judged(r#"() or type = "track""#)[0].1, None);
        assert_eq!(judged(r#"() or type = "track""#)[1], ("()".to_owned(), None));
    }
}
