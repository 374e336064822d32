//! Whatever comes in, nothing panics, and everything ends. `cargo test` tries a few thousand inputs;
//! `cargo bolero test --package mapping fuzz_bytes` searches until it is stopped.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../segment_language/tests/fuzz/maker.rs"]
mod maker;

use maker::Maker;
use mapping::explain::explain;
use mapping::{Item, ItemKind, Origin, Rules};
use segment_language::subscription::read_any;

#[test]
fn fuzz_explain() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let mut maker = Maker::new(bytes);
        let (mapping, input) = (maker.value(6), maker.value(5));
        let list = read_any(&mapping);
        let own = Rules { subscriptions: &list.subscriptions, ..Rules::of_presets("A") };
        for rules in [own, Rules::of_presets("A")] {
            let kinds =
                ItemKind::recognise(&input).map_or(ItemKind::ALL.to_vec(), |kind| vec![kind]);
            for kind in kinds {
                explain(kind, &input, &rules);
            }
        }
    });
}

#[test]
fn fuzz_bytes() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let made = serde_json::to_vec(&Maker::new(bytes).value(4)).unwrap();
        for bytes in [bytes, &made] {
            for kind in ItemKind::ALL {
                let item =
                    Item { kind, application: Some("A"), origin: Origin::Message("m"), bytes };
                item.plan(&Rules::of_presets("A")).ok();
            }
        }
    });
}
