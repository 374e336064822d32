//! Texts that Segment takes for a date.

use crate::instant::instant;
use crate::js::to_number;

/// Largest unix time of JavaScript's dates, in seconds.
const MAX_SECONDS: f64 = 8.64e12;

/// Whether Segment accepts a text as a date: a unix time, or what its date library parses.
pub(super) fn is_date_like(text: &str) -> bool {
    // The usual form first; it cannot be a number.
    if text.get(4..5) == Some("-") && instant(text).is_some() {
        return true;
    }
    let number = to_number(text);
    if ryu_js::Buffer::new().format(number) == text && !number.is_nan() {
        return number.abs() <= MAX_SECONDS;
    }
    // Dates without a separator are checked by `is_loose_date`.
    let separated = text.contains(['-', '/', ' ', ',']) && number.is_nan();
    (separated && instant(text).is_some()) || is_loose_date(text) || is_lone_number(text)
}

/// Largest year of JavaScript's dates.
const MAX_YEAR: u32 = 275_760;

/// A month or a year, with blanks or a minus sign before it: JavaScript's `Date` parses it.
fn is_lone_number(text: &str) -> bool {
    let digits = text.trim().trim_start_matches('-').trim_start();
    is_digits(digits) && matches!(digits.parse(), Ok(0..=12 | 32..=MAX_YEAR))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Digits at the places of a date, with any values: `20260102`, `2026-13-45`, `2026-001`.
fn is_loose_date(text: &str) -> bool {
    let Some((year, mut rest)) = text.split_at_checked(4) else {
        return false;
    };
    for _ in 0..2 {
        rest = skip_digits(skip_one(rest, &['-', '/']));
    }
    rest = rest.trim_start_matches(|c: char| matches!(c, 'T' | 't') || c.is_ascii_whitespace());
    for _ in 0..2 {
        rest = skip_one(skip_digits(rest), &[':']);
    }
    is_digits(year) && is_digits(skip_one(skip_digits(rest), &['.', ':']))
}

/// The text after its first digits, at most two.
fn skip_digits(text: &str) -> &str {
    let digit = |c: char| c.is_ascii_digit();
    let rest = text.strip_prefix(digit).unwrap_or(text);
    rest.strip_prefix(digit).unwrap_or(rest)
}

fn skip_one<'t>(text: &'t str, separators: &[char]) -> &'t str {
    text.strip_prefix(separators).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_accepted_as_segment_accepts_them() {
        for text in [
            "2026-01-02",
            "2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05.678+01:00",
            "2026/01/02",
            "2026-01-02 03:04",
            "Jan 2, 2026",
            "Fri, 02 Jan 2026 03:04:05 GMT",
            "01/02/2026",
            "1767323045",
            "0",
            "-5",
            "1.5",
            "8640000000000",
            "-8640000000000",
            "20260102",
            "20260102t030405",
            "2026-13-45",
            "2026-001",
            "2026-1-2",
            "2026",
            "2026 ",
            "2026-01-02T03:04:05:123456",
            "2026-01-02T03:04:05.123456",
            "2026-01-02T \t03",
            " 0",
            " 12",
            " 32",
            "- 5",
            " -5",
            " 275760",
        ] {
            assert!(is_date_like(text), "{text}");
        }
    }

    #[test]
    fn any_other_text_is_not_a_date() {
        for text in [
            "",
            " ",
            "-",
            "today",
            "NaN",
            "Infinity",
            "8640000000001",
            "-8640000000001",
            "1e21",
            "202-",
            "2026-01-02x",
            "2026-01-02T03:04:05Zx",
            "2026-01-02T03:04:05+0x",
            "2026--01-02",
            "2026-01--02",
            "2026x",
            "10:00",
            " 13",
            " +5",
            " 31",
            " 275761",
            "5 x",
            "x-y",
        ] {
            assert!(!is_date_like(text), "{text}");
        }
    }
}
