//! Reading JSON text that others wrote.
//!
//! A program that cuts a text between the two halves of an emoji writes half a surrogate pair
//! (`"\ud83d"`). It is valid JSON (RFC 8259, section 8.2), and no Rust string can hold it. Each such
//! escape is read as U+FFFD, as browsers do when they encode text, so that the rest of the item counts.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

/// Most levels of lists and objects in an item: `serde_json` reads no deeper, so that no text can use up the stack.
/// <https://docs.rs/serde_json/latest/serde_json/struct.Deserializer.html#method.disable_recursion_limit>
pub const MAX_DEPTH: usize = 127;

/// Bytes of an escape, `\uXXXX`.
const ESCAPE_BYTES: usize = 6;

/// The escape of U+FFFD; as long as those that it stands in for.
const REPLACEMENT: &[u8; ESCAPE_BYTES] = b"\\ufffd";

/// Reads JSON text. Text that can be parsed as it came is parsed once and never scanned.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(text).or_else(|error| match without_lone_surrogates(text) {
        Cow::Borrowed(_) => Err(error),
        Cow::Owned(mended) => serde_json::from_slice(&mended),
    })
}

/// Appends a text with its quotes, escaped as `serde_json` does it. Most texts need no escape: these are copied.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    let escaped = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    // Without an early end, so that the compiler compares many bytes at a time.
    if text.bytes().fold(false, |found, byte| found | escaped(byte)) {
        // Writing to memory cannot fail.
        serde_json::to_writer(out, text).ok();
        return;
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Whether a text is a time exactly as we write one: `2026-01-31T12:00:00Z`. Such a time needs neither to be read
/// nor to be written anew, which takes as long as all the rest of a Track call.
pub(crate) fn is_canonical_time(text: &str) -> bool {
    const FORM: &[u8; 20] = b"0000-00-00T00:00:00Z";
    /// Days of the months; the last one of a leap year's February is left to others.
    const DAYS: [u8; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let bytes = text.as_bytes();
    let formed = bytes.len() == FORM.len()
        && bytes.iter().zip(FORM).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte == form,
        });
    let number = |at: usize| -> u8 {
        let digit = |at: usize| bytes.get(at).map_or(0, |byte| byte.wrapping_sub(b'0'));
        digit(at).wrapping_mul(10).wrapping_add(digit(at + 1))
    };
    let days = DAYS.get(usize::from(number(5).wrapping_sub(1))).copied().unwrap_or_default();
    // Years with fewer digits are left to others too.
    formed
        && number(0) > 0
        && (1..=days).contains(&number(8))
        && number(11) < 24
        && number(14) < 60
        && number(17) < 60
}

/// The text with U+FFFD in place of each escape that is half a surrogate pair.
pub fn without_lone_surrogates(text: &[u8]) -> Cow<'_, [u8]> {
    let mut mended = Cow::Borrowed(text);
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.iter().position(|b| *b == b'\\')) {
        at += found;
        at += match code_unit(text, at) {
            Some(0xD800..=0xDBFF)
                if matches!(code_unit(text, at + ESCAPE_BYTES), Some(0xDC00..=0xDFFF)) =>
            {
                2 * ESCAPE_BYTES
            }
            Some(0xD800..=0xDFFF) => {
                if let Some(escape) = mended.to_mut().get_mut(at..at + ESCAPE_BYTES) {
                    escape.copy_from_slice(REPLACEMENT);
                }
                ESCAPE_BYTES
            }
            Some(_) => ESCAPE_BYTES,
            // Another escape, such as \\ and \n.
            None => 2,
        };
    }
    mended
}

