//! Secrets Manager and SQS as others understand them: run against a moto server, by `ci/moto`.

use std::collections::BTreeMap;
use std::time::Duration;

use mapping::Reason;
use platform::message::{self, Kind, Parked, Reject, Work};
use platform::queues::Queues;
use platform::secrets::{SecretError, Secrets};
use platform::settings::Settings;
use secrecy::ExposeSecret;
use serde_json::value::RawValue;
use tokio::time::Instant;

/// Set by `ci/moto`, together with the endpoints and credentials that the SDK reads.
fn queue(name: &str) -> String {
    std::env::var(format!("MOTO_{name}")).expect("run ci/moto")
}

fn settings() -> Settings {
    let environment: BTreeMap<String, String> = [
        ("PWSEG_RETRY_QUEUE_URL", queue("RETRY")),
        ("PWSEG_REJECTS_QUEUE_URL", queue("REJECTS")),
        ("PWSEG_SECRET_TTL_S", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    Settings::read(&environment).unwrap()
}

#[tokio::test]
async fn secrets_are_read_with_their_previous_version() {
    let secrets = Secrets::from_settings(&platform::aws::config().await, &settings());
    let token = |application: std::sync::Arc<platform::Application>| {
        application.pushwoosh.as_ref().unwrap().api_token.expose_secret().to_owned()
    };
    assert_eq!(token(secrets.application("MOTO0-00001").await.unwrap()), "new");
    assert_eq!(token(secrets.previous("MOTO0-00001").await.unwrap()), "old");
    assert_eq!(secrets.application("OTHER-00001").await.unwrap_err(), SecretError::Unknown);
}

#[tokio::test]
async fn what_is_parked_and_rejected_comes_back_as_it_was() {
    let config = platform::aws::config().await;
    let queues = Queues::from_settings(&config, &settings());
    let deadline = Instant::now() + Duration::from_secs(10);
    let call =
        |n: usize| RawValue::from_string(format!("{{\"n\":{n},\"control\":\"\\u0001\"}}")).unwrap();
    let parked: Vec<_> = (0..25)
        .map(|n| (Parked::new("A", Work::Segment(vec![call(n)]), "test"), Duration::ZERO))
        .collect();
    assert!(queues.park(&parked, deadline).await.iter().all(Result::is_ok));
    let large = "\u{FFFF}".repeat(200_000);
    let rejects =
        [Reject::new(None, Kind::Record, "t-0-1", Reason::NotJson, "").with_raw(large.as_bytes())];
    assert!(queues.reject(&rejects, deadline).await.iter().all(Result::is_ok));

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
