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
    let [line] = logs.with_message(message).try_into().unwrap();
    assert_eq!(line["app.code"], "BB-1");
}

/// All applications in one secret.
const ALL: &[(&str, &str)] = &[("PWSEG_SECRET_ID", "segment-pushwoosh/all")];

#[tokio::test(start_paused = true)]
async fn a_map_of_the_wrong_shape_is_an_error_and_the_last_good_one_stays_in_use() {
    // The last ones: a level too much, one application's secret in place of the map, and no application.
    let nested = json!({"applications": {"A": token("new"), "B": token("new")}}).to_string();
    let one = crate::testing::application("new", "new").to_string();
    for wrong in ["[]", "\"text\"", "no JSON", "5", "null", "", &nested, &one, "{}"] {
        let (logs, _guard) = Logs::capture();
        let errors = || {
            logs.with_message("the secret of several applications cannot be used: correct it").len()
        };
        let world = World::new(ALL);
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
        for _ in 0..4 {
            world.freeze(5 * MINUTE);
            assert_eq!(token_of(&get(&world, "A").await.unwrap()), "a");
        }
        assert_eq!((errors(), world.platform.secrets.take_unusable()), (2, 4), "{wrong}");
        // The last application is removed with the secret.
        world.secrets_manager("all", aws_error("ResourceNotFoundException"));
        for _ in 0..2 {
            world.freeze(5 * MINUTE);
            get(&world, "A").await.ok();
        }
        assert_eq!(get(&world, "A").await.unwrap_err(), SecretError::Unknown, "{wrong}");
    }
}

/// It may be inside of what cannot be read.
#[tokio::test(start_paused = true)]
async fn what_vanishes_while_another_entry_is_unreadable_stays_in_use() {
    let world = World::new(ALL);
    let (logs, _guard) = Logs::capture();
    world.secret("all", &json!({"A": token("a"), "B": token("b"), "C": token("c")}));
    get(&world, "A").await.unwrap();
    let nested = json!({"A": token("new"), "D": token("d"), "applications": {"B": token("new")}});
    world.secret("all", &nested);
    for _ in 0..4 {
        world.freeze(5 * MINUTE);
        for code in ["B", "C"] {
            let application = get(&world, code).await.unwrap();
            assert!(application.has_unusable(), "{code}");
        }
        assert_eq!(world.platform.secrets.take_unusable(), 2);
        // What can be read is used.
        assert_eq!(token_of(&get(&world, "A").await.unwrap()), "new");
        get(&world, "D").await.unwrap();
        assert_eq!(world.platform.secrets.take_unusable(), 0);
    }
    let message = "applications are missing from a secret of which other entries cannot be read: their last good settings stay in use";
    let lines = logs.with_message(message);
    assert_eq!((lines.len(), &lines[0]["detail"]), (1, &json!("B, C")));
    // Once every entry can be read, what is missing was removed.
    world.secret("all", &json!({"A": token("a"), "B": token("b")}));
    for served in [true, false] {
        world.freeze(5 * MINUTE);
        assert_eq!(token_of(&get(&world, "B").await.unwrap()), "b");
        assert_eq!(get(&world, "C").await.is_ok(), served);
    }
}

/// Its last application was removed. There may be others in other shards.
#[tokio::test(start_paused = true)]
async fn a_shard_may_be_empty_but_not_of_the_wrong_shape() {
    let world = World::new(SHARDS);
    world.secret("AA", &json!({"AA-1": token("a1")}));
    get(&world, "AA-1").await.unwrap();
    world.secret("AA", &json!({"applications": {"AA-1": token("new")}}));
    for _ in 0..4 {
        world.freeze(5 * MINUTE);
        assert_eq!(token_of(&get(&world, "AA-1").await.unwrap()), "a1");
    }
    assert_eq!(world.platform.secrets.take_unusable(), 4);
    world.secret("AA", &json!({}));
    world.freeze(5 * MINUTE);
    get(&world, "AA-1").await.unwrap();
    world.freeze(5 * MINUTE);
    world.platform.secrets.take_unusable();
    assert_eq!(get(&world, "AA-1").await.unwrap_err(), SecretError::Unknown);
    assert_eq!(world.platform.secrets.take_unusable(), 0);
}
