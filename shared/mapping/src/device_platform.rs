//! Pushwoosh's platforms: the numbers its API speaks and the names people read.
//!
//! Numbers: <https://docs.pushwoosh.com/developer/api-reference/api-identifiers>.

use crate::field::fold;

/// A delivery platform of Pushwoosh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Platform {
    /// iPhone and iPad.
    Ios,
    /// Android with Google services.
    Android,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
    /// Amazon devices.
    Amazon,
    /// Safari.
    Safari,
    /// Chrome; Pushwoosh's own web SDK uses it for every browser.
    Chrome,
    /// Firefox.
    Firefox,
    /// Internet Explorer 11 (legacy).
    InternetExplorer,
    /// E-mail.
    Email,
    /// Android with Huawei services.
    Huawei,
    /// SMS.
    Sms,
    /// Xiaomi.
    Xiaomi,
    /// WhatsApp.
    WhatsApp,
    /// LINE.
    Line,
}

/// Number, display name, and the spellings (folded as in [`Platform::parse`]) of every platform.
const TABLE: &[(Platform, i64, &str, &[&str])] = &[
    (Platform::Ios, 1, "iOS", &["ios", "iphone", "ipad"]),
    (Platform::Android, 3, "Android", &["android"]),
    (Platform::MacOs, 7, "macOS", &["macos", "osx"]),
    (Platform::Windows, 8, "Windows", &["windows"]),
    (Platform::Amazon, 9, "Amazon", &["amazon"]),
    (Platform::Safari, 10, "Safari", &["safari"]),
    (Platform::Chrome, 11, "Chrome", &["chrome", "web"]),
    (Platform::Firefox, 12, "Firefox", &["firefox"]),
    (Platform::InternetExplorer, 13, "IE", &["ie", "internetexplorer"]),
    (Platform::Email, 14, "Email", &["email"]),
    (Platform::Huawei, 17, "Huawei", &["huawei", "huaweiandroid"]),
    (Platform::Sms, 18, "SMS", &["sms"]),
    (Platform::Xiaomi, 19, "Xiaomi", &["xiaomi"]),
    (Platform::WhatsApp, 21, "WhatsApp", &["whatsapp"]),
    (Platform::Line, 22, "LINE", &["line"]),
];

/// The number of the proto enum's `WEB`; the same as [`Platform::Chrome`] for us.
const WEB_NUMBER: i64 = 20;

impl Platform {
    fn row(self) -> Option<&'static (Self, i64, &'static str, &'static [&'static str])> {
        TABLE.iter().find(|row| row.0 == self)
    }

    /// The number used as `device_type` on Pushwoosh's wire.
    pub fn number(self) -> i64 {
        self.row().map_or(0, |row| row.1)
    }

    /// The name as Pushwoosh writes it for people.
    pub fn name(self) -> &'static str {
        self.row().map_or("", |row| row.2)
    }

    /// The platform with this `device_type` number.
    pub fn from_number(number: i64) -> Option<Self> {
        let number = if number == WEB_NUMBER { Self::Chrome.number() } else { number };
        TABLE.iter().find(|row| row.1 == number).map(|row| row.0)
    }

    /// Reads a name in any case; blanks, `-` and `_` do not count. A number as text is accepted.
    pub fn parse(text: &str) -> Option<Self> {
        // What the topic has; names need folding.
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().and_then(Self::from_number);
        }
        let folded = fold(text);
        TABLE
            .iter()
            .find(|row| row.3.contains(&folded.as_str()))
            .map(|row| row.0)
            .or_else(|| folded.parse().ok().and_then(Self::from_number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_reads_back_from_its_name_and_number() {
        for (platform, number, name, _) in TABLE {
            assert_eq!(Platform::parse(name), Some(*platform));
            assert_eq!(Platform::from_number(*number), Some(*platform));
            assert_eq!(Platform::parse(&number.to_string()), Some(*platform));
        }
    }

    #[test]
    fn names_are_read_in_any_case_and_unknown_ones_are_refused() {
        assert_eq!(Platform::parse(" IOS "), Some(Platform::Ios));
        assert_eq!(Platform::parse("HUAWEI_ANDROID"), Some(Platform::Huawei));
        assert_eq!(Platform::parse("web"), Some(Platform::Chrome));
        assert_eq!(Platform::parse("toaster"), None);
        assert_eq!(Platform::parse(""), None);
    }
}
