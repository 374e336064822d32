//! What a message of a queue holds.

use mapping::{ItemKind, Parked, Work};
use platform::message::{self, Reject};

/// What a message of a queue holds.
#[derive(Debug)]
pub enum Content {
    /// Something that waits, or is dead.
    Parked(Box<Parked>),
    /// Something that cannot be delivered as it is; where it is work, that work.
    Reject(Box<Reject>, Option<Box<Parked>>),
    /// Nothing that this version can read.
    Unreadable(String),
}

impl Content {
    /// Reads the body of a message.
    pub fn read(body: &str) -> Self {
        if let Some(parked) = message::decode::<Parked>(body) {
            return Self::Parked(Box::new(parked));
        }
        let Some(reject) = message::decode::<Reject>(body) else {
            return Self::Unreadable(body.to_owned());
        };
        let work = (reject.kind == ItemKind::Parked)
            .then(|| Parked::read(&reject.raw()).ok().map(Box::new))
            .flatten();
        Self::Reject(Box::new(reject), work)
    }

    /// The work that waits in it.
    pub fn work(&self) -> Option<&Parked> {
        match self {
            Self::Parked(parked) => Some(parked),
            Self::Reject(_, work) => work.as_deref(),
            Self::Unreadable(_) => None,
        }
    }

    /// The reject that it is.
    pub fn reject(&self) -> Option<&Reject> {
        match self {
            Self::Reject(reject, _) => Some(reject),
            Self::Parked(_) | Self::Unreadable(_) => None,
        }
    }

    /// Where its items came in.
    pub fn origins(&self) -> Vec<&str> {
        match (self.work(), self.reject()) {
            (Some(parked), _) => (0..parked.number()).map(|index| parked.origin(index)).collect(),
            (None, Some(reject)) => vec![reject.origin.as_str()],
            (None, None) => Vec::new(),
        }
    }

    /// Whether it is a deletion, which has to reach Pushwoosh.
    pub fn deletes(&self) -> bool {
        let of_work = self.work().is_some_and(
            |parked| matches!(&parked.work, Work::Pushwoosh(plan) if plan.deletes().is_some()),
        );
        of_work || self.reject().is_some_and(|reject| reject.kind == ItemKind::Deletion)
    }
}
