//! A function and its environments: cold starts, freezing, crashes, time-outs.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use futures::future::{Either, select};
use lambda_runtime::LambdaEvent;
use platform::function::{Environment, Function, Platform};
use platform::settings::Settings;
use platform::transport::Transport;
use world::lambda::{EnvironmentId, Lambda, Options};

use crate::network::Network;
use crate::services::World;
use crate::time::{EnvironmentTime, sleep};

/// A crash happens after so many polls of an invocation, at most.
const MAX_POLLS: u32 = 12;

/// How an invocation ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With this answer.
    Answered(Vec<u8>),
    /// With an error that the function reported.
    Failed,
    /// The process is gone.
    Died,
    /// Too many at the same time.
    Throttled,
}

struct Slot<F> {
    environment: Environment<F>,
    time: Arc<EnvironmentTime>,
    network: Arc<Network>,
}

/// A function and its environments.
pub(crate) struct Fleet<F: Function> {
    world: Arc<World>,
    settings: Settings,
    lambda: Mutex<Lambda>,
    slots: Mutex<BTreeMap<EnvironmentId, Arc<Slot<F>>>>,
    /// Deployments that the function knows of.
    deployed: AtomicU32,
}

impl<F: Function> Fleet<F> {
    pub(crate) fn new(world: &Arc<World>, settings: &Settings, timeout: Duration) -> Arc<Self> {
        let mut options = Options::new(timeout);
        // Minutes to hours.
        options.idle = (Duration::from_mins(10), Duration::from_hours(3));
        // The template's canary takes ten minutes, an update without one a moment.
        options.rollout = (Duration::ZERO, Duration::from_mins(10));
        Arc::new(Self {
            world: Arc::clone(world),
            settings: settings.clone(),
            lambda: Mutex::new(Lambda::new(options)),
            slots: Mutex::default(),
            deployed: AtomicU32::new(0),
        })
    }

    /// One invocation; also returns the time of its cold start.
    pub(crate) async fn invoke(&self, event: &str) -> (Ended, Duration) {
        let (place, id, crash) = {
            let mut state = self.world.state();
            let mut lambda = self.lambda.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.world.time.wall();
            // It begins with the first invocation that follows it.
            if self.deployed.swap(state.deployments, Ordering::Relaxed) < state.deployments {
                lambda.deploy(now, &mut state.rng);
            }
            let Ok(place) = lambda.invoke(now, &mut state.rng) else {
                return (Ended::Throttled, Duration::ZERO);
            };
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let alive: Vec<EnvironmentId> = lambda.environments().collect();
            slots.retain(|id, _| alive.contains(id));
            state.invocations += 1;
            let crash = state.crash;
            let crash = (state.rng.f64() < crash).then(|| state.rng.u32(1..=MAX_POLLS));
            (place, state.invocations, crash)
        };
        let cold = place.cold_start.unwrap_or_default();
        sleep(cold).await;
        let slot = self.slot(place.environment);
        slot.network.invocation.store(id, Ordering::Relaxed);
        slot.time.thaw();
        self.world.trace(|| format!("  {} invocation {id}, cold start {cold:?}", F::NAME));
        let ended = self.run(&slot, event, id, place.deadline, crash).await;
        slot.time.freeze();
        let now = self.world.time.wall();
        let mut state = self.world.state();
        let mut lambda = self.lambda.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(ended, Ended::Died) {
            state.died.insert(id);
            lambda.ended(place.environment);
            self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&place.environment);
        } else {
            lambda.finished(place.environment, now, &mut state.rng);
        }
        (ended, cold)
    }

    async fn run(
        &self,
        slot: &Slot<F>,
        event: &str,
        id: u64,
        deadline: jiff::Timestamp,
        crash: Option<u32>,
    ) -> Ended {
        let Ok(payload) = F::read(event.to_owned().into()) else {
            self.world.trace(|| format!("  invocation {id}: the event cannot be read"));
            return Ended::Failed;
        };
        let mut context = lambda_runtime::Context::default();
        context.request_id = format!("{}-{id}", F::NAME);
        context.deadline = u64::try_from(deadline.as_millisecond()).unwrap_or_default();
        let work = slot.environment.invoke_unreported(LambdaEvent::new(payload, context));
        let work = Mortal { work: Box::pin(work), polls: crash };
        let left = deadline.duration_since(self.world.time.wall());
        let left = Duration::try_from(left).unwrap_or_default();
        match select(std::pin::pin!(work), std::pin::pin!(sleep(left))).await {
            Either::Left((Some((Ok(response), invocation)), _)) => {
                self.world.trace(|| {
                    let outcomes = invocation.tally.outcomes();
                    format!("  invocation {id} ends: {outcomes:?}")
                });
                Ended::Answered(serde_json::to_vec(&response).unwrap_or_default())
            }
            Either::Left((Some((Err(error), _)), _)) => {
                self.world.trace(|| format!("  invocation {id} fails: {error:?}"));
                Ended::Failed
            }
            Either::Left((None, _)) => {
                self.world.trace(|| format!("  invocation {id} crashes"));
                Ended::Died
            }
            Either::Right(_) => {
                self.world.trace(|| format!("  invocation {id} is ended at its time-out"));
                Ended::Died
            }
        }
    }

    fn slot(&self, id: EnvironmentId) -> Arc<Slot<F>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(id).or_insert_with(|| {
            let time = EnvironmentTime::frozen(self.world.time);
            let network =
                Arc::new(Network { world: Arc::clone(&self.world), invocation: AtomicU64::new(0) });
            let transport: Arc<dyn Transport> = Arc::clone(&network) as Arc<dyn Transport>;
            let clock = time.clock();
            let config = config(&clock, &transport);
            let platform = Platform::on(&config, self.settings.clone(), clock, transport);
            Arc::new(Slot { environment: Environment::new(platform), time, network })
        });
        Arc::clone(slot)
    }
}

/// The SDK keeps its budget of retries per service and region, for the whole process. Each environment
/// is a process of its own here, so each gets a region of its own.
fn config(clock: &platform::clock::Clock, transport: &Arc<dyn Transport>) -> SdkConfig {
    static REGIONS: AtomicU64 = AtomicU64::new(0);
    let region = format!("environment-{}", REGIONS.fetch_add(1, Ordering::Relaxed));
    let credentials = aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "test");
    platform::aws::on_seams(SdkConfig::builder(), clock, transport)
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(aws_sdk_sqs::config::SharedCredentialsProvider::new(credentials))
        .build()
}

/// Work that ends without a result after so many polls.
struct Mortal<'a, T> {
    work: Pin<Box<dyn Future<Output = T> + Send + 'a>>,
    polls: Option<u32>,
}

impl<T> Future for Mortal<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        match self.polls {
            Some(0) => return Poll::Ready(None),
            Some(left) => self.polls = Some(left - 1),
            None => {}
        }
        self.work.as_mut().poll(context).map(Some)
    }
}
