//! Segment's own static validation, with its words and the path of every fault.
//!
//! Elements of arrays are not validated, nor what is in a plain object below `@literal` and
//! `@excludeWhenNull`: a wrong directive there fails when it is evaluated.

use serde_json::{Map, Value};

use super::Fault;
use super::compile::{MAX_PATTERN, directive};
use super::js::{length, type_name};

/// The faults of a whole mapping.
pub(super) fn faults(mapping: &Value) -> Vec<Fault> {
    let mut checker = Checker::default();
    checker.object_or_directive(Some(mapping));
    checker.faults
}

/// Collects faults with the path to each.
#[derive(Default)]
struct Checker<'m> {
    stack: Vec<&'m str>,
    faults: Vec<Fault>,
}

/// Kinds that an operand may have.
const DIRECTIVE: &str = "directive";

fn kind(value: Option<&Value>) -> &'static str {
    match value {
        Some(Value::Object(fields)) if fields.keys().any(|key| key.starts_with('@')) => DIRECTIVE,
        other => type_name(other),
    }
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

impl<'m> Checker<'m> {
    fn fault(&mut self, message: String) {
        self.faults.push(Fault { path: format!("/{}", self.stack.join("/")), message });
    }

    fn at(&mut self, key: &'m str, check: impl FnOnce(&mut Self)) {
        self.stack.push(key);
        check(self);
        self.stack.pop();
    }

    /// A value of one of these kinds; then what is inside of it.
    fn one_of(&mut self, value: Option<&'m Value>, kinds: &[&str]) {
        if !kinds.contains(&kind(value)) {
            let last = kinds
                .last()
                .map(|kind| if *kind == DIRECTIVE { "mapping directive" } else { kind });
            let expected = match (kinds, last) {
                ([first, _, ..], Some(last)) => format!("a {first} or a {last}"),
                (_, last) => with_article(last.unwrap_or_default()),
            };
            self.fault(format!("should be {expected} but it is {}", with_article(kind(value))));
            return;
        }
        self.any(value);
    }

    /// Anything: what is not a directive and not an object needs no check.
    fn any(&mut self, value: Option<&'m Value>) {
        let Some(Value::Object(fields)) = value else {
            return;
        };
        if kind(value) == DIRECTIVE {
            self.directive(fields);
        } else {
            for (key, value) in fields {
                self.at(key, |checker| checker.any(Some(value)));
            }
        }
    }

    fn object_or_directive(&mut self, value: Option<&'m Value>) {
        if matches!(kind(value), "object" | DIRECTIVE) {
            self.any(value);
        } else {
            let found = with_article(kind(value));
            self.fault(format!("should be a object or a mapping directive but it is {found}"));
        }
    }

    fn directive(&mut self, fields: &'m Map<String, Value>) {
        let directives: Vec<&String> = fields.keys().filter(|key| key.starts_with('@')).collect();
        let others = fields.keys().any(|key| !key.starts_with('@') && key != "_metadata");
        if directives.len() > 1 || others {
            let number = if others { fields.len() } else { directives.len() };
            self.fault(format!("should only have one @-prefixed key but it has {number} keys"));
            return;
        }
        let Some((name, operand)) = directive(fields) else {
            return;
        };
        let known = OPERANDS.iter().find(|(known, _)| *known == name);
        match (name, known) {
            ("@liquid", _) => self.fault(
                "uses @liquid, which is not supported: write it with @template, @if, @case or @replace".to_owned(),
            ),
            (_, None) => self.fault(format!("has an invalid directive: {name}")),
            (_, Some((_, check))) => self.at(name, |checker| check(checker, operand)),
        }
    }

    /// A plain object with these fields; all fields are then checked in general.
    fn fields(&mut self, operand: &'m Value, fields: &[Field]) {
        let Value::Object(given) = operand else {
            self.fault(format!(
                "should be an object but it is {}",
                with_article(kind(Some(operand)))
            ));
            return;
        };
        if let Some(key) = given.keys().find(|key| key.starts_with('@')) {
            self.fault(format!("shouldn't have directive (@-prefixed) keys but it has \"{key}\""));
            return;
        }
        for (key, value) in given {
            if !fields.iter().any(|field| field.name == key) {
                self.at(key, |checker| checker.any(Some(value)));
            }
        }
        for field in fields {
            match given.get_key_value(field.name) {
                Some((key, value)) => self.at(key, |checker| (field.check)(checker, value)),
                None if field.required => {
                    self.fault(format!("should have field \"{}\" but it doesn't", field.name));
                }
                None => {}
            }
        }
    }

