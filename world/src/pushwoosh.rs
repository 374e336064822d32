//! Pushwoosh's API as it is known to answer: 210 for wrong arguments under HTTP 400, 401 for a wrong
//! key, skipped tags, and an empty object from the v2 Device API.
//! <https://docs.pushwoosh.com/developer/api-reference/device-api>
//!
//! `setTags` and `deleteUser` answer 200 when the request is queued; [`Pushwoosh::advance`] does what is
//! due. Every call does so first.

mod account;
mod application;
pub mod tags;

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value, json};

pub use account::{Account, TagType};
pub use application::{Device, Event, User};

use crate::reply::Reply;
use crate::upstream::{Call, Upstream};
use application::{Application, Write};

/// Open rules, and what happens by chance.
#[derive(Debug, Clone)]
pub struct Options {
    /// HTTP status of a wrong argument: 400 as observed in 2026, 200 as documented. The body is the same.
    pub wrong_argument_status: u16,
    /// How long a queued request waits at most. Without a delay it is done at once.
    pub queue_delay: Duration,
    /// Queued requests are done in the order of their arrival; otherwise each has its own delay.
    pub queue_in_order: bool,
    /// A user without devices exists when tags are set for it. The documentation says that a user exists
    /// only while a device is linked; a third party sets tags for new users and gets 200.
    pub users_without_devices: bool,
    /// Users and devices of an application that are kept; older ones are forgotten.
    pub kept: usize,
    /// Events of an application that are kept for whoever looks at them; older ones are forgotten.
    pub kept_events: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            wrong_argument_status: 400,
            queue_delay: Duration::ZERO,
            queue_in_order: true,
            users_without_devices: true,
            kept: usize::MAX,
            kept_events: usize::MAX,
        }
    }
}

/// Methods of the API with the fields that each needs.
const METHODS: &[(&str, &[&str])] = &[
    ("/json/1.3/registerDevice", &["hwid", "device_type", "push_token"]),
    ("/json/1.3/registerUser", &["hwid", "userId"]),
    ("/json/1.3/registerEmail", &["email"]),
    ("/json/1.3/setTags", &["tags"]),
    ("/json/1.3/postEvent", &["event", "attributes"]),
    ("/json/1.3/checkDevice", &["hwid"]),
    ("/api/v2/device-api/deleteUser", &["user_id"]),
];

/// Methods that take the Server token in their body: the Tags API is for the whole account, `createEvent` for an
/// application.
const SERVER_METHODS: [&str; 3] =
    ["/json/1.3/listTags", "/json/1.3/addTag", "/json/1.3/createEvent"];

/// Pushwoosh.
#[derive(Debug, Clone, Default)]
pub struct Pushwoosh {
    /// Open rules, and what happens by chance.
    pub options: Options,
    accounts: BTreeMap<String, Account>,
    applications: BTreeMap<String, Application>,
}

impl Pushwoosh {
    /// Pushwoosh without applications.
    pub fn new(options: Options) -> Self {
        Self { options, ..Self::default() }
    }

    /// Sets up an application, or changes it.
    pub fn set_account(&mut self, application: &str, account: Account) {
        self.accounts.insert(application.to_owned(), account);
    }

    /// Removes an application. What it holds comes back with its account.
    pub fn remove_account(&mut self, application: &str) {
        self.accounts.remove(application);
    }

    /// Does what is queued and due.
    pub fn advance(&mut self, now: Timestamp) {
        for application in self.applications.values_mut() {
            application.advance(&self.options, now);
        }
    }

    /// A user.
    pub fn user(&self, application: &str, id: &str) -> Option<&User> {
        self.applications.get(application)?.users.get(id)
    }

    /// A device.
    pub fn device(&self, application: &str, hwid: &str) -> Option<&Device> {
        self.applications.get(application)?.devices.get(hwid)
    }

    /// The users of an application, oldest first.
    pub fn users(&self, application: &str) -> impl Iterator<Item = (&str, &User)> {
        let users = self.applications.get(application).map(|application| &application.users);
        users.into_iter().flatten().map(|(id, user)| (id.as_str(), user))
    }

    /// The events of an application, oldest first.
    pub fn events(&self, application: &str) -> impl Iterator<Item = &Event> {
        self.applications.get(application).into_iter().flat_map(|application| &application.events)
    }

    /// Queued requests that are not done yet.
    pub fn queued(&self) -> usize {
        self.applications.values().map(|application| application.queued.len()).sum()
    }

    fn by_server_token(&mut self, path: &str, fields: &Value) -> Reply {
        let token = fields.get("auth").and_then(Value::as_str);
        let mut accounts = self.accounts.iter_mut();
        let owner = accounts.find(|(_, account)| {
            account.server_token.as_deref().is_some_and(|own| Some(own) == token)
        });
        let Some((code, account)) = owner else {
            return Reply::json(401, &json!({"message": "unauthorized"}));
        };
        match path {
            "/json/1.3/listTags" => {
                let held = self.applications.get(code);
                let users = held.into_iter().flat_map(|held| held.users.values());
                let devices = held.into_iter().flat_map(|held| held.devices.values());
                let tags = users.map(|user| &user.tags).chain(devices.map(|device| &device.tags));
                ok(&account.list_tags(tags.flatten()))
            }
            "/json/1.3/addTag" => {
                match account.add_tag(fields.get("tag").unwrap_or(&Value::Null)) {
                    Ok(()) => ok(&json!({"result": true})),
                    Err(message) => self.wrong_argument(message),
                }
            }
            _ => match account.create_event(fields) {
                Ok(()) => ok(&json!({"event": 351})),
                Err(message) => self.wrong_argument(message),
            },
        }
    }

