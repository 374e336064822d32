//! What can be seen of a record without reading it: its application and its event, for the many records of which no more
//! is needed. It is much cheaper than reading.
//!
//! Invariant: nothing is seen that reading would not find, as long as the record is JSON text. Where there is any doubt
//! (another spelling of the field's name, an escape, an object inside an object before it), nothing is seen, and the record
//! has to be read. Whether the rest of a record is JSON text is not asked: who has no use for it need not know.

use std::sync::LazyLock;

use memchr::memchr2;
use memchr::memmem::Finder;

/// How a field is found.
struct Field {
    /// Its name as most producers write it, with its quotes.
    name: Finder<'static>,
    /// What all its other spellings have, in lower and in upper case.
    other: [Finder<'static>; 2],
}

impl Field {
    fn new(name: &'static str, lower: &'static str, upper: &'static str) -> Self {
        Self { name: Finder::new(name), other: [Finder::new(lower), Finder::new(upper)] }
    }

    /// The field's text.
    fn find<'r>(&self, record: &'r [u8]) -> Option<&'r str> {
        let at = self.name.find(record)?;
        let (before, after) = record.split_at_checked(at)?;
        let after = after.get(self.name.needle().len()..)?;
        // In an object, and not in one inside it. Inside a text the quotes would be escaped.
        let before = before.trim_ascii().strip_prefix(b"{")?;
        let is_name = before.is_empty() || before.ends_with(b",");
        if !is_name || memchr2(b'{', b'[', before).is_some() {
            return None;
        }
        let text = after.trim_ascii_start().strip_prefix(b":")?;
        let text = text.trim_ascii_start().strip_prefix(b"\"")?;
        let end = memchr2(b'"', b'\\', text)?;
        let (text, rest) = text.split_at_checked(end)?;
        // The last field of a name counts.
        if !rest.starts_with(b"\"") || self.other.iter().any(|other| other.find(rest).is_some()) {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?.trim();
        (!text.is_empty()).then_some(text)
    }
}

static APPLICATION: LazyLock<Field> =
    LazyLock::new(|| Field::new("\"application_code\"", "pplication", "PPLICATION"));

static EVENT: LazyLock<Field> = LazyLock::new(|| Field::new("\"event_name\"", "vent", "VENT"));

/// A record that looks like most records.
#[derive(Debug, Clone, Copy)]
pub struct Glimpse<'r>(&'r [u8]);

impl<'r> Glimpse<'r> {
    /// A look at a record. Nothing where it is no object for sure, or ends in another one.
    pub fn at(record: &'r [u8]) -> Option<Self> {
        let record = record.trim_ascii();
        let fields = record.strip_suffix(b"}")?.trim_ascii_end();
        let looks_whole =
            record.starts_with(b"{") && !fields.ends_with(b"}") && !fields.ends_with(b",");
        looks_whole.then_some(Self(record))
    }

    /// Application code.
    pub fn application(self) -> Option<&'r str> {
        APPLICATION.find(self.0)
    }

    /// Name of the event.
    pub fn event(self) -> Option<&'r str> {
        EVENT.find(self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tracking_log::Record;

    fn seen(record: &str) -> Option<(&str, &str)> {
        let glimpse = Glimpse::at(record.as_bytes())?;
        Some((glimpse.application()?, glimpse.event()?))
    }

    #[test]
    fn a_usual_record_is_seen() {
        for record in [
            r#"{"event_name":"Push Sent","application_code":"A"}"#,
            r#" {"application_code" : " A ","event_name": "Push Sent", "payload": {"a": 1}, "n": 1 } "#,
            r#"{"payload":"\"application_code\":\"B\"","application_code":"A","event_name":"Push Sent"}"#,
        ] {
            assert_eq!(seen(record), Some(("A", "Push Sent")), "{record}");
        }
    }

    #[test]
    fn what_could_mean_something_else_is_not_seen() {
        for record in [
            "",
            "[]",
            "{}",
            r#""application_code":"A","event_name":"Push Sent""#,
            r#"{"application_code":"A","event_name":"Push Sent"}}"#,
            r#"{"application_code":"A","event_name":"Push Sent",}"#,
            r#"{"application_code":"A","event_name":"Push Sent","application_code":"B"}"#,
            r#"{"application_code":"A","event_name":"Push Sent","applicationCode":"B"}"#,
            r#"{"application_code":"A","event_name":"Push Sent","APPLICATION-CODE":"B"}"#,
            r#"{"event_name":"Push Sent","application_code":"A","EVENT NAME":"Email Sent"}"#,
            r#"{"event_name":"Push Sent","payload":{"application_code":"B"},"a":1}"#,
            r#"{"event_name":"Push Sent","payload":[{"a":1,"application_code":"B"}],"a":1}"#,
            r#"{"event_name":"Push Sent","application_code":"\u0041"}"#,
            r#"{"event_name":"Push Sent","application_code":{"string":"A"},"a":1}"#,
            r#"{"event_name":"Push Sent","application_code":" "}"#,
            r#"{"event_name":5,"application_code":"A"}"#,
            r#"{"event_name":"Push Sent","a":"x,\"application_code","b":"A"}"#,
        ] {
            assert_eq!(seen(record), None, "{record}");
        }
    }

    /// A field of a record, of those that may be mistaken for another.
    fn field() -> impl Strategy<Value = String> {
        let names = [
            "application_code",
            "applicationCode",
            "event_name",
            "EVENT_NAME",
            "hwid",
            "a\\\"b",
            "x,",
            "p{",
        ];
        let values = [
            r#""A""#,
            r#""B""#,
            r#""Push Sent""#,
            r#""Push Opened""#,
            "5",
            "null",
            r#"{"application_code":"C","event_name":"X"}"#,
            r#"[{"event_name":"Y"}]"#,
            r#"",\"application_code\":\"D\"""#,
            r#""application_code""#,
            r#"" ""#,
            r#""\u0041""#,
            r#"{"string":"E"}"#,
            r#"",\"event_name""#,
        ];
        let (names, values) =
            (proptest::sample::select(names.to_vec()), proptest::sample::select(values.to_vec()));
        (names, values, 0..2_usize).prop_map(|(name, value, blanks)| {
            let blank = " ".repeat(blanks);
            format!("{blank}\"{name}\"{blank}:{blank}{value}{blank}")
        })
    }

    proptest! {
        #[test]
        fn what_is_seen_is_what_reading_finds(fields in proptest::collection::vec(field(), 0..6)) {
            let text = format!("{{{}}}", fields.join(","));
            let record = Record::read(text.as_bytes()).unwrap();
            if let Some(glimpse) = Glimpse::at(text.as_bytes()) {
                if let Some(application) = glimpse.application() {
                    prop_assert_eq!(record.application(), Ok(application), "{}", text);
                }
                if let Some(event) = glimpse.event() {
                    prop_assert_eq!(record.event_name.text(), Some(event), "{}", text);
                }
            }
        }
    }
}
