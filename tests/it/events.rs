//! The inputs in `events/` that the tests of `destination`, `source` and `explain` do not read.

use serde_json::json;

use crate::destination;
use crate::sandbox::{EXPECTED, Sandbox, compare, events, inputs};
use crate::source::tracks;

/// Every SQS event in `events/retry` gets the expected response and becomes the expected
/// calls to both upstreams.
#[tokio::test]
async fn every_queue_event_becomes_the_right_calls() {
    let files = inputs("retry");
    assert!(!files.is_empty());
    for file in files {
        let sandbox = Sandbox::start();
        let response = sandbox.invoke("retry", std::fs::read(&file).unwrap()).await;
        let rejects = sandbox.queue("rejects").await;
        let found = json!({
            "response": response,
            "outcomes": sandbox.outcomes("retry").await,
            "calls": destination::calls(&sandbox.calls("pushwoosh").await),
            "tracks": tracks(&sandbox).await,
            "rejects": rejects.iter().map(|reject| &reject["body"]["reason"]).collect::<Vec<_>>(),
        });
        compare(&file, &found);
    }
}

/// `queue redrive --file` sends a batch that Lambda gave up on.
#[tokio::test]
async fn a_failed_batch_becomes_the_right_track_calls() {
    let sandbox = Sandbox::start();
    let file = events("source/on-failure.json");
    assert!(sandbox.command(&["queue", "redrive", "--file", file.to_str().unwrap()]).0);
    let tracks = sandbox
        .until("the record is sent", async |sandbox| {
            let tracks = tracks(sandbox).await;
            (!tracks.is_empty()).then_some(tracks)
        })
        .await;
    compare(&file, &json!({ "tracks": tracks }));
}

/// Every input has an expectation, and every expectation an input.
#[test]
fn inputs_and_expectations_are_complete() {
    for directory in ["api-gateway", "destination", "retry", "segment", "source"] {
        let mut inputs: Vec<String> = inputs(directory)
            .iter()
            .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        let mut expectations: Vec<String> = std::fs::read_dir(events(directory))
            .unwrap()
            .filter_map(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                name.strip_suffix(EXPECTED).map(str::to_owned)
            })
            .collect();
        inputs.sort();
        expectations.sort();
        assert_eq!(inputs, expectations, "{directory}");
    }
}
