//! An event is worked on by one invocation at a time, and ends once.

use super::*;

/// SQS hands a message out again now and then, also one that was deleted.
#[tokio::test(start_paused = true)]
async fn an_event_is_sent_once_however_often_its_message_comes() {
    let (world, retry) = setup(&[]);
    let message = parked(&world, "A", event());
    assert_eq!(outcomes(&invoke(&retry, &world, &message).await.1), [("delivered", 1)]);
    let other = Retry::new(world.platform.clone());
    let (stays, tally) = invoke(&other, &world, &message).await;
    assert_eq!((stays, outcomes(&tally)), (false, vec![("disregarded", 1)]));
    assert_eq!(world.requests().len(), 1);
}

/// Without the queue the event would be lost, if the message counted as done.
#[tokio::test(start_paused = true)]
async fn an_event_that_could_not_be_parked_again_is_tried_again() {
    let (world, retry) = setup(&[]);
    world.upstream(|_| Reply::Status(503, json!({})));
    world.sqs(Reply::Status(500, json!({})));
    let message = parked(&world, "A", event());
    assert!(invoke(&retry, &world, &message).await.0);
    world.upstream(|_| Reply::Status(200, json!({"status_code": 200})));
    world.sqs(Reply::Status(200, json!({})));
    assert!(invoke(&retry, &world, &message).await.0, "another invocation may work on it");
    tokio::time::advance(Duration::from_mins(6)).await;
    assert_eq!(outcomes(&invoke(&retry, &world, &message).await.1), [("delivered", 1)]);
}

/// Otherwise both would send it.
#[tokio::test(start_paused = true)]
async fn an_event_is_left_to_the_invocation_that_works_on_it_until_that_has_ended() {
    let (world, retry) = setup(&[]);
    let other = Retry::new(world.platform.clone());
    world.upstream(|_| Reply::Hang);
    let message = parked(&world, "A", event());
    let handed_out_again = async {
        world.platform.clock.sleep(Duration::from_secs(19)).await;
        invoke(&other, &world, &message).await
    };
    let (first, (stays, again)) = tokio::join!(invoke(&retry, &world, &message), handed_out_again);
    assert_eq!((stays, outcomes(&again)), (true, vec![("parked", 1)]));
    assert_eq!((first.0, world.requests().len(), kept(&world).len()), (false, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_was_dropped_ends_once() {
    let (world, retry) = setup(&[]);
    let message = parked(&world, "A", event());
    let deadline = world.now() + Duration::from_secs(5);
    let ledger = &world.platform.ledger;
    ledger.deleted("A", "u1", world.platform.clock.wall(), deadline).await.unwrap();
    for reason in [Reason::UserDeleted, Reason::Duplicate] {
        let (stays, tally) = invoke(&retry, &world, &message).await;
        assert!(!stays && tally.outcomes().contains_key(&reason.into()), "{reason:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_waits_for_its_settings_is_free_for_the_next_attempt() {
    let (world, retry) = setup(&[]);
    world.secret("A", &json!({"pushwoosh": 5, "segment": {"write_key": "k"}}));
    let (stays, tally) = invoke(&retry, &world, &parked(&world, "A", event())).await;
    assert!(!stays && tally.outcomes().contains_key(&Outcome::Parked(Cause::SettingsUnavailable)));
    let (until, deadline) = (world.platform.clock.wall(), world.now() + Duration::from_secs(5));
    let claim = world.ledger().claim("m1", until, deadline).await.unwrap();
    assert_eq!(claim, platform::ledger::Claim::Taken);
}

/// Lambda needs it before the function's time is over: else the whole batch would come again.
#[tokio::test(start_paused = true)]
async fn a_ledger_that_hangs_at_the_end_leaves_time_for_the_answer() {
    let (world, retry) = setup(&[]);
    let taken = Reply::Status(200, json!({"status_code": 200}));
    world.upstream(move |_| Reply::Late(Duration::from_millis(1_400), Box::new(taken.clone())));
    let message = parked(&world, "A", event());
    let (before, left) = (world.now(), Duration::from_secs(4));
    let hangs_meanwhile = async {
        world.platform.clock.sleep(Duration::from_secs(1)).await;
        world.dynamodb(Some(Reply::Hang));
    };
    let ((stays, tally), ()) =
        tokio::join!(invoke_within(left, &retry, &world, "m1", &message), hangs_meanwhile);
    assert_eq!((stays, outcomes(&tally)), (false, vec![("delivered", 1)]));
    assert!(world.now().since(before) + ANSWER_TIME / 2 <= left);
}
