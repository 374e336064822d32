//! What Segment does with a mapped value before it is sent: empty values are removed, types are
//! coerced, and an event with a value that does not fit is dropped.
//!
//! The rules are those of its JSON schema validator with type coercion, as measured: a union
//! with null behaves differently from a single type.
//!
//! # Layout
//! No file imports one that stands below it.
//! * `field_type`: the types that a field of an action may have.
//! * `convert`: the conversions between types.
//! * `date`: texts that Segment takes for a date.
//! * `coerce`: the value that is sent for one field.
//! * `fit`: what was mapped becomes the payload of an action.

mod coerce;
mod convert;
mod date;
mod field_type;
mod fit;

pub use coerce::{Mode, coerce};
pub use field_type::FieldType;
pub use fit::{ActionField, Misfit, Payload, fit};
