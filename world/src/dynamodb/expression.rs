//! Expressions, applied to items.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::parser::{Action, Condition, Operand};
use super::path;
use super::value::{Item, add, equal, length, order, typed, validation};
use crate::aws::ServiceError;

/// Whether a condition holds for an item; an item that does not exist is an empty one.
pub(super) fn holds(condition: &Condition, item: &Item) -> bool {
    match condition {
        Condition::Or(left, right) => holds(left, item) || holds(right, item),
        Condition::And(left, right) => holds(left, item) && holds(right, item),
        Condition::Not(inner) => !holds(inner, item),
        Condition::Exists(path) => path::get(item, path).is_some(),
        Condition::Compare(left, operator, right) => {
            let (Some(left), Some(right)) = (evaluate(left, item), evaluate(right, item)) else {
                return operator == "<>";
            };
            compare(&left, operator, &right)
        }
        Condition::Between(value, low, high) => {
            let (Some(value), Some(low), Some(high)) =
                (evaluate(value, item), evaluate(low, item), evaluate(high, item))
            else {
                return false;
            };
            compare(&value, ">=", &low) && compare(&value, "<=", &high)
        }
        Condition::In(value, list) => evaluate(value, item).is_some_and(|value| {
            list.iter()
                .any(|other| evaluate(other, item).is_some_and(|other| equal(&value, &other)))
        }),
        Condition::Function(name, path, argument) => {
            let (Some(value), Some(argument)) = (path::get(item, path), evaluate(argument, item))
            else {
                return false;
            };
            function(name, value, &argument)
        }
    }
}

fn compare(left: &Value, operator: &str, right: &Value) -> bool {
    match operator {
        "=" => equal(left, right),
        "<>" => !equal(left, right),
        _ => order(left, right).is_some_and(|order| match operator {
            "<" => order == Ordering::Less,
            "<=" => order != Ordering::Greater,
            ">" => order == Ordering::Greater,
            _ => order != Ordering::Less,
        }),
    }
}

fn function(name: &str, value: &Value, argument: &Value) -> bool {
    let (Some((kind, content)), Some((argument_kind, wanted))) = (typed(value), typed(argument))
    else {
        return false;
    };
    let texts = content.as_str().zip(wanted.as_str());
    match name {
        "attribute_type" => Some(kind) == wanted.as_str(),
        "begins_with" => {
            kind == argument_kind && texts.is_some_and(|(text, start)| text.starts_with(start))
        }
        _ => match content {
            Value::Array(list) if kind == "L" => list.iter().any(|member| equal(member, argument)),
            Value::Array(set) => set.contains(wanted),
            _ => kind == argument_kind && texts.is_some_and(|(text, part)| text.contains(part)),
        },
    }
}

fn evaluate(operand: &Operand, item: &Item) -> Option<Value> {
    match operand {
        Operand::Path(path) => path::get(item, path).cloned(),
        Operand::Value(value) => Some(value.clone()),
        Operand::Size(path) => Some(json!({"N": length(path::get(item, path)?)?.to_string()})),
        Operand::IfNotExists(path, otherwise) => {
            path::get(item, path).cloned().or_else(|| evaluate(otherwise, item))
        }
        Operand::ListAppend(left, right) => {
            let list = |operand| evaluate(operand, item)?.get("L")?.as_array().cloned();
            let joined = [list(left)?, list(right)?].concat();
            Some(json!({ "L": joined }))
        }
    }
}

/// The item after the actions. All operands are read before any action takes effect.
pub(super) fn updated(before: &Item, actions: &[Action]) -> Result<Item, ServiceError> {
    for (index, action) in actions.iter().enumerate() {
        let mut others = actions.iter().skip(index + 1);
        if others.any(|other| path::overlap(action.path(), other.path())) {
            return Err(validation("Two document paths overlap with each other"));
        }
    }
    let missing = || {
        validation("The provided expression refers to an attribute that does not exist in the item")
    };
    let mut item = before.clone();
    for action in actions {
        match action {
            Action::Set(path, operand) => {
                path::set(&mut item, path, evaluate(operand, before).ok_or_else(missing)?)?;
            }
            Action::SetSum(path, left, right, subtract) => {
                let left = evaluate(left, before).ok_or_else(missing)?;
                let right = evaluate(right, before).ok_or_else(missing)?;
                path::set(&mut item, path, add(&left, &right, *subtract)?)?;
            }
            Action::Remove(path) => path::remove(&mut item, path)?,
            Action::Add(path, value) => {
                let sum = match path::get(before, path) {
                    None => value.clone(),
                    Some(old) => added(old, value)?,
                };
                path::set(&mut item, path, sum)?;
            }
            Action::Delete(path, value) => match path::get(before, path).and_then(typed) {
                None => {}
                Some((kind, Value::Array(members))) if value.get(kind).is_some() => {
                    let gone = value.get(kind).and_then(Value::as_array);
                    let left = members
                        .iter()
                        .filter(|member| gone.is_none_or(|gone| !gone.contains(member)));
                    let left: Vec<Value> = left.cloned().collect();
                    // There are no empty sets.
                    if left.is_empty() {
                        path::remove(&mut item, path)?;
                    } else {
                        path::set(&mut item, path, json!({ kind: left }))?;
                    }
                }
                Some(_) => return Err(wrong_type()),
            },
        }
    }
    Ok(item)
}

/// `ADD`: numbers are summed, sets are united.
fn added(old: &Value, value: &Value) -> Result<Value, ServiceError> {
    match (typed(old), typed(value)) {
        (
            Some((kind @ ("SS" | "NS" | "BS"), Value::Array(old))),
            Some((other, Value::Array(new))),
        ) if kind == other => {
            let mut union = old.clone();
            union.extend(new.iter().filter(|member| !old.contains(member)).cloned());
            Ok(json!({ kind: union }))
        }
        (Some(("N", _)), Some(("N", _))) => add(old, value, false),
        _ => Err(wrong_type()),
    }
}

fn wrong_type() -> ServiceError {
    validation("An operand in the update expression has an incorrect data type")
}
