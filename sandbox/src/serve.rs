//! Starts everything, and serves until it is stopped.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::future::join_all;
use operator::explain::DEMO_APPLICATION as DEMO;
use operator::terminal::{print, say};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use world::pushwoosh::{self, Pushwoosh};
use world::queue_mapping::QueueMapping;
use world::segment::{self, Segment};

use crate::access::Access;
use crate::apps::{self, Apps};
use crate::control::{self, Control, Standins};
use crate::deployed::{
    Deployed, FUNCTIONS, RETRY_BATCH_SIZE, RETRY_MAX_RECEIVES, RETRY_VISIBILITY, STACK_NAME, TOPIC,
};
use crate::http;
use crate::items::Items;
use crate::lambda::Function;
use crate::logs::Logs;
use crate::options::Options;
use crate::standin::aws::{Aws, LEDGER};
use crate::standin::queues::Queues;
use crate::standin::upstream::Upstream;
use crate::trigger::kafka::Topic;
use crate::trigger::queue;

/// Delays for a person who watches, in seconds.
const SCALED_DELAYS: [(&str, &str); 4] = [
    ("PWSEG_SECRET_TTL_S", "5"),
    ("PWSEG_PREVIOUS_KEY_GRACE_S", "5"),
    ("PWSEG_RETRY_FIRST_DELAY_S", "1"),
    ("PWSEG_RETRY_MAX_DELAY_S", "4"),
];

/// Likewise, the queue's visibility timeout: longer than an invocation with all its time.
const SCALED_VISIBILITY: Duration = Duration::from_secs(30);

/// Likewise, how soon the messages of a failed invocation come back. In AWS that is the visibility
/// timeout.
const SCALED_RETURN: Duration = Duration::from_secs(1);

/// Users and devices of an application, and ids of events, that the upstreams remember.
const KEPT: usize = 10_000;

/// Events that the models remember. Nobody looks at them there: the calls are kept as they came.
const KEPT_EVENTS: usize = 0;

/// Serves until it is stopped.
pub async fn serve(flags: Options) -> Result<()> {
    for (_, file) in &flags.bootstrap {
        if !file.is_file() {
            bail!(
                "--bootstrap {} does not exist: build it with `cargo lambda build --release`",
                file.display()
            );
        }
    }
    if cfg!(not(feature = "kafka")) && flags.kafka.is_some() {
        bail!("--kafka needs the feature `kafka`: run it with `cargo run --features kafka -- …`");
    }
    let apps = apps::read(flags.apps.as_deref())?;
    let listener = TcpListener::bind(flags.listen).await.with_context(|| {
        format!("{} cannot be served on: choose another address with --listen", flags.listen)
    })?;
    let address = listener.local_addr()?;

    // Whatever ends first ends everything; processes are killed as their tasks are dropped.
    let mut tasks = JoinSet::new();
    let (pushwoosh, segment, aws) = (local().await?, local().await?, local().await?);
    let aws_url = url(&aws)?;
    let models = (
        Upstream::new(Pushwoosh::new(pushwoosh::Options {
            kept: KEPT,
            kept_events: KEPT_EVENTS,
            ..Default::default()
        })),
        Upstream::new(Segment::new(segment::Options {
            kept: KEPT,
            kept_records: KEPT_EVENTS,
            ..Default::default()
        })),
    );
    let queues = Arc::new(Queues::new(RETRY_MAX_RECEIVES));
    let apps = Arc::new(Apps::new(
        flags.secret_id.clone(),
        apps,
        apps::Upstream { model: Arc::clone(&models.0), url: url(&pushwoosh)? },
        apps::Upstream { model: Arc::clone(&models.1), url: format!("{}/v1", url(&segment)?) },
    )?);
    let aws_model = Arc::new(Aws::new(aws_url.clone(), apps, Arc::clone(&queues)));
    let standins = Standins { pushwoosh: models.0, segment: models.1, aws: aws_model };
    tasks.spawn(endless(Arc::clone(&standins.pushwoosh).serve(pushwoosh)));
    tasks.spawn(endless(Arc::clone(&standins.segment).serve(segment)));
    tasks.spawn(endless(Arc::clone(&standins.aws).serve(aws)));

    let items = Arc::new(Items::default());
    let logs = Arc::new(Logs::new(Arc::clone(&items)));
    let functions = start(&flags, &aws_url, &logs, &items, &mut tasks)?;
    let [destination, source, retrier] = functions.as_slice() else {
        bail!("a function is missing")
    };

    let topic = Arc::new(Topic::new(flags.on_demand));
    read_topic(flags.kafka, Arc::clone(&topic), Arc::clone(source), &mut tasks);
    let mapping = retry_mapping(flags.real_delays);
    tasks.spawn(endless(queue::poll(queues, Arc::clone(retrier), mapping)));

    let destination = Arc::clone(destination);
    let control = Arc::new(Control {
        destination,
        functions: functions.clone(),
        topic,
        standins,
        logs,
        items,
    });
    tasks.spawn(endless(control::metrics::sample(Arc::clone(&control))));
    let names = Access::with_names(&flags.host);
    tasks.spawn(endless(http::serve_to(names, listener, move |request| {
        let control = Arc::clone(&control);
        async move { Some(http::guarded(control.handle(request).await)) }
    })));
    tasks.spawn(stopped());
    tokio::select! {
        _ = join_all(functions.iter().map(|function| function.ready())) => announce(address),
        ended = tasks.join_next() => return ended.context("nothing runs")??,
    }
    tasks.join_next().await.context("nothing runs")??
}

