//! The soak: mixed traffic at the highest rate that holds, with faults of every kind and processes that
//! are killed, for `SOAK_MINUTES` (two by default). `just soak` runs thirty.
//!
//! It fails if anything that was accepted is unaccounted for, if a right key is refused, or if the memory or
//! the descriptors of the sandbox or of the functions grow faster than their bounds. Rates and latencies
//! depend on the machine: they are reported only. `UPDATE_DOCS=1` writes them into `docs/RELIABILITY.md`.
//!
//! # Layout
//! * `books`: what was sent, and where each item ended.
//! * `load`: who sends it.
//! * `reader`: looks where items end: at the upstreams and on the queues.
//! * `trouble`: faults and kills.
//! * `gauge`: memory, descriptors and latency over time.

#![allow(clippy::print_stdout, reason = "the report is what the soak is for")]

mod books;
mod gauge;
mod load;
mod reader;
mod trouble;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::docs;
use crate::sandbox::Sandbox;
use books::Books;
use gauge::Gauge;

/// Minutes without `SOAK_MINUTES`.
const MINUTES: u64 = 2;

/// What waits may take this long after the last request: the longest hang, and retries with a pause of at
/// most 4 seconds.
const SETTLING: Duration = Duration::from_mins(2);

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Items of which nobody knows where they are, as many as are printed.
const SHOWN: usize = 20;

/// What the tasks of the soak share.
struct Soak {
    sandbox: Sandbox,
    books: Books,
    gauge: Gauge,
    /// New items are sent.
    sending: AtomicBool,
    /// Nobody sends: too much waits already.
    held: AtomicBool,
}

impl Soak {
    fn is_sending(&self) -> bool {
        self.sending.load(Ordering::Relaxed)
    }

    fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    /// Looks until the end what waits and what the processes take, once a second.
    async fn watch(&self, ended: &AtomicBool) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        while !ended.load(Ordering::Relaxed) {
            tick.tick().await;
            let state = self.sandbox.get("state").await;
            self.held.store(load::too_much_waits(&state), Ordering::Relaxed);
            self.gauge.sample(self.sandbox.pid(), &state);
        }
    }
}

/// Nothing waits.
fn is_quiet(state: &Value) -> bool {
    ["retry", "dead", "rejects"].iter().all(|queue| state["queues"][queue] == 0)
        && state["topic"]["lag"] == 0
}

/// Without faults everything that waits ends.
async fn settle(soak: &Soak) {
    trouble::heal(&soak.sandbox).await;
    let started = Instant::now();
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tick.tick().await;
        let quiet = is_quiet(&soak.sandbox.get("state").await);
        if quiet && soak.books.unaccounted().is_empty() {
            return;
        }
        if started.elapsed() > SETTLING {
            let state = soak.sandbox.get("state").await;
            println!("waiting: {} {}", state["queues"], state["topic"]);
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes minutes: ci/soak runs it"]
async fn soak() {
    let minutes = std::env::var("SOAK_MINUTES").ok().and_then(|text| text.parse().ok());
    let duration = Duration::from_mins(minutes.unwrap_or(MINUTES));
    let sandbox = Sandbox::with_apps("soak", &load::apps());
    let soak = Arc::new(Soak {
        sandbox,
        books: Books::default(),
        gauge: Gauge::new(duration),
        sending: AtomicBool::new(true),
        held: AtomicBool::new(false),
    });
    trouble::begin(&soak.sandbox).await;
    let (ended, watched) = (Arc::new(AtomicBool::new(false)), Arc::clone(&soak));
    let watching_until = Arc::clone(&ended);
    let watching = tokio::spawn(async move { watched.watch(&watching_until).await });
    let reading = reader::start(&soak, &ended).await;
    let sending = load::start(&soak);
    trouble::kill_until(&soak, duration).await;
    soak.sending.store(false, Ordering::Relaxed);
    for sender in sending {
        sender.await.unwrap();
    }
    settle(&soak).await;
    ended.store(true, Ordering::Relaxed);
    for reader in reading {
        reader.await.unwrap();
    }
    watching.await.unwrap();

    let (sums, figures) = (soak.books.table(), soak.gauge.table());
    println!("{sums}\n{figures}");
    for line in soak.books.remarks() {
        println!("{line}");
    }
    assert_eq!(soak.sandbox.get("on-failure").await, Value::Array(Vec::new()));
    let lost = soak.books.unaccounted();
    if !lost.is_empty() {
        println!("{}", soak.sandbox.get("state").await);
        println!("{}", soak.sandbox.get("queues/retry").await);
    }
    assert!(
        lost.is_empty(),
        "{} are unaccounted: {:?}",
        lost.len(),
        lost.iter().take(SHOWN).collect::<Vec<_>>()
    );
    assert_eq!(soak.books.refused(), 0, "right keys were refused");
    soak.gauge.check();
    docs::update("RELIABILITY.md", &[("soak-sums", sums), ("soak-figures", figures)], false);
}
