//! Looks where items end, while the soak runs: the sandbox keeps only the newest calls, and the queues are
//! to stay short.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use platform::message;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::books::Place;
use super::{LOOK, Soak};

/// A call to SQS that takes longer hangs: it is a fault.
const PATIENCE: Duration = Duration::from_secs(3);

/// Seconds after which a message comes again whose answer was lost.
const VISIBILITY: u64 = 5;

/// Ends the line of a call.
const STATUS: &str = r#""status":"#;

/// Reads until it has ended, and what is there then.
pub(super) async fn start(soak: &Arc<Soak>, ended: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let state = soak.sandbox.get("state").await;
    let endpoint = state["aws"]["endpoint"].as_str().unwrap().to_owned();
    let mut tasks = Vec::new();
    for upstream in ["pushwoosh", "segment"] {
        let (soak, ended) = (Arc::clone(soak), Arc::clone(ended));
        tasks.push(tokio::spawn(async move { read_calls(&soak, upstream, &ended).await }));
    }
    for (queue, place) in [("rejects", Place::Rejects), ("dead", Place::Dead)] {
        let (soak, ended) = (Arc::clone(soak), Arc::clone(ended));
        let queue = Queue {
            url: format!("{endpoint}/123456789012/{queue}"),
            endpoint: endpoint.clone(),
            client: reqwest::Client::new(),
        };
        tasks.push(tokio::spawn(async move {
            let mut tick = tokio::time::interval(LOOK);
            while !ended.load(Ordering::Relaxed) {
                tick.tick().await;
                while queue.drain(&soak, place).await {}
            }
        }));
    }
    tasks
}

async fn read_calls(soak: &Soak, upstream: &str, ended: &AtomicBool) {
    let mut read = 0;
    let mut tick = tokio::time::interval(LOOK);
    loop {
        let last = ended.load(Ordering::Relaxed);
        let path = format!("/_sandbox/upstream/{upstream}?after={read}");
        let answer = soak.sandbox.send(Method::GET, &path, "").await;
        for line in answer.body.lines() {
            let (number, call) = line.split_once(' ').unwrap();
            let number: u64 = number.parse().unwrap();
            assert_eq!(number, read + 1, "{upstream}: calls were forgotten before they were read");
            read = number;
            let (_, status) = call.rsplit_once(STATUS).unwrap();
            let status = status.trim_end_matches('}').parse().unwrap();
            soak.books.see(call, Place::Upstream(status));
        }
        if last {
            return;
        }
        tick.tick().await;
    }
}

struct Queue {
    url: String,
    endpoint: String,
    client: reqwest::Client,
}

impl Queue {
    /// Receives messages, notes what they hold and deletes them; whether there were any.
    async fn drain(&self, soak: &Soak, place: Place) -> bool {
        let input = json!({"QueueUrl": self.url, "MaxNumberOfMessages": 10, "VisibilityTimeout": VISIBILITY});
        let answer = self.call("ReceiveMessage", &input).await.unwrap_or_default();
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        for message in &messages {
            let body = message["Body"].as_str().unwrap();
            let document: Option<Value> = message::decode(body);
            soak.books.see(
                &document.map_or_else(|| body.to_owned(), |document| document.to_string()),
                place,
            );
            let input = json!({"QueueUrl": self.url, "ReceiptHandle": message["ReceiptHandle"]});
            // A message that is not deleted comes again.
            self.call("DeleteMessage", &input).await;
        }
        !messages.is_empty()
    }

    /// The answer, if there is a good one.
    async fn call(&self, operation: &str, input: &Value) -> Option<Value> {
        let request = self.client.post(&self.endpoint).body(input.to_string()).timeout(PATIENCE);
        let request = request.header("x-amz-target", format!("AmazonSQS.{operation}"));
        let response = request.send().await.ok().filter(|response| response.status() == 200)?;
        serde_json::from_str(&response.text().await.ok()?).ok()
    }
}
