//! Which secret holds an application: its own, that of all applications, or a shard, which holds those whose
//! codes begin alike.

use std::fmt;

/// Begins what stands for an application's code, or for its first characters.
const OPEN: &str = "{app_code";

/// Ends it.
const CLOSE: char = '}';

/// Characters of a code that may name a shard: a Pushwoosh code has five before its dash.
const LONGEST_SHARD: usize = 5;

/// Longest application code; Pushwoosh's have eleven characters.
pub const MAX_CODE_CHARS: usize = 64;

/// Whether this may be an application's code. It becomes part of a secret's id: it must not be able to name another
/// secret. Pushwoosh's are like `XXXXX-XXXXX`.
pub fn is_code(code: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !code.is_empty() && code.len() <= MAX_CODE_CHARS && code.bytes().all(allowed)
}

/// Where secrets are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretPlace {
    before: String,
    whose: Whose,
    after: String,
}

/// The applications of one secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// All that there are: the secret is a map.
    All,
    /// One: the secret is its settings.
    One,
    /// Those whose codes have the same first characters: the secret is a map.
    Shard(usize),
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, after, .. } = self;
        match self.whose {
            Whose::All => f.write_str(before),
            Whose::One => write!(f, "{before}{OPEN}{CLOSE}{after}"),
            Whose::Shard(length) => write!(f, "{before}{OPEN}:{length}{CLOSE}{after}"),
        }
    }
}

impl SecretPlace {
    /// Reads a template such as `segment-pushwoosh/{app_code}`; nothing where it cannot be meant.
    pub fn parse(template: &str) -> Option<Self> {
        let of = |before: &str, whose, after: &str| {
            let plain = |text: &str| !text.contains(['{', CLOSE]);
            let (before_is, after_is) = (plain(before), plain(after));
            let place = Self { before: before.to_owned(), whose, after: after.to_owned() };
            (before_is && after_is).then_some(place)
        };
        let Some((before, rest)) = template.split_once(OPEN) else {
            return of(template, Whose::All, "");
        };
        let (length, after) = rest.split_once(CLOSE)?;
        let whose = match length.strip_prefix(':') {
            None if length.is_empty() => Whose::One,
            None => return None,
            Some(length) => {
                let length = length.parse().ok()?;
                (1..=LONGEST_SHARD).contains(&length).then_some(Whose::Shard(length))?
            }
        };
        of(before, whose, after)
    }

    /// Name of the secret that holds an application.
    pub fn of(&self, code: &str) -> String {
        let Self { before, after, .. } = self;
        match self.whose {
            Whose::All => before.clone(),
            Whose::One => format!("{before}{code}{after}"),
            Whose::Shard(length) => {
                format!("{before}{}{after}", code.get(..length).unwrap_or(code))
            }
        }
    }

    /// Whether a secret holds a map of applications by their codes.
    pub fn is_map(&self) -> bool {
        self.whose != Whose::One
    }

    /// Whether a secret may hold no application: a shard whose last one was removed. A secret for all applications
    /// that is empty is a mistake.
    pub(super) fn may_be_empty(&self) -> bool {
        matches!(self.whose, Whose::Shard(_))
    }

    /// The code of the application that a secret of its own is for.
    pub fn code_in<'n>(&self, name: &'n str) -> Option<&'n str> {
        let code = name.strip_prefix(&*self.before)?.strip_suffix(&*self.after)?;
        (!self.is_map()).then_some(code)
    }

    /// Whether one of these codes is looked for where the other is.
    pub(super) fn is_same(&self, one: &str, other: &str) -> bool {
        self.of(one) == self.of(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(template: &str, code: &str) -> Option<String> {
        SecretPlace::parse(template).map(|place| place.of(code))
    }

    #[test]
    fn a_secret_holds_one_application_some_or_all() {
        for (template, expected) in [
            ("a/{app_code}", "a/ABCDE-12345"),
            ("a/{app_code}/b", "a/ABCDE-12345/b"),
            ("a/{app_code:2}", "a/AB"),
            ("a/{app_code:5}/b", "a/ABCDE/b"),
            ("a/all", "a/all"),
        ] {
            assert_eq!(name(template, "ABCDE-12345").as_deref(), Some(expected), "{template}");
            assert_eq!(SecretPlace::parse(template).unwrap().to_string(), template);
        }
        assert_eq!(name("a/{app_code:2}", "A").as_deref(), Some("a/A"));
        let code = |template: &str, name: &'static str| SecretPlace::parse(template)?.code_in(name);
        assert_eq!(code("a/{app_code}/b", "a/ABCDE-12345/b"), Some("ABCDE-12345"));
        assert_eq!(code("a/{app_code:2}", "a/AB"), None);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for template in [
            "a/{app_code:0}",
            "a/{app_code:6}",
            "a/{app_code:}",
            "a/{app_code:x}",
            "a/{app_code",
            "a/{app_codes}",
            "a/{code}",
            "a/{app_code}{app_code}",
            "a/}",
        ] {
            assert_eq!(SecretPlace::parse(template), None, "{template}");
        }
    }
}
