//! The guarantees hold in a dozen stories, the same seed tells the same story, and the judge notices deliberate
//! defects.

use std::fmt::Write as _;

use simulation::shorten::shorten;
use simulation::{Guarantee, Sabotage, Story, Telling, run};

#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
fn tell(seed: u64, days: u32, sabotage: Option<Sabotage>) -> Story {
    run(seed, &Telling { days, sabotage, ..Telling::default() }).unwrap()
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let tell = || {
        let story = run(3, &Telling { days: 4, trace: true, ..Telling::default() }).unwrap();
        let mut text = story.trace.join("\n");
        for verdict in &story.verdicts {
            writeln!(text, "{verdict}").unwrap();
        }
        text
    };
    let first = tell();
    assert!(first.lines().count() > 500);
    // In another thread, with the process's global state used by another story in between.
    tell_other();
    assert!(first == std::thread::spawn(tell).join().unwrap());
}

fn tell_other() {
    tell(99, 2, None);
}

#[test]
fn a_dozen_stories_break_nothing() {
    for seed in 1..=12 {
        let story = tell(seed, 4, None);
        assert!(story.counts.iter().all(|(_, number)| *number > 30), "{:?}", story.counts);
        assert_eq!(story.verdicts, [], "seed {seed}");
    }
}

#[test]
fn every_guarantee_has_a_defect_that_breaks_it() {
    for guarantee in Guarantee::ALL {
        let broken = Sabotage::ALL.iter().any(|sabotage| sabotage.breaks() == *guarantee);
        assert!(broken, "{} has no sabotage: the judge may be blind to it", guarantee.name());
    }
}

#[test]
#[ignore = "a minute; ci/simulation runs it"]
fn the_judge_notices_every_deliberate_defect() {
    for sabotage in Sabotage::ALL {
        let caught = (1..=200)
            .any(|seed| tell(seed, 8, Some(*sabotage)).broken().contains_key(&sabotage.breaks()));
        assert!(caught, "{}", sabotage.name());
    }
}

#[test]
fn a_breach_is_found_with_less_around_it() {
    let sabotage = Some(Sabotage::SwallowedCalls);
    let telling = Telling { days: 6, sabotage, ..Telling::default() };
    let story = run(1, &telling).unwrap();
    let guarantee = Guarantee::Accounted;
    let shorter = shorten(&story, &telling, guarantee).unwrap();
    assert!(shorter.cut.without.len() > 1, "{:?}", shorter.cut);
    assert!(run(1, &shorter).unwrap().broken().contains_key(&guarantee));
}