/// The event source mapping of the retry queue.
fn retry_mapping(real_delays: bool) -> QueueMapping {
    let (visibility, return_after) = if real_delays {
        (RETRY_VISIBILITY, None)
    } else {
        (SCALED_VISIBILITY, Some(SCALED_RETURN))
    };
    let queue = "retry".to_owned();
    QueueMapping { queue, batch_size: RETRY_BATCH_SIZE, visibility, return_after }
}

/// Starts every function.
fn start(
    flags: &Options,
    aws_url: &str,
    logs: &Arc<Logs>,
    items: &Arc<Items>,
    tasks: &mut JoinSet<Result<()>>,
) -> Result<Vec<Arc<Function>>> {
    let mut functions = Vec::new();
    let environments = flags.environments();
    for Deployed { name, timeout } in FUNCTIONS {
        let environment = environment(name, aws_url, flags)?;
        let track_properties = environment.get("PWSEG_TRACK_PROPERTIES").cloned();
        let stack_name = environment.get("PWSEG_STACK_NAME").cloned();
        let (items, logs) = (Arc::clone(items), Arc::clone(logs));
        let function =
            Function::new(name, timeout, environments, track_properties, stack_name, items, logs);
        let mut bootstraps = flags.bootstrap.iter().filter(|(function, _)| function == name);
        let bootstrap = bootstraps.next_back().map(|(_, file)| file.clone());
        let command = command(name, bootstrap, environment)?;
        tasks.spawn(Arc::clone(&function).supervise(command));
        functions.push(function);
    }
    Ok(functions)
}

/// Feeds the source from memory, or from a broker.
fn read_topic(
    brokers: Option<String>,
    topic: Arc<Topic>,
    source: Arc<Function>,
    tasks: &mut JoinSet<Result<()>>,
) {
    #[cfg(feature = "kafka")]
    if let Some(brokers) = brokers {
        tasks.spawn(crate::trigger::broker::poll(brokers, topic, source));
        return;
    }
    #[cfg(not(feature = "kafka"))]
    drop(brokers);
    tasks.spawn(endless(async move { topic.poll(&source).await }));
}

/// Ends when a person or a supervisor asks for it.
async fn stopped() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

async fn endless(task: impl Future<Output = ()>) -> Result<()> {
    task.await;
    Ok(())
}

async fn local() -> Result<TcpListener> {
    TcpListener::bind("127.0.0.1:0").await.context("no local port is free")
}

fn url(listener: &TcpListener) -> Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

