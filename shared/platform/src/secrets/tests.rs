//! The cache as its users see it. `snapshots`: what stays in use; `batches`: many codes at once; `shards`: secrets
//! of several applications.

mod batches;
mod shards;
mod snapshots;

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::slot::{ABSENT_FIRST, FAILURE_PAUSE};
use super::*;
use crate::application::Section;
use crate::secret_place::MAX_CODE_CHARS;
use crate::testing::{Logs, Reply, World, aws_error};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// A lookup with all the time that it may take.
async fn get(world: &World, code: &str) -> Result<Arc<Application>, SecretError> {
    world.platform.secrets.application(code, world.now() + MINUTE).await
}

async fn refreshed(world: &World, code: &str) -> Result<Arc<Application>, SecretError> {
    world.platform.secrets.refreshed(code, world.now() + MINUTE).await
}

async fn versions(world: &World, code: &str) -> Result<Versions, SecretError> {
    world.platform.secrets.versions(code, world.now() + MINUTE).await
}

/// The lookup of a batch off the topic.
async fn get_all(
    world: &World,
    codes: &[String],
) -> HashMap<String, Result<Arc<Application>, SecretError>> {
    world.platform.secrets.applications(codes.iter().cloned(), world.now() + MINUTE).await
}

fn token_of(application: &Application) -> &str {
    application.pushwoosh.as_ref().unwrap().api_token.expose_secret()
}

fn is_unavailable<T>(result: &Result<T, SecretError>) -> bool {
    matches!(result, Err(SecretError::Unavailable(_)))
}

fn codes(prefix: &str, number: usize) -> Vec<String> {
    (0..number).map(|n| format!("{prefix}{n}")).collect()
}

fn token(token: &str) -> Value {
    json!({"pushwoosh": {"api_token": token}})
}

fn reads(world: &World) -> usize {
    world.aws_calls("GetSecretValue")
}

