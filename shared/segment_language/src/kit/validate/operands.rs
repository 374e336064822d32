//! What the operand of every directive may be.

use serde_json::Value;

use super::checker::{Check, Checker, DIRECTIVE, OperandField, kind};
use crate::js::length;
use crate::kit::syntax::MAX_PATTERN;

const TEXT_OR_DIRECTIVE: &str = "a string or a mapping directive";

const fn required(name: &'static str, check: Check) -> OperandField {
    OperandField { name, required: true, check }
}

const fn allowed(name: &'static str, check: Check) -> OperandField {
    OperandField { name, required: false, check }
}

fn anything<'m>(checker: &mut Checker<'m>, value: &'m Value) {
    checker.any(Some(value));
}

fn text<'m>(checker: &mut Checker<'m>, value: &'m Value) {
    checker.one_of(Some(value), &["string", DIRECTIVE], TEXT_OR_DIRECTIVE);
}

fn plain_text<'m>(checker: &mut Checker<'m>, value: &'m Value) {
    checker.one_of(Some(value), &["string"], "a string");
}

fn flag<'m>(checker: &mut Checker<'m>, value: &'m Value) {
    checker.one_of(Some(value), &["boolean"], "a boolean");
}

fn object<'m>(checker: &mut Checker<'m>, value: &'m Value) {
    checker.object_or_directive(Some(value));
}

/// Any value: only a directive is checked.
fn raw<'m>(checker: &mut Checker<'m>, operand: &'m Value) {
    if kind(Some(operand)) == DIRECTIVE {
        checker.any(Some(operand));
    }
}

/// A pattern or a replacement of `@replace`.
fn pattern(checker: &mut Checker<'_>, value: &Value, least: usize) {
    let Some(text) = value.as_str() else {
        checker.wrong_kind("a string", Some(value));
        return;
    };
    let length = length(text);
    if length > MAX_PATTERN {
        checker.fault(format!("should be a string of length {MAX_PATTERN} or less"));
    } else if length < least {
        checker.fault(format!("should be a string of length {least} or greater"));
    }
}

/// One of these words, in any case.
fn word(checker: &mut Checker<'_>, value: &Value, words: &[&str]) {
    let text = value.as_str().map(str::to_lowercase);
    if !text.is_some_and(|text| words.contains(&text.as_str())) {
        checker.fault(format!("should be one of {}", words.join(", ")));
    }
}

/// Every directive, and how its operand is checked.
pub(super) const OPERANDS: &[(&str, Check)] = &[
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
            required("pattern", |checker, value| pattern(checker, value, 1)),
            allowed("replacement", |checker, value| pattern(checker, value, 0)),
            required("value", text),
            allowed("ignorecase", flag),
            allowed("global", flag),
        ];
        checker.fields(operand, &fields);
    }),
    ("@arrayPath", |checker, operand| {
        let Value::Array(items) = operand else {
            checker.wrong_kind("an array", Some(operand));
            return;
        };
        checker.one_of(items.first(), &["string", DIRECTIVE], TEXT_OR_DIRECTIVE);
        checker.any(items.get(1));
    }),
    ("@json", |checker, operand| {
        let mode: Check = |checker, value| word(checker, value, &["encode", "decode"]);
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
        let direction: Check = |checker, value| word(checker, value, &["left", "right"]);
        let objects: Check = |checker, value| match value {
            Value::Array(objects) => checker.without_path(|checker| {
                for value in objects {
                    checker.object_or_directive(Some(value));
                }
            }),
            other => checker.wrong_kind("an array", Some(other)),
        };
        checker.fields(operand, &[allowed("direction", direction), required("objects", objects)]);
    }),
    ("@transform", |checker, operand| {
        checker.fields(operand, &[required("apply", object), required("mapping", object)]);
    }),
];
