//! A message of a queue, and what is known of it.

use std::borrow::Cow;

use aws_sdk_sqs::types::Message;
use jiff::Timestamp;
use mapping::{About, Cause, Item, ItemKind, Origin, Parked, Reason, remedy};
use platform::message::Reject;
use serde_json::{Value, json};

use crate::content::Content;
use crate::queues::QueueName;
use crate::terminal;

/// A message.
pub(super) struct Entry {
    pub(super) queue: QueueName,
    /// SQS's id of it.
    pub(super) id: String,
    pub(super) content: Content,
}

impl Entry {
    /// Reads a message.
    pub(super) fn read(queue: QueueName, message: &Message) -> Self {
        let content = Content::read(message.body().unwrap_or_default());
        Self { queue, id: message.message_id().unwrap_or_default().to_owned(), content }
    }

    /// An item that is on no queue, as if it were a reject.
    pub(super) fn of_item(item: Item<'_>, at: Timestamp) -> Self {
        let reject = Reject::new(item, Reason::NotJson, "", at);
        let content = Content::Reject(Box::new(reject), None);
        Self { queue: QueueName::Rejects, id: String::new(), content }
    }

    /// The work that waits in it.
    fn work(&self) -> Option<&Parked> {
        self.content.work()
    }

    pub(super) fn reject(&self) -> Option<&Reject> {
        self.content.reject()
    }

