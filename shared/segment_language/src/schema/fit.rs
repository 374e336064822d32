//! The output of a mapping becomes the payload of an action.

use std::borrow::Cow;

use serde_json::Value;

use super::coerce::{Mode, coerce};
use super::field_type::FieldType;
use crate::kit::OutputField;

/// A field of an action.
#[derive(Debug, Clone, Copy)]
pub struct ActionField {
    /// Its name in mappings.
    pub name: &'static str,
    /// Its type.
    pub field_type: FieldType,
    /// The event is dropped if it is missing.
    pub required: bool,
    /// The fields of an object, if the action declares them; else any field is allowed.
    pub parts: &'static [Self],
}

/// Why a mapped value does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The name of the field.
    pub field: &'static str,
    /// The field is required and missing.
    pub missing: bool,
    /// The message that Segment shows.
    pub message: String,
}

/// The payload of an action: its fields with their values.
pub type Payload<'e> = Vec<(&'static str, Cow<'e, Value>)>;

/// The mapped values that are not empty and that the action has a field for, in the order of the
/// fields.
pub fn fit<'e>(
    fields: &[ActionField],
    mode: Mode,
    mut mapped: Vec<OutputField<'_, 'e>>,
) -> Result<Payload<'e>, Vec<Misfit>> {
    let (mut payload, mut misfits) = (Vec::with_capacity(fields.len()), Vec::new());
    // Most mappings list the fields in the order of the action.
    let mut next = 0;
    for field in fields {
        let place = (next..mapped.len())
            .chain(0..next)
            .find(|place| mapped.get(*place).is_some_and(|(name, _)| name == field.name));
        let value = place.and_then(|place| {
            next = place + 1;
            mapped.get_mut(place).map(|(_, value)| std::mem::take(value))
        });
        match fit_one(field, mode, value) {
            Ok(Some(value)) => payload.push((field.name, value)),
            Ok(None) if field.required => misfits.push(Misfit {
                field: field.name,
                missing: true,
                message: format!("The root value is missing the required field '{}'.", field.name),
            }),
            Ok(None) => {}
            Err(within) => misfits.extend(within),
        }
    }
    if misfits.is_empty() { Ok(payload) } else { Err(misfits) }
}

fn fit_one<'e>(
    field: &ActionField,
    mode: Mode,
    value: Option<Cow<'e, Value>>,
) -> Result<Option<Cow<'e, Value>>, Vec<Misfit>> {
    match value.as_deref() {
        Some(Value::Object(parts)) if !field.parts.is_empty() => {
            let fits = |(name, value): (&String, &Value)| {
                let part = field.parts.iter().find(|part| part.name == name);
                part.is_some_and(|part| part.field_type.has(value))
            };
            if parts.iter().all(fits) {
                return Ok(value);
            }
            let parts = parts
                .iter()
                .map(|(name, value)| (Cow::Borrowed(name.as_str()), Cow::Borrowed(value)));
            // Segment removes empty strings only at the root.
            let parts = fit(field.parts, Mode::Batch, parts.collect())?;
            let parts =
                parts.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned()));
            Ok(Some(Cow::Owned(Value::Object(parts.collect()))))
        }
        _ => coerce(field.name, field.field_type, mode, value)
            .map_err(|message| vec![Misfit { field: field.name, missing: false, message }]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const fn field(name: &'static str, field_type: FieldType, required: bool) -> ActionField {
        ActionField { name, field_type, required, parts: &[] }
    }

    const FIELDS: &[ActionField] = &[
        field("id", FieldType::TEXT, true),
        field("name", FieldType::TEXT, false),
        ActionField {
            parts: &[field("lat", FieldType::NUMBER, false), field("note", FieldType::TEXT, false)],
            ..field("place", FieldType::OBJECT, false)
        },
    ];

    fn fitted(mapped: &Value) -> Result<Vec<(&'static str, Value)>, Vec<Misfit>> {
        let mapped = mapped.as_object().unwrap().iter();
        let mapped =
            mapped.map(|(name, value)| (Cow::Borrowed(name.as_str()), Cow::Borrowed(value)));
        let payload = fit(FIELDS, Mode::Single, mapped.collect())?;
        Ok(payload.into_iter().map(|(name, value)| (name, value.into_owned())).collect())
    }

    #[test]
    fn the_payload_has_the_fields_of_the_action_in_their_order() {
        let all = [("id", json!("1")), ("name", json!("n")), ("place", json!({"lat": 1}))];
        for mapped in [
            json!({"id": 1, "name": "n", "place": {"lat": 1}}),
            json!({"place": {"lat": 1}, "name": "n", "id": 1}),
            json!({"name": "n", "other": 5, "id": "1", "place": {"lat": "1", "other": 2}}),
        ] {
            assert_eq!(fitted(&mapped).unwrap(), all, "{mapped}");
        }
    }

    #[test]
    fn empty_texts_are_omitted_at_the_root_only() {
        let mapped = json!({"id": "1", "name": "", "place": {"lat": "1", "note": ""}});
        assert_eq!(
            fitted(&mapped).unwrap(),
            [("id", json!("1")), ("place", json!({"lat": 1, "note": ""}))]
        );
    }

    #[test]
    fn a_missing_required_field_is_reported() {
        for mapped in [json!({}), json!({"id": ""}), json!({"id": null})] {
            let misfit = Misfit {
                field: "id",
                missing: true,
                message: "The root value is missing the required field 'id'.".to_owned(),
            };
            assert_eq!(fitted(&mapped), Err(vec![misfit]), "{mapped}");
        }
    }

    #[test]
    fn every_value_that_does_not_fit_is_reported() {
        let misfits = fitted(&json!({"id": {}, "name": {}, "place": {"lat": "x"}})).unwrap_err();
        let reported: Vec<_> = misfits
            .iter()
            .map(|misfit| (misfit.field, misfit.missing, misfit.message.as_str()))
            .collect();
        assert_eq!(
            reported,
            [
                ("id", false, "Id must be a string but it was an object."),
                ("name", false, "Name must be a string but it was an object."),
                ("lat", false, "Lat must be a number but it was a string."),
            ]
        );
    }
}
