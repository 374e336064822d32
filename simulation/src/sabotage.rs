//! Deliberate defects in the world and at the seams. The judge must notice each of them.

use std::time::Duration;

use crate::guarantee::Guarantee;
use crate::service::Service;
use crate::trouble::Concerns;

/// Longer than anything that the functions or the judge tolerate: settings are kept for minutes, and after half an hour
/// nothing of a trouble may be felt.
const LINGERING: Duration = Duration::from_hours(6);

macro_rules! sabotages {
    ($($variant:ident, $name:literal, $breaks:ident, $does:literal;)*) => {
        /// A deliberate defect.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Sabotage {
            $(#[doc = $does] $variant,)*
        }

        impl Sabotage {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it does.
            pub fn does(self) -> &'static str {
                match self { $(Self::$variant => $does,)* }
            }

            /// The guarantee that it breaks.
            pub fn breaks(self) -> Guarantee {
                match self { $(Self::$variant => Guarantee::$breaks,)* }
            }
        }
    };
}

sabotages! {
    LostMessages, "lost-messages", Accounted,
        "SQS loses every message of the retry queue that is sent alone, and says that it has it.";
    SwallowedCalls, "swallowed-calls", Accounted,
        "Pushwoosh answers one call of fifty with success and does nothing.";
    SkippedBatches, "skipped-batches", Accounted,
        "The topic's mapping commits one batch of twenty without delivering it.";
    EmptiedRejects, "emptied-rejects", Accounted,
        "The rejects queue keeps nothing.";
    ForgetfulSegment, "forgetful-segment", RecordOnce,
        "Segment removes no repeats, and one batch of ten comes twice.";
    ForgottenDeletions, "forgotten-deletions", DeletedStay,
        "The ledger forgets what it is told of deletions.";
    ForgottenPending, "forgotten-pending", ReturnedStay,
        "The ledger forgets which deletions are pending.";
    LastingPending, "lasting-pending", Recovery,
        "The ledger forgets that nothing waits behind a deletion any more that Pushwoosh refused.";
    ForgottenValues, "forgotten-values", NewestValue,
        "The ledger forgets the times of values.";
    ForgottenClaims, "forgotten-claims", OncePerMessage,
        "The ledger forgets which items were worked on, and SQS hands out one message of a hundred twice.";
    ForgottenRequests, "forgotten-requests", OncePerRequest,
        "The ledger forgets what was delivered of failed requests.";
    LastingRequests, "lasting-requests", Accounted,
        "The ledger keeps what was delivered of a failed request although an equal one came, and SQS refuses four of five batches of the retry queue.";
    HastyNetwork, "hasty-network", EventOnce,
        "The network gives up answers of Pushwoosh after 0.1 s.";
    ShortRetention, "short-retention", NotExpired,
        "SQS keeps messages of the retry queue for a minute only.";
    LastingLateReads, "lasting-late-reads", RightKey,
        "Secrets Manager reads late for an hour after a rotation.";
    LongGrace, "long-grace", RevokedKey,
        "The functions accept the key before a rotation for a week.";
    LongBudget, "long-budget", InTime,
        "The destination has a time budget of 15 s.";
    SleepingRetries, "sleeping-retries", Recovery,
        "The mapping of the retry queue sleeps for three hours after every batch.";
    SpreadingTrouble, "spreading-trouble", Neighbours,
        "What an upstream does to one application it does to all.";
    RefusedParking, "refused-parking", Taken,
        "SQS takes nothing for the retry queue.";
    WaitingTopic, "waiting-topic", TopicMoves,
        "The topic's mapping waits while Secrets Manager fails.";
    LingeringAbsence, "lingering-absence", SettingsReturn,
        "A secret that was away comes back six hours late.";
    LingeringTrouble, "lingering-trouble", Resumes,
        "What an upstream does to an application goes on for six hours.";
}

impl Sabotage {
    /// For how long a trouble goes on after the end that the judge knows.
    pub(crate) fn lingers(self, concerns: Concerns) -> Duration {
        let lingers = match self {
            Self::LingeringAbsence => concerns == Concerns::Secret,
            Self::LingeringTrouble => {
                matches!(concerns, Concerns::Service(Service::Pushwoosh | Service::Segment))
            }
            _ => false,
        };
        if lingers { LINGERING } else { Duration::ZERO }
    }

    /// A setting of the functions that it changes; without one a name that is no setting.
    pub(crate) fn variable(self) -> (&'static str, &'static str) {
        match self {
            Self::LongGrace => ("PWSEG_PREVIOUS_KEY_GRACE_S", "604800"),
            Self::LongBudget => ("PWSEG_TIME_BUDGET_MS", "15000"),
            _ => ("", ""),
        }
    }
}
