//! Secrets that hold several applications: those whose codes begin alike, or all of them.

use super::*;

/// A secret for those whose codes have the same first two characters.
const SHARDS: &[(&str, &str)] = &[("PWSEG_SECRET_ID", "segment-pushwoosh/{app_code:2}")];

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
async fn a_shard_is_read_once_for_all_its_applications() {
    let world = World::new(SHARDS);
    world.secret("AA", &json!({"AA-1": token("a1"), "AA-2": token("a2"), "AA-3": {}}));
    world.secret("BB", &json!({"BB-1": token("b1")}));
    assert_eq!(token_of(&get(&world, "AA-1").await.unwrap()), "a1");
    assert_eq!(token_of(&get(&world, "AA-2").await.unwrap()), "a2");
    assert!(matches!(get(&world, "AA-3").await, Err(SecretError::Malformed(_))));
    assert_eq!(reads(&world), 1);
    assert_eq!(token_of(&get(&world, "BB-1").await.unwrap()), "b1");
    assert_eq!(reads(&world), 2);
    world.secret("AA", &json!({"AA-1": token("new"), "AA-2": token("a2")}));
    tokio::time::advance(MIN_REFRESH).await;
    let versions = versions(&world, "AA-1").await.unwrap();
    assert_eq!(token_of(&versions.current), "new");
}

/// Anybody can make up codes. Where a shard is known, it says at no cost that they are none.
#[tokio::test(start_paused = true)]
async fn made_up_codes_cost_a_lookup_per_shard() {
    let world = World::new(SHARDS);
    world.secret("AA", &json!({"AA-1": token("a1")}));
    let made_up: Vec<String> =
        ["AA", "BB", "CC"].iter().flat_map(|shard| codes(shard, 5_000)).collect();
    let found = get_all(&world, &made_up).await;
    assert!(found.values().all(|found| matches!(found, Err(SecretError::Unknown))));
    assert_eq!(reads(&world), 3);
}

/// It would never be found, and nobody would know why.
#[tokio::test(start_paused = true)]
async fn an_application_in_the_wrong_shard_is_reported() {
    let world = World::new(SHARDS);
    let (logs, _guard) = Logs::capture();
    world.secret("AA", &json!({"AA-1": token("a1"), "BB-1": token("b1")}));
    get(&world, "AA-1").await.unwrap();
    assert_eq!(get(&world, "BB-1").await.unwrap_err(), SecretError::Unknown);
    let message = "the application is in a secret where nobody looks for it: move it to that of its first characters";
    assert_eq!(logs.with_message(message).len(), 1);
}
