//! What the stories found before it was mended: kept, since it cannot be measured again.

use std::ops::RangeInclusive;

use crate::guarantee::Guarantee;

/// Seeds of the stories that were told, 30 days each.
pub(crate) const SEEDS: RangeInclusive<u64> = 1..=100;

/// The commit that was judged: the last one before the ledger, the two deadlines and the snapshots of settings.
pub(crate) const COMMIT: &str = "f6d6246";

impl Guarantee {
    /// How many of `SEEDS` broke it at `COMMIT`, and the first of them; nothing where none did.
    pub fn found(self) -> Option<(usize, u64)> {
        match self {
            Self::Accounted | Self::RecordOnce | Self::Neighbours => None,
            Self::NotExpired => Some((33, 2)),
            Self::SettingsReturn => Some((9, 5)),
            Self::DeletedStay | Self::Recovery => Some((100, 1)),
            Self::ReturnedStay => Some((14, 3)),
            Self::NewestValue => Some((33, 3)),
            Self::EventOnce => Some((47, 1)),
            Self::OncePerRequest => Some((2, 82)),
            Self::OncePerMessage => Some((24, 2)),
            Self::RightKey => Some((30, 1)),
            Self::RevokedKey => Some((77, 1)),
            Self::InTime => Some((4, 53)),
            Self::Taken => Some((98, 1)),
            Self::TopicMoves => Some((46, 8)),
            Self::Resumes => Some((52, 1)),
        }
    }
}
