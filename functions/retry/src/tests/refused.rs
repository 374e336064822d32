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
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.dynamodb(Some(Reply::Status(500, json!({}))));
    };
    let (tally, ()) = futures::future::join(tried, fails).await;
    assert!(tally.outcomes().contains_key(&Outcome::Parked(Cause::LedgerUnavailable)));
    assert_eq!(kept(&world)[0].0, "retry");
}
