//! Records of Pushwoosh's topic `channels-tracking-log` and the Segment Track calls they become.
//!
//! Invariants: a Track call has exactly one non-empty identity, its properties are an object, and
//! its `messageId` depends on the record's content and the stack's name alone, so that redelivery and replay are
//! de-duplicated by Segment. `payload` and `description` are never read: they hold personal data.
//! What cannot become a Track call is a [`Reason`](crate::Reason); the caller decides what to do with
//! the bytes.
//!
//! # Layout
//! * `message_event`: the message steps that Segment receives.
//! * `message_type`: the values of the property of that name.
//! * `text_field`: one field of a record, in whatever form it is written.
//! * `record`: a record as it lies on the topic.
//! * `glimpse`: what can be seen of a record without reading it.
//! * `optional_property`: properties of Track calls that a setting may ask for.
//! * `track`: the Track call, and how a record becomes one.
//! * `message_id`: the id by which Segment removes repeats.

mod glimpse;
mod message_event;
mod message_id;
mod message_type;
mod optional_property;
mod record;
mod text_field;
mod track;

pub use glimpse::Glimpse;
pub use message_event::MessageEvent;
pub use message_id::MessageId;
pub use optional_property::OptionalProperty;
pub use record::Record;
pub use track::{Identity, Properties, Track, person_of};
