//! Document paths: `a`, `a.b`, `a.b[2]`.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.Attributes.html>

use serde_json::Value;

use super::value::{Item, validation};
use crate::aws::ServiceError;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Name(String),
    Index(usize),
}

/// A path; it begins with a name.
pub(super) type Path = Vec<Step>;

/// The value at a path.
pub(super) fn get<'a>(item: &'a Item, path: &[Step]) -> Option<&'a Value> {
    let (Step::Name(first), rest) = path.split_first()? else { return None };
    rest.iter().try_fold(item.get(first)?, |value, step| match step {
        Step::Name(name) => value.get("M")?.get(name),
        Step::Index(index) => value.get("L")?.get(index),
    })
}

/// Sets the value at a path. What is above it must exist.
pub(super) fn set(item: &mut Item, path: &[Step], new: Value) -> Result<(), ServiceError> {
    let Some((end, above)) = path.split_last() else { return Err(invalid()) };
    match (parent(item, above)?, end) {
        (Parent::Map(map), Step::Name(name)) => {
            map.insert(name.clone(), new);
        }
        (Parent::List(list), Step::Index(index)) => match list.get_mut(*index) {
            Some(value) => *value = new,
            // An index after the end appends.
            None => list.push(new),
        },
        _ => return Err(invalid()),
    }
    Ok(())
}

/// Removes the value at a path, if there is one.
pub(super) fn remove(item: &mut Item, path: &[Step]) -> Result<(), ServiceError> {
    let Some((end, above)) = path.split_last() else { return Err(invalid()) };
    match (parent(item, above)?, end) {
        (Parent::Map(map), Step::Name(name)) => {
            map.shift_remove(name);
        }
        (Parent::List(list), Step::Index(index)) => {
            if *index < list.len() {
                list.remove(*index);
            }
        }
        _ => return Err(invalid()),
    }
    Ok(())
}

enum Parent<'a> {
    Map(&'a mut Item),
    List(&'a mut Vec<Value>),
}

fn parent<'a>(item: &'a mut Item, path: &[Step]) -> Result<Parent<'a>, ServiceError> {
    let Some((first, rest)) = path.split_first() else { return Ok(Parent::Map(item)) };
    let Step::Name(first) = first else { return Err(invalid()) };
    let start = item.get_mut(first).ok_or_else(invalid)?;
    let value = rest.iter().try_fold(start, |value, step| match step {
        Step::Name(name) => value.get_mut("M")?.get_mut(name),
        Step::Index(index) => value.get_mut("L")?.get_mut(index),
    });
    let object = value.and_then(Value::as_object_mut).ok_or_else(invalid)?;
    match object.iter_mut().next() {
        Some((name, Value::Object(map))) if name == "M" => Ok(Parent::Map(map)),
        Some((name, Value::Array(list))) if name == "L" => Ok(Parent::List(list)),
        _ => Err(invalid()),
    }
}

fn invalid() -> ServiceError {
    validation("The document path provided in the update expression is invalid for update")
}

/// Whether one path is the other or lies below it.
pub(super) fn overlap(left: &[Step], right: &[Step]) -> bool {
    left.starts_with(right) || right.starts_with(left)
}

/// The attribute at the beginning of a path.
pub(super) fn attribute(path: &[Step]) -> &str {
    match path.first() {
        Some(Step::Name(name)) => name,
        _ => "",
    }
}
