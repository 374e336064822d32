//! What every directive gives.

use serde_json::json;

use super::*;

fn event() -> Value {
    json!({
        "a": 5, "text": "banana", "empty": "", "null": null, "zero": 0, "no": false,
        "o": {"x": 1, "n": null, "deep": {"y": [1, {"z": 2}]}},
        "list": [{"id": 1, "name": "a"}, {"id": 2}, 3],
        "json": "{\"q\":[1,9007199254740993]}", "path": "$.text",
    })
}

/// The value of a part; the error is Segment's message.
fn value(part: &Value) -> Result<Option<Value>, String> {
    // In an array nothing is validated before it is evaluated.
    let mapping = Mapping::compile(&json!({"f": [{"@literal": part}, 0]})).unwrap();
    let output = mapping.evaluate(&event()).map_err(|error| error.to_string())?;
    Ok(output.and_then(|output| output["f"].get(0).cloned()))
}

fn path(path: &str) -> Value {
    json!({ "@path": path })
}

/// Undefined, as an element of an array.
const UNDEFINED: Value = Value::Null;

fn assert_values<const N: usize>(cases: [(Value, Value); N]) {
    for (part, expected) in cases {
        assert_eq!(value(&part).map(Option::unwrap_or_default), Ok(expected), "{part}");
    }
}

#[test]
fn parts_without_a_directive_are_taken_as_they_are() {
    assert_values([
        (json!(1), json!(1)),
        (json!({"k": [1, path("$.a")]}), json!({"k": [1, 5]})),
        (json!({"k": path("$.none"), "l": [path("$.none")]}), json!({"l": [null]})),
    ]);
}

#[test]
fn paths_and_templates_read_the_event() {
    assert_values([
        (path("$.o.deep.y[1].z"), json!(2)),
        (json!({"@path": path("$.path")}), json!("banana")),
        (json!({"@template": "{{a}}-{{none}}-{{text}}"}), json!("5--banana")),
    ]);
}

#[test]
fn a_condition_chooses_a_branch() {
    assert_values([
        (json!({"@if": {"exists": path("$.a"), "then": 1, "else": 2}}), json!(1)),
        (json!({"@if": {"exists": path("$.empty"), "then": 1, "else": 2}}), json!(1)),
        (json!({"@if": {"exists": path("$.null"), "then": 1, "else": 2}}), json!(2)),
        (json!({"@if": {"exists": path("$.none"), "then": 1, "else": 2}}), json!(2)),
        (json!({"@if": {"exists": path("$.none"), "then": 1}}), UNDEFINED),
        (json!({"@if": {"exists": path("$.none"), "then": 1, "else": 0}}), UNDEFINED),
        (json!({"@if": {"exists": path("$.a"), "else": 2}}), UNDEFINED),
        (json!({"@if": {"blank": path("$.a"), "then": 1, "else": 2}}), json!(1)),
        (json!({"@if": {"blank": path("$.empty"), "then": 1, "else": 2}}), json!(2)),
        (json!({"@if": {"blank": path("$.zero"), "then": 1, "else": 2}}), json!(2)),
        (json!({"@if": {"blank": path("$.null"), "then": 1, "else": 2}}), json!(2)),
        (json!({"@if": {"blank": {"@literal": {}}, "then": 1, "else": 2}}), json!(1)),
        (json!({"@if": {"exists": 0, "blank": "x", "then": 1, "else": 2}}), json!(1)),
        (json!({"@if": {"exists": {"@literal": {"a": 1}}, "then": 1, "else": 2}}), json!(1)),
        (json!({"@if": {"exists": {"@literal": []}, "then": 1, "else": 2}}), json!(1)),
    ]);
}

#[test]
fn the_case_of_a_text_is_changed() {
    assert_values([
        (json!({"@case": {"operator": "upper", "value": path("$.text")}}), json!("BANANA")),
        (json!({"@case": {"operator": "lower", "value": "ÀB"}}), json!("àb")),
        (json!({"@case": {"operator": "lower", "value": path("$.a")}}), json!(5)),
        (json!({"@case": {"operator": "upper"}}), UNDEFINED),
    ]);
}

