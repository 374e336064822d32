//! Weeks of the system's life in seconds: the deployed functions, the models of the services around
//! them, and virtual time, in one process and one thread. A seed makes a story; an oracle that knows
//! nothing of the functions judges its end against the guarantees.
//!
//! The same seed gives the same story, byte for byte: chance comes from the seed, time from Tokio's paused
//! clock, and nothing opens a connection.
//!
//! # Layout
//! * `plan`: what is to happen, made from the seed; `trouble`: what goes wrong; `story`: how it happens.
//! * `senders`: Segment as a caller, and the event source mappings.
//! * `fleet`: a function's environments; `time`: their clocks.
//! * `service`: what the functions call; `services`: the models of it; `network`: the in-memory transport to them,
//!   `incoming`: a request on its way.
//! * `items`: what was sent and what its senders were told; `waiting`: what is on the queues in the end.
//! * [`shorten`]: leaves out of a story what a breach does not need.
//! * `guarantee`: what is promised; [`oracle`]: the judge; [`sabotage`]: what it must notice.
//! * `history`: what the stories found before it was mended; [`tables`]: all of it for the documentation.

mod fleet;
mod guarantee;
mod history;
mod incoming;
mod items;
mod network;
pub mod oracle;
mod plan;
pub mod sabotage;
mod senders;
mod service;
mod services;
pub mod shorten;
mod story;
pub mod tables;
mod time;
mod trouble;
mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use destination::Destination;
use platform::settings::Settings;
use retry::Retry;
use source::Source;

use crate::fleet::Fleet;
use crate::services::World;
pub use guarantee::{Guarantee, Verdict};
pub use plan::Cut;
pub use sabotage::Sabotage;

/// Time limits of the functions, as the template sets them.
const DESTINATION_TIMEOUT: Duration = Duration::from_secs(29);
const OTHER_TIMEOUT: Duration = Duration::from_mins(1);

/// A story comes to rest within this: longer than anything is kept.
const REST: Duration = Duration::from_hours(20 * 24);

/// What was simulated, and how it was judged.
#[derive(Debug)]
pub struct Story {
    /// Where it came from.
    pub seed: u64,
    /// What happened, a line each.
    pub lines: Vec<String>,
    /// Every step, where it was asked for.
    pub trace: Vec<String>,
    /// What was broken, in order.
    pub verdicts: Vec<Verdict>,
    /// How long after the end of their troubles items were delivered that had waited for it.
    pub recoveries: Vec<Duration>,
    /// How many troubles it has, those that are left out included.
    pub troubles: usize,
    /// Items, requests, calls, invocations.
    pub counts: [(&'static str, usize); 4],
}

impl Story {
    /// How often each guarantee was broken.
    pub fn broken(&self) -> BTreeMap<Guarantee, usize> {
        let mut broken = BTreeMap::new();
        for verdict in &self.verdicts {
            *broken.entry(verdict.guarantee).or_default() += 1;
        }
        broken
    }
}

/// How a story is told.
#[derive(Debug, Clone, Default)]
pub struct Telling {
    /// Days of the story.
    pub days: u32,
    /// Whether every step is kept.
    pub trace: bool,
    /// A deliberate defect.
    pub sabotage: Option<Sabotage>,
    /// What is left out of it.
    pub cut: Cut,
}

/// Simulates the story of a seed.
pub fn run(seed: u64, telling: &Telling) -> anyhow::Result<Story> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    // The functions' own jitter.
    fastrand::seed(seed);
    runtime.block_on(simulate(seed, telling))
}

async fn simulate(seed: u64, telling: &Telling) -> anyhow::Result<Story> {
    let mut plan = plan::Plan::new(seed, telling.days);
    let troubles = plan.troubles.len();
    plan.cut(&telling.cut);
    let world = World::new(seed, telling.trace, plan.short_lives);
    if let Some(sabotage) = telling.sabotage {
        world.state().sabotage_with(sabotage);
    }
    let short_life = plan::SHORT_LIFE.as_secs().to_string();
    let settings = |partial: bool, short_lives: bool| {
        let sabotaged = telling.sabotage.map(Sabotage::variable).unwrap_or_default();
        let variables = [
            sabotaged,
            // Empty is the default.
            ("PWSEG_RETRY_MAX_AGE_S", if short_lives { short_life.as_str() } else { "" }),
            ("PWSEG_RETRY_QUEUE_URL", "https://sqs.test/1/retry"),
            ("PWSEG_REJECTS_QUEUE_URL", "https://sqs.test/1/rejects"),
            ("PWSEG_DEAD_QUEUE_URL", "https://sqs.test/1/dead"),
            ("PWSEG_LEDGER_TABLE", services::LEDGER),
            ("PWSEG_PARTIAL_BATCH_RESPONSE", if partial { "true" } else { "false" }),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Settings::read(&variables.into_iter().collect())
    };
    let settings = settings(plan.provisioned, plan.short_lives)?;
    let destination = Fleet::<Destination>::new(&world, &settings, DESTINATION_TIMEOUT);
    let source = Fleet::<Source>::new(&world, &settings, OTHER_TIMEOUT);
    let retry = Fleet::<Retry>::new(&world, &settings, OTHER_TIMEOUT);
    let mapping = senders::topic_mapping(plan.provisioned);
    tokio::spawn(senders::topic(Arc::clone(&world), source, mapping));
    tokio::spawn(senders::retries(Arc::clone(&world), retry));
    plan.tell(&world, &destination).await;
    world.tell("the story ends; everything works from here on");
    rest(&world).await;
    let now = world.time.now();
    let mut state = world.state();
    let (verdicts, recoveries) = oracle::judge(&mut state, now);
    let counts = [
        ("items", state.items.0.len()),
        ("requests", state.attempts.len()),
        ("upstream calls", state.calls.len()),
        ("invocations", usize::try_from(state.invocations).unwrap_or(usize::MAX)),
    ];
    Ok(Story {
        seed,
        lines: std::mem::take(&mut state.story),
        trace: state.trace.take().unwrap_or_default(),
        verdicts,
        recoveries,
        troubles,
        counts,
    })
}

/// Waits until nothing is on its way; an operator redrives once more.
async fn rest(world: &Arc<World>) {
    // Callers repeat for hours.
    time::sleep(Duration::from_hours(6)).await;
    let until = world.time.now() + REST;
    let mut redrives = 3;
    while world.time.now() < until {
        let waiting = {
            let state = world.state();
            let parked = state.sqs.queue("retry").map_or(0, world::sqs::Queue::len);
            parked + state.topic.lag()
        };
        if waiting == 0 {
            if redrives == 0 {
                break;
            }
            redrives -= 1;
            story::redrive(world);
        }
        time::sleep(Duration::from_hours(1)).await;
    }
}
