//! Every environment variable that the functions read.
//!
//! Invariants: this is the only place that names them; all problems are reported at once; a
//! variable with our prefix that is unknown is logged, since it is most likely misspelt. Keys are
//! never in the environment (see [`crate::secrets`]).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use mapping::tracking_log::OptionalProperty;

use crate::networks::Networks;
use crate::secret_place::SecretPlace;

/// Prefix of every variable of the functions.
pub const PREFIX: &str = "PWSEG_";

/// An environment variable.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Value where it is not set; without one it is required.
    pub default: Option<&'static str>,
    /// What is accepted.
    pub expected: Expected,
    /// What it does, for `docs/CONFIGURATION.md`.
    pub doc: &'static str,
}

/// What a variable may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Any text, not empty.
    Text,
    /// Any text, or nothing.
    AnyText,
    /// `true` or `false`.
    Flag,
    /// A whole number in this range.
    Number(u64, u64),
    /// A comma-separated list of [`OptionalProperty`] names, or nothing.
    TrackProperties,
    /// A comma-separated list of addresses and networks, or nothing.
    Networks,
    /// The name of secrets; see [`crate::secrets`].
    SecretId,
    /// Which items have a log line.
    LogItems,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("a non-empty string"),
            Self::AnyText => f.write_str("any text"),
            Self::Flag => f.write_str("true or false"),
            Self::LogItems => f.write_str("undelivered or all"),
            Self::SecretId => f.write_str(
                "a name with at most one of {app_code} and {app_code:1} to {app_code:5}",
            ),
            Self::Number(min, max) => write!(f, "a whole number from {min} to {max}"),
            Self::Networks => f.write_str(
                "empty or a comma-separated list of addresses and networks in CIDR notation",
            ),
            Self::TrackProperties => {
                let names: Vec<_> = OptionalProperty::ALL.iter().map(|one| one.name()).collect();
                write!(f, "empty or a comma-separated list of {}", names.join(", "))
            }
        }
    }
}

/// Which items have a log line of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogItems {
    /// Those that were not delivered, up to a limit.
    #[default]
    Undelivered,
    /// All of them.
    All,
}

/// Where applications' secrets are unless another place is set.
pub const DEFAULT_SECRET_ID: &str = "segment-pushwoosh/{app_code}";

/// The settings: a field of [`Settings`], its type and how it is read, its variable. A setting is
/// added here and nowhere else; the template and the documentation are checked against this list.
macro_rules! settings {
    ($($field:ident: $type:ty = $read:ident($name:literal, $default:expr, $expected:expr), $doc:literal;)*) => {
        /// All variables, in the order of the documentation.
        pub const VARIABLES: &[Variable] = &[
            $(Variable { name: $name, default: $default, expected: $expected, doc: $doc },)*
        ];

        /// The settings of a function.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Settings {
            $(#[doc = concat!("`", $name, "`: ", $doc)] pub $field: $type,)*
        }

        impl Settings {
            /// Reads settings from named values.
            pub fn read(variables: &BTreeMap<String, String>) -> Result<Self, Problems> {
                let mut reader = Reader { variables, problems: Vec::new() };
                let settings = Self {
                    $($field: reader.$read(&Variable {
                        name: $name, default: $default, expected: $expected, doc: $doc,
                    }),)*
                };
                if reader.problems.is_empty() { Ok(settings) } else { Err(Problems(reader.problems)) }
            }
        }
    };
}