#[test]
fn text_is_replaced() {
    assert_values([
        (
            json!({"@replace": {"pattern": "a", "replacement": "o", "value": path("$.text")}}),
            json!("bonono"),
        ),
        (
            json!({"@replace": {"pattern": "a", "replacement": "o", "global": false, "value": path("$.text")}}),
            json!("bonana"),
        ),
        (
            json!({"@replace": {"pattern": "A", "replacement": "o", "ignorecase": true, "value": path("$.text")}}),
            json!("bonono"),
        ),
        (
            json!({"@replace": {"pattern": "A", "replacement": "o", "value": path("$.text")}}),
            json!("banana"),
        ),
        (json!({"@replace": {"pattern": "a", "value": path("$.text")}}), json!("bnn")),
        (
            json!({"@replace": {"pattern": "a", "replacement": null, "value": path("$.text")}}),
            json!("bnn"),
        ),
        (
            json!({"@replace": {"pattern": "a", "pattern2": "n", "replacement2": "N", "value": path("$.text")}}),
            json!("bNN"),
        ),
        (
            json!({"@replace": {"pattern": "a", "pattern2": "", "replacement2": "N", "value": path("$.text")}}),
            json!("bnn"),
        ),
        (json!({"@replace": {"pattern": "a", "global": "no", "value": path("$.text")}}), json!("")),
        (json!({"@replace": {"pattern": 5, "value": path("$.text")}}), json!("")),
        (
            json!({"@replace": {"pattern": "5", "replacement": "6", "value": path("$.a")}}),
            json!("6"),
        ),
        (
            json!({"@replace": {"pattern": "l", "replacement": "L", "value": path("$.no")}}),
            json!("faLse"),
        ),
        (json!({"@replace": {"pattern": "a", "value": path("$.o")}}), json!("")),
        (json!({"@replace": {"pattern": "a"}}), UNDEFINED),
    ]);
}

#[test]
fn a_shape_is_applied_to_every_element() {
    assert_values([
        (
            json!({"@arrayPath": ["$.list", {"i": path("$.id"), "n": path("$.name")}]}),
            json!([{"i": 1, "n": "a"}, {"i": 2}, {}]),
        ),
        (json!({"@arrayPath": ["$.o", {"i": path("$.x")}]}), json!([{"i": 1}])),
        (json!({"@arrayPath": ["$.a", {"i": path("$.x")}]}), json!(5)),
        (json!({"@arrayPath": ["$.list", {}]}), event()["list"].clone()),
        (json!({"@arrayPath": ["$.list"]}), event()["list"].clone()),
        (
            json!({"@arrayPath": [path("$.list"), {"i": path("$.id")}]}),
            json!([{"i": 1}, {"i": 2}, {}]),
        ),
        (
            json!({"@arrayPath": [{"@literal": [{"id": path("$.a")}, {"id": path("$.none")}]}, {"i": path("$.id")}]}),
            json!([{"i": 5}, {}]),
        ),
        (
            json!({"@arrayPath": [{"@literal": {"id": path("$.a")}}, {"i": path("$.id")}]}),
            json!([{"i": 5}]),
        ),
        (
            json!({"@arrayPath": [{"@json": {"mode": "decode", "value": "[{\"id\":1}]"}}, {"i": path("$.id")}]}),
            json!([{"i": 1}]),
        ),
        (
            json!({"@arrayPath": [{"@json": {"mode": "decode", "value": "{\"id\":1}"}}, {"i": path("$.id")}]}),
            json!([{"i": 1}]),
        ),
        (json!({"@arrayPath": []}), UNDEFINED),
    ]);
}

