//! Every environment variable that the functions read.
//!
//! Invariants: this is the only place that names them; all problems are reported at once; a
//! variable with our prefix that nobody reads is told, since it is most likely misspelt. Keys are
//! never in the environment (see [`crate::secrets`]).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What every variable of ours begins with.
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
#[derive(Debug, Clone, Copy)]
pub enum Expected {
    /// Any text, not empty.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number in this range.
    Number(u64, u64),
    /// A list of [`mapping::tracking_log::Extra`] names with commas between, or nothing.
    TrackProperties,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Flag => f.write_str("true or false"),
            Self::Number(min, max) => write!(f, "a whole number from {min} to {max}"),
            Self::TrackProperties => {
                f.write_str("nothing, or some of message_code, campaign_id with commas between")
            }
        }
    }
}

/// Where applications' secrets are unless another place is set.
pub const DEFAULT_SECRET_ID: &str = "segment-pushwoosh/{app_code}";

const SECRET_ID: Variable = Variable {
    name: "PWSEG_SECRET_ID",
    default: Some(DEFAULT_SECRET_ID),
    expected: Expected::Text,
    doc: "Name or ARN of the secret in AWS Secrets Manager. `{app_code}` stands for the application's code; without it, one secret holds a map of all applications.",
};
const SECRET_TTL_S: Variable = Variable {
    name: "PWSEG_SECRET_TTL_S",
    default: Some("300"),
    expected: Expected::Number(1, 86_400),
    doc: "Seconds for which a secret is used before it is read again.",
};
const TIME_BUDGET_MS: Variable = Variable {
    name: "PWSEG_TIME_BUDGET_MS",
    default: Some("4000"),
    expected: Expected::Number(1_000, 25_000),
    doc: "Milliseconds within which the destination answers, whatever Pushwoosh does. The last second is kept for parking.",
};
const CONCURRENCY: Variable = Variable {
    name: "PWSEG_CONCURRENCY",
    default: Some("64"),
    expected: Expected::Number(1, 1_000),
    doc: "Items of one request that are sent to Pushwoosh at the same time.",
};
const RETRY_QUEUE_URL: Variable = Variable {
    name: "PWSEG_RETRY_QUEUE_URL",
    default: None,
    expected: Expected::Text,
    doc: "URL of the SQS queue for what could not be delivered yet.",
};
const REJECTS_QUEUE_URL: Variable = Variable {
    name: "PWSEG_REJECTS_QUEUE_URL",
    default: None,
    expected: Expected::Text,
    doc: "URL of the SQS queue for what can never be delivered as it is.",
};
const PARTIAL_BATCH_RESPONSE: Variable = Variable {
    name: "PWSEG_PARTIAL_BATCH_RESPONSE",
    default: Some("false"),
    expected: Expected::Flag,
    doc: "Whether the event source mapping reads the source's partial-batch response (provisioned pollers only). Without it a failed record fails the whole batch, so that Lambda brings all of it again.",
};
const SEGMENT_GZIP: Variable = Variable {
    name: "PWSEG_SEGMENT_GZIP",
    default: Some("false"),
    expected: Expected::Flag,
    doc: "Whether batches for Segment are compressed.",
};
const SEGMENT_CONCURRENCY: Variable = Variable {
    name: "PWSEG_SEGMENT_CONCURRENCY",
    default: Some("8"),
    expected: Expected::Number(1, 100),
    doc: "Batches that are sent to Segment at the same time.",
};
const TRACK_PROPERTIES: Variable = Variable {
    name: "PWSEG_TRACK_PROPERTIES",
    default: Some(""),
    expected: Expected::TrackProperties,
    doc: "Properties that Track calls carry beyond `message_type`, `campaign_code` and `device_type`.",
};
const RETRY_FIRST_DELAY_S: Variable = Variable {
    name: "PWSEG_RETRY_FIRST_DELAY_S",
    default: Some("30"),
    expected: Expected::Number(0, 900),
    doc: "Seconds before a parked item is tried for the first time; the delay doubles with every attempt.",
};
const RETRY_MAX_DELAY_S: Variable = Variable {
    name: "PWSEG_RETRY_MAX_DELAY_S",
    default: Some("43200"),
    expected: Expected::Number(1, 43_200),
    doc: "Longest delay between two attempts, in seconds; SQS allows 12 hours.",
};
const RETRY_MAX_AGE_S: Variable = Variable {
    name: "PWSEG_RETRY_MAX_AGE_S",
    default: Some("1209600"),
    expected: Expected::Number(60, 1_209_600),
    doc: "Seconds after which a parked item goes to the dead-letter queue; SQS keeps messages for 14 days at most.",
};

/// All of them, in the order of the documentation.
pub const VARIABLES: &[Variable] = &[
    SECRET_ID,
    SECRET_TTL_S,
    RETRY_QUEUE_URL,
    REJECTS_QUEUE_URL,
    TIME_BUDGET_MS,
    CONCURRENCY,
    PARTIAL_BATCH_RESPONSE,
    SEGMENT_GZIP,
    SEGMENT_CONCURRENCY,
    TRACK_PROPERTIES,
    RETRY_FIRST_DELAY_S,
    RETRY_MAX_DELAY_S,
    RETRY_MAX_AGE_S,
];

