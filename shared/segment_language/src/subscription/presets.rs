//! The subscriptions that apply if the customer has none.

use std::sync::LazyLock;

use serde_json::Value;

use super::entry::Subscription;
use super::list::read;

/// The presets of the destination's metadata.
pub fn presets() -> &'static [Subscription] {
    static PRESETS: LazyLock<Vec<Subscription>> = LazyLock::new(|| {
        let presets: Vec<Value> =
            serde_json::from_str(include_str!("../presets.json")).unwrap_or_default();
        read(&presets).subscriptions
    });
    &PRESETS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_have_no_problems() {
        let list: Vec<Value> = serde_json::from_str(include_str!("../presets.json")).unwrap();
        assert_eq!(read(&list).problems, [""; 0]);
        assert_eq!(presets().len(), 2);
    }
}
