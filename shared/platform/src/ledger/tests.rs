use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::clock::{Instant, after};
use crate::testing::{Reply, World};

const SECOND: Duration = Duration::from_secs(1);

fn deadline(world: &World) -> Instant {
    world.now() + 5 * SECOND
}

fn values(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn person(world: &World, id: &str) -> Person {
    let people = world.platform.ledger.people("A", &BTreeSet::from([id]), deadline(world)).await;
    people.unwrap().remove(id).unwrap()
}

/// Another process on the same table.
fn other(world: &World) -> Ledger {
    world.ledger()
}

#[tokio::test(start_paused = true)]
async fn an_application_is_unsettled_while_something_of_it_may_wait() {
    let world = World::new(&[]);
    let (ledger, other) = (&world.platform.ledger, other(&world));
    assert!(!ledger.is_unsettled("A", deadline(&world)).await);
    other.unsettle("A", deadline(&world)).await.unwrap();
    assert!(other.is_unsettled("A", deadline(&world)).await);
    assert!(!ledger.is_unsettled("A", deadline(&world)).await, "it was read a moment ago");
    tokio::time::advance(5 * SECOND).await;
    assert!(ledger.is_unsettled("A", deadline(&world)).await);
    assert!(!ledger.is_unsettled("B", deadline(&world)).await);
    // The default of the longest delay is 15 minutes.
    tokio::time::advance(Duration::from_hours(1)).await;
    assert!(!ledger.is_unsettled("A", deadline(&world)).await);
}

#[tokio::test(start_paused = true)]
async fn a_mark_is_read_and_written_seldom() {
    let world = World::new(&[]);
    let ledger = &world.platform.ledger;
    for _ in 0..10 {
        ledger.is_unsettled("A", deadline(&world)).await;
    }
    assert_eq!(world.aws_calls("GetItem"), 1);
    for _ in 0..10 {
        ledger.unsettle("A", deadline(&world)).await.unwrap();
        ledger.is_unsettled("A", deadline(&world)).await;
    }
    assert_eq!((world.aws_calls("GetItem"), world.aws_calls("UpdateItem")), (1, 1));
    // A mark lasts for an hour; nobody looks while it does, and it is renewed after half of it.
    for (minutes, written) in [(29, 1), (2, 2)] {
        tokio::time::advance(Duration::from_mins(minutes)).await;
        assert!(ledger.is_unsettled("A", deadline(&world)).await);
        ledger.unsettle("A", deadline(&world)).await.unwrap();
        assert_eq!((world.aws_calls("GetItem"), world.aws_calls("UpdateItem")), (1, written));
    }
    // What is rejected may come again for two weeks, which is not shortened by what is parked.
    ledger.unsettle_for_long("A", deadline(&world)).await.unwrap();
    tokio::time::advance(Duration::from_hours(13 * 24)).await;
    other(&world).unsettle("A", deadline(&world)).await.unwrap();
    tokio::time::advance(Duration::from_hours(24)).await;
    assert!(ledger.is_unsettled("A", deadline(&world)).await);
}

#[tokio::test(start_paused = true)]
async fn a_mark_ends_at_its_time_and_is_looked_for_then() {
    let world = World::new(&[]);
    let (ledger, early, late) = (&world.platform.ledger, other(&world), other(&world));
    ledger.unsettle("A", deadline(&world)).await.unwrap();
    tokio::time::advance(3_599 * SECOND).await;
    assert!(early.is_unsettled("A", deadline(&world)).await);
    tokio::time::advance(SECOND).await;
    assert!(!early.is_unsettled("A", deadline(&world)).await, "it was read a second ago");
    assert!(!late.is_unsettled("A", deadline(&world)).await, "it is read now");
    // Another process may have renewed it.
    late.unsettle("A", deadline(&world)).await.unwrap();
    assert!(ledger.is_unsettled("A", deadline(&world)).await);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_remembered_and_a_pending_one_until_it_is_delivered() {
    let world = World::new(&[]);
    let ledger = &world.platform.ledger;
    let first = world.platform.clock.wall();
    let second = after(first, SECOND);
    ledger.deleted("A", "u", second, deadline(&world)).await.unwrap();
    ledger.deleted("A", "u", first, deadline(&world)).await.unwrap();
    let known = person(&world, "u").await;
    assert!(known.was_deleted_after(first) && !known.was_deleted_after(second));
    // One that a later one covers is not waited for.
    ledger.deletion_is_pending("A", "u", first, deadline(&world)).await.unwrap();
    assert_eq!(person(&world, "u").await.pending, None);
    ledger.deletion_is_pending("A", "u", second, deadline(&world)).await.unwrap();
    let known = ledger.person("A", "u", deadline(&world)).await.unwrap();
    assert!(known.has_pending_before(after(second, SECOND)) && !known.has_pending_before(second));
    // An older one that was delivered says nothing about it.
    ledger.deletion_is_delivered("A", "u", first, deadline(&world)).await.unwrap();
    assert!(person(&world, "u").await.pending.is_some());
    ledger.deletion_is_delivered("A", "u", second, deadline(&world)).await.unwrap();
    let known = person(&world, "u").await;
    assert!(known.pending.is_none() && known.delivered.is_some());
    assert_eq!(person(&world, "other").await, Person::default());
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_behind_a_deletion_that_is_covered() {
    let world = World::new(&[]);
    let ledger = &world.platform.ledger;
    let first = world.platform.clock.wall();
    let second = after(first, SECOND);
    ledger.deletion_is_pending("A", "u", second, deadline(&world)).await.unwrap();
    ledger.deletion_is_covered("A", "u", first, deadline(&world)).await.unwrap();
    assert!(person(&world, "u").await.pending.is_some(), "another one is covered");
    ledger.deletion_is_covered("A", "u", second, deadline(&world)).await.unwrap();
    assert_eq!(person(&world, "u").await.pending, None);
}

#[tokio::test(start_paused = true)]
async fn deletions_are_read_without_the_times_of_values() {
    let world = World::new(&[]);
    let ledger = &world.platform.ledger;
    let at = world.platform.clock.wall();
    ledger.deleted("A", "u", at, deadline(&world)).await.unwrap();
    ledger
        .values_were_accepted("A", "u", &values(&["a"]), after(at, SECOND), deadline(&world))
        .await
        .unwrap();
    let known = ledger.deletions("A", &BTreeSet::from(["u", "v"]), deadline(&world)).await.unwrap();
    assert_eq!(known.len(), 2);
    assert!(known["u"].deleted.is_some() && known["v"] == Person::default());
    assert!(!known["u"].has_values_after(at));
    assert!(person(&world, "u").await.has_values_after(at));
}

#[test]
fn a_deletion_is_done_once_pushwoosh_took_it_or_a_later_one() {
    let at = |second| Some(Timestamp::from_second(second).unwrap());
    let accepted = at(5).unwrap();
    for (deleted, delivered, covered, done) in [
        (None, None, false, false),
        (at(5), None, false, false),
        (at(5), at(6), false, true),
        (at(9), None, true, false),
        (at(9), at(10), true, true),
        // What Pushwoosh took was an earlier one, before or after this was accepted.
        (at(5), at(4), false, false),
        (at(4), at(6), false, false),
        (None, at(6), false, false),
    ] {
        let mut person = Person::default();
        (person.deleted, person.delivered) = (deleted, delivered);
        let found = (person.is_deletion_covered(accepted), person.is_deletion_done(accepted));
        assert_eq!(found, (covered, done), "{person:?}");
    }
}

/// Pushwoosh does not learn of an erasure: the parked deletion must still reach it.
#[tokio::test(start_paused = true)]
async fn an_erasure_ends_what_came_before_but_no_deletion() {
    let world = World::new(&[]);
    let ledger = &world.platform.ledger;
    let first = world.platform.clock.wall();
    let second = after(first, SECOND);
    ledger.deleted("A", "u", first, deadline(&world)).await.unwrap();
    ledger.deletion_is_pending("A", "u", first, deadline(&world)).await.unwrap();
    ledger.erased("A", "u", second, deadline(&world)).await.unwrap();
    ledger.erased("A", "u", first, deadline(&world)).await.unwrap();
    let known = person(&world, "u").await;
    assert!(known.was_deleted_after(first) && !known.was_deleted_after(second));
    assert!(!known.is_deletion_covered(first));
    assert!(known.pending.is_some() && known.erased.is_some());
}

/// A receipt is asked for long after the deletion, and counts from its last change.
#[tokio::test(start_paused = true)]
async fn a_receipt_is_kept_for_400_days() {
    let world = World::new(&[]);
    let (ledger, began) = (&world.platform.ledger, world.platform.clock.wall());
    let expires = async || {
        let row = ledger.get(&format!("deletion#A#{}", hashed(&[b"u"])), deadline(&world)).await;
        let expires = row.unwrap().unwrap()["expires_at"].as_n().unwrap().parse::<i64>().unwrap();
        expires - began.as_second()
    };
    let days = 400 * 24 * 60 * 60;
    ledger.deleted("A", "u", began, deadline(&world)).await.unwrap();
    assert_eq!(expires().await, days);
    tokio::time::advance(60 * SECOND).await;
    ledger.deletion_is_delivered("A", "u", began, deadline(&world)).await.unwrap();
    assert_eq!(expires().await, days + 60);
}

#[tokio::test(start_paused = true)]
async fn of_every_value_the_newest_time_is_kept() {
    let world = World::new(&[]);
    let ledger = &world.platform.ledger;
    let first = world.platform.clock.wall();
    let second = after(first, SECOND);
    let write = async |names: &[&str], at| {
        ledger.values_were_accepted("A", "u", &values(names), at, deadline(&world)).await.unwrap();
    };
    write(&["a", "b"], second).await;
    write(&["b", "c"], first).await;
    let known = person(&world, "u").await;
    let overtaken = |name| known.is_overtaken(name, first);
    assert!(overtaken("a") && overtaken("b") && !overtaken("c") && !overtaken("d"));
    assert!(!known.is_overtaken("a", second));
    assert!(known.has_values_after(first) && !known.has_values_after(second));
    assert!(!person(&world, "other").await.has_values_after(first));
    let row = ledger.get(&format!("values#A#{}", hashed(&[b"u"])), deadline(&world)).await;
    let expires = row.unwrap().unwrap()["expires_at"].as_n().unwrap().parse::<i64>().unwrap();
    assert_eq!(expires - first.as_second(), 60 * 24 * 60 * 60);
    // More than one write takes.
    let many: Vec<String> = (0..150).map(|n| format!("tag {n}")).collect();
    write(&many.iter().map(String::as_str).collect::<Vec<_>>(), second).await;
    let known = person(&world, "u").await;
    assert!(many.iter().all(|name| known.is_overtaken(name, first)));
}

#[tokio::test(start_paused = true)]
async fn an_item_is_worked_on_once_and_freed_when_its_invocation_has_died() {
    let world = World::new(&[]);
    let (ledger, other) = (&world.platform.ledger, other(&world));
    let claim_of = async |ledger: &Ledger, item: &str| {
        let until = after(world.platform.clock.wall(), 60 * SECOND);
        ledger.claim(item, until, deadline(&world)).await.unwrap()
    };
    let claim = async |ledger: &Ledger| claim_of(ledger, "m").await;
    assert_eq!((claim(ledger).await, claim(&other).await), (Claim::Taken, Claim::Busy));
    assert_eq!(claim_of(&other, "n").await, Claim::Taken);
    tokio::time::advance(61 * SECOND).await;
    assert_eq!(claim(&other).await, Claim::Taken);
    other.release("m", deadline(&world)).await.unwrap();
    assert_eq!(claim(ledger).await, Claim::Taken);
    other.finish("m", deadline(&world)).await.unwrap();
    tokio::time::advance(61 * SECOND).await;
    assert_eq!(claim(ledger).await, Claim::Done);
}

#[tokio::test(start_paused = true)]
async fn a_failed_request_is_known_by_its_bytes() {
    let world = World::new(&[]);
    let ledger = &world.platform.ledger;
    let delivered = BTreeSet::from([0, 2, 11]);
    ledger.request_failed("A", b"body", &delivered, deadline(&world)).await.unwrap();
    let taken = async |application: &str, body: &[u8]| {
        ledger.take_settled(application, body, deadline(&world)).await.unwrap()
    };
    assert_eq!(taken("A", b"other").await, BTreeSet::new());
    assert_eq!(taken("B", b"body").await, BTreeSet::new());
    assert_eq!(taken("A", b"body").await, delivered);
    assert_eq!(taken("A", b"body").await, BTreeSet::new(), "it was taken");
    ledger.request_failed("A", b"body", &delivered, deadline(&world)).await.unwrap();
    assert_eq!(taken("A", b"body").await, delivered, "the repetition failed too");
}

#[tokio::test(start_paused = true)]
async fn while_it_cannot_be_reached_nobody_waits_long() {
    for reply in [Reply::Hang, Reply::Broken, Reply::Status(500, json!({}))] {
        let world = World::new(&[]);
        let ledger = &world.platform.ledger;
        world.dynamodb(Some(reply));
        let before = world.now();
        assert!(!ledger.is_unsettled("A", deadline(&world)).await);
        assert!(world.now().since(before) <= LIVE_WAIT);
        let calls = world.aws_calls("Item");
        assert_eq!(ledger.person("A", "u", deadline(&world)).await, Err(Unavailable));
        assert_eq!(world.aws_calls("Item"), calls, "it failed a moment ago");
        world.dynamodb(None);
        tokio::time::advance(3 * SECOND).await;
        assert!(ledger.person("A", "u", deadline(&world)).await.is_ok());
    }
}

#[test]
fn no_id_is_in_the_ledger() {
    assert_eq!(hashed(&[b"u1"]).len(), 32);
    assert_ne!(hashed(&[b"a", b"bc"]), hashed(&[b"ab", b"c"]));
}
