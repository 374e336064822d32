//! Splits the list of a request into its items, without reading them: a bad one is rejected on its own.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use crate::endpoint::Body;

/// The items of a body that is a list, up to so many; nothing where it is none.
pub(crate) fn list(body: &[u8], max_items: usize) -> Option<Body<'_>> {
    split(body, max_items, |json, items| json.deserialize_seq(items))
}

/// The items of the list under this name, up to so many, in a body that is an object; nothing where there is none.
pub(crate) fn list_in_object<'a>(
    body: &'a [u8],
    name: &'static str,
    max_items: usize,
) -> Option<Body<'a>> {
    split(body, max_items, |json, items| json.deserialize_map(Object { name, items }))
}

/// Splits a body, and reads nothing of it beyond the limit.
fn split<'a>(
    body: &'a [u8],
    max_items: usize,
    read: impl FnOnce(
        &mut serde_json::Deserializer<serde_json::de::SliceRead<'a>>,
        Items<'_, 'a>,
    ) -> serde_json::Result<Vec<&'a [u8]>>,
) -> Option<Body<'a>> {
    let first = Cell::new(None);
    let mut json = serde_json::Deserializer::from_slice(body);
    let items = read(&mut json, Items { max_items, first_of_too_many: &first });
    if let Some(first) = first.get() {
        return Some(Body::TooMany(first));
    }
    let items = items.ok()?;
    json.end().ok()?;
    Some(Body::List(items))
}

/// Reads a list. Beyond the limit it gives up, and leaves the first item behind.
struct Items<'c, 'a> {
    max_items: usize,
    first_of_too_many: &'c Cell<Option<&'a [u8]>>,
}

impl<'a> DeserializeSeed<'a> for Items<'_, 'a> {
    type Value = Vec<&'a [u8]>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'a> Visitor<'a> for Items<'_, 'a> {
    type Value = Vec<&'a [u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items: Self::Value = Vec::new();
        while let Some(item) = list.next_element::<&RawValue>()? {
            if items.len() == self.max_items {
                self.first_of_too_many.set(items.first().copied());
                return Err(A::Error::custom("too many items"));
            }
            items.push(item.get().as_bytes());
        }
        Ok(items)
    }
}

/// Reads an object that has the list in a field.
struct Object<'c, 'a> {
    name: &'static str,
    items: Items<'c, 'a>,
}

impl<'a> Visitor<'a> for Object<'_, 'a> {
    type Value = Vec<&'a [u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let (mut list, mut items) = (None, Some(self.items));
        // As raw text: half a surrogate pair is no text, and another field's name is of no interest.
        while let Some(name) = object.next_key::<&RawValue>()? {
            if serde_json::from_str(name.get()).is_ok_and(|name: String| name == self.name) {
                let items = items.take().ok_or_else(|| A::Error::duplicate_field(self.name))?;
                list = Some(object.next_value_seed(items)?);
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        list.ok_or_else(|| A::Error::missing_field(self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_ITEMS: usize = 20;

    fn numbers(number: usize, end: &str) -> String {
        let items: Vec<String> = (0..number).map(|item| item.to_string()).collect();
        format!("[{}{end}", items.join(","))
    }

    #[test]
    fn a_list_is_split_up_to_the_limit() {
        let text = numbers(MAX_ITEMS, "]");
        assert_eq!(list(text.as_bytes(), MAX_ITEMS).unwrap().items().len(), MAX_ITEMS);
        let text = numbers(MAX_ITEMS + 1, "]");
        assert_eq!(list(text.as_bytes(), MAX_ITEMS), Some(Body::TooMany(b"0")));
        let text = format!(r#"{{"a":[1],"events":{}}}"#, numbers(MAX_ITEMS + 1, "]"));
        assert_eq!(list_in_object(text.as_bytes(), "events", MAX_ITEMS), Some(Body::TooMany(b"0")));
    }

    /// What follows the first item beyond the limit is not even JSON.
    #[test]
    fn nothing_is_read_beyond_the_limit() {
        let text = numbers(MAX_ITEMS + 1, ", none");
        assert_eq!(list(text.as_bytes(), MAX_ITEMS), Some(Body::TooMany(b"0")));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["", "{}", "[1", "[1]]", "5"] {
            assert_eq!(list(text.as_bytes(), MAX_ITEMS), None, "{text}");
        }
        for text in [
            "",
            "[[1]]",
            "{}",
            r#"{"e":null}"#,
            r#"{"e":[1],"e":[2]}"#,
            r#"{"e":[1]}x"#,
            r#"{"e":{}}"#,
        ] {
            assert_eq!(list_in_object(text.as_bytes(), "e", MAX_ITEMS), None, "{text}");
        }
        let items = list_in_object(br#"{"e": [ {"a": 1} ,5]}"#, "e", MAX_ITEMS).unwrap();
        assert_eq!(items.items(), [br#"{"a": 1}"#.as_slice(), b"5"]);
    }

    /// Nothing is read of other fields, and a name that was cut within an emoji costs no item.
    #[test]
    fn a_list_is_found_by_its_name_whatever_the_others_are() {
        for text in [
            r#"{"a\ud83d":1,"e":[5]}"#,
            r#"{"e":[5],"a\ud83d":{"\udc00":"\ud83d"}}"#,
            r#"{"\u0065":[5]}"#,
        ] {
            let items = list_in_object(text.as_bytes(), "e", MAX_ITEMS);
            assert_eq!(items.unwrap().items(), [b"5"], "{text}");
        }
        assert_eq!(list_in_object(br#"{"e\ud83d":[5]}"#, "e", MAX_ITEMS), None);
    }
}
