//! A trigger, as used by the other modules.

use serde_json::Value;

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
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z.()!=<>\"' \\\\*,0-9-]{0,40}|\\PC{0,20}") {
            if let Ok(trigger) = Trigger::parse(&text) {
                trigger.matches(&json!({"type": "track", "properties": {"a": 1}}));
            }
        }
    }
}
