//! Segment's own static validation, with its words and the path of every fault.
//!
//! Elements of arrays are not validated, nor what is in a plain object below `@literal` and
//! `@excludeWhenNull`: a wrong directive there fails when it is evaluated.
//!
//! # Layout
//! * `checker`: checks values against kinds, and collects faults.
//! * `operands`: what the operand of every directive may be.

mod checker;
mod operands;

use serde_json::Value;

use super::fault::Fault;
use checker::Checker;
use operands::OPERANDS;

/// The faults of a whole mapping.
pub(super) fn validate(mapping: &Value) -> Vec<Fault> {
    let mut checker = Checker::new(OPERANDS);
    checker.object_or_directive(Some(mapping));
    checker.into_faults()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn faults_name_their_path() {
        let told = |mapping: Value| -> Vec<String> {
            validate(&mapping).iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            told(
                json!({"x": {"@replace": {"pattern": "12345678901", "value": "a"}}, "y": {"z": {"@nope": 1}}})
            ),
            [
                "/x/@replace/pattern should be a string of length 10 or less.",
                "/y/z has an invalid directive: @nope."
            ]
        );
        assert_eq!(
            told(json!({"x": {"@path": 5}, "y": {"@path": "a", "k": 1}})),
            [
                "/x/@path should be a string or a mapping directive but it is a number.",
                "/y should only have one @-prefixed key but it has 2 keys."
            ]
        );
        assert!(told(json!({"x": {"@liquid": "{{a}}"}}))[0].starts_with("/x uses @liquid"));
    }
}
