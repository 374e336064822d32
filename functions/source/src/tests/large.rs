//! Records of which the Track call is larger than Segment takes.

use sha2::{Digest, Sha256};

use super::*;

fn rejected(world: &World) -> Value {
    let [(queue, entry)] = world.messages().try_into().unwrap();
    assert_eq!(queue, "rejects");
    let body = entry["MessageBody"].as_str().unwrap();
    serde_json::to_value(platform::message::decode::<platform::message::Reject>(body).unwrap())
        .unwrap()
}

/// An operator shortens the record, and looks for it where it came from.
#[tokio::test(start_paused = true)]
async fn a_record_that_is_too_large_is_rejected_as_it_came() {
    let (world, source) = setup(&[]);
    let long = anonymous(&"x".repeat(40_000));
    invoke(&source, &world, event(std::slice::from_ref(&long))).await.0.unwrap();
    let reject = rejected(&world);
    assert_eq!((&reject["reason"], &reject["kind"]), (&json!("too_large"), &json!("record")));
    assert_eq!((&reject["application"], &reject["origin"]), (&json!("A"), &json!("topic-0-10")));
    assert_eq!(reject["raw"], long.to_string());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_kept_cut_has_the_hash_of_its_own_bytes() {
    let (world, source) = setup(&[]);
    let mut noise = 1_u64;
    let device: String = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from_digit(u32::try_from(noise >> 59).unwrap(), 36).unwrap()
    })
    .take(600_000)
    .collect();
    let long = anonymous(&device);
    invoke(&source, &world, event(std::slice::from_ref(&long))).await.0.unwrap();
    let reject = rejected(&world);
    let bytes = long.to_string().into_bytes();
    let digits: Vec<String> =
        Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(reject["cut"], json!({"bytes": bytes.len(), "sha256": digits.concat()}));
    assert!(long.to_string().starts_with(reject["raw"].as_str().unwrap()));
}
