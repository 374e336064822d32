//! One case, with all its contestants in turns, so that what else the machine does meets all of them.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::cases::Case;
use crate::contestants::{Contestant, Job};
use crate::lambda::Environment;
use crate::say;
use crate::services::Received;
use crate::statistics::Quartiles;

/// Invocations before anything is counted: compilers of Node and Bun have seen everything by then.
const WARM_ITEMS: usize = 100_000;
const WARM_INVOCATIONS: (usize, usize) = (5, 300);

/// Rounds of a case: each contestant is invoked once per round.
const ROUNDS: (usize, usize) = (15, 200);

/// No further rounds after this, beyond the least. Segment's libraries wait for up to a second in an invocation.
const CASE_TIME: Duration = Duration::from_secs(20);

/// No further warming up after this, beyond the least.
const WARM_TIME: Duration = Duration::from_secs(10);

/// What one contestant needs for one case.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) is_ours: bool,
    /// CPU time of an invocation in milliseconds.
    pub(crate) cpu_ms: Quartiles,
    pub(crate) memory: u64,
}

/// A contestant that is invoked.
struct Running {
    contestant: Contestant,
    environment: Environment,
    received: Received,
    cpu_ms: Vec<f64>,
}

/// Measures a case. Contestants that cannot be started are left out here; the report names them.
pub(crate) fn case(case: &Case, contestants: &[Contestant]) -> Result<Vec<Measured>> {
    let mut running = Vec::new();
    let mut sent = 0;
    for contestant in contestants {
        let takes_part = match contestant.job {
            Job::Floor => case.job == Job::Source,
            job => job == case.job,
        };
        if !takes_part || !(contestant.is_ours || case.has_peers) || contestant.missing().is_some()
        {
            continue;
        }
        let one = start(case, contestant, sent)
            .with_context(|| format!("{}: {}", case.title, contestant.name))?;
        if contestant.is_ours {
            sent = one.received.bytes;
        }
        running.push(one);
    }
    same_work(case, &running)?;
    rounds(case, &mut running)?;
    let mut all = Vec::new();
    for one in running {
        all.push(Measured {
            memory: one.environment.high_water()?,
            name: one.contestant.name,
            is_ours: one.contestant.is_ours,
            cpu_ms: Quartiles::of(one.cpu_ms).context("nothing was measured")?,
        });
    }
    Ok(all)
}

fn start(case: &Case, contestant: &Contestant, sent: u64) -> Result<Running> {
    let mut command = contestant.command();
    command.env("BENCH_FLOOR_BYTES", sent.to_string());
    let mut environment = Environment::start(command)?;
    let (least, most) = WARM_INVOCATIONS;
    let mut received = Received::default();
    #[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
    let started = Instant::now();
    for invocation in 0..(WARM_ITEMS / case.items).clamp(least, most) {
        if invocation >= least && started.elapsed() > WARM_TIME {
            break;
        }
        environment.invoke(&case.event)?;
        received = environment.services.take();
    }
    Ok(Running { contestant: contestant.clone(), environment, received, cpu_ms: Vec::new() })
}

/// All have sent the same Track calls, by number and ids.
fn same_work(case: &Case, running: &[Running]) -> Result<()> {
    let work = |one: &Running| match case.job {
        Job::Source => (one.received.calls, one.received.ids),
        _ => (one.received.requests, 0),
    };
    let workers = running.iter().filter(|one| one.contestant.job != Job::Floor);
    let Some(first) = workers.clone().next() else { bail!("nobody takes part in {}", case.title) };
    if work(first).0 == 0 {
        bail!("{}: {} sent nothing", case.title, first.contestant.name);
    }
    for one in workers {
        if work(one) != work(first) {
            let (name, other) = (&one.contestant.name, &first.contestant.name);
            bail!("{}: {name} sent {:?}, {other} {:?}", case.title, one.received, first.received);
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn rounds(case: &Case, running: &mut [Running]) -> Result<()> {
    let started = Instant::now();
    let (least, most) = ROUNDS;
    for round in 0..most {
        if round >= least && started.elapsed() > CASE_TIME {
            break;
        }
        for one in &mut *running {
            let cpu = one.environment.measure(&case.event)?;
            one.cpu_ms.push(cpu as f64 / 1e6);
        }
    }
    Ok(())
}

/// Invokes one bootstrap with a case, and prints CPU time and memory: for profilers, and for a quick look.
pub(crate) fn drive(name: &str, file: &Path, times: usize) -> Result<()> {
    let case = crate::cases::named(name).with_context(|| format!("there is no case {name}"))?;
    let contestant = Contestant::also(name, &file.display().to_string());
    let mut command = contestant.command();
    command.env("BENCH_FLOOR_BYTES", std::env::var("BENCH_FLOOR_BYTES").unwrap_or_default());
    let mut environment = Environment::start(command)?;
    let mut cpu_ms = Vec::new();
    for _ in 0..times {
        cpu_ms.push(environment.measure(&case.event)? as f64 / 1e6);
    }
    let first = cpu_ms.first().copied().unwrap_or_default();
    let received = environment.services.take();
    say(&format!(
        "{name}: CPU {:?} ms, first {first:.1}; ready {:?}, CPU {:.2} ms; memory {:.1} MB; {received:?}",
        Quartiles::of(cpu_ms).map(|cpu| (cpu.low, cpu.median, cpu.high)),
        environment.ready,
        environment.ready_cpu_ns as f64 / 1e6,
        environment.high_water()? as f64 / 1e6,
    ));
    environment.end()
}
