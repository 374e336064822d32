use jiff::Timestamp;
use mapping::{Cause, Item, Origin, Reason};
use platform::message::{Cut, encode};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;

const U1: Erased<'_> = Erased { application: "A", user: "u1", device: Some("d1") };

fn parked(application: &str, work: &Value) -> String {
    json!({"application": application, "work": work, "first_seen": "1970-01-01T00:00:00Z",
           "attempts": 1, "cause": "timeout"})
    .to_string()
}

fn plan(calls: &[Value]) -> Value {
    let calls: Vec<Value> = calls
        .iter()
        .map(|request| {
            let deletes = request.get("user_id").is_some();
            json!({"method": if deletes { "deleteUser" } else { "setTags" }, "request": request})
        })
        .collect();
    json!({"pushwoosh": [calls]})
}

fn reject(kind: ItemKind, application: Option<&str>, bytes: &[u8]) -> Reject {
    let item = Item { kind, application, origin: Origin::Message("m"), bytes };
    Reject::new(item, Reason::BadField, "", Timestamp::UNIX_EPOCH)
}

#[test]
fn a_plan_is_the_users_or_where_it_names_none_the_devices() {
    for (calls, expected) in [
        (vec![json!({"userId": "u1", "tags": {}})], Decision::Remove),
        (vec![json!({"hwid": "d2"}), json!({"hwid": "d2", "userId": "u1"})], Decision::Remove),
        (vec![json!({"hwid": "d1"})], Decision::Remove),
        (vec![json!({"hwid": "d1", "userId": ""})], Decision::Remove),
        // The device is another's now.
        (vec![json!({"hwid": "d1"}), json!({"hwid": "d1", "userId": "u2"})], Decision::Keep),
        (vec![json!({"hwid": "d2"})], Decision::Keep),
        (vec![json!({"userId": "u11", "tags": {"name": "u1"}})], Decision::Keep),
        (vec![json!({"user_id": "u1"})], Decision::KeepDeletion),
        (vec![json!({"user_id": "u2"})], Decision::Keep),
    ] {
        assert_eq!(U1.decide(&parked("A", &plan(&calls))), expected, "{calls:?}");
        assert_eq!(U1.decide(&parked("B", &plan(&calls))), Decision::Keep, "{calls:?}");
    }
    let of_device = parked("A", &plan(&[json!({"hwid": "d1"})]));
    assert_eq!(Erased { device: None, ..U1 }.decide(&of_device), Decision::Keep);
}

#[test]
fn track_calls_lose_only_the_persons() {
    let calls = |calls: &[Value]| parked("A", &json!({ "segment": calls }));
    let (mine, other) = (json!({"userId": "u1"}), json!({"userId": "u2", "n": 1.50}));
    let device = json!({"anonymousId": "d1"});
    assert_eq!(U1.decide(&calls(&[mine.clone(), device.clone()])), Decision::Remove);
    assert_eq!(U1.decide(&calls(std::slice::from_ref(&other))), Decision::Keep);
    let Decision::Shorten(left) = U1.decide(&calls(&[mine, other.clone(), device])) else {
        panic!("not shortened")
    };
    let left: Parked = message::decode(&left).unwrap();
    let Work::Segment(left) = left.work else { panic!("not for Segment") };
    assert_eq!(left.iter().map(|call| call.get()).collect::<Vec<_>>(), [other.to_string()]);
}

#[test]
fn a_rejected_batch_is_shortened_too() {
    let calls = json!({"segment": [{"userId": "u1"}, {"userId": "u2"}]});
    let raw = parked("A", &calls);
    let body = encode(&reject(ItemKind::Parked, Some("A"), raw.as_bytes())).unwrap();
    let Decision::Shorten(left) = U1.decide(&body) else { panic!("not shortened") };
    assert!(!left.contains("u1"));
    let left = Parked::read(&message::decode::<Reject>(&left).unwrap().raw()).unwrap();
    assert!(matches!(left.work, Work::Segment(calls) if calls.len() == 1));
}

