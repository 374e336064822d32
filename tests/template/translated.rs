//! The translated templates, and how to read them.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// Directory of the translated templates.
const DIRECTORY: &str = "TRANSLATED_TEMPLATES";

/// A translated template.
pub(crate) struct Template(Value);

/// `template.yaml`.
pub(crate) fn template() -> Template {
    read("template.json")
}

/// `deploy/observability.yaml`.
pub(crate) fn observability() -> Template {
    read("observability.json")
}

fn read(name: &str) -> Template {
    let directory = std::env::var_os(DIRECTORY).unwrap_or_else(|| {
        panic!("{DIRECTORY} is not set: run `ci/template`, which translates the templates first")
    });
    // A relative path is one of the repository.
    let file = repository(".").join(directory).join(name);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("{}: {error}; `ci/template` writes it", file.display());
    });
    Template(serde_json::from_str(&text).unwrap())
}

/// A file of the repository.
pub(crate) fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

impl Template {
    /// Parameters by name.
    pub(crate) fn parameters(&self) -> &Map<String, Value> {
        self.0["Parameters"].as_object().unwrap()
    }

    /// Resources of a type: logical id and whole resource.
    pub(crate) fn of_type<'a>(
        &'a self,
        kind: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let resources = self.0["Resources"].as_object().unwrap();
        resources
            .iter()
            .filter(move |(_, resource)| resource["Type"] == kind)
            .map(|(name, resource)| (name.as_str(), resource))
    }

    /// Outputs by name.
    pub(crate) fn outputs(&self) -> &Map<String, Value> {
        self.0["Outputs"].as_object().unwrap()
    }

    /// Conditions by name.
    pub(crate) fn conditions(&self) -> &Value {
        &self.0["Conditions"]
    }

    /// A resource; null if there is no such resource.
    pub(crate) fn resource(&self, name: &str) -> &Value {
        &self.0["Resources"][name]
    }

    /// Properties of a resource; null if there is no such resource.
    pub(crate) fn properties(&self, name: &str) -> &Value {
        &self.0["Resources"][name]["Properties"]
    }

    /// A value, with a reference to a parameter replaced by the parameter's default.
    pub(crate) fn default_of<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["Ref"].as_str().and_then(|name| self.parameters().get(name)) {
            Some(parameter) => &parameter["Default"],
            None => value,
        }
    }
}

/// A scalar as it is passed on at deployment: numbers become text.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// One or several values.
pub(crate) fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        Value::Null => Vec::new(),
        value => vec![value],
    }
}

/// One or several values, where one may depend on a condition: `{"Fn::If": [name, value, no value]}`.
pub(crate) fn list_with_conditional(value: &Value) -> Vec<(&Value, Option<&str>)> {
    let values = list(value).into_iter();
    let unpacked = values.map(|value| match value["Fn::If"].as_array().map(Vec::as_slice) {
        Some([name, then, otherwise]) if otherwise["Ref"] == "AWS::NoValue" => {
            (then, name.as_str())
        }
        _ => (value, None),
    });
    unpacked.collect()
}

/// The value that a property has if the condition holds, provided that the property is absent
/// otherwise.
pub(crate) fn only_if<'a>(condition: &str, value: &'a Value) -> Option<&'a Value> {
    let branches = value["Fn::If"].as_array()?;
    let [name, then, otherwise] = branches.as_slice() else { return None };
    (name == condition && otherwise["Ref"] == "AWS::NoValue").then_some(then)
}
