//! Secrets Manager, SQS and DynamoDB as others understand them: run against a moto server, by `ci/moto`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use mapping::{Cause, Item, ItemKind, Origin, Parked, Reason, Work};
use platform::Platform;
use platform::clock::{Clock, after};
use platform::ledger::{Claim, Person};
use platform::message::{self, Message, Reject};
use platform::secrets::SecretError;
use platform::settings::Settings;
use platform::transport;
use secrecy::ExposeSecret;
use serde_json::value::RawValue;

/// A queue's URL or the table's name. Set by `ci/moto`, together with the endpoints and credentials that the
/// SDK reads.
fn made(name: &str) -> String {
    std::env::var(format!("MOTO_{name}")).expect("run ci/moto")
}

/// The platform as a function has it, on the system's clock and network.
async fn platform() -> Platform {
    let environment: BTreeMap<String, String> = [
        ("PWSEG_RETRY_QUEUE_URL", made("RETRY")),
        ("PWSEG_REJECTS_QUEUE_URL", made("REJECTS")),
        ("PWSEG_DEAD_QUEUE_URL", made("DEAD")),
        ("PWSEG_LEDGER_TABLE", made("LEDGER")),
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
            .queue_url(made("RETRY"))
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
            let delete = client.delete_message().queue_url(made("RETRY"));
            delete.receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 25);
    let received = client.receive_message().queue_url(made("REJECTS")).send().await.unwrap();
    let reject: Reject = message::decode(received.messages()[0].body().unwrap()).unwrap();
    assert_eq!(reject.raw(), large.as_bytes());
}

/// Conditions, reserved words and expressions as DynamoDB reads them.
#[tokio::test]
async fn the_ledger_keeps_times_that_only_rise() {
    let Platform { ledger, clock, .. } = platform().await;
    let deadline = clock.now() + Duration::from_secs(10);
    let [first, second] = [1, 2].map(|at| Timestamp::from_second(at).unwrap());

    ledger.deleted("A", "u", second, deadline).await.unwrap();
    ledger.deleted("A", "u", first, deadline).await.unwrap();
    ledger.deletion_is_pending("A", "u", first, deadline).await.unwrap();
    assert_eq!(ledger.person("A", "u", deadline).await.unwrap().pending, None);
    ledger.deletion_is_pending("A", "u", second, deadline).await.unwrap();
    ledger.deletion_is_delivered("A", "u", first, deadline).await.unwrap();
    let known = ledger.person("A", "u", deadline).await.unwrap();
    assert_eq!((known.deleted, known.pending, known.delivered), (Some(second), Some(second), None));
    ledger.deletion_is_delivered("A", "u", second, deadline).await.unwrap();
    ledger.deletion_is_covered("A", "u", second, deadline).await.unwrap();
    ledger.erased("A", "u", second, deadline).await.unwrap();
    ledger.erased("A", "u", first, deadline).await.unwrap();
    let known = ledger.person("A", "u", deadline).await.unwrap();
    assert_eq!((known.pending, known.erased), (None, Some(second)));
    assert!(known.delivered.is_some());

    // More values than one write takes, and more people than one read.
    let values: BTreeSet<String> = (0..90).map(|n| format!("tag {n}")).collect();
    ledger.values_were_accepted("A", "u", &values, second, deadline).await.unwrap();
    let mut more = values.clone();
    more.insert("new".to_owned());
    ledger.values_were_accepted("A", "u", &more, first, deadline).await.unwrap();
    let others: Vec<String> = (0..120).map(|n| format!("u{n}")).collect();
    let ids = others.iter().map(String::as_str).chain(["u"]).collect();
    let people = ledger.people("A", &ids, deadline).await.unwrap();
    assert_eq!(people.len(), 121);
    assert!(values.iter().all(|value| people["u"].is_overtaken(value, first)));
    assert!(!people["u"].is_overtaken("new", first));
    assert_eq!(people["u0"], Person::default());
}

#[tokio::test]
async fn the_ledger_keeps_marks_claims_and_requests() {
    let here = platform().await;
    let elsewhere = platform().await;
    let deadline = here.clock.now() + Duration::from_secs(10);
    assert!(!here.ledger.is_unsettled("B", deadline).await);
    elsewhere.ledger.unsettle("B", deadline).await.unwrap();
    elsewhere.ledger.unsettle_for_long("B", deadline).await.unwrap();
    assert!(platform().await.ledger.is_unsettled("B", deadline).await);

    let until = after(here.clock.wall(), Duration::from_mins(1));
    let claim =
        async |platform: &Platform| platform.ledger.claim("item 1", until, deadline).await.unwrap();
    assert_eq!((claim(&here).await, claim(&elsewhere).await), (Claim::Taken, Claim::Busy));
    here.ledger.release("item 1", deadline).await.unwrap();
    assert_eq!(claim(&elsewhere).await, Claim::Taken);
    elsewhere.ledger.finish("item 1", deadline).await.unwrap();
    assert_eq!(claim(&here).await, Claim::Done);

    let delivered = BTreeSet::from([0, 7]);
    here.ledger.request_failed("B", b"body", &delivered, deadline).await.unwrap();
    let taken =
        async |body: &[u8]| elsewhere.ledger.take_settled("B", body, deadline).await.unwrap();
    assert_eq!(taken(b"body").await, delivered);
    assert!(taken(b"body").await.is_empty() && taken(b"other").await.is_empty());
}
