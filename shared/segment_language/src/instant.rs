//! Points in time, in every form that Segment's client accepts and that occurs on the topic.
//!
//! Segment passes a timestamp on unchanged if it is a number or a text that its date library parses.
//! A numeric text is a unix time; a date without a zone is UTC; a month or a day that is too large
//! runs over into the next, as in that library.

use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// Absolute values below this are seconds (up to year 5138).
const MAX_SECONDS: i128 = 100_000_000_000;
const MAX_MILLISECONDS: i128 = MAX_SECONDS * 1_000;

/// Forms of dates that people write, beside the standard ones.
const WRITTEN: &[&str] =
    &["%b %d %Y", "%b %d, %Y", "%B %d %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%m/%d/%Y"];

/// Times of day that may follow a date.
const TIMES: &[&str] = &["", " %H:%M", " %H:%M:%S", " %H:%M:%S%.f"];

/// Parses a point in time; `None` if the text has none of the known forms.
pub fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    unix(text)
        .or_else(|| text.parse().ok())
        .or_else(|| TimeZone::UTC.to_timestamp(loose(text)?).ok())
        .or_else(|| jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp()))
        .or_else(|| written(text))
}

/// Seconds, milliseconds or microseconds since 1970, with or without a fraction.
fn unix(text: &str) -> Option<Timestamp> {
    if let Ok(number) = text.parse::<i64>() {
        return match i128::from(number).abs() {
            n if n < MAX_SECONDS => Timestamp::from_second(number),
            n if n < MAX_MILLISECONDS => Timestamp::from_millisecond(number),
            _ => Timestamp::from_microsecond(number),
        }
        .ok();
    }
    let (whole, fraction) = text.split_once('.')?;
    let whole: i64 = whole.parse().ok()?;
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if i128::from(whole).abs() >= MAX_SECONDS {
        return unix(&whole.to_string());
    }
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds = i128::from(whole) * 1_000_000_000 + digits.parse::<i128>().ok()?;
    Timestamp::from_nanosecond(nanoseconds).ok()
}

/// `2026-1-2`, `2026/01/02 03:04`, `2026-01-02T03:04:05.678`: year first, no zone.
fn loose(text: &str) -> Option<DateTime> {
    let end = text.find(['T', 't', ' ']).unwrap_or(text.len());
    let (day, time) = text.split_at_checked(end)?;
    let mut day = day.split(['-', '/']);
    let year = day.next().filter(|year| year.len() == 4)?;
    let month = small(day.next())?.unwrap_or(1);
    let days = small(day.next())?.unwrap_or(1);
    if day.next().is_some() {
        return None;
    }
    let mut time = time.trim_start_matches(['T', 't', ' ']).split([':', '.']);
    let first = time.next().filter(|hour| !hour.is_empty());
    let (hours, minutes, seconds) = (small(first)?, small(time.next())?, small(time.next())?);
    let fraction = match time.next() {
        None => 0,
        Some(digits) => digits.chars().take(3).collect::<String>().parse().ok()?,
    };
    if time.next().is_some() {
        return None;
    }
    let span = Span::new()
        .try_months(month - 1)
        .ok()?
        .try_days(days - 1)
        .ok()?
        .try_hours(hours.unwrap_or(0))
        .ok()?
        .try_minutes(minutes.unwrap_or(0))
        .ok()?
        .try_seconds(seconds.unwrap_or(0))
        .ok()?
        .try_milliseconds(fraction)
        .ok()?;
    date(1, 1, 1)
        .with()
        .year(year.parse().ok()?)
        .build()
        .ok()?
        .at(0, 0, 0, 0)
        .checked_add(span)
        .ok()
}

/// A number of one or two digits: `Some(None)` if it is absent, `None` if it is anything else.
#[expect(clippy::option_option, reason = "absent and wrong are different things here")]
fn small(part: Option<&str>) -> Option<Option<i64>> {
    match part {
        None => Some(None),
        Some(digits)
            if (1..=2).contains(&digits.len())
                && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Some(digits.parse().ok())
        }
        Some(_) => None,
    }
}