settings! {
    secret_id: String = secret_id("PWSEG_SECRET_ID", Some(DEFAULT_SECRET_ID), Expected::SecretId),
        "Name or ARN of the secret in AWS Secrets Manager. `{app_code}` stands for the application's code, `{app_code:2}` for its first two characters (1 to 5): then a secret holds a map of the applications whose codes begin so. Without either, one secret holds a map of all applications.";
    secret_ttl: Duration = seconds("PWSEG_SECRET_TTL_S", Some("300"), Expected::Number(1, 86_400)),
        "Seconds for which a secret is used before it is read again.";
    previous_key_grace: Duration = seconds("PWSEG_PREVIOUS_KEY_GRACE_S", Some("86400"), Expected::Number(0, 604_800)),
        "Seconds after a rotation for which the destination accepts the key and the shared secret before it too.";
    retry_queue_url: String = text("PWSEG_RETRY_QUEUE_URL", None, Expected::Text),
        "URL of the SQS queue for what could not be delivered yet.";
    rejects_queue_url: String = text("PWSEG_REJECTS_QUEUE_URL", None, Expected::Text),
        "URL of the SQS queue for what can never be delivered as it is.";
    dead_queue_url: String = text("PWSEG_DEAD_QUEUE_URL", None, Expected::Text),
        "URL of the SQS dead-letter queue, where parked items go that reach `PWSEG_RETRY_MAX_AGE_S`.";
    ledger_table: String = text("PWSEG_LEDGER_TABLE", None, Expected::Text),
        "Name of the DynamoDB table that remembers deletions, and the times of tags, while something is parked.";
    time_budget: Duration = milliseconds("PWSEG_TIME_BUDGET_MS", Some("4000"), Expected::Number(1_000, 25_000)),
        "Milliseconds within which the destination answers, whatever Pushwoosh does. No call starts in the last two seconds or so: they are kept for answers and for parking. Of a smaller budget it is a part.";
    concurrency: usize = size("PWSEG_CONCURRENCY", Some("64"), Expected::Number(1, 1_000)),
        "Items of one request that are sent to Pushwoosh at the same time.";
    allowed_addresses: Networks = networks("PWSEG_ALLOWED_ADDRESSES", Some(""), Expected::Networks),
        "Addresses and networks from which the destination accepts requests; empty: all.";
    partial_batch_response: bool = flag("PWSEG_PARTIAL_BATCH_RESPONSE", Some("false"), Expected::Flag),
        "Whether the event source mapping reads the source's partial-batch response (provisioned pollers only). Without it a failed record fails the whole batch, and Lambda sends all of it again.";
    segment_gzip: bool = flag("PWSEG_SEGMENT_GZIP", Some("false"), Expected::Flag),
        "Whether batches for Segment are compressed.";
    segment_concurrency: usize = size("PWSEG_SEGMENT_CONCURRENCY", Some("8"), Expected::Number(1, 100)),
        "Batches that are sent to Segment at the same time.";
    stack_name: String = text("PWSEG_STACK_NAME", Some(""), Expected::AnyText),
        "Name of the stack, which the `messageId` of Track calls depends on: Segment removes repeats over a whole workspace, and two stacks must not share ids.";
    log_salt: String = text("PWSEG_LOG_SALT", Some(""), Expected::AnyText),
        "Key of the hashes that stand for ids in logs: the stack's ARN, so that the same id has another hash in another stack.";
    log_items: LogItems = log_items("PWSEG_LOG_ITEMS", Some("undelivered"), Expected::LogItems),
        "Which items have a log line of their own. `undelivered`: those that were not delivered, at most 100 in an invocation, then one line with the counts of the others. `all`: every item, as in the sandbox; of those that wait on after another attempt, at most 100 in an invocation.";
    track_properties: Vec<OptionalProperty> = track_properties("PWSEG_TRACK_PROPERTIES", Some(""), Expected::TrackProperties),
        "Properties that Track calls carry beyond `message_type`, `campaign_code` and `device_type`.";
    retry_first_delay: Duration = seconds("PWSEG_RETRY_FIRST_DELAY_S", Some("30"), Expected::Number(0, 900)),
        "Seconds before a parked item is tried for the first time; the delay doubles with every attempt.";
    retry_max_delay: Duration = seconds("PWSEG_RETRY_MAX_DELAY_S", Some("900"), Expected::Number(1, 900)),
        "Longest delay between two attempts, in seconds; SQS delays a message by 15 minutes at most.";
    retry_max_age: Duration = seconds("PWSEG_RETRY_MAX_AGE_S", Some("604800"), Expected::Number(1, 1_123_200)),
        "Seconds after which a parked item goes to the dead-letter queue, counted from its arrival. At most 13 days: SQS deletes a message after 14.";
}

/// Everything that is wrong with the environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment is not usable: {}", .0.join("; "))]
pub struct Problems(pub Vec<String>);

impl Settings {
    /// Reads this process's environment, and logs unknown variables.
    pub fn from_env() -> Result<Self, Problems> {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        for name in unknown(&variables) {
            tracing::warn!(
                variable = name,
                "an unknown setting was ignored: its name may be misspelt"
            );
        }
        Self::read(&variables)
    }
}

/// Unknown names with our prefix.
pub fn unknown(variables: &BTreeMap<String, String>) -> Vec<&str> {
    variables
        .keys()
        .map(String::as_str)
        .filter(|name| {
            name.starts_with(PREFIX) && !VARIABLES.iter().any(|known| known.name == *name)
        })
        .collect()
}

struct Reader<'a> {
    variables: &'a BTreeMap<String, String>,
    problems: Vec<String>,
}