    fn pattern(&mut self, value: &Value, least: usize) {
        match value.as_str().map(length) {
            Some(length) if length > MAX_PATTERN => {
                self.fault(format!("should be a string of length {MAX_PATTERN} or less"));
            }
            Some(length) if length < least => {
                self.fault(format!("should be a string of length {least} or greater"));
            }
            Some(_) => {}
            None => self
                .fault(format!("should be a string but it is {}", with_article(kind(Some(value))))),
        }
    }

    /// One of these words, in any case.
    fn word(&mut self, value: &Value, words: &[&str]) {
        let text = value.as_str().map(str::to_lowercase);
        if !text.is_some_and(|text| words.contains(&text.as_str())) {
            self.fault(format!("should be one of {}", words.join(", ")));
        }
    }
}

struct Field {
    name: &'static str,
    required: bool,
    check: Check,
}

type Check = for<'m> fn(&mut Checker<'m>, &'m Value);

const fn required(name: &'static str, check: Check) -> Field {
    Field { name, required: true, check }
}

const fn allowed(name: &'static str, check: Check) -> Field {
    Field { name, required: false, check }
}

fn anything<'m>(checker: &mut Checker<'m>, value: &'m Value) {
    checker.any(Some(value));
}

fn text<'m>(checker: &mut Checker<'m>, value: &'m Value) {
    checker.one_of(Some(value), &["string", DIRECTIVE]);
}

fn plain_text<'m>(checker: &mut Checker<'m>, value: &'m Value) {
    checker.one_of(Some(value), &["string"]);
}

fn flag<'m>(checker: &mut Checker<'m>, value: &'m Value) {
    checker.one_of(Some(value), &["boolean"]);
}

fn object<'m>(checker: &mut Checker<'m>, value: &'m Value) {
    checker.object_or_directive(Some(value));
}

/// Anything: only a directive is looked into.
fn raw<'m>(checker: &mut Checker<'m>, operand: &'m Value) {
    if kind(Some(operand)) == DIRECTIVE {
        checker.any(Some(operand));
    }
}

/// Every directive, and how its operand is checked.
const OPERANDS: &[(&str, Check)] = &[
    ("@path", text),
    ("@template", text),
    ("@literal", raw),
    ("@excludeWhenNull", raw),
    ("@liquid", plain_text),
    ("@if", |checker, operand| {
        let fields =
            [allowed("exists", anything), allowed("then", anything), allowed("else", anything)];
        checker.fields(operand, &fields);
    }),
    ("@case", |checker, operand| {
        checker.fields(operand, &[allowed("operator", plain_text), allowed("value", text)]);
    }),
    ("@replace", |checker, operand| {
        let fields = [
            required("pattern", |checker, value| checker.pattern(value, 1)),
            allowed("replacement", |checker, value| checker.pattern(value, 0)),
            required("value", text),
            allowed("ignorecase", flag),
            allowed("global", flag),
        ];
        checker.fields(operand, &fields);
    }),
    ("@arrayPath", |checker, operand| {
        let Value::Array(items) = operand else {
            checker.fault(format!(
                "should be an array but it is {}",
                with_article(kind(Some(operand)))
            ));
            return;
        };
        checker.one_of(items.first(), &["string", DIRECTIVE]);
        checker.any(items.get(1));
    }),
    ("@json", |checker, operand| {
        let mode: Check = |checker, value| checker.word(value, &["encode", "decode"]);
        checker.fields(operand, &[required("value", anything), allowed("mode", mode)]);
    }),
    ("@flatten", |checker, operand| {
        let fields = [
            allowed("separator", plain_text),
            required("value", anything),
            allowed("omitArrays", anything),
        ];
        checker.fields(operand, &fields);
    }),
    ("@merge", |checker, operand| {
        let direction: Check = |checker, value| checker.word(value, &["left", "right"]);
        let objects: Check = |checker, value| match value {
            Value::Array(objects) => {
                // Segment forgets the path to these.
                let stack = std::mem::take(&mut checker.stack);
                for value in objects {
                    checker.object_or_directive(Some(value));
                }
                checker.stack = stack;
            }
            other => {
                checker.fault(format!(
                    "should be an array but it is {}",
                    with_article(kind(Some(other)))
                ));
            }
        };
        checker.fields(operand, &[allowed("direction", direction), required("objects", objects)]);
    }),
    ("@transform", |checker, operand| {
        checker.fields(operand, &[required("apply", object), required("mapping", object)]);
    }),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn faults_name_their_path() {
        let told = |mapping: Value| -> Vec<String> {
            faults(&mapping).iter().map(ToString::to_string).collect()
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
