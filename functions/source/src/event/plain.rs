//! Reads events as Lambda writes them, in one pass over their bytes. `serde_json` would look at every
//! record twice to read it in whatever form it stands.
//!
//! Invariants: what is read here is what [`MskEvent`](super::MskEvent) would read. Where an event has anything unusual
//! (an escape in a value, a list in place of the map, a field twice), nothing is read here. Of what is not used, no more
//! than its end is looked for: Lambda does not write what is not JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr2;

use super::batch::{Batch, Form};

/// The records of an event.
pub(super) fn read(event: &[u8]) -> Option<Batch> {
    let mut scanner = Scanner(event);
    let mut batch = None;
    scanner.object(|scanner, key| match key {
        b"records" if batch.is_some() => None,
        b"records" => {
            let mut read = Batch::for_event(event.len());
            scanner.object(|scanner, partition| {
                read.partition(std::str::from_utf8(partition).ok()?.to_owned());
                scanner.list(|scanner| scanner.record(&mut read))
            })?;
            batch = Some(read);
            Some(())
        }
        _ => scanner.skip(),
    })?;
    scanner.blanks();
    let mut batch = batch.filter(|_| scanner.0.is_empty())?;
    batch.sort();
    Some(batch)
}

/// What is left of the text.
struct Scanner<'e>(&'e [u8]);

