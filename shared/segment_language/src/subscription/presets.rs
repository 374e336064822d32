//! The subscriptions that apply if the customer has none.

use std::sync::LazyLock;

use serde_json::Value;

use super::entry::Subscription;
use super::list::read;

/// The presets of the destination's metadata.
pub fn presets() -> &'static [Subscription] {
    static PRESETS: LazyLock<Vec<Subscription>> =
        LazyLock::new(|| read(&preset_entries()).subscriptions);
    &PRESETS
}

/// The same as a customer would write them.
pub fn preset_entries() -> Vec<Value> {
    serde_json::from_str(include_str!("../presets.json")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_have_no_problems() {
        assert_eq!(read(&preset_entries()).problems, [""; 0]);
        assert_eq!(presets().len(), 2);
    }
}
