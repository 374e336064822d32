//! From the start of a process until it asks for its first event, and until it has answered it.

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::cases;
use crate::contestants::{Contestant, Job};
use crate::lambda::Environment;
use crate::services::Conditions;
use crate::statistics::Quartiles;
use crate::tls::Authority;

/// Starts of each contestant.
const STARTS: usize = 15;

/// What one contestant needs to start, in milliseconds.
#[derive(Debug, Clone)]
pub(crate) struct Started {
    pub(crate) name: String,
    pub(crate) job: Job,
    /// Wall time until it asks for an event.
    pub(crate) ready: Quartiles,
    /// CPU time until then.
    pub(crate) ready_cpu: Quartiles,
    /// Wall time from then until a first, small event is answered, with the first secret.
    pub(crate) first: Quartiles,
    /// The same where the secret and the upstream are reached by TLS. The floor and the empty function do without.
    pub(crate) first_tls: Option<Quartiles>,
    /// Memory after that.
    pub(crate) memory: u64,
}

/// Starts every contestant, in turns.
#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
pub(crate) fn all(contestants: &[Contestant]) -> Result<Vec<Started>> {
    let (source, destination) = (cases::source(100, 1, 1), cases::destination(1));
    let authority = Authority::new()?;
    let tls = Conditions { authority: Some(&authority), ..Conditions::default() };
    let mut times = vec![(Vec::new(), Vec::new(), Vec::new(), Vec::new(), 0); contestants.len()];
    for _ in 0..STARTS {
        for (contestant, times) in contestants.iter().zip(&mut times) {
            if contestant.missing().is_some() {
                continue;
            }
            let event = match contestant.job {
                Job::Destination => &destination.event,
                Job::Source | Job::Floor | Job::Empty => &source.event,
            };
            let mut command = contestant.command();
            command.env("BENCH_FLOOR_BYTES", "40000");
            let mut environment =
                Environment::start(command).with_context(|| contestant.name.clone())?;
            let began = Instant::now();
            environment.invoke(event).with_context(|| contestant.name.clone())?;
            times.2.push(began.elapsed().as_secs_f64() * 1e3);
            times.0.push(environment.ready.as_secs_f64() * 1e3);
            times.1.push(environment.ready_cpu_ns as f64 / 1e6);
            times.4 = environment.high_water()?;
            if matches!(contestant.job, Job::Floor | Job::Empty) {
                continue;
            }
            let mut environment = Environment::start_under(contestant.command(), tls)
                .with_context(|| contestant.name.clone())?;
            let began = Instant::now();
            environment.invoke(event).with_context(|| format!("{}, TLS", contestant.name))?;
            times.3.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    let started = contestants.iter().zip(times).filter_map(|(contestant, times)| {
        Some(Started {
            name: contestant.name.clone(),
            job: contestant.job,
            ready: Quartiles::of(times.0)?,
            ready_cpu: Quartiles::of(times.1)?,
            first: Quartiles::of(times.2)?,
            first_tls: Quartiles::of(times.3),
            memory: times.4,
        })
    });
    Ok(started.collect())
}
