//! Our side of the measurement of the mapping engines; `engine.cjs` is the other, `bench/run` compares them.
//!
//! Reads events, one per line, and takes each through the two presets as a raw event is taken:
//! trigger, mapping, schema. Prints events per second.

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use segment_language::schema::Mode;
use segment_language::subscription::presets;
use serde_json::Value;

/// Long enough for the clock, short enough for several rounds.
const ROUND: Duration = Duration::from_secs(2);

#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
pub(crate) fn run(file: &str) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{file} cannot be read"))?;
    let events: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let subscriptions = presets();
    let mut payloads = 0_usize;
    let mut pass = || {
        for event in &events {
            for subscription in subscriptions {
                if subscription.selects(black_box(event)) {
                    payloads +=
                        usize::from(black_box(subscription.payload(event, Mode::Single)).is_ok());
                }
            }
        }
        events.len()
    };
    pass();
    let (started, mut mapped) = (Instant::now(), 0);
    while started.elapsed() < ROUND {
        mapped += pass();
    }
    let rate = mapped as f64 / started.elapsed().as_secs_f64();
    anyhow::ensure!(payloads > 0, "no event was mapped");
    writeln!(std::io::stdout(), "{rate:.0}")?;
    Ok(())
}
