//! Requests that come again, and requests that are equal to one that failed.

use super::*;

/// Z1 is delivered, and Z2 can be neither delivered nor parked.
async fn fail_in_part(world: &World, destination: &Destination, body: &Value) {
    world.upstream(|request| {
        let down = String::from_utf8_lossy(request.body()).contains("u2");
        Reply::Status(if down { 503 } else { 200 }, json!({"status_code": 200}))
    });
    world.sqs(Reply::Status(500, json!({})));
    let answered = invoke(destination, world, call("post-events", body)).await;
    assert_eq!(answered.response.status_code, 503);
    assert_eq!(answered.outcomes(), [("delivered", 1), ("failed", 1)]);
    world.upstream(|_| Reply::Status(200, json!({"status_code": 200})));
    world.sqs(Reply::Status(200, json!({})));
}

/// Sends the events once more; their outcomes, and how many calls Pushwoosh gets.
async fn again(
    world: &World,
    destination: &Destination,
    body: &Value,
) -> (Vec<(&'static str, u64)>, usize) {
    let before = world.requests().len();
    let answered = invoke(destination, world, call("post-events", body)).await;
    assert_eq!(answered.response.status_code, 200);
    (answered.outcomes(), world.requests().len() - before)
}

/// A failed request comes again, and rarely to the same process.
#[tokio::test(start_paused = true)]
async fn what_was_delivered_of_a_failed_request_is_not_sent_again_by_any_process() {
    let (world, destination) = setup();
    let body = json!({"events": [posted("u1"), posted("u2")]});
    fail_in_part(&world, &destination, &body).await;
    let other = Destination::new(world.platform.clone());
    // Whatever became of it then: it is a repetition now.
    let repeated = vec![("delivered", 1), ("disregarded", 1)];
    assert_eq!(again(&world, &other, &body).await, (repeated, 1));
    // An equal event of another request is another event.
    let alone = json!({"events": [posted("u1")]});
    assert_eq!(again(&world, &other, &alone).await, (vec![("delivered", 1)], 1));
}

/// Of a request of one item nothing is left to remember: it is sent again whole.
#[tokio::test(start_paused = true)]
async fn a_request_of_one_item_is_not_looked_up() {
    let (world, destination) = setup();
    let body = json!({"events": [posted("u2"), posted("u2")]});
    world.upstream(|_| Reply::Status(503, json!({})));
    world.sqs(Reply::Status(500, json!({})));
    let calls = async |body: &Value| {
        let before = ["GetItem", "UpdateItem"].map(|operation| world.aws_calls(operation));
        let answered = invoke(&destination, &world, call("post-events", body)).await;
        assert_eq!(answered.response.status_code, 503);
        let after = ["GetItem", "UpdateItem"].map(|operation| world.aws_calls(operation));
        [after[0] - before[0], after[1] - before[1]]
    };
    let alone = json!({"events": [posted("u2")]});
    // The first notes that something may wait.
    calls(&alone).await;
    // For each item the person is looked up, and for two the request too.
    assert_eq!(calls(&alone).await, [1, 0]);
    assert_eq!(calls(&body).await, [3, 1]);
}

/// A failed request is repeated once successfully: what is equal to it afterwards is new.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_equal_to_a_repeated_one_is_sent_whole() {
    let (world, destination) = setup();
    let body = json!({"events": [posted("u1"), posted("u2")]});
    fail_in_part(&world, &destination, &body).await;
    assert_eq!(again(&world, &destination, &body).await.1, 1);
    for _ in 0..2 {
        assert_eq!(again(&world, &destination, &body).await, (vec![("delivered", 2)], 2));
    }
    // It may fail anew.
    fail_in_part(&world, &destination, &body).await;
    assert_eq!(again(&world, &destination, &body).await.1, 1);
    assert_eq!(again(&world, &destination, &body).await.1, 2);
}

/// Two processes have the repetition and an equal, new request at the same time: one of them sends all of it.
#[tokio::test(start_paused = true)]
async fn of_two_equal_requests_at_once_one_is_the_repetition() {
    let (world, destination) = setup();
    let body = json!({"events": [posted("u1"), posted("u2")]});
    fail_in_part(&world, &destination, &body).await;
    let other = Destination::new(world.platform.clone());
    let before = world.requests().len();
    let (first, second) = (call("post-events", &body), call("post-events", &body));
    let (first, second) =
        futures::future::join(invoke(&destination, &world, first), invoke(&other, &world, second))
            .await;
    assert_eq!((first.response.status_code, second.response.status_code), (200, 200));
    assert_eq!(world.requests().len() - before, 3);
}

/// It may be the repetition that fails again, and then only the rest of it is left.
#[tokio::test(start_paused = true)]
async fn a_repetition_that_fails_in_part_keeps_what_was_delivered_before() {
    let (world, destination) = setup();
    let body = json!({"events": [posted("u1"), posted("u2"), posted("u3")]});
    world.sqs(Reply::Status(500, json!({})));
    for (down, calls) in [("u1 u2", 3), ("u2", 2), ("none", 1)] {
        world.upstream(move |request| {
            let text = String::from_utf8_lossy(request.body()).into_owned();
            let failing = down.split(' ').any(|user| text.contains(&format!("\"{user}\"")));
            Reply::Status(if failing { 503 } else { 200 }, json!({"status_code": 200}))
        });
        let before = world.requests().len();
        invoke(&destination, &world, call("post-events", &body)).await;
        assert_eq!(world.requests().len() - before, calls, "{down}");
        // The pause after a failure of Pushwoosh ends.
        tokio::time::advance(Duration::from_mins(2)).await;
    }
}

/// Raw events are known by their ids: what is equal is the same event, however often it comes.
#[tokio::test(start_paused = true)]
async fn a_raw_event_that_was_delivered_with_a_failed_request_stays_known() {
    let (world, destination) = setup();
    let track = |user: &str| {
        json!({"type": "track", "userId": user, "event": "E", "messageId": user,
            "timestamp": "2026-01-02T03:04:05Z", "context": {"device": {"id": user, "type": "ios"}}})
    };
    let list = json!([track("u1"), track("u2")]);
    world.upstream(|request| {
        let down = String::from_utf8_lossy(request.body()).contains("u2");
        Reply::Status(if down { 503 } else { 200 }, json!({"status_code": 200}))
    });
    world.sqs(Reply::Status(500, json!({})));
    assert_eq!(invoke(&destination, &world, webhook(&list)).await.response.status_code, 503);
    world.upstream(|_| Reply::Status(200, json!({"status_code": 200})));
    let other = Destination::new(world.platform.clone());
    for calls in [1, 0] {
        let before = world.requests().len();
        assert_eq!(invoke(&other, &world, webhook(&list)).await.response.status_code, 200);
        assert_eq!(world.requests().len() - before, calls);
    }
}
