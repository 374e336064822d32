//! The newest calls that an upstream received.

use std::collections::VecDeque;

use serde_json::Value;

/// Calls that are kept.
const MAX_CALLS: usize = 10_000;

/// Bytes of the bodies of the calls that are kept.
const MAX_BYTES: usize = 128 * 1024 * 1024;

/// Calls, and how large their bodies were.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    calls: VecDeque<(Value, usize)>,
    bytes: usize,
}

impl Calls {
    /// Adds a call whose body has this many bytes, and forgets the oldest ones if there is no room.
    pub(crate) fn push(&mut self, call: Value, bytes: usize) {
        self.calls.push_back((call, bytes));
        self.bytes += bytes;
        while self.calls.len() > MAX_CALLS || (self.bytes > MAX_BYTES && self.calls.len() > 1) {
            let Some((_, bytes)) = self.calls.pop_front() else { return };
            self.bytes -= bytes;
        }
    }

    /// The calls, oldest first.
    pub(crate) fn list(&self) -> Value {
        self.calls.iter().map(|(call, _)| call.clone()).collect()
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept() {
        let mut calls = Calls::default();
        for number in 0..MAX_CALLS + 5 {
            calls.push(number.into(), 10);
        }
        let list = calls.list();
        let list = list.as_array().unwrap();
        assert_eq!((list.len(), &list[0]), (MAX_CALLS, &Value::from(5)));
        calls.clear();
        for number in 0..3 {
            calls.push(number.into(), MAX_BYTES / 2);
        }
        assert_eq!(calls.list(), serde_json::json!([1, 2]));
    }
}
