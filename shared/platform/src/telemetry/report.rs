//! What an invocation writes at its end: one log line with its counters, a warning per application that
//! an upstream refuses, and the metrics.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use jiff::Timestamp;
use mapping::Outcome;
use serde_json::{Map, Value};

use super::emf::{emf, emf_of_waiting};
use super::tally::{Count, Tally};

/// Reports an invocation that ends now.
pub fn report(function: &'static str, tally: &Tally, cold_start: bool, now: Timestamp) {
    tally.add(Count::Invocations, 1);
    tally.add(Count::ColdStarts, u64::from(cold_start));
    for (count, code) in tally.refusals() {
        let (metric, _) = count.metric();
        tracing::warn!(app.code = code, metric, "an upstream refuses an application's calls");
    }
    let (outcomes, counts) = (tally.outcomes(), tally.counts());
    let [delivered, disregarded, parked, rejected, failed] =
        Outcome::CODES.map(|code| number_of(&outcomes, code));
    let count = |count| counts.get(&count).copied().unwrap_or_default();
    let reasons = Value::Object(reasons(&outcomes)).to_string();
    tracing::info!(
        function,
        items.delivered = delivered,
        items.disregarded = disregarded,
        items.parked = parked,
        items.rejected = rejected,
        items.failed = failed,
        reasons,
        duration_ms = count(Count::DurationMs),
        upstream_ms = count(Count::UpstreamMs),
        cold_start,
        "invocation"
    );
    let mut lines = emf_of_waiting(function, tally, now);
    lines.push(emf(function, tally, now));
    let text = lines.iter().fold(String::new(), |mut text, line| {
        // Writing to a String cannot fail.
        writeln!(text, "{line}").ok();
        text
    });
    // A metric that cannot be written is no reason to fail the invocation.
    std::io::stdout().lock().write_all(text.as_bytes()).ok();
    #[cfg(feature = "otel")]
    crate::otel::flush();
}

fn number_of(outcomes: &BTreeMap<Outcome, u64>, code: &str) -> u64 {
    outcomes.iter().filter(|(outcome, _)| outcome.code() == code).map(|(_, number)| number).sum()
}

/// Reasons and how many items ended with each.
fn reasons(outcomes: &BTreeMap<Outcome, u64>) -> Map<String, Value> {
    let reasons =
        outcomes.iter().filter_map(|(outcome, number)| Some((outcome.reason()?, *number)));
    reasons.map(|(reason, number)| (reason.code().to_owned(), number.into())).collect()
}

#[cfg(test)]
mod tests {
    use mapping::{Cause, Reason};

    use super::*;

    #[test]
    fn outcomes_are_summed_by_code_and_listed_by_reason() {
        let tally = Tally::default();
        tally.item(Reason::NoPlatform.into());
        tally.items(Reason::NoIdentity.into(), 2);
        tally.item(Outcome::Failed(Cause::QueueUnavailable));
        let outcomes = tally.outcomes();
        assert_eq!(number_of(&outcomes, "disregarded"), 3);
        assert_eq!((number_of(&outcomes, "failed"), number_of(&outcomes, "parked")), (1, 0));
        let reasons = reasons(&outcomes);
        assert_eq!(reasons.len(), 2);
        assert_eq!(reasons["no_identity"], 2);
    }
}