/// The UTF-16 code unit that is escaped at this place.
fn code_unit(text: &[u8], at: usize) -> Option<u16> {
    let digits = text.get(at..at + ESCAPE_BYTES)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_text_is_read_up_to_the_deepest_level() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let read = |levels| read::<Value>(nested(levels).as_bytes());
        assert!(read(MAX_DEPTH).is_ok());
        assert!(read(MAX_DEPTH + 1).unwrap_err().to_string().contains("recursion limit"));
    }

    #[test]
    fn half_a_pair_is_read_as_the_replacement_character() {
        for (text, expected) in [
            (r#""cut \ud83d""#, "cut \u{FFFD}"),
            (r#""\ud83d\n""#, "\u{FFFD}\n"),
            (r#""\uDE00 x""#, "\u{FFFD} x"),
            (r#""\ud83d\ud83d\ude00""#, "\u{FFFD}\u{1F600}"),
            (r#""\ude00\ud83d""#, "\u{FFFD}\u{FFFD}"),
            (r#""\ud83d\u0041""#, "\u{FFFD}A"),
            (r#""\\ud83d\ud83d""#, "\\ud83d\u{FFFD}"),
            (r#""\ud83d\ude00""#, "\u{1F600}"),
        ] {
            assert_eq!(read::<Value>(text.as_bytes()).unwrap(), json!(expected), "{text}");
        }
    }

    #[test]
    fn names_of_fields_are_read_likewise() {
        assert_eq!(
            read::<Value>(br#"{"a\udfff":[{"\ud800":1}]}"#).unwrap(),
            json!({"a\u{FFFD}": [{"\u{FFFD}": 1}]})
        );
    }

    #[test]
    fn what_is_no_json_stays_none_and_keeps_its_error() {
        for text in [r#""\ud83d"#, r#"{"a":"\ud83d",}"#, r#""\u+123""#, r#""\ud83""#, "\\", "\"\\u"]
        {
            assert!(read::<Value>(text.as_bytes()).is_err(), "{text}");
        }
        assert!(matches!(without_lone_surrogates(br#""\ud83d\ude00\\ud83d""#), Cow::Borrowed(_)));
    }

    /// Each UTF-16 text as JSON, with some of its code units as escapes.
    fn escaped(units: &[u16]) -> String {
        let escapes = units.iter().map(|unit| format!("\\u{unit:04x}"));
        format!("\"{}\"", escapes.collect::<String>())
    }

    #[test]
    fn a_canonical_time_is_written_as_it_was_read() {
        let two = |number: u8| format!("{number:02}");
        for number in 0..=99 {
            for time in [
                format!("{}26-01-31T12:00:00Z", two(number)),
                format!("2026-{}-28T12:00:00Z", two(number)),
                format!("2026-02-{}T12:00:00Z", two(number)),
                format!("2024-11-{}T12:00:00Z", two(number)),
                format!("2026-12-{}T12:00:00Z", two(number)),
                format!("2026-01-28T{}:00:00Z", two(number)),
                format!("2026-01-28T12:{}:00Z", two(number)),
                format!("2026-01-28T12:00:{}Z", two(number)),
            ] {
                if is_canonical_time(&time) {
                    let read = segment_language::instant::instant(&time).unwrap();
                    assert_eq!(read.to_string(), time);
                }
            }
        }
        assert!(is_canonical_time("2026-01-31T23:59:59Z"));
        for other in [
            "",
            "2026-01-28T12:00:00z",
            "2026-01-28 12:00:00Z",
            "2026-01-28T12:00:60Z",
            "2026-01-28T12:00:0:Z",
        ] {
            assert!(!is_canonical_time(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_text_is_written_as_serde_json_writes_it(text in ".*") {
            let mut written = Vec::new();
            write_text(&text, &mut written);
            prop_assert_eq!(written, serde_json::to_vec(&text).unwrap());
        }

        /// The standard library reads UTF-16 in the same way.
        #[test]
        fn any_code_units_are_read_as_utf_16(
            units in proptest::collection::vec(
                prop_oneof![any::<u16>(), 0xD7FF_u16..=0xE000, Just(0x5C), Just(0x22)], 0..40)
        ) {
            let read: String = read(escaped(&units).as_bytes()).unwrap();
            prop_assert_eq!(read, String::from_utf16_lossy(&units));
        }

        /// Whatever comes, mending changes no length, and nothing twice.
        #[test]
        fn any_bytes_are_mended_once(bytes in proptest::collection::vec(
            prop_oneof![Just(b'\\'), Just(b'u'), Just(b'd'), Just(b'8'), any::<u8>()], 0..60)
        ) {
            let mended = without_lone_surrogates(&bytes).into_owned();
            prop_assert_eq!(mended.len(), bytes.len());
            prop_assert!(matches!(without_lone_surrogates(&mended), Cow::Borrowed(_)));
        }
    }
}
