//! Deliberate defects in the world and at the seams. A judge that does not notice them is worth nothing.

use crate::oracle::Guarantee;

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
    SpreadingTrouble, "spreading-trouble", Neighbours,
        "What an upstream does to one application it does to all.";
}
