//! Many codes at once, and a service that fails.

use super::*;

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
    let over_budget = || world.platform.secrets.take_over_budget();
    assert_eq!((over_budget(), over_budget()), (19_000, 0));
    assert!(world.platform.secrets.slots.lock().unwrap().len() <= MAX_ENTRIES + 1);
    assert!(get_all(&world, &real).await.values().all(Result::is_ok));
    assert_eq!(reads(&world) - before, calls);
    assert!(is_unavailable(&get(&world, "X19999999").await));
    world.freeze(UNKNOWN_INTERVAL);
    assert_eq!(get(&world, "X19999999").await.unwrap_err(), SecretError::Unknown);
}