fn written(text: &str) -> Option<Timestamp> {
    WRITTEN.iter().find_map(|day| {
        TIMES.iter().find_map(|time| {
            let format = format!("{day}{time}");
            let parsed = jiff::fmt::strtime::parse(format, text).ok()?;
            let at = if time.is_empty() {
                parsed.to_date().ok()?.at(0, 0, 0, 0)
            } else {
                parsed.to_datetime().ok()?
            };
            TimeZone::UTC.to_timestamp(at).ok()
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_is_read() {
        for (text, expected) in [
            ("1767323045", "2026-01-02T03:04:05Z"),
            ("1767323045123", "2026-01-02T03:04:05.123Z"),
            ("1767323045123456", "2026-01-02T03:04:05.123456Z"),
            ("1767323045.5", "2026-01-02T03:04:05.5Z"),
            ("-1", "1969-12-31T23:59:59Z"),
            ("5", "1970-01-01T00:00:05Z"),
            ("99999999999", "5138-11-16T09:46:39Z"),
            ("-99999999999", "-001199-02-15T14:13:21Z"),
            ("100000000000", "1973-03-03T09:46:40Z"),
            ("99999999999999", "5138-11-16T09:46:39.999Z"),
            ("100000000000000", "1973-03-03T09:46:40Z"),
            ("1767323045.123456789123", "2026-01-02T03:04:05.123456789Z"),
            ("1767323045123.5", "2026-01-02T03:04:05.123Z"),
            (" 5 ", "1970-01-01T00:00:05Z"),
            ("2026-01-02T03:04:05.6", "2026-01-02T03:04:05.006Z"),
            ("2026-01-02t03", "2026-01-02T03:00:00Z"),
            ("2026-01-02T25:61:61", "2026-01-03T02:02:01Z"),
            ("2026", "1970-01-01T00:33:46Z"),
            ("2026-1-2", "2026-01-02T00:00:00Z"),
            ("2 Jan 2026", "2026-01-02T00:00:00Z"),
            ("2 January 2026 03:04", "2026-01-02T03:04:00Z"),
            ("01/02/2026 03:04:05.5", "2026-01-02T03:04:05.5Z"),
            ("2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.678Z"),
            ("2026-01-02T04:04:05+01:00", "2026-01-02T03:04:05Z"),
            ("2026-01-02", "2026-01-02T00:00:00Z"),
            ("2026-1", "2026-01-01T00:00:00Z"),
            ("2026/01/02", "2026-01-02T00:00:00Z"),
            ("2026-01-02 03:04", "2026-01-02T03:04:00Z"),
            ("2026-01-02T03:04:05.6789", "2026-01-02T03:04:05.678Z"),
            ("2026-02-30", "2026-03-02T00:00:00Z"),
            ("2026-13-45", "2027-02-14T00:00:00Z"),
            ("01/02/2026", "2026-01-02T00:00:00Z"),
            ("Jan 2 2026", "2026-01-02T00:00:00Z"),
            ("January 2, 2026 03:04:05", "2026-01-02T03:04:05Z"),
            ("Fri, 02 Jan 2026 03:04:05 GMT", "2026-01-02T03:04:05Z"),
        ] {
            assert_eq!(instant(text).map(|at| at.to_string()).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn any_other_text_is_refused() {
        for text in [
            "",
            " ",
            "today",
            "10:00",
            "bad",
            "1e21",
            "1.",
            "2026-W01-1",
            "2026-01-02-03",
            "99999999999999999999",
            "1767323045.5x",
            "x.5",
            "026-01-02",
            "20260-01-02",
            "2026-001-02",
            "2026-1x-02",
            "2026-01-02T03:04:05.678.9",
            "2026-01-02T03:04:05.67x",
            "2026-01-02T003",
            "2026-01-02x",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}|[0-9TZ:. /+-]{0,30}") {
            instant(&text);
        }
    }
}
