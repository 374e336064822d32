//! Leaves out of a story what a breach does not need: the days after it, and every trouble without which it
//! still happens.

use crate::{Cut, Guarantee, Story, Telling, run};

const DAY_S: u64 = 86_400;

/// The shortest story that still breaks the guarantee, of those that were tried: one more than there are
/// troubles.
pub fn shorten(story: &Story, telling: &Telling, guarantee: Guarantee) -> anyhow::Result<Telling> {
    let breaks = |cut: &Cut| -> anyhow::Result<bool> {
        let telling = Telling { cut: cut.clone(), trace: false, ..telling.clone() };
        Ok(run(story.seed, &telling)?.broken().contains_key(&guarantee))
    };
    let mut cut = telling.cut.clone();
    let mut first = story.verdicts.iter().filter(|verdict| verdict.guarantee == guarantee);
    if let Some(verdict) = first.next() {
        let day = u32::try_from(verdict.at.as_secs() / DAY_S)?;
        // A day more, for what leads to it only later.
        let shorter = Cut { until: Some(day + 2), ..cut.clone() };
        if day + 2 < telling.days && breaks(&shorter)? {
            cut = shorter;
        }
    }
    for trouble in 0..story.troubles {
        let mut less = cut.clone();
        if less.without.insert(trouble) && breaks(&less)? {
            cut = less;
        }
    }
    Ok(Telling { cut, ..telling.clone() })
}
