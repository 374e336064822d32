//! Whatever comes in, nothing panics, and everything ends. `cargo test` tries a few thousand inputs;
//! `cargo bolero test --package mapping fuzz_bytes` searches until it is stopped.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../segment_language/tests/fuzz/maker.rs"]
mod maker;

use jiff::Timestamp;
use maker::Maker;
use mapping::explain::{Input, Setting, explain};
use mapping::tracking_log::Record;
use mapping::{deletion, event, profile, segment_event};
use segment_language::subscription::{presets, read_any};

#[test]
fn fuzz_explain() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let mut maker = Maker::new(bytes);
        let (mapping, input) = (maker.value(6), maker.value(5));
        let list = read_any(&mapping);
        let setting = Setting {
            application: "A",
            subscriptions: if list.subscriptions.is_empty() {
                presets()
            } else {
                &list.subscriptions
            },
            exported: None,
            now: Timestamp::UNIX_EPOCH,
        };
        explain(Input::of(&input), &input, setting);
    });
}

#[test]
fn fuzz_bytes() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let now = Timestamp::UNIX_EPOCH;
        let made = serde_json::to_vec(&Maker::new(bytes).value(4)).unwrap();
        for bytes in [bytes, &made] {
            profile::plan("A", bytes, now).ok();
            event::plan("A", bytes, now).ok();
            deletion::plan("A", bytes).ok();
            segment_event::plan("A", presets(), bytes, now).ok();
            if let Ok(record) = Record::read(bytes) {
                record.to_track(&[]).ok();
            }
        }
    });
}