#[test]
fn json_is_encoded_and_decoded() {
    assert_values([
        (
            json!({"@json": {"mode": "encode", "value": path("$.o.deep")}}),
            json!("{\"y\":[1,{\"z\":2}]}"),
        ),
        (json!({"@json": {"mode": "encode", "value": path("$.none")}}), UNDEFINED),
        (
            json!({"@json": {"mode": "decode", "value": path("$.json")}}),
            json!({"q": [1, 9_007_199_254_740_992_i64]}),
        ),
        (json!({"@json": {"mode": "decode", "value": path("$.text")}}), json!("banana")),
        (json!({"@json": {"mode": "decode", "value": path("$.a")}}), json!(5)),
        (json!({"@json": {"mode": "Encode", "value": path("$.a")}}), UNDEFINED),
    ]);
}

#[test]
fn objects_are_flattened() {
    assert_values([
        (
            json!({"@flatten": {"separator": ".", "value": path("$.o")}}),
            json!({"x": 1, "n": null, "deep.y.0": 1, "deep.y.1.z": 2}),
        ),
        (
            json!({"@flatten": {"separator": "_", "omitArrays": true, "value": path("$.o.deep")}}),
            json!({"y": [1, {"z": 2}]}),
        ),
        (json!({"@flatten": {"separator": ".", "value": path("$.a")}}), json!({"": 5})),
        (json!({"@flatten": {"separator": ".", "value": path("$.none")}}), json!({})),
        (json!({"@flatten": {"separator": "."}}), json!({})),
        (
            json!({"@flatten": {"separator": ".", "value": {"@literal": {"k": [path("$.none"), 1]}}}}),
            json!({"k.1": 1}),
        ),
    ]);
}

#[test]
fn objects_are_merged() {
    assert_values([
        (
            json!({"@merge": {"direction": "right", "objects": [{"a": 1, "b": 1}, {"b": 2}]}}),
            json!({"a": 1, "b": 2}),
        ),
        (
            json!({"@merge": {"direction": "left", "objects": [{"a": 1, "b": 1}, {"b": 2}]}}),
            json!({"b": 1, "a": 1}),
        ),
        (
            json!({"@merge": {"direction": "right", "objects": [path("$.o.deep"), "é", [7], path("$.none"), null, 5]}}),
            json!({"y": [1, {"z": 2}], "0": 7}),
        ),
        (
            json!({"@merge": {"direction": "right", "objects": [{"@json": {"mode": "decode", "value": "{\"q\":1}"}}, {"@json": {"mode": "decode", "value": "[2]"}}]}}),
            json!({"q": 1, "0": 2}),
        ),
        (
            json!({"@merge": {"direction": "right", "objects": [{"a": 1}, {"a": path("$.none")}]}}),
            json!({}),
        ),
    ]);
}

#[test]
fn a_mapping_is_applied_to_what_another_gives() {
    assert_values([
        (
            json!({"@transform": {"apply": {"n": path("$.a"), "u": [path("$.none"), 1, "text"]}, "mapping": {"m": path("$.n"), "v": path("$.u"), "a": path("$.a")}}}),
            json!({"m": 5, "v": [null, 1, "text"]}),
        ),
        (
            json!({"@transform": {"apply": {"u": [path("$.none"), 1]}, "mapping": {"v": {"@flatten": {"separator": ".", "value": path("$.u")}}}}}),
            json!({"v": {"1": 1}}),
        ),
    ]);
}

#[test]
fn null_fields_are_excluded() {
    assert_values([
        (json!({"@excludeWhenNull": path("$.o")}), json!({"x": 1, "deep": {"y": [1, {"z": 2}]}})),
        (
            json!({"@excludeWhenNull": {"k": path("$.null"), "l": {"m": path("$.null")}, "n": [null]}}),
            json!({"l": {}, "n": [null]}),
        ),
        (json!({"@excludeWhenNull": path("$.null")}), UNDEFINED),
        (json!({"@excludeWhenNull": path("$.none")}), UNDEFINED),
    ]);
}