#[test]
fn a_reject_is_the_persons_that_it_names() {
    for (kind, application, raw, expected) in [
        (ItemKind::Event, Some("A"), r#"{"user_id":"u1"}"#, Decision::Remove),
        (ItemKind::Event, Some("B"), r#"{"user_id":"u1"}"#, Decision::Keep),
        (ItemKind::Event, Some("A"), r#"{"user_id":"u2","device_id":"d1"}"#, Decision::Keep),
        (ItemKind::Profile, Some("A"), r#"{"device_id":"d1"}"#, Decision::Remove),
        (ItemKind::RawEvent, Some("A"), r#"{"userId":"u1"}"#, Decision::Remove),
        (ItemKind::RawEvent, Some("A"), r#"{"traits":{"id":"u1"}}"#, Decision::Remove),
        (ItemKind::RawEvent, Some("A"), r#"{"traits":{"id":"u1-2"}}"#, Decision::Keep),
        (ItemKind::Deletion, Some("A"), r#"{"external_id":"u1","x":1}"#, Decision::KeepDeletion),
        (
            ItemKind::RawEvent,
            Some("A"),
            r#"{"userId":"u1","type":"delete"}"#,
            Decision::KeepDeletion,
        ),
        (ItemKind::Record, None, r#"{"ApplicationCode":"A","USER_ID":"u1"}"#, Decision::Remove),
        (ItemKind::Record, None, r#"{"application_code":"B","user_id":"u1"}"#, Decision::Keep),
        (ItemKind::Record, None, r#"{"application_code":"A","hwid":"d1"}"#, Decision::Remove),
        (ItemKind::Record, None, r#"{"user_id":"u1""#, Decision::Remove),
        (ItemKind::Record, None, r#"{"user_id":"u12""#, Decision::Unclear),
        (ItemKind::Parked, None, "no message of u1", Decision::Remove),
        (
            ItemKind::Parked,
            Some("A"),
            &parked("A", &plan(&[json!({"userId": "u1"})])),
            Decision::Remove,
        ),
    ] {
        let body = encode(&reject(kind, application, raw.as_bytes())).unwrap();
        assert_eq!(U1.decide(&body), expected, "{raw}");
    }
}

#[test]
fn what_was_cut_is_the_persons_if_its_beginning_names_them_and_else_unclear() {
    for (raw, expected) in [
        (r#"{"application_code":"A","user_id":"u1","payl"#, Decision::Remove),
        (r#"{"application_code":"A","payl"#, Decision::Unclear),
    ] {
        let cut = Some(Cut { bytes: 1_000_000, sha256: String::new() });
        let reject = Reject { cut, ..reject(ItemKind::Record, None, raw.as_bytes()) };
        assert_eq!(U1.decide(&encode(&reject).unwrap()), expected, "{raw}");
    }
}

#[test]
fn an_id_is_found_however_json_writes_it() {
    let person = Erased { application: "A", user: "jörg \"😀\"", device: None };
    let escaped = r#"{"user_id":"j\u00f6rg \"\ud83d\ude00\"","cut"#;
    assert!(person.is_named_in(escaped));
    assert!(person.is_named_in(&serde_json::to_string(person.user).unwrap().replace('\\', "")));
    assert!(!Erased { user: "", ..person }.is_named_in(escaped));
}

proptest! {
    /// Of any batch, exactly the other people's calls are left, as they were.
    #[test]
    fn nobody_elses_call_is_lost(users in proptest::collection::vec(0..4_u8, 1..30)) {
        let call = |(n, user): (usize, &u8)| {
            RawValue::from_string(format!("{{\"userId\":\"u{user}\", \"n\":{n}}}")).unwrap()
        };
        let calls: Vec<_> = users.iter().enumerate().map(call).collect();
        let others: Vec<_> = calls.iter().filter(|call| !call.get().contains("\"u1\"")).cloned().collect();
        let work = Work::Segment(calls.clone());
        let parked = Parked::new("A", work, Cause::Timeout, Timestamp::UNIX_EPOCH);
        let left = match U1.decide(&encode(&parked).unwrap()) {
            Decision::Keep => calls,
            Decision::Remove => Vec::new(),
            Decision::Shorten(body) => match message::decode::<Parked>(&body).unwrap().work {
                Work::Segment(calls) => calls,
                Work::Pushwoosh(_) => panic!("not for Segment"),
            },
            other => panic!("{other:?}"),
        };
        let texts = |calls: &[Box<RawValue>]| calls.iter().map(|call| call.get().to_owned()).collect::<Vec<_>>();
        prop_assert_eq!(texts(&left), texts(&others));
    }
}
