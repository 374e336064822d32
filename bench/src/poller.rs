//! Whether one environment keeps up with one poller of the event source mapping.
//!
//! A poller hands over no next batch before the last one is answered, so that what counts is the time on the clock, with
//! answers of the upstream that take as long as over a network.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::cases;
use crate::contestants::{Contestant, Job};
use crate::lambda::Environment;
use crate::services::Conditions;
use crate::statistics::Quartiles;

/// What one poller fetches in a second.
/// <https://docs.aws.amazon.com/lambda/latest/dg/kafka-scaling-modes.html>
pub(crate) const POLLER_BYTES: f64 = 5e6;

/// An assumption about Segment: about a round trip between regions.
pub(crate) const ANSWER_TIME: Duration = Duration::from_millis(50);

/// Invocations of each contestant, after one that reads the secret.
const ROUNDS: usize = 15;

/// What one contestant takes.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) name: String,
    /// From the event to its answer, in milliseconds.
    pub(crate) wall_ms: Quartiles,
    /// Bytes of events in a second.
    pub(crate) bytes_per_second: f64,
}

/// Invokes every source with 10,000 records that are all exported, in turns.
#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
pub(crate) fn all(contestants: &[Contestant]) -> Result<Vec<Kept>> {
    let case = cases::source(10_000, 1, 1);
    let conditions = Conditions { answer_time: ANSWER_TIME, ..Conditions::default() };
    let mut running = Vec::new();
    for contestant in contestants {
        if contestant.job == Job::Source && contestant.missing().is_none() {
            let mut environment = Environment::start_under(contestant.command(), conditions)?;
            environment.invoke(&case.event)?;
            running.push((contestant.name.clone(), environment, Vec::new()));
        }
    }
    for _ in 0..ROUNDS {
        for (_, environment, times) in &mut running {
            let began = Instant::now();
            environment.invoke(&case.event)?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    let kept = running.into_iter().map(|(name, _, times)| {
        let wall_ms = Quartiles::of(times).context("nothing was measured")?;
        let bytes_per_second = case.event.len() as f64 / (wall_ms.median / 1e3);
        Ok(Kept { name, wall_ms, bytes_per_second })
    });
    kept.collect()
}
