use mapping::{Item, ItemKind, Origin, deletion, event, profile};
use platform::ledger::Person;
use platform::testing::{Reply, World};
use serde_json::{Value, json};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A moment so many seconds ago.
fn ago(world: &World, seconds: i64) -> Timestamp {
    let now = world.platform.clock.wall().as_microsecond();
    Timestamp::from_microsecond(now - seconds * 1_000_000).unwrap()
}

fn deletion() -> Plan {
    deletion::plan("A", br#"{"external_id": "u1"}"#).unwrap()
}

fn event() -> Plan {
    let body = json!({"user_id": "u1", "device_platform": "ios", "name": "E"}).to_string();
    event::plan("A", body.as_bytes(), Timestamp::UNIX_EPOCH).unwrap()
}

fn profile_of(user: &str, attributes: &Value) -> Plan {
    let body = json!({"user_id": user, "device_id": "d", "device_platform": "ios",
        "attributes": attributes});
    profile::plan("A", body.to_string().as_bytes(), Timestamp::UNIX_EPOCH).unwrap()
}

fn profile() -> Plan {
    profile_of("u1", &json!({"plan": "pro"}))
}

fn unavailable() -> Reply {
    Reply::Status(503, json!({}))
}

/// Delivers an item of live traffic. Why it has to wait, where it has.
async fn fresh(world: &World, plan: Plan, accepted: Timestamp, unsettled: bool) -> Option<Cause> {
    let invocation = world.invocation(3 * SECOND);
    let delivery = Delivery::new(&world.platform);
    let sent = plan.clone();
    let outcome = delivery.deliver_fresh("A", sent, accepted, unsettled, &invocation).await;
    let unsent = outcome.unwrap().unsent?;
    assert_eq!(unsent.plan, plan, "all of it waits");
    Some(unsent.why.cause)
}

/// Tries an item that waited. Why it waits on, where it does, or why it was dropped.
async fn waited(world: &World, plan: Plan, accepted: Timestamp) -> Result<Option<Cause>, Reason> {
    let invocation = world.invocation(3 * SECOND);
    let delivery = Delivery::new(&world.platform);
    match delivery.deliver_waited("A", plan, accepted, &invocation).await.unwrap() {
        Waited::Tried(outcome) => Ok(outcome.unsent.map(|unsent| unsent.why.cause)),
        Waited::Dropped(reason) => Err(reason),
    }
}

fn parked(plan: Plan, accepted: Timestamp) -> Message {
    let parked = Parked::new("A", Work::Pushwoosh(plan), Cause::Timeout, accepted);
    Message::Park(parked, SECOND)
}

async fn keep(world: &World, message: Message) {
    let deadline = world.now() + 5 * SECOND;
    Delivery::new(&world.platform).before_keeping(&[message], deadline).await;
}

async fn not_kept(world: &World, message: Message) {
    let deadline = world.now() + 5 * SECOND;
    Delivery::new(&world.platform).was_not_kept(&message, deadline).await;
}

async fn user(world: &World) -> Person {
    world.platform.ledger.person("A", "u1", world.now() + 5 * SECOND).await.unwrap()
}

/// Whether another process finds that something of an application waits.
async fn is_unsettled(world: &World, code: &str) -> bool {
    world.ledger().is_unsettled(code, world.now() + 5 * SECOND).await
}

/// The methods that Pushwoosh was called with.
fn sent(world: &World) -> Vec<String> {
    let requests = world.requests().into_iter();
    let paths = requests.map(|request| request.uri().path().to_owned());
    paths.map(|path| path.rsplit('/').next().unwrap().to_owned()).collect()
}

/// The ledger is asked again only a moment after it failed.
async fn repair_ledger(world: &World) {
    world.dynamodb(None);
    tokio::time::advance(3 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_written_down_before_it_is_called() {
    let world = World::new(&[]);
    let (before, accepted) = (ago(&world, 20), ago(&world, 10));
    world.dynamodb(Some(unavailable()));
    let waits = fresh(&world, deletion(), accepted, false).await;
    assert_eq!((waits, sent(&world).len()), (Some(Cause::LedgerUnavailable), 0));
    repair_ledger(&world).await;
    world.upstream(|_| unavailable());
    assert_eq!(fresh(&world, deletion(), accepted, false).await, Some(Cause::Http(503)));
    assert_eq!(waited(&world, event(), before).await, Err(Reason::UserDeleted));
}

#[tokio::test(start_paused = true)]
async fn only_a_deletion_that_pushwoosh_took_is_noted_as_delivered() {
    let world = World::new(&[]);
    let accepted = ago(&world, 10);
    for (status, is_delivered) in [(503, false), (400, false), (200, true)] {
        world.upstream(move |_| Reply::Status(status, json!({})));
        fresh(&world, deletion(), accepted, false).await;
        assert_eq!(user(&world).await.delivered.is_some(), is_delivered, "{status}");
    }
}

/// Otherwise it would go on waiting for a deletion that has nothing to do any more.
#[tokio::test(start_paused = true)]
async fn a_newer_deletion_that_is_delivered_frees_what_waits_behind_an_older_one() {
    let world = World::new(&[]);
    let (older, newer, after) = (ago(&world, 30), ago(&world, 20), ago(&world, 10));
    keep(&world, parked(deletion(), older)).await;
    assert_eq!(waited(&world, event(), after).await, Ok(Some(Cause::DeletionPending)));
    assert_eq!(fresh(&world, deletion(), newer, true).await, None);
    assert_eq!(waited(&world, event(), after).await, Ok(None));
    assert_eq!(waited(&world, deletion(), older).await, Err(Reason::Duplicate));
    assert_eq!(sent(&world), ["deleteUser", "postEvent"]);
}

#[tokio::test(start_paused = true)]
async fn live_traffic_waits_behind_a_parked_deletion_of_its_person() {
    let world = World::new(&[]);
    let (before, accepted, after) = (ago(&world, 30), ago(&world, 20), ago(&world, 10));
    keep(&world, parked(deletion(), accepted)).await;
    for plan in [event(), profile()] {
        let waits = fresh(&world, plan, after, true).await;
        assert_eq!((waits, sent(&world).len()), (Some(Cause::DeletionPending), 0));
    }
    assert_eq!(fresh(&world, event(), before, true).await, None);
    assert_eq!(fresh(&world, profile_of("u2", &json!({"a": 1})), after, true).await, None);
    assert_eq!(sent(&world), ["postEvent", "registerUser", "setTags"]);
}

#[tokio::test(start_paused = true)]
async fn the_ledger_is_asked_only_about_people_of_an_unsettled_application() {
    let world = World::new(&[]);
    let now = ago(&world, 0);
    assert_eq!(fresh(&world, profile(), now, false).await, None);
    assert_eq!(world.aws_calls("Item"), 0);
    world.dynamodb(Some(unavailable()));
    assert_eq!(fresh(&world, profile(), now, false).await, None);
    assert_eq!(fresh(&world, profile(), now, true).await, Some(Cause::LedgerUnavailable));
    assert_eq!(sent(&world).len(), 4, "both profiles of the settled application");
}

#[tokio::test(start_paused = true)]
async fn a_live_profile_overtakes_one_that_waits() {
    let world = World::new(&[]);
    let (older, newer) = (ago(&world, 20), ago(&world, 10));
    assert_eq!(fresh(&world, profile(), newer, true).await, None);
    assert_eq!(waited(&world, profile(), older).await, Err(Reason::Overtaken));
    let more = profile_of("u1", &json!({"plan": "old", "city": "B"}));
    assert_eq!(waited(&world, more, older).await, Ok(None));
    let last: Value = serde_json::from_slice(world.requests().pop().unwrap().body()).unwrap();
    assert_eq!(last["request"]["tags"], json!({"city": "B"}));
    assert_eq!(sent(&world), ["registerUser", "setTags", "setTags"]);
}

/// What did not reach Pushwoosh is no newer value there.
#[tokio::test(start_paused = true)]
async fn of_a_profile_that_was_sent_in_part_only_that_part_overtakes() {
    let world = World::new(&[]);
    let (older, newer) = (ago(&world, 20), ago(&world, 10));
    world.upstream(|request| {
        let is_tags = request.uri().path().ends_with("/setTags");
        if is_tags { unavailable() } else { Reply::Status(200, json!({"status_code": 200})) }
    });
    assert_eq!(waited(&world, profile(), newer).await, Ok(Some(Cause::Http(503))));
    world.upstream(|_| Reply::Status(200, json!({"status_code": 200})));
    assert_eq!(waited(&world, profile(), older).await, Ok(None));
    assert_eq!(sent(&world), ["registerUser", "setTags", "setTags"]);
}

#[tokio::test(start_paused = true)]
async fn a_parked_item_makes_its_application_unsettled() {
    let world = World::new(&[]);
    keep(&world, parked(profile(), ago(&world, 0))).await;
    assert!(is_unsettled(&world, "A").await);
    assert!(!is_unsettled(&world, "B").await);
    assert_eq!(user(&world).await, Person::default(), "only a deletion is waited for");
}

/// Whether an application is unsettled after a message was kept for it 13 days ago.
async fn may_come_again_for_days(message: Message) -> bool {
    let world = World::new(&[]);
    keep(&world, message).await;
    tokio::time::advance(Duration::from_hours(13 * 24)).await;
    is_unsettled(&world, "A").await
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_may_send_again_leaves_its_application_unsettled_for_days() {
    let bury = |work| Message::Bury(Parked::new("A", work, Cause::Timeout, Timestamp::UNIX_EPOCH));
    assert!(may_come_again_for_days(bury(Work::Pushwoosh(profile()))).await);
    assert!(!may_come_again_for_days(bury(Work::Segment(Vec::new()))).await);
    let reject = |application, kind, reason| {
        let item = Item { kind, application, origin: Origin::Message("m"), bytes: b"{}" };
        Message::Reject(Reject::new(item, reason, "", Timestamp::UNIX_EPOCH))
    };
    let (refused, invalid) = (Reason::RefusedByPushwoosh, Reason::BadField);
    for (kind, reason, expected) in [
        (ItemKind::Profile, invalid, true),
        (ItemKind::Profile, refused, true),
        (ItemKind::Deletion, refused, true),
        (ItemKind::RawEvent, Reason::MappingFailed, true),
        (ItemKind::Parked, refused, true),
        // What changes no tag and deletes nobody has no place among others.
        (ItemKind::Parked, Reason::RefusedBySegment, false),
        (ItemKind::Event, invalid, false),
        (ItemKind::Record, invalid, false),
    ] {
        let found = may_come_again_for_days(reject(Some("A"), kind, reason)).await;
        assert_eq!(found, expected, "{kind:?} {reason:?}");
        assert!(!may_come_again_for_days(reject(None, kind, reason)).await, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_after_a_deletion_waits_until_it_is_delivered() {
    let world = World::new(&[]);
    let (before, accepted, after) = (ago(&world, 30), ago(&world, 20), ago(&world, 10));
    keep(&world, parked(deletion(), accepted)).await;
    assert_eq!(waited(&world, profile(), before).await, Err(Reason::UserDeleted));
    assert_eq!(waited(&world, profile(), after).await, Ok(Some(Cause::DeletionPending)));
    world.upstream(|_| unavailable());
    assert_eq!(waited(&world, deletion(), accepted).await, Ok(Some(Cause::Http(503))));
    assert_eq!(waited(&world, profile(), after).await, Ok(Some(Cause::DeletionPending)));
    world.upstream(|_| Reply::Status(200, json!({})));
    assert_eq!(waited(&world, deletion(), accepted).await, Ok(None));
    world.upstream(|_| Reply::Status(200, json!({"status_code": 200})));
    assert_eq!(waited(&world, profile(), after).await, Ok(None));
    let again = waited(&world, deletion(), accepted).await;
    assert_eq!(again, Err(Reason::Duplicate), "it would delete what came since");
}

/// Nobody tries it again, so that nothing would ever free what waits behind it.
#[tokio::test(start_paused = true)]
async fn nothing_waits_behind_a_deletion_that_no_queue_took() {
    let world = World::new(&[]);
    let (accepted, after) = (ago(&world, 20), ago(&world, 10));
    keep(&world, parked(deletion(), accepted)).await;
    not_kept(&world, parked(profile(), after)).await;
    assert_eq!(waited(&world, event(), after).await, Ok(Some(Cause::DeletionPending)));
    not_kept(&world, parked(deletion(), accepted)).await;
    assert_eq!(waited(&world, event(), after).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn of_two_deletions_that_wait_only_the_newer_one_is_called() {
    let world = World::new(&[]);
    let (older, newer) = (ago(&world, 20), ago(&world, 10));
    for accepted in [older, newer] {
        keep(&world, parked(deletion(), accepted)).await;
    }
    assert_eq!(waited(&world, deletion(), older).await, Err(Reason::UserDeleted));
    assert!(user(&world).await.pending.is_some(), "the newer one is still to be delivered");
    assert_eq!(waited(&world, deletion(), newer).await, Ok(None));
    assert_eq!(sent(&world), ["deleteUser"]);
}

#[tokio::test(start_paused = true)]
async fn without_the_ledger_nothing_that_waits_is_sent() {
    let world = World::new(&[]);
    let accepted = ago(&world, 10);
    world.dynamodb(Some(unavailable()));
    for plan in [event(), profile(), deletion()] {
        let waits = waited(&world, plan, accepted).await;
        assert_eq!((waits, sent(&world).len()), (Ok(Some(Cause::LedgerUnavailable)), 0));
    }
    repair_ledger(&world).await;
    assert_eq!(waited(&world, event(), accepted).await, Ok(None));
}

/// What came after it waits until the ledger knows.
#[tokio::test(start_paused = true)]
async fn a_deletion_is_repeated_where_the_ledger_did_not_learn_that_it_was_delivered() {
    let world = World::new(&[]);
    let accepted = ago(&world, 10);
    let taken = Reply::Status(200, json!({}));
    world.upstream(move |_| Reply::Late(2 * SECOND, Box::new(taken.clone())));
    let fails_meanwhile = async {
        world.platform.clock.sleep(SECOND).await;
        world.dynamodb(Some(unavailable()));
    };
    let (waits, ()) = tokio::join!(waited(&world, deletion(), accepted), fails_meanwhile);
    assert_eq!(waits, Ok(Some(Cause::LedgerUnavailable)));
    repair_ledger(&world).await;
    assert_eq!(waited(&world, deletion(), accepted).await, Ok(None));
    assert_eq!(sent(&world), ["deleteUser", "deleteUser"]);
}

#[test]
fn only_events_may_leave_their_place_among_the_calls_of_a_person() {
    assert!(!is_ordered(&event()));
    assert!(is_ordered(&profile()) && is_ordered(&deletion()));
}
