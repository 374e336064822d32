//! Checks operands, and collects faults with the path to each.

use serde_json::{Map, Value};

use crate::js::type_name;
use crate::kit::fault::Fault;
use crate::kit::syntax::{directive, is_directive};

/// The check of an operand or of one of its fields.
pub(super) type Check = for<'m> fn(&mut Checker<'m>, &'m Value);

/// A field of an operand.
pub(super) struct OperandField {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) check: Check,
}

/// Collects the faults of a mapping.
pub(super) struct Checker<'m> {
    /// Every directive, and how its operand is checked.
    directives: &'static [(&'static str, Check)],
    path: Vec<&'m str>,
    faults: Vec<Fault>,
}

/// The kind of a value that is a directive; the other kinds are the names of JavaScript's types.
pub(super) const DIRECTIVE: &str = "directive";

/// The kind of a value.
pub(super) fn kind(value: Option<&Value>) -> &'static str {
    match value {
        Some(Value::Object(fields)) if fields.keys().any(|key| is_directive(key)) => DIRECTIVE,
        other => type_name(other),
    }
}

impl<'m> Checker<'m> {
    pub(super) fn new(directives: &'static [(&'static str, Check)]) -> Self {
        Self { directives, path: Vec::new(), faults: Vec::new() }
    }

    pub(super) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }

    /// Records a fault at the current path.
    pub(super) fn fault(&mut self, message: String) {
        self.faults.push(Fault { path: format!("/{}", self.path.join("/")), message });
    }

    pub(super) fn wrong_kind(&mut self, expected: &str, found: Option<&Value>) {
        let found = kind(found);
        let article = if found.starts_with(['a', 'o', 'u']) { "an" } else { "a" };
        self.fault(format!("should be {expected} but it is {article} {found}"));
    }

    /// Runs a check below a key.
    pub(super) fn at(&mut self, key: &'m str, check: impl FnOnce(&mut Self)) {
        self.path.push(key);
        check(self);
        self.path.pop();
    }

    /// A value of one of these kinds, which the fault calls `expected`; then what is inside of it.
    pub(super) fn one_of(&mut self, value: Option<&'m Value>, kinds: &[&str], expected: &str) {
        if !kinds.contains(&kind(value)) {
            self.wrong_kind(expected, value);
            return;
        }
        self.any(value);
    }

    /// Any value: directives and the fields of objects are checked.
    pub(super) fn any(&mut self, value: Option<&'m Value>) {
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

    /// A mapping: an object or a directive.
    pub(super) fn object_or_directive(&mut self, value: Option<&'m Value>) {
        // Segment's words, including "a object".
        self.one_of(value, &["object", DIRECTIVE], "a object or a mapping directive");
    }

    fn directive(&mut self, fields: &'m Map<String, Value>) {
        let directives: Vec<&String> = fields.keys().filter(|key| is_directive(key)).collect();
        let others = fields.keys().any(|key| !is_directive(key) && key != "_metadata");
        if directives.len() > 1 || others {
            let number = if others { fields.len() } else { directives.len() };
            self.fault(format!("should only have one @-prefixed key but it has {number} keys"));
            return;
        }
        let Some((name, operand)) = directive(fields) else {
            return;
        };
        let known = self.directives.iter().find(|(known, _)| *known == name);
        match (name, known) {
            ("@liquid", _) => self.fault(
                "uses @liquid, which is not supported: write it with @template, @if, @case or @replace".to_owned(),
            ),
            (_, None) => self.fault(format!("has an invalid directive: {name}")),
            (_, Some((_, check))) => self.at(name, |checker| check(checker, operand)),
        }
    }

    /// A plain object with these fields; other fields may have any value.
    pub(super) fn fields(&mut self, operand: &'m Value, fields: &[OperandField]) {
        let Value::Object(given) = operand else {
            self.wrong_kind("an object", Some(operand));
            return;
        };
        if let Some(key) = given.keys().find(|key| is_directive(key)) {
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

    /// Runs a check whose faults start at the root, as in Segment for the objects of `@merge`.
    pub(super) fn without_path(&mut self, check: impl FnOnce(&mut Self)) {
        let path = std::mem::take(&mut self.path);
        check(self);
        self.path = path;
    }
}
