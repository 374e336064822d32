//! The functions' environment: the variables that are set are those that are read, and a parameter
//! has the default and the range of its setting.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::Problems;
use crate::code::{Setting, settings};
use crate::translated::{Template, template, text};

/// Function, variable, value: everything that the template sets.
fn variables(template: &Template) -> Vec<(&str, &str, &Value)> {
    let functions = template.of_type("AWS::Lambda::Function");
    functions
        .flat_map(|(function, resource)| {
            let variables = resource["Properties"]["Environment"]["Variables"].as_object();
            let variables = variables.into_iter().flatten();
            variables.map(move |(name, value)| (function, name.as_str(), value))
        })
        .collect()
}

#[test]
fn the_template_sets_the_variables_that_the_functions_read() {
    let template = template();
    let set: BTreeSet<&str> = variables(&template).iter().map(|(_, name, _)| *name).collect();
    let read: BTreeSet<&str> = settings().into_keys().collect();
    let mut problems = Problems::default();
    for name in read.difference(&set) {
        problems.check(false, format!("the template does not set {name}"));
    }
    for name in set.difference(&read) {
        problems.check(false, format!("the template sets {name}, which no function reads"));
    }
    problems.report();
}

#[test]
fn parameters_have_the_defaults_and_ranges_of_their_settings() {
    let template = template();
    let settings = settings();
    let mut problems = Problems::default();
    let mut checked = BTreeMap::new();
    for (function, name, value) in variables(&template) {
        let Some(setting) = settings.get(name) else { continue };
        let Some(parameter) = value["Ref"].as_str() else { continue };
        // What CloudFormation knows of the stack, such as its name.
        if parameter.starts_with("AWS::") {
            continue;
        }
        let Some(properties) = template.parameters().get(parameter) else {
            // A resource, whose name only AWS knows.
            let required = setting.default().is_none();
            problems.check(required, format!("{function}: {name} refers to {parameter}"));
            continue;
        };
        let place = format!("{parameter} ({name})");
        if *checked.entry(name).or_insert(parameter) != parameter {
            problems.check(false, format!("{name} has several parameters, one is {parameter}"));
        }
        problems.equal(
            format!("the default of {place}"),
            &Some(text(&properties["Default"])),
            &setting.default().map(str::to_owned),
        );
        check_values(&mut problems, &place, properties, setting);
    }
    problems.check(!checked.is_empty(), "no setting has a parameter");
    problems.report();
}

/// The parameter accepts what the setting accepts.
fn check_values(problems: &mut Problems, place: &str, properties: &Value, setting: &Setting) {
    let bound = |name: &str| properties[name].as_u64();
    problems.equal(
        format!("the range of {place}"),
        &bound("MinValue").zip(bound("MaxValue")),
        &setting.range(),
    );
    let allowed: Option<Vec<String>> =
        properties["AllowedValues"].as_array().map(|values| values.iter().map(text).collect());
    if setting.is_flag() {
        let both = Some(vec!["true".to_owned(), "false".to_owned()]);
        problems.equal(format!("what {place} allows"), &allowed, &both);
    }
    // A pattern that lists words, such as ^$|^(a|b)(,(a|b))?$, accepts each of them.
    let pattern = properties["AllowedPattern"].as_str().unwrap_or_default();
    if setting.is_list_of_words() {
        let words = pattern.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        for word in words.filter(|word| !word.is_empty()) {
            let accepted = setting.accepts(word);
            problems.check(accepted, format!("{place} allows {word}, which the functions refuse"));
        }
    }
}

#[test]
fn the_functions_start_with_every_fixed_value() {
    let template = template();
    let settings = settings();
    let mut problems = Problems::default();
    for (function, name, value) in variables(&template) {
        let Some(setting) = settings.get(name) else { continue };
        let values = match value["Fn::If"].as_array() {
            Some(branches) => branches.iter().skip(1).collect(),
            None => vec![value],
        };
        for value in values.into_iter().filter(|value| !value.is_object()) {
            let accepted = setting.accepts(&text(value));
            problems.check(accepted, format!("{function} does not start with {name}={value}"));
        }
    }
    problems.report();
}