impl<'e> Scanner<'e> {
    fn blanks(&mut self) {
        while let [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    /// The next byte after blanks.
    fn peek(&mut self) -> Option<u8> {
        self.blanks();
        self.0.first().copied()
    }

    /// Takes this byte.
    fn take(&mut self, byte: u8) -> Option<()> {
        self.blanks();
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    /// A text without escapes.
    fn text(&mut self) -> Option<&'e [u8]> {
        self.take(b'"')?;
        let end = memchr2(b'"', b'\\', self.0)?;
        let (text, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.strip_prefix(b"\"")?;
        Some(text)
    }

    /// A number without fraction.
    fn integer(&mut self) -> Option<i64> {
        self.blanks();
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (text, rest) = self.0.split_at_checked(digits)?;
        let ends = matches!(rest.first(), Some(b',' | b'}' | b' ' | b'\n' | b'\r' | b'\t'));
        if !ends || (digits > 1 && text.starts_with(b"0")) {
            return None;
        }
        self.0 = rest;
        std::str::from_utf8(text).ok()?.parse().ok()
    }

    /// Passes over a value.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => self.skip_text()?,
                b'{' | b'[' => {
                    self.0 = self.0.get(1..)?;
                    depth += 1;
                    continue;
                }
                b'}' | b']' if depth > 0 => {
                    self.0 = self.0.get(1..)?;
                    depth -= 1;
                }
                b',' | b':' if depth > 0 => {
                    self.0 = self.0.get(1..)?;
                    continue;
                }
                b't' | b'f' | b'n' | b'-' | b'0'..=b'9' => {
                    let other = |byte: &u8| {
                        matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t')
                    };
                    self.0 = self.0.get(self.0.iter().position(other)?..)?;
                }
                _ => return None,
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn skip_text(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            let end = memchr2(b'"', b'\\', self.0)?;
            let is_escape = self.0.get(end) == Some(&b'\\');
            self.0 = self.0.get(end + if is_escape { 2 } else { 1 }..)?;
            if !is_escape {
                return Some(());
            }
        }
    }

    /// An object, value by value.
    fn object(&mut self, mut value: impl FnMut(&mut Self, &'e [u8]) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            return self.take(b'}');
        }
        loop {
            let key = self.text()?;
            self.take(b':')?;
            value(self, key)?;
            if self.peek()? == b'}' {
                return self.take(b'}');
            }
            self.take(b',')?;
        }
    }

    /// A list, value by value.
    fn list(&mut self, mut value: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(b'[')?;
        if self.peek()? == b']' {
            return self.take(b']');
        }
        loop {
            value(self)?;
            if self.peek()? == b']' {
                return self.take(b']');
            }
            self.take(b',')?;
        }
    }

    /// A record with an offset.
    fn record(&mut self, batch: &mut Batch) -> Option<()> {
        let (mut offset, mut value) = (None, None);
        self.object(|scanner, key| match key {
            b"offset" if offset.is_none() => {
                offset = Some(scanner.integer()?);
                Some(())
            }
            b"value" if value.is_none() => {
                value = Some(if scanner.peek()? == b'"' { Some(scanner.text()?) } else { None });
                if value == Some(None) { scanner.null() } else { Some(()) }
            }
            // What stands there twice is for others to understand.
            b"offset" | b"value" => None,
            _ => scanner.skip(),
        })?;
        batch.record(offset?, |bytes| decode(value.flatten(), bytes).ok_or(())).ok()
    }

    fn null(&mut self) -> Option<()> {
        self.0 = self.0.strip_prefix(b"null")?;
        Some(())
    }
}

/// Decodes a value.
fn decode(value: Option<&[u8]>, bytes: &mut Vec<u8>) -> Option<Form> {
    let Some(text) = value else { return Some(Form::Tombstone) };
    if base64_simd::STANDARD.decode_append(text, bytes).is_ok() {
        return Some(Form::Decoded);
    }
    // What the one refuses, the other may take.
    if let Ok(decoded) = STANDARD.decode(text) {
        bytes.extend_from_slice(&decoded);
        return Some(Form::Decoded);
    }
    let text = std::str::from_utf8(text).ok().filter(|text| !text.contains(|c: char| c < ' '))?;
    bytes.extend_from_slice(text.as_bytes());
    Some(Form::NotBase64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::event::MskEvent;

    fn others(event: &str) -> Option<Batch> {
        serde_json::from_str::<MskEvent>(event).ok().map(Batch::from)
    }

    /// By record: what a reader sees. Empty partitions are of no interest.
    fn seen(batch: &Batch) -> Vec<String> {
        batch.iter().map(|record| format!("{record:?}")).collect()
    }

    #[test]
    fn an_event_as_lambda_writes_it_is_read() {
        let event = json!({
            "eventSource": "aws:kafka", "bootstrapServers": "b\"1", "records": {
                "t-1": [{"topic": "t", "partition": 1, "offset": 15, "timestamp": 1_545_084_650_987_i64,
                    "timestampType": "CREATE_TIME", "key": "SDE=", "value": "e30=", "headers": [{"h": [-1, 255]}]}],
                "t-0": [{"topic": "t", "partition": 0, "offset": 7, "value": null, "headers": []},
                    {"offset": 8, "value": "no base64"}, {"offset": 9, "value": "e30"}],
                "t-2": [],
            },
        });
        for text in [event.to_string(), serde_json::to_string_pretty(&event).unwrap()] {
            let batch = read(text.as_bytes()).unwrap();
            assert_eq!(seen(&batch), seen(&others(&text).unwrap()));
            let first: Vec<_> = batch.iter().map(|one| (one.partition, one.offset)).collect();
            assert_eq!(first, [("t-0", 7), ("t-0", 8), ("t-0", 9), ("t-1", 15)]);
        }
    }

    #[test]
    fn an_unusual_event_is_left_to_others() {
        let good = r#"{"offset":1,"value":"e30="}"#;
        for records in [
            r#"[{"offset":1,"value":"e30="}]"#,
            r#"{"t-0":{"offset":1,"value":"e30="}}"#,
            r#"{"t-0":{"0":{"offset":1,"value":"e30="}}}"#,
            r#"{"t\u002d0":[]}"#,
            r#"{"t-0":[null]}"#,
            r#"{"t-0":[{"value":"e30="}]}"#,
            r#"{"t-0":[{"offset":"1","value":"e30="}]}"#,
            r#"{"t-0":[{"offset":1.5,"value":"e30="}]}"#,
            r#"{"t-0":[{"offset":01,"value":"e30="}]}"#,
            r#"{"t-0":[{"offset":1,"offset":2,"value":"e30="}]}"#,
            r#"{"t-0":[{"offset":1,"value":{}}]}"#,
            r#"{"t-0":[{"offset":1,"value":"e3\u0030="}]}"#,
            r#"{"t-0":[{"offset":1,"value":nul}]}"#,
            r#"{"t-0":[{"offset":1,"v\u0061lue":"e30="}]}"#,
            "null",
        ] {
            let event = format!(r#"{{"records":{records}}}"#);
            assert_eq!(read(event.as_bytes()), None, "{event}");
        }
        for event in [
            "",
            "{}",
            "[]",
            "{\"records\":{}}}",
            "{\"records\":{},\"records\":{}}",
            "{\"records\":{\"t-0\":[",
        ] {
            assert_eq!(read(event.as_bytes()), None, "{event}");
        }
        assert!(read(format!(r#"{{"records":{{"t-0":[{good},{good}]}}}}"#).as_bytes()).is_some());
    }

    #[test]
    fn what_is_no_json_is_left_to_others() {
        for text in [
            r#"{"a":}"#,
            r#"{"a":]}"#,
            r#"{"a":,"records":{}}"#,
            r#"{"a"::1,"records":{}}"#,
            r#"{"records":{"t-0":[{"offset":01,"value":"e30="}]}}"#,
            // A field that stands twice.
            r#"{"records":{"t-0":[{"offset":1,"value":"e30=","value":null}]}}"#,
            r#"{"records":{"t-0":[{"offset":1,"value":"e30=","offset":2}]}}"#,
            r#"{"records":{},"records":{}}"#,
            r#"{"records":{"t-0":[{"offset":99999999999999999999,"value":"e30="}]}}"#,
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        assert!(read(br#"{"a":[{"b":[]}],"records":{}}"#).is_some());
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<Vec<u8>>().prop_map(|bytes| STANDARD.encode(bytes).into()),
            "[A-Za-z0-9+/=]{0,12}".prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
            Just(Value::Null),
            Just(json!({"a": [1]})),
            Just(json!(5)),
        ]
    }

    fn record() -> impl Strategy<Value = Value> {
        let offset = prop_oneof![
            4 => any::<u32>().prop_map(Value::from),
            1 => Just(json!("7")),
            1 => Just(json!(i64::MAX)),
            1 => Just(Value::Null),
        ];
        let headers =
            prop_oneof![Just(json!([])), Just(json!([{"a\"]": [1, -2]}, {}])), Just(json!("x"))];
        (offset, value(), headers, any::<bool>()).prop_map(|(offset, value, headers, first)| {
            let mut record = json!({"topic": "t", "timestamp": -1.5e3, "headers": headers});
            let record_fields = record.as_object_mut().unwrap();
            let mut fields = vec![("offset", offset), ("value", value)];
            if first {
                fields.reverse();
            }
            for (name, value) in fields {
                record_fields.insert(name.to_owned(), value);
            }
            record
        })
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_others_read(
            partitions in proptest::collection::vec(("t-[0-3]", proptest::collection::vec(record(), 0..4)), 0..4),
            pretty in any::<bool>(),
        ) {
            let records: Value = partitions.into_iter().map(|(key, records)| (key, Value::from(records))).collect();
            let event = json!({"eventSource": "aws:kafka", "other": {"a": ["]", 1]}, "records": records});
            let text = if pretty { serde_json::to_string_pretty(&event) } else { serde_json::to_string(&event) };
            let text = text.unwrap();
            if let Some(batch) = read(text.as_bytes()) {
                prop_assert_eq!(seen(&batch), seen(&others(&text).unwrap()));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(
            prop_oneof![Just(b'{'), Just(b'}'), Just(b'"'), Just(b'['), Just(b']'), Just(b','), Just(b':'), Just(b'\\'), Just(b'1'), any::<u8>()], 0..60)
        ) {
            let mut event = b"{\"records\":{\"t-0\":[{\"offset\":1,\"value\":\"e30=\"".to_vec();
            event.extend(&bytes);
            read(&event);
            read(&bytes);
        }
    }
}
