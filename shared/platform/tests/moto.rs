//! Secrets Manager and SQS as others understand them: run against a moto server, by `ci/moto`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use mapping::{Cause, Item, ItemKind, Origin, Parked, Reason, Work};
use platform::Platform;
use platform::clock::Clock;
use platform::message::{self, Message, Reject};
use platform::secrets::SecretError;
use platform::settings::Settings;
use platform::transport;
use secrecy::ExposeSecret;
use serde_json::value::RawValue;

/// Set by `ci/moto`, together with the endpoints and credentials that the SDK reads.
fn queue(name: &str) -> String {
    std::env::var(format!("MOTO_{name}")).expect("run ci/moto")
}

/// The platform as a function has it, on the system's clock and network.
async fn platform() -> Platform {
    let environment: BTreeMap<String, String> = [
        ("PWSEG_RETRY_QUEUE_URL", queue("RETRY")),
        ("PWSEG_REJECTS_QUEUE_URL", queue("REJECTS")),
        ("PWSEG_SECRET_TTL_S", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let settings = Settings::read(&environment).unwrap();
    let clock = Clock::system();
    Platform::new(settings, clock.clone(), transport::system(clock).unwrap()).await
}

#[tokio::test]
async fn secrets_are_read_with_their_previous_version() {
    let Platform { secrets, clock, .. } = platform().await;
    let deadline = clock.now() + Duration::from_secs(10);
    let token = |application: std::sync::Arc<platform::Application>| {
        application.pushwoosh.as_ref().unwrap().api_token.expose_secret().to_owned()
    };
    assert_eq!(token(secrets.application("MOTO0-00001", deadline).await.unwrap()), "new");
    let versions = secrets.versions("MOTO0-00001", deadline).await.unwrap();
    assert_eq!(
        (token(versions.current), token(versions.previous.unwrap())),
        ("new".into(), "old".into())
    );
    let unknown = secrets.application("OTHER-00001", deadline).await.unwrap_err();
    assert_eq!(unknown, SecretError::Unknown);
}

#[tokio::test]
async fn what_is_parked_and_rejected_comes_back_as_it_was() {
    let Platform { queues, clock, transport, .. } = platform().await;
    let call =
        |n: usize| RawValue::from_string(format!("{{\"n\":{n},\"control\":\"\\u0001\"}}")).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let parked = (0..25).map(|n| {
        let work = Work::Segment(vec![call(n)]);
        Message::Park(Parked::new("A", work, Cause::Timeout, now), Duration::ZERO)
    });
    let large = "\u{FFFF}".repeat(200_000);
    let (kind, origin, bytes) = (ItemKind::Record, Origin::Record("t-0", 1), large.as_bytes());
    let item = Item { kind, application: None, origin, bytes };
    let reject = Message::Reject(Reject::new(item, Reason::NotJson, "", now));
    let messages: Vec<_> = parked.chain([reject]).collect();
    let deadline = clock.now() + Duration::from_secs(10);
    assert!(queues.keep(&messages, deadline).await.iter().all(Result::is_ok));

    let config = platform::aws::config(&clock, &transport).await;
    let client = aws_sdk_sqs::Client::new(&config);
    let mut seen = Vec::new();
    while seen.len() < 25 {
        let received = client
            .receive_message()
            .queue_url(queue("RETRY"))
            .max_number_of_messages(10)
            .send()
            .await
            .unwrap();
        for message in received.messages() {
            let Work::Segment(calls) =
                message::decode::<Parked>(message.body().unwrap()).unwrap().work
            else {
                panic!("not for Segment")
            };
            seen.push(calls[0].get().to_owned());
            queues
                .postpone(message.receipt_handle().unwrap(), Duration::from_mins(1))
                .await
                .unwrap();
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 25);
    let received = client.receive_message().queue_url(queue("REJECTS")).send().await.unwrap();
    let reject: Reject = message::decode(received.messages()[0].body().unwrap()).unwrap();
    assert_eq!(reject.raw(), large.as_bytes());
}