    pub(super) fn application(&self) -> Option<Cow<'_, str>> {
        match &self.content {
            Content::Parked(parked) => Some(Cow::Borrowed(&parked.application)),
            Content::Reject(reject, _) => {
                let raw = reject.raw();
                let (kind, application) = (reject.kind, reject.application.as_deref());
                let item = Item { kind, application, origin: Origin::First(""), bytes: &raw };
                item.application_code().map(|code| Cow::Owned(code.into_owned()))
            }
            Content::Unreadable(_) => None,
        }
    }

    pub(super) fn kind(&self) -> Option<ItemKind> {
        let of_reject = self.reject().map(|reject| reject.kind);
        self.work().map(Parked::item_kind).or(of_reject)
    }

    /// Where it first came in; its first item, where it has several.
    pub(super) fn origin(&self) -> &str {
        let origin = match &self.content {
            Content::Parked(parked) => parked.origin(0),
            Content::Reject(reject, _) => &reject.origin,
            Content::Unreadable(_) => "",
        };
        if origin.is_empty() { &self.id } else { origin }
    }

    /// Whether it has an item of this origin, or this id of SQS.
    pub(super) fn is_known_as(&self, name: &str) -> bool {
        let of_work = self
            .work()
            .is_some_and(|parked| (0..parked.number()).any(|index| parked.origin(index) == name));
        of_work || self.origin() == name || self.id == name
    }

    pub(super) fn reason(&self) -> Option<&str> {
        Some(self.reject()?.reason.as_str())
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        match &self.content {
            Content::Parked(parked) => Some(parked.cause),
            Content::Reject(..) | Content::Unreadable(_) => None,
        }
    }

    /// When it came in.
    pub(super) fn since(&self) -> Option<Timestamp> {
        match &self.content {
            Content::Parked(parked) => Some(parked.first_seen),
            Content::Reject(reject, _) => Some(reject.at),
            Content::Unreadable(_) => None,
        }
    }

    pub(super) fn status(&self) -> Option<u16> {
        match &self.content {
            Content::Parked(parked) => parked.status,
            Content::Reject(reject, _) => reject.status,
            Content::Unreadable(_) => None,
        }
    }

    /// What the upstream said; of a reject that it never saw, what is wrong.
    pub(super) fn words(&self) -> &str {
        match &self.content {
            Content::Parked(parked) => &parked.words,
            Content::Reject(reject, _) if reject.words.is_empty() => &reject.message,
            Content::Reject(reject, _) => &reject.words,
            Content::Unreadable(_) => "this version cannot read it",
        }
    }

    pub(super) fn attempts(&self) -> u32 {
        match &self.content {
            Content::Parked(parked) => parked.attempts,
            Content::Reject(reject, _) => reject.attempts,
            Content::Unreadable(_) => 0,
        }
    }

    /// How many items it stands for.
    pub(super) fn number(&self) -> usize {
        self.work().map_or(1, Parked::number)
    }

    /// What each of its items is known by.
    pub(super) fn about(&self) -> Vec<About> {
        match (self.work(), self.reject()) {
            (Some(parked), _) => (0..parked.number()).map(|index| parked.about(index)).collect(),
            (None, Some(reject)) => vec![About::item(reject.kind, &reject.raw())],
            (None, None) => Vec::new(),
        }
    }

    /// Whether it is a deletion that has to reach Pushwoosh.
    pub(super) fn deletes(&self) -> bool {
        self.content.deletes()
    }

    /// What a person does about it.
    pub(super) fn remedy(&self) -> Option<String> {
        if let Some(code) = self.reason() {
            let known = Reason::ALL.iter().find(|reason| reason.code() == code);
            return known.map(|reason| reason.remedy().to_owned());
        }
        let cause = self.cause()?.to_string();
        let of_cause = remedy::of_cause(&cause);
        if self.queue != QueueName::Dead {
            return Some(of_cause.to_owned());
        }
        // A dead letter is sent again by nobody.
        let expired = remedy::of_cause(&Cause::Expired.to_string());
        let of_cause = Some(of_cause).filter(|remedy| !remedy.starts_with("Nothing"));
        Some(format!("{expired} Its last cause is {cause}. {}", of_cause.unwrap_or_default()))
    }

    /// What is known of it, for programs.
    pub(super) fn facts(&self) -> Value {
        let mut facts = json!({
            "queue": self.queue.name(),
            "id": self.id,
            "origin": self.origin(),
            "application": self.application(),
            "kind": self.kind().map(ItemKind::name),
            "since": self.since(),
            "items": self.number(),
            "reason": self.reason(),
            "cause": self.cause(),
            "name": self.about().first().and_then(|about| about.name.clone()),
            "status": self.status(),
            "words": self.words(),
            "attempts": self.attempts(),
        });
        if let Some(facts) = facts.as_object_mut() {
            facts.retain(|_, value| !value.is_null());
        }
        facts
    }

    /// The message as it is on the queue.
    pub(super) fn message(&self) -> Value {
        match &self.content {
            Content::Parked(parked) => json!(parked),
            Content::Reject(reject, _) => json!(reject),
            Content::Unreadable(body) => json!(body),
        }
    }

    /// The message whole, with what is known of it, for programs.
    pub(super) fn whole(&self) -> Value {
        let mut whole = self.facts();
        if let Some(whole) = whole.as_object_mut() {
            whole.extend(self.remedy().map(|remedy| ("remedy".to_owned(), remedy.into())));
            whole.insert("message".to_owned(), self.message());
        }
        whole
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        let why = self.reason().map(str::to_owned).or_else(|| Some(self.cause()?.to_string()));
        let why = why.unwrap_or_else(|| "unreadable".to_owned());
        let colour = match self.queue {
            QueueName::Retry => terminal::warning,
            QueueName::Dead | QueueName::Rejects => terminal::bad,
        };
        let since = self.since().map_or_else(String::new, |at| format!("{at:.0}"));
        let name = self.about().first().and_then(|about| about.name.clone());
        let name = name.map_or_else(String::new, |name| format!(" \"{name}\""));
        let items = match self.number() {
            1 => String::new(),
            number => format!(" ({number} items)"),
        };
        let status = self.status().map_or_else(String::new, |status| format!(" HTTP {status}"));
        let attempts = match self.attempts() {
            0 => String::new(),
            1 => " 1 attempt".to_owned(),
            number => format!(" {number} attempts"),
        };
        format!(
            "{:<7} {since:<20} {:<12} {:<9} {}  {}{name}{items}{status}{attempts}: {}",
            self.queue,
            self.application().unwrap_or_default(),
            self.kind().map_or("", ItemKind::name),
            colour(&format!("{why:<22}")),
            self.origin(),
            self.words(),
        )
    }
}