fn down() -> Reply {
    Reply::Status(503, json!({}))
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_read_once_while_it_is_fresh() {
    let world = World::new(&[("PWSEG_SECRET_TTL_S", "300")]);
    let secrets = &world.platform.secrets;
    for _ in 0..3 {
        assert_eq!(get(&world, "A").await.unwrap().code, "A");
    }
    // A refused key does not help a moment after the secret was read.
    refreshed(&world, "A").await.unwrap();
    assert_eq!((reads(&world), secrets.take_stale()), (1, 0));
    tokio::time::advance(MIN_REFRESH).await;
    get(&world, "A").await.unwrap();
    assert_eq!(reads(&world), 1);
    refreshed(&world, "A").await.unwrap();
    assert_eq!(reads(&world), 2);
    tokio::time::advance(Duration::from_mins(5)).await;
    get(&world, "A").await.unwrap();
    assert_eq!(reads(&world), 3);
}

/// A secret is read every few minutes: what is wrong with it must not fill the log.
#[tokio::test(start_paused = true)]
async fn problems_of_a_secret_are_logged_once_until_it_changes() {
    let world = World::new(&[("PWSEG_SECRET_TTL_S", "60")]);
    let (logs, _guard) = Logs::capture();
    let read = async |secret: &Value| {
        world.secret("A", secret);
        tokio::time::advance(Duration::from_mins(1)).await;
        get(&world, "A").await.ok();
        let problems = logs.with_message("the application's secret cannot be used: correct it");
        let warnings =
            logs.with_message("the application's secret has ignored or suspicious entries");
        (problems.len(), warnings.len())
    };
    let wrong = json!({"pushwoosh": {"api_token": ""}, "other": 1});
    assert_eq!(read(&wrong).await, (1, 1));
    assert_eq!(read(&wrong).await, (1, 1));
    assert_eq!(read(&json!({"pushwoosh": {}})).await, (2, 1));
    assert_eq!(read(&token("t")).await, (2, 1));
    assert_eq!(read(&wrong).await, (3, 2));
}

#[tokio::test(start_paused = true)]
async fn debug_shows_where_secrets_are_and_none_of_them() {
    let world = World::new(&[]);
    get(&world, "A").await.unwrap();
    let shown = format!("{:?}", world.platform.secrets);
    assert!(shown.contains("segment-pushwoosh/") && !shown.contains("token"));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_application_is_remembered_for_a_minute() {
    let world = World::new(&[]);
    for _ in 0..2 {
        assert_eq!(get(&world, "X").await.unwrap_err(), SecretError::Unknown);
    }
    assert_eq!(reads(&world), 1);
    // Others that are unknown do not push it out.
    for code in ["Y", "Z", "X"] {
        assert!(get(&world, code).await.is_err(), "{code}");
    }
    assert_eq!(reads(&world), 3);
    world.secret("X", &token("x"));
    tokio::time::advance(ABSENT_FIRST).await;
    assert_eq!(get(&world, "X").await.unwrap().code, "X");
}

#[tokio::test(start_paused = true)]
async fn a_code_never_leads_to_another_secret() {
    let world = World::new(&[]);
    for code in ["../other", "", "X/Y", "A B", "A.B", "A_B", &"A".repeat(MAX_CODE_CHARS + 1)] {
        let error = get(&world, code).await.unwrap_err();
        assert_eq!(error, SecretError::Unknown, "{code}");
    }
    assert_eq!(reads(&world), 0);
    for code in ["a-b9", &"A".repeat(MAX_CODE_CHARS)] {
        world.secret(code, &token("t"));
        assert!(get(&world, code).await.is_ok(), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_serves_while_secrets_manager_is_down() {
    let world = World::new(&[("PWSEG_SECRET_TTL_S", "1")]);
    let secrets = &world.platform.secrets;
    get(&world, "A").await.unwrap();
    world.secrets_manager("A", down());
    tokio::time::advance(Duration::from_secs(1)).await;
    let before = reads(&world);
    for _ in 0..3 {
        get(&world, "A").await.unwrap();
    }
    assert_eq!((secrets.take_stale(), secrets.take_stale()), (3, 0));
    // Both attempts of the first read, and then a pause.
    assert_eq!(reads(&world) - before, 2);
    world.secret("A", &token("new"));
    tokio::time::advance(FAILURE_PAUSE).await;
    get(&world, "A").await.unwrap();
    assert_eq!((reads(&world) - before, secrets.take_stale()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_value_an_outage_is_unavailable_and_not_unknown() {
    let world = World::new(&[]);
    world.secrets_manager("B", down());
    for _ in 0..2 {
        let error = get(&world, "B").await.unwrap_err();
        assert!(matches!(error, SecretError::Unavailable(_)));
    }
    assert_eq!(reads(&world), 2, "both attempts of one read");
}

/// Made-up codes must not fill the memory, nor push out what is in use.
#[tokio::test(start_paused = true)]
async fn the_cache_is_bounded_and_keeps_what_is_in_use() {
    let world = World::new(&[]);
    let secrets = &world.platform.secrets;
    get(&world, "A").await.unwrap();
    for number in 0..=MAX_ENTRIES {
        drop(secrets.slot(&Key { id: number.to_string(), previous: false }));
    }
    assert!(secrets.slots.lock().unwrap().len() <= MAX_ENTRIES);
    get(&world, "A").await.unwrap();
    assert_eq!(reads(&world), 1);
}

/// The monotonic clock stands still while Lambda freezes an environment.
#[tokio::test(start_paused = true)]
async fn ages_are_the_wall_clocks() {
    let world = World::new(&[]);
    get(&world, "A").await.unwrap();
    assert_eq!(get(&world, "X").await.unwrap_err(), SecretError::Unknown);
    world.secret("A", &token("new"));
    world.secret("X", &token("x"));
    world.freeze(5 * MINUTE);
    assert_eq!(token_of(&get(&world, "A").await.unwrap()), "new");
    assert_eq!(token_of(&get(&world, "X").await.unwrap()), "x");
    world.secrets_manager("A", down());
    world.freeze(5 * MINUTE);
    get(&world, "A").await.unwrap();
    world.secret("A", &token("newer"));
    world.freeze(FAILURE_PAUSE);
    assert_eq!(token_of(&get(&world, "A").await.unwrap()), "newer");
}

#[tokio::test(start_paused = true)]
async fn no_lookup_lasts_longer_than_its_deadline() {
    let world = World::new(&[]);
    world.secrets_manager("B", Reply::Hang);
    let before = world.now();
    let deadline = before + SECOND;
    assert!(is_unavailable(&world.platform.secrets.application("B", deadline).await));
    assert_eq!(world.now().since(before), SECOND);
    // And none than the SDK's attempts, whatever the deadline.
    world.freeze(MINUTE);
    assert!(is_unavailable(&get(&world, "B").await));
    assert!(world.now().since(before) <= SECOND + LONGEST_LOOKUP);
}

#[tokio::test(start_paused = true)]
async fn a_slow_secret_holds_up_no_lookup_of_another() {
    let world = World::new(&[]);
    get(&world, "A").await.unwrap();
    world.secrets_manager("B", Reply::Hang);
    world.secret("C", &token("c"));
    let before = world.now();
    let others = async {
        // While B is read.
        world.platform.clock.sleep(Duration::from_millis(10)).await;
        get(&world, "A").await.unwrap();
        get(&world, "C").await.unwrap();
        world.now().since(before)
    };
    let (slow, others) = futures::join!(get(&world, "B"), others);
    assert!(is_unavailable(&slow));
    assert!(others < Duration::from_millis(20));
}

#[tokio::test(start_paused = true)]
async fn one_call_at_a_time_is_made_per_secret() {
    let world = World::new(&[]);
    let secret = Reply::Status(200, json!({"SecretString": token("b").to_string()}));
    world.secrets_manager("B", Reply::Late(SECOND, Box::new(secret)));
    let lookups = (0..50).map(|_| refreshed(&world, "B"));
    let found = futures::future::join_all(lookups).await;
    assert!(found.iter().all(Result::is_ok));
    assert_eq!(reads(&world), 1);
    world.secrets_manager("C", down());
    let lookups = (0..50).map(|_| get(&world, "C"));
    let found = futures::future::join_all(lookups).await;
    assert!(found.iter().all(is_unavailable));
    assert_eq!(reads(&world), 3, "both attempts of one call");
}