/// What Lambda sets, and what the template sets.
fn environment(name: &str, aws: &str, flags: &Options) -> Result<BTreeMap<String, String>> {
    let mut environment: BTreeMap<String, String> = [
        ("AWS_LAMBDA_FUNCTION_NAME", name.to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned()),
        ("AWS_REGION", "eu-central-1".to_owned()),
        // The SDK signs requests; the stand-in does not look at it.
        ("AWS_ACCESS_KEY_ID", "sandbox".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "sandbox".to_owned()),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws.to_owned()),
        ("AWS_ENDPOINT_URL_SQS", aws.to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", aws.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let queues = [
        ("PWSEG_RETRY_QUEUE_URL", format!("{aws}/123456789012/retry")),
        ("PWSEG_REJECTS_QUEUE_URL", format!("{aws}/123456789012/rejects")),
        ("PWSEG_DEAD_QUEUE_URL", format!("{aws}/123456789012/dead")),
        ("PWSEG_LEDGER_TABLE", LEDGER.to_owned()),
    ];
    if let Some(file) = &flags.environment {
        let mut given = given_environment(file, name)?;
        // Where the queues are only the sandbox knows; whether they are named is not its business.
        for (variable, url) in queues {
            if let Some(value) = given.get_mut(variable) {
                *value = url;
            }
        }
        environment.extend(given);
        return Ok(environment);
    }
    let partial = (!flags.on_demand).to_string();
    let set = queues.into_iter().chain([
        ("PWSEG_PARTIAL_BATCH_RESPONSE", partial),
        ("PWSEG_STACK_NAME", STACK_NAME.to_owned()),
        // The page shows every item.
        ("PWSEG_LOG_ITEMS", "all".to_owned()),
        ("PWSEG_SECRET_ID", flags.secret_id.to_string()),
    ]);
    environment.extend(set.map(|(name, value)| (name.to_owned(), value)));
    if let Some(seconds) = flags.max_age {
        environment.insert("PWSEG_RETRY_MAX_AGE_S".to_owned(), seconds.to_string());
    }
    if !flags.real_delays {
        environment.extend(SCALED_DELAYS.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    Ok(environment)
}

fn given_environment(file: &Path, name: &str) -> Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("--environment {} cannot be read", file.display()))?;
    let mut functions: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(&text)
        .with_context(|| {
            format!("--environment {} must hold function → name → value", file.display())
        })?;
    functions
        .remove(name)
        .with_context(|| format!("--environment {} has no {name}", file.display()))
}

/// How the function's process is started: this binary again, or the built artifact.
fn command(
    name: &'static str,
    bootstrap: Option<PathBuf>,
    environment: BTreeMap<String, String>,
) -> Result<impl Fn() -> Command + Clone + Send + Sync + 'static> {
    let own = std::env::current_exe()?;
    Ok(move || {
        let mut command = Command::new(bootstrap.as_ref().unwrap_or(&own));
        if bootstrap.is_none() {
            command.args(["function", name]);
        }
        command.env_clear().envs(&environment);
        command
    })
}

/// Tells that it serves, on standard output where programs wait for it, and what to do next.
fn announce(address: SocketAddr) {
    print(&format!("ready http://{address}"));
    say(&format!(
        r#"
A user with a tag:
  curl -i http://{address}/integration-segment/v1/track-user -H 'authorization: Token demo-token' -H 'x-pw-appcode: {DEMO}' \
    -d '{{"user_id":"u1","attributes":{{"searched_product":"shoes"}}}}'

An event:
  curl -i http://{address}/integration-segment/v1/post-events -H 'authorization: Token demo-token' -H 'x-pw-appcode: {DEMO}' \
    -d '{{"events":[{{"user_id":"u1","device_platform":"ios","name":"SubscribedToOffers","attributes":{{"offer":"spring"}}}}]}}'

A record on the topic:
  curl -i http://{address}/_sandbox/topics/{TOPIC} \
    -d '{{"event_name":"Push Sent","timestamp":"2026-01-31T12:00:00Z","application_code":"{DEMO}","message_code":"A444-AAABBBCC-00112233","platform":1,"hwid":"H1","user_id":"u1"}}'

What came of it: http://{address}/ or curl http://{address}/_sandbox/upstream/pushwoosh and …/segment
"#
    ));
}
