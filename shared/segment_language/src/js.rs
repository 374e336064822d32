//! The rules of JavaScript that are visible in the results of mappings and triggers.
//!
//! # Layout
//! * `number`: the text of a number, and numbers read from text.
//! * `value`: types, truth, texts and fields of values.
//! * `json`: `JSON.stringify`.

mod json;
mod number;
mod value;

pub(crate) use json::stringify;
pub use number::as_double;
pub(crate) use number::{from_double, is_whole, number_text, to_number};
pub(crate) use value::{get, length, loosely_empty, text, truthy, type_name};
