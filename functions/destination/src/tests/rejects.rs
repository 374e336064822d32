//! What is rejected may be sent again by an operator: it must not undo what came since.

use std::collections::BTreeSet;

use super::*;

/// An operator may correct the item or the mapping that it failed on, whatever it was rejected for.
#[tokio::test(start_paused = true)]
async fn values_that_come_after_a_rejected_item_are_noted() {
    let profile =
        |attributes: Value| call("track-user", &json!({"user_id": "u1", "attributes": attributes}));
    let deletion = |user: Value| call("delete-user", &json!({ "external_id": user }));
    let nameless = json!({"type": "track", "userId": "u1", "messageId": "m1",
        "context": {"device": {"id": "d", "type": "ios"}}});
    let refused = profile(json!({"plan": "refused"}));
    for (rejected, status) in [
        (profile(json!(5)), 400),
        (webhook(&nameless), 400),
        (deletion(json!("u1")), 200),
        (refused, 200),
    ] {
        let (world, destination) = setup();
        world.upstream(|_| Reply::Status(400, json!({"status_code": 210})));
        let accepted = world.platform.clock.wall();
        let answered = invoke(&destination, &world, rejected).await;
        assert_eq!(answered.response.status_code, status);
        assert_eq!(answered.outcomes(), [("rejected", 1)]);
        world.upstream(|_| Reply::Status(200, json!({"status_code": 200})));
        tokio::time::advance(Duration::from_secs(1)).await;
        invoke(&destination, &world, profile(json!({"plan": "new"}))).await;
        let (people, deadline) = (BTreeSet::from(["u1"]), world.now() + Duration::from_secs(5));
        let people = world.platform.ledger.people("A", &people, deadline).await.unwrap();
        assert!(people["u1"].is_overtaken("plan", accepted), "{status}");
    }
}

/// They carry their own time: an application that sends many bad ones need not pay for the ledger.
#[tokio::test(start_paused = true)]
async fn a_rejected_event_leaves_the_application_settled() {
    let (world, destination) = setup();
    let nameless = json!({"user_id": "u1", "device_platform": "ios"});
    let body = json!({"events": [nameless, posted("u1")]});
    let answered = invoke(&destination, &world, call("post-events", &body)).await;
    assert_eq!(answered.outcomes(), [("delivered", 1), ("rejected", 1)]);
    assert_eq!(world.aws_calls("UpdateItem"), 0);
}