impl Reader<'_> {
    /// The value, trimmed, or the default; none is a problem.
    fn value(&mut self, variable: &Variable) -> Option<String> {
        let set = self.variables.get(variable.name).map(|value| value.trim());
        let value = set.filter(|value| !value.is_empty()).or(variable.default);
        if value.is_none() {
            self.problems
                .push(format!("{} is required: set it to {}", variable.name, variable.expected));
        }
        value.map(str::to_owned)
    }

    fn problem(&mut self, variable: &Variable) {
        self.problems.push(format!("{} must be {}", variable.name, variable.expected));
    }

    fn text(&mut self, variable: &Variable) -> String {
        self.value(variable).unwrap_or_default()
    }

    fn secret_id(&mut self, variable: &Variable) -> String {
        let id = self.text(variable);
        if !is_secret_id(&id) {
            self.problem(variable);
        }
        id
    }

    fn number(&mut self, variable: &Variable) -> u64 {
        let Some(value) = self.value(variable) else {
            return 0;
        };
        let number = value.parse().ok();
        let fits = number.filter(|number| match variable.expected {
            Expected::Number(min, max) => (min..=max).contains(number),
            _ => true,
        });
        fits.unwrap_or_else(|| {
            self.problem(variable);
            0
        })
    }

    fn seconds(&mut self, variable: &Variable) -> Duration {
        Duration::from_secs(self.number(variable))
    }

    fn milliseconds(&mut self, variable: &Variable) -> Duration {
        Duration::from_millis(self.number(variable))
    }

    fn size(&mut self, variable: &Variable) -> usize {
        usize::try_from(self.number(variable)).unwrap_or(usize::MAX)
    }

    fn flag(&mut self, variable: &Variable) -> bool {
        match self.value(variable).as_deref() {
            Some("true") => true,
            Some("false") | None => false,
            Some(_) => {
                self.problem(variable);
                false
            }
        }
    }

    fn log_items(&mut self, variable: &Variable) -> LogItems {
        match self.value(variable).as_deref() {
            Some("all") => LogItems::All,
            Some("undelivered") | None => LogItems::Undelivered,
            Some(_) => {
                self.problem(variable);
                LogItems::Undelivered
            }
        }
    }

    fn networks(&mut self, variable: &Variable) -> Networks {
        let list = self.value(variable).unwrap_or_default();
        Networks::parse(&list).unwrap_or_else(|| {
            self.problem(variable);
            Networks::default()
        })
    }

    fn track_properties(&mut self, variable: &Variable) -> Vec<OptionalProperty> {
        let names = self.value(variable).unwrap_or_default();
        track_properties(&names).unwrap_or_else(|| {
            self.problem(variable);
            Vec::new()
        })
    }
}

/// Whether it may be the value of `PWSEG_SECRET_ID`.
pub fn is_secret_id(id: &str) -> bool {
    !id.is_empty() && SecretPlace::parse(id).is_some()
}

/// Reads the value of `PWSEG_TRACK_PROPERTIES`; nothing where it names an unknown property.
pub fn track_properties(names: &str) -> Option<Vec<OptionalProperty>> {
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(OptionalProperty::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(change: &[(&str, &str)]) -> BTreeMap<String, String> {
        let queues = [
            ("PWSEG_RETRY_QUEUE_URL", "https://q/retry"),
            ("PWSEG_REJECTS_QUEUE_URL", "https://q/rejects"),
            ("PWSEG_DEAD_QUEUE_URL", "https://q/dead"),
            ("PWSEG_LEDGER_TABLE", "ledger"),
        ];
        queues
            .iter()
            .chain(change)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_queues_and_the_ledger_are_all_that_must_be_set() {
        let settings = Settings::read(&environment(&[])).unwrap();
        assert_eq!(settings.secret_id, "segment-pushwoosh/{app_code}");
        assert_eq!(settings.time_budget, Duration::from_secs(4));
        assert_eq!(settings.concurrency, 64);
    }

    #[test]
    fn log_lines_are_for_undelivered_items_or_for_all() {
        for (value, expected) in [
            ("", LogItems::Undelivered),
            ("undelivered", LogItems::Undelivered),
            ("all", LogItems::All),
        ] {
            let settings = Settings::read(&environment(&[("PWSEG_LOG_ITEMS", value)])).unwrap();
            assert_eq!(settings.log_items, expected, "{value}");
        }
    }

    #[test]
    fn all_problems_are_reported_at_once_with_what_is_expected() {
        let environment = BTreeMap::from([
            ("PWSEG_CONCURRENCY".to_owned(), "0".to_owned()),
            ("PWSEG_SEGMENT_GZIP".to_owned(), "yes".to_owned()),
            ("PWSEG_SECRET_ID".to_owned(), "all/{app_code:9}".to_owned()),
            ("PWSEG_TRACK_PROPERTIES".to_owned(), "payload".to_owned()),
            ("PWSEG_ALLOWED_ADDRESSES".to_owned(), "192.0.2.0/33".to_owned()),
            ("PWSEG_REJECTS_QUEUE_URL".to_owned(), " ".to_owned()),
        ]);
        let problems = Settings::read(&environment).unwrap_err().0;
        assert_eq!(
            problems,
            [
                "PWSEG_SECRET_ID must be a name with at most one of {app_code} and {app_code:1} to {app_code:5}",
                "PWSEG_RETRY_QUEUE_URL is required: set it to a non-empty string",
                "PWSEG_REJECTS_QUEUE_URL is required: set it to a non-empty string",
                "PWSEG_DEAD_QUEUE_URL is required: set it to a non-empty string",
                "PWSEG_LEDGER_TABLE is required: set it to a non-empty string",
                "PWSEG_CONCURRENCY must be a whole number from 1 to 1000",
                "PWSEG_ALLOWED_ADDRESSES must be empty or a comma-separated list of addresses and networks in CIDR notation",
                "PWSEG_SEGMENT_GZIP must be true or false",
                "PWSEG_TRACK_PROPERTIES must be empty or a comma-separated list of message_code, campaign_id",
            ]
        );
    }

    #[test]
    fn misspelt_names_are_found() {
        let environment = environment(&[("PWSEG_CONCURENCY", "5")]);
        assert_eq!(unknown(&environment), ["PWSEG_CONCURENCY"]);
    }
}