#[test]
fn an_evaluation_fails_with_segments_message() {
    for (part, message) in [
        (json!({"@path": {"@path": "$.a"}}), "@path: expected string, got number"),
        (json!({"@path": {"@path": "$.none"}}), "@path: expected string, got undefined"),
        (json!({"@template": {"@literal": [1]}}), "@template: expected string, got array"),
        (json!({"@template": {"@literal": {"a": 1}}}), "@template: expected string, got object"),
        (json!({"@template": {"@path": "$.null"}}), "@template: expected string, got null"),
        (json!({"@case": {"operator": "bad", "value": "a"}}), "@case: unknown operator"),
        (
            json!({"@flatten": {"separator": 5, "value": 1}}),
            "@flatten separator: expected string, got number",
        ),
        (
            json!({"@replace": {"pattern": "12345678901", "value": "a"}}),
            "@replace requires a \"pattern\" less than 10 characters",
        ),
        (
            json!({"@replace": {"pattern": "1", "replacement": "12345678901", "value": "a"}}),
            "@replace requires a \"replacement\" less than 10 characters",
        ),
        (
            json!({"@json": {"mode": "none", "value": {"@case": {"operator": "bad", "value": "a"}}}}),
            "@case: unknown operator",
        ),
        (
            json!({"@arrayPath": ["$.list", {"@transform": {"apply": {}, "mapping": {"a": 1}}}]}),
            "data must be an object, got number",
        ),
        (json!({"@nope": 1}), "@nope is not a valid directive, got undefined"),
    ] {
        assert_eq!(value(&part), Err(message.to_owned()), "{part}");
    }
}

#[test]
fn a_pattern_may_have_ten_characters() {
    let part = json!({"@replace": {"pattern": "1234567890", "value": "12345678901"}});
    assert_eq!(value(&part), Ok(Some(json!("1"))));
}

#[test]
fn only_an_object_is_mapped() {
    let mapping = Mapping::compile(&json!({"a": 1})).unwrap();
    for event in [json!([]), json!(null), json!("a")] {
        let message = format!("data must be an object, got {}", crate::js::type_name(Some(&event)));
        assert_eq!(mapping.evaluate(&event), Err(EvaluationError::new(message.clone())));
        assert_eq!(mapping.fields(&event), Err(EvaluationError::new(message)));
    }
}

#[test]
fn the_fields_are_those_of_the_value() {
    for mapping in [
        json!({"a": {"@path": "$.a"}, "none": {"@path": "$.none"}, "o": {"x": {"@path": "$.o.x"}, "n": {"@path": "$.none"}}, "t": {"@template": "{{a}}"}}),
        json!({"@path": "$.o"}),
        json!({"@merge": {"direction": "left", "objects": [{"a": 1}, {"@path": "$.o"}]}}),
    ] {
        let mapping = Mapping::compile(&mapping).unwrap();
        let event = event();
        let fields = mapping.fields(&event).unwrap().unwrap();
        let fields: serde_json::Map<String, Value> = fields
            .into_iter()
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        assert_eq!(Some(Value::Object(fields)), mapping.evaluate(&event).unwrap());
    }
    let scalar = Mapping::compile(&json!({"@path": "$.a"})).unwrap();
    assert_eq!(scalar.fields(&event()), Ok(None));
}

#[test]
fn an_output_has_a_largest_size() {
    let list: Vec<Value> = vec![json!({"a": "x".repeat(10_000)}); 900];
    let event = json!({"list": list});
    let fits =
        |mapping: Value| Mapping::compile(&json!({"x": mapping})).unwrap().evaluate(&event).is_ok();
    let each = |shape: Value| json!({"@arrayPath": ["$.list", shape]});
    assert!(fits(each(json!({"a": {"@path": "$.a"}}))));
    let most: Vec<Value> = vec![json!({"@template": "{{list.0.a}}"}); 800];
    assert!(fits(json!({"@literal": most})));
    assert!(!fits(each(json!({"a": {"@template": "{{a}}"}}))));
    assert!(!fits(each(json!({"a": {"@json": {"mode": "encode", "value": {"@path": "$.a"}}}}))));
    assert!(!fits(each(json!({"a": {"@replace": {"pattern": "y", "value": {"@path": "$.a"}}}}))));
    let flat = |length: usize| json!({"@flatten": {"separator": "s".repeat(length), "value": {"@path": "$.list"}}});
    assert!(fits(flat(3_000)));
    assert!(!fits(flat(10_000)));
}
