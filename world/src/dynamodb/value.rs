//! Attribute values as DynamoDB writes them: `{"S": "a"}`, `{"N": "1"}`, `{"M": {…}}`.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html>

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::aws::ServiceError;

/// An item: attribute names and values.
pub type Item = Map<String, Value>;

/// Largest item, names included.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
pub const MAX_ITEM: usize = 400 * 1024;

/// The type and the content of a value.
pub(super) fn typed(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object.iter().next().map(|(name, content)| (name.as_str(), content))
}

/// Whether this is an attribute value.
pub(super) fn check(value: &Value) -> Result<(), ServiceError> {
    let valid = match typed(value) {
        Some(("S" | "B", content)) => content.is_string(),
        Some(("N", content)) => {
            content.as_str().is_some_and(|number| number.parse::<f64>().is_ok())
        }
        Some(("BOOL", content)) => content.is_boolean(),
        Some(("NULL", content)) => content == true,
        Some(("SS" | "NS" | "BS", content)) => {
            content.as_array().is_some_and(|set| !set.is_empty())
        }
        Some(("L", Value::Array(list))) => return list.iter().try_for_each(check),
        Some(("M", Value::Object(map))) => return map.values().try_for_each(check),
        _ => false,
    };
    if valid {
        Ok(())
    } else {
        Err(validation("Supplied AttributeValue is empty or has an unknown type"))
    }
}

/// An error of the caller.
pub(super) fn validation(message: impl Into<String>) -> ServiceError {
    ServiceError::new("ValidationException", message)
}

/// Order of two values of the same type that has one: numbers, strings, binary.
pub(super) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (typed(left)?, typed(right)?) {
        (("N", left), ("N", right)) => numbers(left, right),
        (("S", left), ("S", right)) => {
            Some(left.as_str()?.as_bytes().cmp(right.as_str()?.as_bytes()))
        }
        (("B", left), ("B", right)) => {
            Some(STANDARD.decode(left.as_str()?).ok()?.cmp(&STANDARD.decode(right.as_str()?).ok()?))
        }
        _ => None,
    }
}

/// Whether two values are equal: numbers by their value, sets without order.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (typed(left), typed(right)) {
        (Some(("NS" | "SS" | "BS", Value::Array(left))), Some((_, Value::Array(right)))) => {
            left.len() == right.len() && left.iter().all(|member| right.contains(member))
        }
        _ => order(left, right).map_or(left == right, Ordering::is_eq),
    }
}

fn numbers(left: &Value, right: &Value) -> Option<Ordering> {
    let (left, right) = (left.as_str()?, right.as_str()?);
    if let (Ok(left), Ok(right)) = (left.parse::<i128>(), right.parse::<i128>()) {
        return Some(left.cmp(&right));
    }
    left.parse::<f64>().ok()?.partial_cmp(&right.parse::<f64>().ok()?)
}

/// Sum of two numbers, or their difference.
pub(super) fn add(left: &Value, right: &Value, subtract: bool) -> Result<Value, ServiceError> {
    let (Some(("N", left)), Some(("N", right))) = (typed(left), typed(right)) else {
        return Err(validation("An operand in the update expression has an incorrect data type"));
    };
    let (left, right) = (left.as_str().unwrap_or_default(), right.as_str().unwrap_or_default());
    if let (Ok(left), Ok(right)) = (left.parse::<i128>(), right.parse::<i128>()) {
        let sum = if subtract { left.checked_sub(right) } else { left.checked_add(right) };
        return sum
            .map(|sum| json!({"N": sum.to_string()}))
            .ok_or_else(|| validation("Number overflow"));
    }
    let number = |text: &str| text.parse::<f64>().unwrap_or_default();
    let right = if subtract { -number(right) } else { number(right) };
    Ok(json!({"N": (number(left) + right).to_string()}))
}

/// Bytes of an item.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
pub(super) fn size_of_item(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + size(value)).sum()
}

/// Bytes of a value; for `size(…)`, the length of a string and the number of members of a collection
/// differ: see [`length`].
fn size(value: &Value) -> usize {
    match typed(value) {
        Some(("S", content)) => content.as_str().map_or(0, str::len),
        Some(("N", content)) => content.as_str().map_or(0, |number| number.len().div_ceil(2) + 1),
        Some(("B", content)) => content.as_str().map_or(0, |text| text.len() / 4 * 3),
        Some(("SS" | "NS" | "BS", Value::Array(set))) => {
            set.iter().map(|member| member.as_str().map_or(0, str::len)).sum()
        }
        Some(("L", Value::Array(list))) => {
            list.iter().map(|value| size(value) + 1).sum::<usize>() + 3
        }
        Some(("M", Value::Object(map))) => {
            map.iter().map(|(name, value)| name.len() + size(value) + 1).sum::<usize>() + 3
        }
        _ => 1,
    }
}

/// What `size(…)` gives.
pub(super) fn length(value: &Value) -> Option<usize> {
    match typed(value)? {
        ("S", content) => content.as_str().map(str::len),
        ("B", content) => content.as_str().map(|text| text.len() / 4 * 3),
        ("SS" | "NS" | "BS" | "L", content) => content.as_array().map(Vec::len),
        ("M", content) => content.as_object().map(Map::len),
        _ => None,
    }
}
