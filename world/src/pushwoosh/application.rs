//! What one application holds: users, devices, events, and the requests that are queued.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fastrand::Rng;
use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Options;
use super::tags;
use crate::time::after;

/// A user.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct User {
    /// Tags that were set by the user's id.
    pub tags: Map<String, Value>,
}

/// A device; an email address is one, with itself as its `hwid`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Device {
    /// The user that it belongs to. Without one its user id is its `hwid`.
    pub user: Option<String>,
    /// Push token.
    pub push_token: Option<String>,
    /// Tags that were set by its `hwid`.
    pub tags: Map<String, Value>,
}

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When the call came.
    pub received_at: Timestamp,
    /// Name.
    pub name: String,
    /// `userId`.
    pub user: Option<String>,
    /// `hwid`.
    pub hwid: Option<String>,
    /// Attributes.
    pub attributes: Value,
    /// `timestampUTC`, epoch seconds.
    pub timestamp: Option<i64>,
}

/// A request that is answered before it is done.
#[derive(Debug, Clone)]
pub(super) enum Write {
    Tags { user: Option<String>, hwid: Option<String>, tags: Vec<(String, Value)> },
    Deletion { user: String },
}

#[derive(Debug, Clone, Default)]
pub(super) struct Application {
    pub(super) users: IndexMap<String, User>,
    pub(super) devices: IndexMap<String, Device>,
    pub(super) events: VecDeque<Event>,
    /// By when they are due, and in the order of arrival.
    pub(super) queued: BTreeMap<(Timestamp, u64), Write>,
    next: u64,
}

impl Application {
    pub(super) fn advance(&mut self, options: &Options, now: Timestamp) {
        while let Some(entry) = self.queued.first_entry()
            && entry.key().0 <= now
        {
            let write = entry.remove();
            self.apply(write, options);
        }
    }

    /// Queues a request; without a delay it is done at once.
    pub(super) fn queue(&mut self, write: Write, options: &Options, now: Timestamp, rng: &mut Rng) {
        let most = u64::try_from(options.queue_delay.as_nanos()).unwrap_or(u64::MAX);
        let delay = Duration::from_nanos(if most == 0 { 0 } else { rng.u64(..=most) });
        let mut due = after(now, delay);
        if options.queue_in_order
            && let Some(((last, _), _)) = self.queued.last_key_value()
        {
            due = due.max(*last);
        }
        self.queued.insert((due, self.next), write);
        self.next += 1;
        self.advance(options, now);
    }

    fn apply(&mut self, write: Write, options: &Options) {
        match write {
            Write::Tags { user: Some(user), tags, .. } => {
                // The devices are looked through last: there may be many.
                let linked =
                    || self.devices.values().any(|device| device.user.as_ref() == Some(&user));
                if options.users_without_devices || self.users.contains_key(&user) || linked() {
                    make_room(&mut self.users, options.kept);
                    tags::set(&mut self.users.entry(user).or_default().tags, tags);
                }
            }
            Write::Tags { user: None, hwid, tags } => {
                make_room(&mut self.devices, options.kept);
                let device = self.devices.entry(hwid.unwrap_or_default()).or_default();
                tags::set(&mut device.tags, tags);
            }
            Write::Deletion { user } => {
                self.users.shift_remove(&user);
                self.devices.retain(|_, device| device.user.as_ref() != Some(&user));
            }
        }
    }

    /// Registers a device, and links it to a user: it belongs to one user at a time.
    pub(super) fn register(
        &mut self,
        hwid: String,
        user: Option<String>,
        fields: &Value,
        kept: usize,
    ) {
        make_room(&mut self.devices, kept);
        let device = self.devices.entry(hwid).or_default();
        if let Some(token) = fields.get("push_token").and_then(Value::as_str) {
            device.push_token = Some(token.to_owned());
        }
        if let Some(given) = fields.get("tags").and_then(Value::as_object) {
            tags::set(&mut device.tags, given.clone());
        }
        if let Some(user) = user {
            device.user = Some(user.clone());
            make_room(&mut self.users, kept);
            self.users.entry(user).or_default();
        }
    }

    pub(super) fn post(&mut self, event: Event, kept: usize) {
        self.events.push_back(event);
        while self.events.len() > kept {
            self.events.pop_front();
        }
    }
}

/// Forgets the oldest tenth where there is no room for one more.
fn make_room<V>(map: &mut IndexMap<String, V>, kept: usize) {
    if map.len() >= kept {
        map.drain(..(kept / 10).max(1).min(map.len()));
    }
}
