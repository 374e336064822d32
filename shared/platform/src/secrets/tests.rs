//! The cache as its users see it.

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::slot::{ABSENT_FIRST, ABSENT_LONGEST, FAILURE_PAUSE};
use super::*;
use crate::application::Section;
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
    assert!(shown.contains("segment-pushwoosh/{app_code}") && !shown.contains("token"));
}

#[tokio::test(start_paused = true)]
async fn one_secret_may_hold_all_applications_and_a_bad_one_harms_no_other() {
    let world = World::new(&[("PWSEG_SECRET_ID", "segment-pushwoosh/all")]);
    world.secret("all", &json!({"A": token("a"), "B": {}, "C": token("c")}));
    assert_eq!(get(&world, "A").await.unwrap().code, "A");
    assert!(matches!(get(&world, "B").await, Err(SecretError::Malformed(_))));
    assert_eq!(get(&world, "C").await.unwrap().code, "C");
    assert_eq!(get(&world, "D").await.unwrap_err(), SecretError::Unknown);
    assert_eq!(reads(&world), 1);
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
    for code in ["../other", "", "X/Y", "A B", "A.B", "A_B", &"A".repeat(MAX_CODE + 1)] {
        let error = get(&world, code).await.unwrap_err();
        assert_eq!(error, SecretError::Unknown, "{code}");
    }
    assert_eq!(reads(&world), 0);
    for code in ["a-b9", &"A".repeat(MAX_CODE)] {
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
        tokio::time::sleep(Duration::from_millis(10)).await;
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

#[tokio::test(start_paused = true)]
async fn both_versions_are_read_together() {
    let world = World::new(&[]);
    world.secret("A", &token("old"));
    world.freeze(MINUTE);
    world.rotate("A", &token("new"));
    let both = versions(&world, "A").await.unwrap();
    assert_eq!((token_of(&both.current), both.are_settled), ("new", false));
    assert_eq!(token_of(&both.previous.unwrap()), "old");
    assert_eq!(reads(&world), 2);
    // What was read just now is proof.
    versions(&world, "A").await.unwrap();
    assert_eq!(reads(&world), 2);
    world.freeze(SETTLING);
    assert!(versions(&world, "A").await.unwrap().are_settled);
    assert_eq!(reads(&world), 4);
    world.freeze(Duration::from_hours(24));
    assert!(versions(&world, "A").await.unwrap().previous.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_version_that_cannot_be_read_is_no_proof() {
    for trouble in [down(), Reply::Broken, Reply::Hang, aws_error("ThrottlingException")] {
        let world = World::new(&[]);
        world.rotate("A", &token("new"));
        world.previous_version("A", trouble.clone());
        assert!(is_unavailable(&versions(&world, "A").await), "{trouble:?}");
        world.freeze(MINUTE);
        world.previous_version("A", aws_error("ResourceNotFoundException"));
        versions(&world, "A").await.unwrap();
        world.secrets_manager("A", trouble.clone());
        world.freeze(MINUTE);
        assert!(is_unavailable(&versions(&world, "A").await), "{trouble:?}");
        assert!(is_unavailable(&versions(&world, "A").await), "paused");
        // After the grace time nothing depends on the version before.
        world.secret("A", &token("new"));
        world.freeze(Duration::from_hours(25));
        world.previous_version("A", trouble);
        assert!(versions(&world, "A").await.unwrap().previous.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_served_a_moment_ago_is_served_for_one_ttl_more() {
    let world = World::new(&[]);
    get(&world, "A").await.unwrap();
    world.secrets_manager("A", aws_error("ResourceNotFoundException"));
    world.freeze(Duration::from_hours(1));
    get(&world, "A").await.unwrap();
    assert!(is_unavailable(&versions(&world, "A").await), "nobody is refused meanwhile");
    world.freeze(4 * MINUTE);
    get(&world, "A").await.unwrap();
    world.freeze(MINUTE);
    assert_eq!(get(&world, "A").await.unwrap_err(), SecretError::Unknown);
    world.secret("A", &token("back"));
    world.freeze(MINUTE);
    get(&world, "A").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_application_that_vanishes_from_the_map_is_served_for_one_ttl_more() {
    let world = World::new(&[("PWSEG_SECRET_ID", "segment-pushwoosh/all")]);
    world.secret("all", &json!({"A": token("a"), "B": token("b")}));
    get(&world, "B").await.unwrap();
    world.secret("all", &json!({"A": token("a2")}));
    world.freeze(5 * MINUTE);
    get(&world, "B").await.unwrap();
    assert!(is_unavailable(&versions(&world, "B").await));
    assert_eq!(token_of(&get(&world, "A").await.unwrap()), "a2");
    world.freeze(5 * MINUTE);
    assert_eq!(get(&world, "B").await.unwrap_err(), SecretError::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_scheduled_for_deletion_is_gone_at_once() {
    let world = World::new(&[]);
    get(&world, "A").await.unwrap();
    world.secrets_manager("A", aws_error("InvalidRequestException"));
    world.freeze(5 * MINUTE);
    assert_eq!(get(&world, "A").await.unwrap_err(), SecretError::Unknown);
}

#[tokio::test(start_paused = true)]
async fn denied_is_unknown_only_where_it_was_never_served() {
    let world = World::new(&[]);
    get(&world, "A").await.unwrap();
    for code in ["A", "B"] {
        world.secrets_manager(code, aws_error("AccessDeniedException"));
    }
    world.freeze(5 * MINUTE);
    get(&world, "A").await.unwrap();
    assert!(is_unavailable(&versions(&world, "A").await));
    assert_eq!(get(&world, "B").await.unwrap_err(), SecretError::Unknown);
    // The key of a secret is none of a caller's business, and it exists.
    let kms = json!({"__type": "AccessDeniedException", "Message": "Access to KMS is not allowed"});
    world.secrets_manager("C", Reply::Status(400, kms));
    assert!(is_unavailable(&get(&world, "C").await));
}

#[tokio::test(start_paused = true)]
async fn an_unusable_section_keeps_its_last_good_value_and_is_counted() {
    let world = World::new(&[]);
    let secrets = &world.platform.secrets;
    get(&world, "A").await.unwrap();
    assert_eq!(secrets.take_unusable(), 0);
    world.secret("A", &json!({"pushwoosh": {"api_token": "new"}, "segment": {"write_key": 5}}));
    world.freeze(5 * MINUTE);
    let application = get(&world, "A").await.unwrap();
    assert_eq!(token_of(&application), "new");
    assert_eq!(application.segment.as_ref().unwrap().write_key.expose_secret(), "key");
    assert!(!application.is_current(Section::Segment));
    assert_eq!((secrets.take_unusable(), secrets.take_unusable()), (1, 0));
    world.secret_text("A", "no JSON");
    world.freeze(5 * MINUTE);
    assert_eq!(token_of(&get(&world, "A").await.unwrap()), "new");
    assert_eq!(secrets.take_unusable(), 1);
    world.secret_text("B", "no JSON");
    assert!(matches!(get(&world, "B").await, Err(SecretError::Malformed(_))));
    assert_eq!(secrets.take_unusable(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_map_of_the_wrong_shape_is_an_error_and_the_last_good_one_stays_in_use() {
    for wrong in ["[]", "\"text\"", "no JSON", "5", "null", ""] {
        let (logs, _guard) = Logs::capture();
        let errors =
            || logs.with_message("the secret of all applications cannot be used: correct it").len();
        let world = World::new(&[("PWSEG_SECRET_ID", "segment-pushwoosh/all")]);
        world.secret_text("all", wrong);
        for code in ["A", "B"] {
            let error = get(&world, code).await.unwrap_err();
            assert!(matches!(error, SecretError::Malformed(_)), "{wrong}: {error}");
        }
        assert_eq!((errors(), world.platform.secrets.take_unusable()), (1, 2));
        world.secret("all", &json!({"A": token("a")}));
        world.freeze(5 * MINUTE);
        get(&world, "A").await.unwrap();
        world.secret_text("all", wrong);
        for _ in 0..2 {
            world.freeze(5 * MINUTE);
            assert_eq!(token_of(&get(&world, "A").await.unwrap()), "a");
        }
        assert_eq!((errors(), world.platform.secrets.take_unusable()), (2, 2), "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_service_is_left_alone_as_a_whole_and_probed_by_one_call() {
    for trouble in [down(), Reply::Broken, Reply::Hang, aws_error("ThrottlingException")] {
        let world = World::new(&[]);
        let codes = codes("B", 500);
        for code in &codes {
            world.secrets_manager(code, trouble.clone());
        }
        let before = world.now();
        assert!(get_all(&world, &codes).await.values().all(is_unavailable));
        assert!(world.now().since(before) <= LONGEST_LOOKUP, "{trouble:?}");
        let calls = reads(&world);
        assert!(calls <= 2 * LOOKUPS, "{calls} {trouble:?}");
        get_all(&world, &codes).await;
        assert_eq!(reads(&world), calls);
        world.freeze(MINUTE);
        get_all(&world, &codes).await;
        assert!(reads(&world) - calls <= 2, "one probe: {trouble:?}");
        for code in &codes {
            world.secret(code, &token("b"));
        }
        world.freeze(MINUTE);
        get(&world, "B0").await.unwrap();
        assert!(get_all(&world, &codes).await.values().all(Result::is_ok));
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_about_one_secret_pauses_only_that_one() {
    let world = World::new(&[]);
    world.secrets_manager("B", aws_error("DecryptionFailure"));
    world.secret("C", &token("c"));
    assert!(is_unavailable(&get(&world, "B").await));
    get(&world, "C").await.unwrap();
    let before = reads(&world);
    assert!(is_unavailable(&get(&world, "B").await));
    assert_eq!(reads(&world), before);
}

#[tokio::test(start_paused = true)]
async fn five_hundred_codes_are_looked_up_in_less_than_a_second() {
    let world = World::new(&[]);
    let codes = codes("B", 500);
    let secret = Reply::Status(200, json!({"SecretString": token("b").to_string()}));
    for code in &codes {
        world.secrets_manager(
            code,
            Reply::Late(Duration::from_millis(50), Box::new(secret.clone())),
        );
    }
    let before = world.now();
    assert!(get_all(&world, &codes).await.values().all(Result::is_ok));
    assert!(world.now().since(before) < SECOND);
}

#[tokio::test(start_paused = true)]
async fn absence_of_a_code_off_the_topic_is_remembered_for_as_long_as_it_lasted() {
    let world = World::new(&[]);
    let code = codes("X", 1);
    let began = world.platform.clock.wall();
    let mut read_at = Vec::new();
    for _ in 0..(4 * 60) {
        let before = reads(&world);
        assert_eq!(get_all(&world, &code).await["X0"].clone().unwrap_err(), SecretError::Unknown);
        if reads(&world) > before {
            let minutes = world.platform.clock.wall().duration_since(began).as_mins();
            read_at.push(minutes);
        }
        world.freeze(MINUTE);
    }
    assert_eq!(read_at, [0, 1, 2, 4, 8, 16, 32, 64, 124, 184]);
    assert_eq!((ABSENT_FIRST, ABSENT_LONGEST), (MINUTE, 60 * MINUTE));
    // Who waits for an answer, or holds a parked item, believes it for a minute.
    world.secret("X0", &token("x"));
    get(&world, "X0").await.unwrap();
}

/// Anybody can make up codes; they must not cost a call each, nor slow down real ones.
#[tokio::test(start_paused = true)]
async fn unknown_codes_have_a_budget_and_real_ones_do_not_use_it_up() {
    let world = World::new(&[]);
    let real = codes("R", 1_500);
    for code in &real {
        world.secret(code, &token("r"));
    }
    assert!(get_all(&world, &real).await.values().all(Result::is_ok));
    let before = reads(&world);
    let made_up = codes("X", 20_000);
    let found = get_all(&world, &made_up).await;
    let calls = reads(&world) - before;
    assert_eq!(calls, 1_000);
    let unknown = found.values().filter(|found| matches!(found, Err(SecretError::Unknown)));
    assert_eq!(unknown.count(), calls);
    assert!(world.platform.secrets.slots.lock().unwrap().len() <= MAX_ENTRIES + 1);
    assert!(get_all(&world, &real).await.values().all(Result::is_ok));
    assert_eq!(reads(&world) - before, calls);
    assert!(is_unavailable(&get(&world, "X19999999").await));
    world.freeze(UNKNOWN_INTERVAL);
    assert_eq!(get(&world, "X19999999").await.unwrap_err(), SecretError::Unknown);
}