/// The settings of a function. Fields are named after their variables; see [`VARIABLES`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is documented by its variable in VARIABLES")]
pub struct Settings {
    pub secret_id: String,
    pub secret_ttl: Duration,
    pub retry_queue_url: String,
    pub rejects_queue_url: String,
    pub time_budget: Duration,
    pub concurrency: usize,
    pub partial_batch_response: bool,
    pub segment_gzip: bool,
    pub segment_concurrency: usize,
    pub track_properties: Vec<mapping::tracking_log::Extra>,
    pub retry_first_delay: Duration,
    pub retry_max_delay: Duration,
    pub retry_max_age: Duration,
}

/// Everything that is wrong with the environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment is not usable: {}", .0.join("; "))]
pub struct Problems(pub Vec<String>);

impl Settings {
    /// Reads this process's environment, and tells unknown variables in the log.
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

    /// Reads settings from named values.
    pub fn read(variables: &BTreeMap<String, String>) -> Result<Self, Problems> {
        let mut reader = Reader { variables, problems: Vec::new() };
        let settings = Self {
            secret_id: reader.text(&SECRET_ID),
            secret_ttl: Duration::from_secs(reader.number(&SECRET_TTL_S)),
            retry_queue_url: reader.text(&RETRY_QUEUE_URL),
            rejects_queue_url: reader.text(&REJECTS_QUEUE_URL),
            time_budget: Duration::from_millis(reader.number(&TIME_BUDGET_MS)),
            concurrency: reader.size(&CONCURRENCY),
            partial_batch_response: reader.flag(&PARTIAL_BATCH_RESPONSE),
            segment_gzip: reader.flag(&SEGMENT_GZIP),
            segment_concurrency: reader.size(&SEGMENT_CONCURRENCY),
            track_properties: reader.track_properties(&TRACK_PROPERTIES),
            retry_first_delay: Duration::from_secs(reader.number(&RETRY_FIRST_DELAY_S)),
            retry_max_delay: Duration::from_secs(reader.number(&RETRY_MAX_DELAY_S)),
            retry_max_age: Duration::from_secs(reader.number(&RETRY_MAX_AGE_S)),
        };
        if reader.problems.is_empty() { Ok(settings) } else { Err(Problems(reader.problems)) }
    }
}

/// Names with our prefix that nobody reads.
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
                .push(format!("{} is missing: set it to {}", variable.name, variable.expected));
        }
        value.map(str::to_owned)
    }

    fn problem(&mut self, variable: &Variable) {
        self.problems.push(format!("{} must be {}", variable.name, variable.expected));
    }

    fn text(&mut self, variable: &Variable) -> String {
        self.value(variable).unwrap_or_default()
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

    fn track_properties(&mut self, variable: &Variable) -> Vec<mapping::tracking_log::Extra> {
        let names = self.value(variable).unwrap_or_default();
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        let read: Option<Vec<_>> = names.map(mapping::tracking_log::Extra::parse).collect();
        read.unwrap_or_else(|| {
            self.problem(variable);
            Vec::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(change: &[(&str, &str)]) -> BTreeMap<String, String> {
        let queues = [
            ("PWSEG_RETRY_QUEUE_URL", "https://q/retry"),
            ("PWSEG_REJECTS_QUEUE_URL", "https://q/rejects"),
        ];
        queues
            .iter()
            .chain(change)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_queues_are_all_that_must_be_set() {
        let settings = Settings::read(&environment(&[])).unwrap();
        assert_eq!(settings.secret_id, "segment-pushwoosh/{app_code}");
        assert_eq!(settings.time_budget, Duration::from_secs(4));
        assert_eq!(settings.concurrency, 64);
    }

    #[test]
    fn all_problems_are_told_at_once_with_what_is_expected() {
        let environment = BTreeMap::from([
            ("PWSEG_CONCURRENCY".to_owned(), "0".to_owned()),
            ("PWSEG_SEGMENT_GZIP".to_owned(), "yes".to_owned()),
            ("PWSEG_TRACK_PROPERTIES".to_owned(), "payload".to_owned()),
            ("PWSEG_REJECTS_QUEUE_URL".to_owned(), " ".to_owned()),
        ]);
        let problems = Settings::read(&environment).unwrap_err().0;
        assert_eq!(
            problems,
            [
                "PWSEG_RETRY_QUEUE_URL is missing: set it to text",
                "PWSEG_REJECTS_QUEUE_URL is missing: set it to text",
                "PWSEG_CONCURRENCY must be a whole number from 1 to 1000",
                "PWSEG_SEGMENT_GZIP must be true or false",
                "PWSEG_TRACK_PROPERTIES must be nothing, or some of message_code, campaign_id with commas between",
            ]
        );
    }

    #[test]
    fn misspelt_names_are_found() {
        let environment = environment(&[("PWSEG_CONCURENCY", "5")]);
        assert_eq!(unknown(&environment), ["PWSEG_CONCURENCY"]);
    }
}
