//! The faults that are found, with Segment's messages.

use serde_json::json;

use super::*;

fn messages(mapping: &Value) -> Vec<String> {
    validate(mapping).iter().map(ToString::to_string).collect()
}

#[test]
fn a_sound_mapping_has_no_faults() {
    let path = json!({"@path": "$.a"});
    for mapping in [
        json!({}),
        json!({"a": 1, "b": [{"@nope": 1}], "c": {"d": null}}),
        path.clone(),
        json!({"x": {"@path": path, "_metadata": {"label": "a"}}}),
        json!({"x": {"@template": "{{a}}"}, "y": {"@template": path}}),
        json!({"x": {"@literal": {"a": {"@nope": 1}}}, "y": {"@literal": 5}}),
        json!({"x": {"@excludeWhenNull": {"a": {"@nope": 1}}}}),
        json!({"x": {"@if": {"exists": path, "then": 1, "else": {"a": path}, "blank": path}}}),
        json!({"x": {"@case": {"operator": "upper", "value": path}}}),
        json!({"x": {"@replace": {"pattern": "1234567890", "replacement": "", "value": path, "ignorecase": true, "global": false}}}),
        json!({"x": {"@arrayPath": ["$.a", {"b": path}]}, "y": {"@arrayPath": [path]}}),
        json!({"x": {"@json": {"mode": "ENCODE", "value": path}}}),
        json!({"x": {"@flatten": {"separator": ".", "value": path, "omitArrays": true}}}),
        json!({"x": {"@merge": {"direction": "Right", "objects": [path, {"a": 1}]}}}),
        json!({"x": {"@transform": {"apply": {"a": 1}, "mapping": path}}}),
    ] {
        assert_eq!(messages(&mapping), [""; 0], "{mapping}");
    }
}

#[test]
fn every_fault_has_its_path_and_segments_message() {
    for (operand, message) in [
        (json!({"@nope": 1}), "/x has an invalid directive: @nope."),
        (
            json!({"@liquid": "a"}),
            "/x uses @liquid, which is not supported: write it with @template, @if, @case or @replace.",
        ),
        (
            json!({"@path": 5}),
            "/x/@path should be a string or a mapping directive but it is a number.",
        ),
        (
            json!({"@template": [1]}),
            "/x/@template should be a string or a mapping directive but it is an array.",
        ),
        (
            json!({"@path": "a", "k": 1}),
            "/x should only have one @-prefixed key but it has 2 keys.",
        ),
        (
            json!({"@path": "a", "k": 1, "_metadata": 1}),
            "/x should only have one @-prefixed key but it has 3 keys.",
        ),
        (
            json!({"@path": "a", "@if": {}, "_metadata": 1}),
            "/x should only have one @-prefixed key but it has 2 keys.",
        ),
        (json!({"@literal": {"@nope": 1}}), "/x/@literal has an invalid directive: @nope."),
        (json!({"@if": 5}), "/x/@if should be an object but it is a number."),
        (json!({"@if": null}), "/x/@if should be an object but it is a null."),
        (
            json!({"@if": {"@path": "a"}}),
            "/x/@if shouldn't have directive (@-prefixed) keys but it has \"@path\".",
        ),
        (
            json!({"@if": {"exists": {"@nope": 1}}}),
            "/x/@if/exists has an invalid directive: @nope.",
        ),
        (json!({"@if": {"blank": {"@nope": 1}}}), "/x/@if/blank has an invalid directive: @nope."),
        (
            json!({"@case": {"operator": {"@path": "a"}}}),
            "/x/@case/operator should be a string but it is a directive.",
        ),
        (
            json!({"@case": {"value": {}}}),
            "/x/@case/value should be a string or a mapping directive but it is an object.",
        ),
        (
            json!({"@replace": {"value": "a"}}),
            "/x/@replace should have field \"pattern\" but it doesn't.",
        ),
        (
            json!({"@replace": {"pattern": "", "value": "a"}}),
            "/x/@replace/pattern should be a string of length 1 or greater.",
        ),
        (
            json!({"@replace": {"pattern": "12345678901", "value": "a"}}),
            "/x/@replace/pattern should be a string of length 10 or less.",
        ),
        (
            json!({"@replace": {"pattern": true, "value": "a"}}),
            "/x/@replace/pattern should be a string but it is a boolean.",
        ),
        (
            json!({"@replace": {"pattern": "a", "value": "a", "global": 1}}),
            "/x/@replace/global should be a boolean but it is a number.",
        ),
    ] {
        assert_eq!(messages(&json!({"x": operand})), [message], "{operand}");
    }
}

#[test]
fn a_fault_in_a_directive_on_lists_and_objects_has_its_path() {
    for (operand, message) in [
        (json!({"@arrayPath": "a"}), "/x/@arrayPath should be an array but it is a string."),
        (
            json!({"@arrayPath": []}),
            "/x/@arrayPath should be a string or a mapping directive but it is an undefined.",
        ),
        (
            json!({"@arrayPath": ["a", {"b": {"@nope": 1}}]}),
            "/x/@arrayPath/b has an invalid directive: @nope.",
        ),
        (
            json!({"@json": {"mode": "x", "value": 1}}),
            "/x/@json/mode should be one of encode, decode.",
        ),
        (
            json!({"@json": {"mode": 5, "value": 1}}),
            "/x/@json/mode should be one of encode, decode.",
        ),
        (
            json!({"@flatten": {"separator": ".", "omitArrays": true}}),
            "/x/@flatten should have field \"value\" but it doesn't.",
        ),
        (
            json!({"@merge": {"direction": "up", "objects": []}}),
            "/x/@merge/direction should be one of left, right.",
        ),
        (
            json!({"@merge": {"direction": "left", "objects": {}}}),
            "/x/@merge/objects should be an array but it is an object.",
        ),
        (
            json!({"@merge": {"direction": "left", "objects": [1]}}),
            "/ should be a object or a mapping directive but it is a number.",
        ),
        (
            json!({"@transform": {"apply": {"a": {"@nope": 1}}, "mapping": {}}}),
            "/x/@transform/apply/a has an invalid directive: @nope.",
        ),
        (
            json!({"@transform": {"apply": "a", "mapping": {}}}),
            "/x/@transform/apply should be a object or a mapping directive but it is a string.",
        ),
    ] {
        assert_eq!(messages(&json!({"x": operand})), [message], "{operand}");
    }
}

#[test]
fn all_the_faults_of_a_mapping_are_found() {
    let mapping = json!({
        "x": {"@replace": {"pattern": "12345678901", "value": 5}},
        "y": {"z": {"@nope": 1}},
        "m": {"@merge": {"objects": [1, {}], "direction": "up"}},
    });
    assert_eq!(
        messages(&mapping),
        [
            "/x/@replace/pattern should be a string of length 10 or less.",
            "/x/@replace/value should be a string or a mapping directive but it is a number.",
            "/y/z has an invalid directive: @nope.",
            "/m/@merge/direction should be one of left, right.",
            "/ should be a object or a mapping directive but it is a number.",
        ]
    );
    assert_eq!(
        messages(&json!([])),
        ["/ should be a object or a mapping directive but it is an array."]
    );
}