    /// Whether an application has a tag. Of an application that does not exist nothing is known.
    pub fn has_tag(&self, application: &str, tag: &str) -> bool {
        let account = self.accounts.get(application);
        account.is_none_or(|account| account.skips(tag, &Value::Null).is_none())
    }

    /// An application's account.
    pub fn account(&self, application: &str) -> Option<&Account> {
        self.accounts.get(application)
    }

    fn wrong_argument(&self, message: &str) -> Reply {
        let body = json!({"status_code": 210, "status_message": message, "response": null});
        Reply::json(self.options.wrong_argument_status, &body)
    }
}

/// The fields of a call, with or without its envelope.
fn fields<'a>(call: &Call<'a>) -> &'a Value {
    call.body.get("request").unwrap_or(call.body)
}

fn ok(response: &Value) -> Reply {
    Reply::json(200, &json!({"status_code": 200, "status_message": "OK", "response": response}))
}

impl Upstream for Pushwoosh {
    fn application(&self, call: &Call<'_>) -> Option<String> {
        fields(call).get("application")?.as_str().map(str::to_owned)
    }

    fn handle(&mut self, call: &Call<'_>, now: Timestamp, rng: &mut Rng) -> Reply {
        self.advance(now);
        if SERVER_METHODS.contains(&call.path) {
            return self.by_server_token(call.path, fields(call));
        }
        let Some((path, needed)) = METHODS.iter().find(|(path, _)| *path == call.path) else {
            return Reply::json(404, &json!({"message": "Not Found"}));
        };
        let code = self.application(call).unwrap_or_default();
        let Some(account) = self.accounts.get(&code) else {
            return self.wrong_argument("application code is not valid");
        };
        let key = account.token.as_ref().map(|token| format!("Token {token}"));
        if key.as_deref() != Some(call.authorization) {
            return Reply::json(401, &json!({"message": "unauthorized"}));
        }
        let fields = fields(call);
        if let Some(field) =
            needed.iter().find(|field| fields.get(**field).is_none_or(Value::is_null))
        {
            return self.wrong_argument(&format!("{field} should be set"));
        }
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let (user, hwid) = (text("userId"), text("hwid"));
        let options = &self.options;
        let application = self.applications.entry(code).or_default();
        match *path {
            "/json/1.3/setTags" | "/json/1.3/postEvent" if user.is_none() && hwid.is_none() => {
                self.wrong_argument("hwid or userId should be set")
            }
            "/json/1.3/setTags" => {
                let tags =
                    fields.get("tags").and_then(Value::as_object).cloned().unwrap_or_default();
                let mut skipped = Vec::new();
                let mut kept = Vec::new();
                for (tag, value) in tags {
                    match account.skips(&tag, &value) {
                        Some(reason) => skipped.push(json!({"tag": tag, "reason": reason})),
                        None => kept.push((tag, value)),
                    }
                }
                let tags = kept;
                let write = Write::Tags { user, hwid, tags };
                application.queue(write, options, now, rng);
                ok(&if skipped.is_empty() { json!({}) } else { json!({ "skipped": skipped }) })
            }
            "/json/1.3/postEvent" => {
                let name = text("event").unwrap_or_default();
                if account.known_events.as_ref().is_some_and(|known| !known.contains(&name)) {
                    return self.wrong_argument("event not found");
                }
                let attributes = fields.get("attributes").cloned().unwrap_or_default();
                let timestamp = fields.get("timestampUTC").and_then(Value::as_i64);
                let event = Event { received_at: now, name, user, hwid, attributes, timestamp };
                application.post(event, options.kept_events);
                ok(&json!({"code": null}))
            }
            "/json/1.3/checkDevice" => {
                let device = application.devices.get(hwid.as_deref().unwrap_or_default());
                let token = device.is_some_and(|device| device.push_token.is_some());
                ok(&json!({"exist": device.is_some(), "push_token_exist": token}))
            }
            "/api/v2/device-api/deleteUser" => {
                let user = text("user_id").unwrap_or_default();
                application.queue(Write::Deletion { user }, options, now, rng);
                Reply::json(200, &json!({}))
            }
            "/json/1.3/registerEmail" => {
                let hwid = text("email").unwrap_or_default();
                application.register(hwid, user, fields, options.kept);
                ok(&Value::Null)
            }
            _ => {
                application.register(hwid.unwrap_or_default(), user, fields, options.kept);
                ok(&Value::Null)
            }
        }
    }
}

#[cfg(test)]
mod tests;
