//! Rows as server-sent events: `item` for each row that came or changed, `sample` once a second, and first `run`, which
//! says when the sandbox was started.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>
//!
//! A row that changes several times while nobody reads is sent once, as it is then. So a slow reader costs no
//! memory, and misses no row that is kept.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream};
use tokio::sync::watch;

use super::Items;

/// Rows of one write.
const MOST: usize = 200;

/// Changes that follow each other within this time are sent together.
const TOGETHER: Duration = Duration::from_millis(100);

/// A comment is sent after so long, so that a connection that is gone is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

struct Reader {
    items: Arc<Items>,
    changed: watch::Receiver<u64>,
    /// The newest change that was sent.
    change: u64,
    /// The newest sample that was sent.
    sample: u64,
    first: Option<String>,
}

impl Items {
    /// The events from now on: first the newest `rows` rows, or what changed since `last_event`.
    pub(crate) fn stream(
        self: Arc<Self>,
        rows: usize,
        last_event: Option<&str>,
    ) -> impl Stream<Item = Bytes> + Send + 'static {
        let run = self.run;
        let (first, change) = {
            let inner = self.lock();
            let known = last_event.and_then(|event| known(event, run));
            if let Some(change) = known {
                (String::new(), change)
            } else {
                let (rows, change) = inner.store.start(rows);
                let rows = rows.iter().map(|row| item(run, change, row));
                (rows.collect::<String>(), change)
            }
        };
        let first = Some(format!("event: run\ndata: {run}\n\n{first}"));
        let reader =
            Reader { changed: self.changed.subscribe(), items: self, change, sample: 0, first };
        stream::unfold(reader, |mut reader| async move {
            let text = reader.next().await;
            Some((Bytes::from(text), reader))
        })
    }
}

impl Reader {
    async fn next(&mut self) -> String {
        if let Some(first) = self.first.take() {
            return first;
        }
        loop {
            self.changed.borrow_and_update();
            let text = self.take();
            if !text.is_empty() {
                return text;
            }
            match tokio::time::timeout(HEARTBEAT, self.changed.changed()).await {
                Ok(_) => tokio::time::sleep(TOGETHER).await,
                Err(_) => return ": nothing new\n\n".to_owned(),
            }
        }
    }

    fn take(&mut self) -> String {
        let inner = self.items.lock();
        let mut text = String::new();
        for (change, row) in inner.store.after(self.change, MOST) {
            self.change = change;
            text.push_str(&item(self.items.run, change, &row));
        }
        for line in inner.samples.after(self.sample).lines() {
            if let Some((number, sample)) = line.split_once(' ') {
                self.sample = number.parse().unwrap_or(self.sample);
                // Writing to a text cannot fail.
                write!(text, "event: sample\ndata: {sample}\n\n").ok();
            }
        }
        text
    }
}

/// The id of an event names the run too: the browser sends the last one to whatever sandbox is there then.
fn item(run: i64, change: u64, row: &str) -> String {
    format!("id: {run}-{change}\nevent: item\ndata: {row}\n\n")
}

/// The change that an event of this run told of.
fn known(event: &str, run: i64) -> Option<u64> {
    let (of, change) = event.split_once('-')?;
    (of.parse() == Ok(run)).then(|| change.parse().ok())?
}
