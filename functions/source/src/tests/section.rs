//! The section `segment` of a secret that is away for a moment, most often by mistake.

use super::*;

const TTL: Duration = Duration::from_mins(5);

#[tokio::test(start_paused = true)]
async fn a_section_that_is_gone_is_used_for_one_ttl_more() {
    let (world, source) = setup(&[]);
    let whole = application("token", "key");
    let without = json!({"pushwoosh": whole["pushwoosh"]});
    let send = async |source: &Source, device: &str| {
        let (result, tally) = invoke(source, &world, event(&[record("A", device)])).await;
        assert_eq!(result, Ok(vec![]));
        outcomes(&tally)
    };
    assert_eq!(send(&source, "h1").await, [("delivered", 1)]);
    world.secret("A", &without);
    for device in ["h2", "h3"] {
        tokio::time::advance(TTL / 2).await;
        assert_eq!(send(&source, device).await, [("delivered", 1)], "{device}");
    }
    // Who never served it does not know that there was one.
    let stranger = World::new(&[]);
    stranger.secret("A", &without);
    let (_, tally) =
        invoke(&Source::new(stranger.platform.clone()), &stranger, event(&[record("A", "h")]))
            .await;
    assert_eq!(outcomes(&tally), [("disregarded", 1)]);
    // It is back in time, and away once more.
    world.secret("A", &application("token", "new"));
    tokio::time::advance(TTL).await;
    assert_eq!(send(&source, "h5").await, [("delivered", 1)]);
    assert_eq!(sent(&world).last().unwrap().0, "new");
    world.secret("A", &without);
    tokio::time::advance(TTL).await;
    assert_eq!(send(&source, "h6").await, [("delivered", 1)]);
    tokio::time::advance(TTL).await;
    assert_eq!(send(&source, "h7").await, [("disregarded", 1)], "it stays away");
}
