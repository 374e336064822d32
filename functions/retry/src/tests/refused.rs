//! Deletions that Pushwoosh refuses for good, and what an operator sends again.

use super::*;

/// A deletion that was refused directly keeps nobody waiting either.
#[tokio::test(start_paused = true)]
async fn nothing_waits_behind_a_parked_deletion_that_is_refused() {
    let (world, retry) = setup(&[]);
    let deadline = world.now() + Duration::from_secs(5);
    let message = parked_for(&world, "A", deletion(), Duration::from_mins(2));
    let accepted = message::decode::<Parked>(&message).unwrap().first_seen;
    let ledger = &world.platform.ledger;
    ledger.deletion_is_pending("A", "u1", accepted, deadline).await.unwrap();
    let later = parked(&world, "A", plan());
    world.upstream(|_| Reply::Status(400, json!({"status_code": 210})));
    assert_eq!(outcomes(&invoke(&retry, &world, &message).await.1), [("rejected", 1)]);
    let person = ledger.person("A", "u1", deadline).await.unwrap();
    assert_eq!((person.pending, person.delivered), (None, None));
    world.upstream(|_| Reply::Status(200, json!({"status_code": 200})));
    assert_eq!(outcomes(&invoke_as(&retry, &world, "m2", &later).await.1), [("delivered", 1)]);
}

/// Otherwise the mark would stay for ever: the deletion is tried again, and refused again.
#[tokio::test(start_paused = true)]
async fn a_refused_deletion_waits_until_the_ledger_knows() {
    let (world, retry) = setup(&[]);
    let message = parked(&world, "A", deletion());
    let accepted = message::decode::<Parked>(&message).unwrap().first_seen;
    let deadline = world.now() + Duration::from_secs(5);
    world.platform.ledger.deletion_is_pending("A", "u1", accepted, deadline).await.unwrap();
    world.upstream(|_| {
        let refused = Reply::Status(400, json!({"status_code": 210}));
        Reply::Late(Duration::from_secs(2), Box::new(refused))
    });
    let tried = async {
        let (_, tally) = invoke(&retry, &world, &message).await;
        tally
    };
    let fails = async {
        tokio::time::advance(Duration::from_secs(1)).await;
        world.dynamodb(Some(Reply::Status(500, json!({}))));
    };
    let (tally, ()) = futures::future::join(tried, fails).await;
    assert!(tally.outcomes().contains_key(&Outcome::Parked(Cause::LedgerUnavailable)));
    assert_eq!(kept(&world)[0].0, "retry");
}

/// A deletion that was rejected comes back from an operator, with the time when it came in.
fn redriven(world: &World, age: Duration) -> String {
    let mut parked: Parked = message::decode(&parked_for(world, "A", deletion(), age)).unwrap();
    (parked.cause, parked.redriven) = (Cause::Redriven, Some(world.platform.clock.wall()));
    message::encode(&parked).unwrap()
}

fn profile_of(plan: &str) -> Work {
    let body = json!({"user_id": "u1", "attributes": {"plan": plan}}).to_string();
    Work::Pushwoosh(profile::plan("A", body.as_bytes(), Timestamp::UNIX_EPOCH).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_redriven_deletion_takes_nobody_who_has_returned() {
    let (world, retry) = setup(&[]);
    let message = redriven(&world, Duration::from_mins(2));
    // It was parked once more, and what came after it waited behind it.
    let parked_again = message::decode::<Parked>(&message).unwrap();
    let (ledger, deadline) = (&world.platform.ledger, world.now() + Duration::from_secs(5));
    ledger.deletion_is_pending("A", "u1", parked_again.first_seen, deadline).await.unwrap();
    let values = BTreeSet::from(["plan".to_owned()]);
    let returned = world.platform.clock.wall();
    ledger.values_were_accepted("A", "u1", &values, returned, deadline).await.unwrap();
    let tally = invoke(&retry, &world, &message).await.1;
    assert!(tally.outcomes().contains_key(&Reason::UserReturned.into()), "{:?}", tally.outcomes());
    assert_eq!(world.requests().len(), 0);
    // Nothing waits behind it.
    let person = ledger.person("A", "u1", deadline).await.unwrap();
    assert_eq!(person.pending, None);
}

#[tokio::test(start_paused = true)]
async fn a_redriven_deletion_takes_who_has_only_older_values() {
    let (world, retry) = setup(&[]);
    let older = parked_for(&world, "A", profile_of("old"), Duration::from_mins(3));
    assert_eq!(outcomes(&invoke_as(&retry, &world, "m0", &older).await.1), [("delivered", 1)]);
    let message = redriven(&world, Duration::from_mins(2));
    assert_eq!(outcomes(&invoke(&retry, &world, &message).await.1), [("delivered", 1)]);
    let last = world.requests().pop().unwrap();
    assert!(last.uri().path().ends_with("/deleteUser"));
}

/// One that was parked has to reach Pushwoosh, whatever came since.
#[tokio::test(start_paused = true)]
async fn a_parked_deletion_is_delivered_also_where_newer_values_came() {
    let (world, retry) = setup(&[]);
    let newer = parked(&world, "A", profile_of("new"));
    assert_eq!(outcomes(&invoke_as(&retry, &world, "m0", &newer).await.1), [("delivered", 1)]);
    let message = parked_for(&world, "A", deletion(), Duration::from_mins(2));
    assert_eq!(outcomes(&invoke(&retry, &world, &message).await.1), [("delivered", 1)]);
}

#[tokio::test(start_paused = true)]
async fn without_the_ledger_a_redriven_deletion_waits() {
    let (world, retry) = setup(&[]);
    let message = redriven(&world, Duration::from_mins(2));
    world.dynamodb(Some(Reply::Status(500, json!({}))));
    let tally = invoke(&retry, &world, &message).await.1;
    assert!(tally.outcomes().contains_key(&Outcome::Parked(Cause::LedgerUnavailable)));
}
