//! What is used while a secret is missing, unusable or rotated.

use super::*;

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
    // What was read in the same moment is proof.
    versions(&world, "A").await.unwrap();
    assert_eq!(reads(&world), 2);
    world.freeze(SETTLING);
    assert!(versions(&world, "A").await.unwrap().are_settled);
    assert_eq!(reads(&world), 4);
    world.freeze(Duration::from_hours(24));
    assert!(versions(&world, "A").await.unwrap().previous.is_none());
}

/// A key that was refused on what was read before its rotation would be a right one, and Segment would drop the data.
#[tokio::test(start_paused = true)]
async fn a_rotation_right_after_a_read_is_seen() {
    let world = World::new(&[]);
    world.secret("A", &token("old"));
    world.freeze(MINUTE);
    assert_eq!(token_of(&versions(&world, "A").await.unwrap().current), "old");
    world.rotate("A", &token("new"));
    tokio::time::advance(Duration::from_millis(5)).await;
    let both = versions(&world, "A").await.unwrap();
    assert_eq!((token_of(&both.current), both.are_settled), ("new", false));
}

#[tokio::test(start_paused = true)]
async fn wrong_keys_in_a_row_cost_a_bounded_number_of_reads() {
    let world = World::new(&[]);
    let mut refused = 0;
    let requests = 2 * budget::PROOFS_BURST;
    for _ in 0..requests {
        tokio::time::advance(Duration::from_micros(100)).await;
        refused += u32::from(is_unavailable(&versions(&world, "A").await));
    }
    // The first read was not soon after another.
    assert_eq!(refused, requests - 1 - budget::PROOFS_BURST);
    assert_eq!(
        world.aws_calls("GetSecretValue"),
        usize::try_from(2 * (1 + budget::PROOFS_BURST)).unwrap()
    );
    tokio::time::advance(MIN_REFRESH).await;
    versions(&world, "A").await.unwrap();
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

/// What the policy denies is unknown only where it is known to allow something: else the policy may be what is wrong.
#[tokio::test(start_paused = true)]
async fn denied_is_unknown_only_where_the_policy_allows_something_and_it_was_never_served() {
    let world = World::new(&[]);
    let (logs, _guard) = Logs::capture();
    get(&world, "A").await.unwrap();
    for code in ["A", "B"] {
        world.secrets_manager(code, aws_error("AccessDeniedException"));
    }
    world.freeze(5 * MINUTE);
    get(&world, "A").await.unwrap();
    assert!(is_unavailable(&versions(&world, "A").await));
    assert_eq!(get(&world, "B").await.unwrap_err(), SecretError::Unknown);
    let message = "Secrets Manager refuses access to the secret: the application counts as unknown";
    assert_eq!(logs.with_message(message).len(), 1);
    // The key of a secret is none of a caller's business, and it exists.
    let kms = json!({"__type": "AccessDeniedException", "Message": "Access to KMS is not allowed"});
    world.secrets_manager("C", Reply::Status(400, kms));
    assert!(is_unavailable(&get(&world, "C").await));
}

#[tokio::test(start_paused = true)]
async fn denied_is_unavailable_until_the_policy_was_seen_to_allow_something() {
    for works in [
        Reply::Status(200, json!({"SecretString": token("b").to_string()})),
        Reply::Status(200, json!({"SecretString": "no JSON"})),
        aws_error("ResourceNotFoundException"),
        aws_error("InvalidRequestException"),
    ] {
        let world = World::new(&[]);
        let codes = codes("A", 3);
        for code in &codes {
            world.secrets_manager(code, aws_error("AccessDeniedException"));
            world.previous_version(code, aws_error("AccessDeniedException"));
        }
        for _ in 0..2 {
            assert!(get_all(&world, &codes).await.values().all(is_unavailable), "{works:?}");
            assert!(is_unavailable(&get(&world, "A0").await), "{works:?}");
            assert!(is_unavailable(&versions(&world, "A0").await), "{works:?}");
            world.freeze(5 * MINUTE);
        }
        world.secrets_manager("B", works.clone());
        get(&world, "B").await.ok();
        assert_eq!(get(&world, "A0").await.unwrap_err(), SecretError::Unknown, "{works:?}");
    }
}

/// Codes of others come before those that are served.
#[tokio::test(start_paused = true)]
async fn what_was_denied_before_the_policy_was_seen_to_allow_something_is_looked_at_again() {
    let world = World::new(&[]);
    let mut named = codes("A", 100);
    for code in &named {
        world.secrets_manager(code, aws_error("AccessDeniedException"));
    }
    named.push("Z".to_owned());
    world.secret("Z", &token("z"));
    let found = get_all(&world, &named).await;
    assert!(found["Z"].is_ok());
    let unknown = found.values().filter(|found| matches!(found, Err(SecretError::Unknown)));
    assert_eq!((unknown.count(), reads(&world)), (100, 101));
}

#[tokio::test(start_paused = true)]
async fn what_is_ignored_of_a_secret_is_counted_and_named() {
    let mapping =
        |action: &str| json!({"subscribe": "type = \"track\"", "action": action, "mapping": {}});
    let account = json!({"api_token": "t"});
    for (secret, detail) in [
        (
            json!({"pushwoosh": account, "mappings": [mapping("trackEvent"), mapping("trackEvnt")]}),
            "mappings[1].action must be",
        ),
        (
            json!({"pushwoosh": account, "segment": {"write_key": "k", "events": "Push Sent, Push-Snt"}}),
            "segment.events names an unknown event: Push-Snt",
        ),
        (
            json!({"pushwoosh": account, "segment": {"write_key": "k"}, "sgment": {"write_key": "secret-key"}}),
            "unknown field sgment",
        ),
    ] {
        let world = World::new(&[]);
        let (logs, _guard) = Logs::capture();
        world.secret("A", &secret);
        let application = get(&world, "A").await.unwrap();
        assert!(!application.has_unusable(), "{secret}");
        assert_eq!(world.platform.secrets.take_unusable(), 1, "{secret}");
        let lines = logs.with_message("the application's secret has ignored or suspicious entries");
        assert_eq!(lines.len(), 1);
        let found = lines[0]["detail"].as_str().unwrap();
        assert!(found.starts_with(detail) && !found.contains("secret-key"), "{found}");
    }
    // What is only suspicious, or resembles nothing, is logged and harms nobody.
    let world = World::new(&[]);
    world.secret("A", &json!({"pushwoosh": {"api_token": "t", "note": 1}, "owner": "team"}));
    get(&world, "A").await.unwrap();
    assert_eq!(world.platform.secrets.take_unusable(), 0);
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

/// Most often by mistake: without it, Segment would drop what is refused, and records would be disregarded.
#[tokio::test(start_paused = true)]
async fn a_section_that_is_gone_is_used_for_one_ttl_more() {
    let whole = crate::testing::application("token", "key");
    let has = |application: &Application| {
        (application.pushwoosh.is_some(), application.segment.is_some())
    };
    for (left, of_strangers) in [("pushwoosh", (true, false)), ("segment", (false, true))] {
        let world = World::new(&[]);
        world.secret("A", &whole);
        get(&world, "A").await.unwrap();
        world.secret("A", &json!({left: whole[left]}));
        world.freeze(5 * MINUTE);
        assert_eq!(has(&get(&world, "A").await.unwrap()), (true, true), "{left}");
        world.freeze(5 * MINUTE);
        assert_eq!(has(&get(&world, "A").await.unwrap()), of_strangers, "{left}");
    }
}
