//! What the system promises, and a promise that was broken.

use std::fmt;
use std::time::Duration;

use crate::time::show;

/// A row per guarantee: variant, name, what it says.
macro_rules! guarantees {
    ($($variant:ident, $name:literal, $says:literal;)*) => {
        /// What the system promises.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Guarantee {
            $(#[doc = $says] $variant,)*
        }

        impl Guarantee {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it says.
            pub fn says(self) -> &'static str {
                match self { $(Self::$variant => $says,)* }
            }
        }
    };
}

guarantees! {
    Accounted, "accounted",
        "What was accepted is delivered, waits on a queue, or is kept with a reason.";
    NotExpired, "not-expired",
        "Nothing that waits is deleted by the retention of a queue.";
    SettingsReturn, "settings-return",
        "Parked and later records survive that their application's secret was away for three minutes.";
    DeletedStay, "deleted-stay",
        "Nothing that was accepted before a deletion reaches Pushwoosh after it.";
    ReturnedStay, "returned-stay",
        "Who returns after a deletion keeps what came after it.";
    NewestValue, "newest-value",
        "A tag has the newest value that was accepted.";
    EventOnce, "event-once",
        "An event is at Pushwoosh once, unless a process died or the upstream gave no good answer in 1.5 s.";
    OncePerRequest, "once-per-request",
        "An event that was delivered is not delivered again because its request was answered with an error.";
    OncePerMessage, "once-per-message",
        "An event is not delivered again because SQS hands its message out again.";
    RecordOnce, "record-once",
        "A record is in Segment once.";
    RightKey, "right-key",
        "A right key is never refused.";
    RevokedKey, "revoked-key",
        "A key that was replaced more than 25 hours ago is refused.";
    InTime, "in-time",
        "A request is answered within 4 s, cold starts and crashes aside.";
    Taken, "taken",
        "A request is not answered with 5xx while SQS and Secrets Manager work, single entries aside.";
    TopicMoves, "topic-moves",
        "A record leaves the topic within ten minutes, whatever Secrets Manager does, while SQS works.";
    Neighbours, "neighbours",
        "While others are in trouble, items of an application that had none for a day arrive within a minute.";
    Resumes, "resumes",
        "Half an hour after an application's trouble its new items arrive within a minute again.";
    Recovery, "recovery",
        "What waited is delivered within an hour of the end of the troubles.";
}

/// A guarantee that was broken once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which one.
    pub guarantee: Guarantee,
    /// When, counted from the beginning of the story.
    pub at: Duration,
    /// Whose.
    pub application: String,
    /// Whose.
    pub user: String,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { guarantee, at, application, user, what } = self;
        write!(f, "{}  BROKEN {}: {application} {user}: {what}", show(*at), guarantee.name())
    }
}
