use fastrand::Rng;
use proptest::prelude::{prop_assert_eq, proptest};
use serde_json::json;

use super::*;
use crate::aws::{Service as _, ServiceError};
use crate::faults::Fault;

const DAY: Duration = Duration::from_hours(24);

fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn ledger() -> DynamoDb {
    let mut dynamodb = DynamoDb::default();
    let expiry = Some("expires_at".to_owned());
    dynamodb.create("ledger", TableOptions { expiry, ..TableOptions::new("pk") });
    dynamodb
}

fn call(
    dynamodb: &mut DynamoDb,
    operation: &str,
    mut input: Value,
    now: Timestamp,
) -> Result<Value, ServiceError> {
    input["TableName"] = "ledger".into();
    dynamodb.call(operation, &input, None, now, &mut Rng::with_seed(1))
}

fn get(dynamodb: &mut DynamoDb, pk: &str, now: Timestamp) -> Value {
    let input = json!({"Key": {"pk": {"S": pk}}, "ConsistentRead": true});
    call(dynamodb, "GetItem", input, now).unwrap()["Item"].clone()
}

fn put(dynamodb: &mut DynamoDb, item: &Value, now: Timestamp) {
    call(dynamodb, "PutItem", json!({ "Item": item }), now).unwrap();
}

fn update(
    dynamodb: &mut DynamoDb,
    expression: &str,
    values: &Value,
) -> Result<Value, ServiceError> {
    let mut input = json!({
        "Key": {"pk": {"S": "a"}}, "UpdateExpression": expression, "ReturnValues": "ALL_NEW",
    });
    if !values.is_null() {
        input["ExpressionAttributeValues"] = values.clone();
    }
    call(dynamodb, "UpdateItem", input, start()).map(|answer| answer["Attributes"].clone())
}

/// What the ledger does: raises a time, never lowers it.
fn raise(dynamodb: &mut DynamoDb, to: u64) -> Result<Value, ServiceError> {
    let input = json!({
        "Key": {"pk": {"S": "a"}}, "UpdateExpression": "SET #d = :t",
        "ConditionExpression": "attribute_not_exists(#d) OR #d < :t",
        "ExpressionAttributeNames": {"#d": "deleted_at"},
        "ExpressionAttributeValues": {":t": {"N": to.to_string()}},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    });
    call(dynamodb, "UpdateItem", input, start())
}

// Expressions.ConditionExpressions.
#[test]
fn a_conditional_write_happens_only_where_its_condition_holds() {
    let mut dynamodb = ledger();
    raise(&mut dynamodb, 9).unwrap();
    raise(&mut dynamodb, 10).unwrap();
    let error = raise(&mut dynamodb, 9).unwrap_err();
    assert_eq!(error.code, "ConditionalCheckFailedException");
    assert_eq!(error.details["Item"], json!({"pk": {"S": "a"}, "deleted_at": {"N": "10"}}));
    assert_eq!(get(&mut dynamodb, "a", start())["deleted_at"]["N"], "10", "numbers, not texts");
}

#[test]
fn conditions_are_evaluated_as_documented() {
    let mut dynamodb = ledger();
    let item = json!({"pk": {"S": "a"}, "n": {"N": "1.50"}, "s": {"S": "abc"}, "l": {"L": [{"N": "1"}]},
                      "ss": {"SS": ["x", "y"]}, "m": {"M": {"k": {"S": "v"}}}});
    put(&mut dynamodb, &item, start());
    for (condition, holds) in [
        ("n = :n", true),
        ("n <> :n", false),
        ("s < :n", false),
        ("missing <> :n", true),
        ("missing < :n OR s = :s", true),
        ("n BETWEEN :n AND :n AND begins_with(s, :a)", true),
        ("NOT (n = :n AND s = :s)", false),
        ("s IN (:a, :s)", true),
        ("contains(s, :a) and contains(ss, :x)", true),
        ("contains(l, :one)", true),
        ("size(s) = :three AND size(ss) < :three", true),
        ("attribute_exists(m.k) AND attribute_not_exists(m.x)", true),
        ("l[0] = :one AND attribute_not_exists(l[1])", true),
        ("attribute_type(m, :m)", true),
    ] {
        let all = json!({":n": {"N": "1.5"}, ":s": {"S": "abc"}, ":a": {"S": "a"}, ":x": {"S": "x"},
                         ":one": {"N": "1"}, ":three": {"N": "3"}, ":m": {"S": "M"}});
        let words = |name: &str| {
            condition.split(|c: char| !(c.is_alphanumeric() || c == ':')).any(|word| word == name)
        };
        let values: serde_json::Map<String, Value> =
            all.as_object().unwrap().clone().into_iter().filter(|(name, _)| words(name)).collect();
        let mut input = json!({"Item": item, "ConditionExpression": condition});
        if !values.is_empty() {
            input["ExpressionAttributeValues"] = values.into();
        }
        let result = call(&mut dynamodb, "PutItem", input, start());
        let code = result.map_err(|error| (error.code, error.message));
        match code {
            Ok(_) => assert!(holds, "{condition}"),
            Err((code, message)) => {
                assert_eq!(code, "ConditionalCheckFailedException", "{condition}: {message}");
                assert!(!holds, "{condition}");
            }
        }
    }
}

// Expressions.UpdateExpressions.
#[test]
fn updates_change_what_they_name() {
    let mut dynamodb = ledger();
    let one = json!({":v": {"N": "1"}, ":m": {"M": {}}});
    let item = update(&mut dynamodb, "SET n = :v, tags = if_not_exists(tags, :m)", &one).unwrap();
    assert_eq!(item, json!({"pk": {"S": "a"}, "n": {"N": "1"}, "tags": {"M": {}}}));
    let two = json!({":v": {"N": "2"}});
    let item = update(&mut dynamodb, "SET n = n + :v, o = n, tags.color = :v", &two).unwrap();
    assert_eq!((&item["n"]["N"], &item["o"]["N"]), (&json!("3"), &json!("1")), "read before");
    assert_eq!(item["tags"]["M"]["color"]["N"], "2");
    let item = update(&mut dynamodb, "SET o = :v, p = o + :v", &two).unwrap();
    assert_eq!(item["p"]["N"], "3", "read before");
    let item = update(&mut dynamodb, "REMOVE o, p, tags.color ADD n :v", &two).unwrap();
    assert_eq!(item, json!({"pk": {"S": "a"}, "n": {"N": "5"}, "tags": {"M": {}}}));
    let set = json!({":s": {"SS": ["x", "y"]}});
    update(&mut dynamodb, "ADD labels :s", &set).unwrap();
    let item = update(&mut dynamodb, "DELETE labels :s", &set).unwrap();
    assert_eq!(item.get("labels"), None, "there are no empty sets");
}

#[test]
fn wrong_requests_are_refused() {
    let mut dynamodb = ledger();
    let one = json!({":v": {"N": "1"}});
    for (expression, values, part) in [
        ("SET tags.color = :v", &one, "document path"),
        ("SET ttl = :v", &one, "reserved keyword"),
        ("SET a = :v, a = :v", &one, "overlap"),
        ("SET a = :w", &one, "not defined"),
        ("REMOVE a", &one, "unused"),
        ("SET pk = :v", &one, "part of the key"),
        ("SET a = b", &Value::Null, "does not exist"),
        ("SET a := :v", &one, "Syntax error"),
        ("SET a = now()", &Value::Null, "Invalid function"),
        ("SET a = :v SET b = :v", &one, "Syntax error"),
        ("SET a = :v", &json!({":v": {"X": "1"}}), "unknown type"),
    ] {
        let error = update(&mut dynamodb, expression, values).unwrap_err();
        assert_eq!(error.code, "ValidationException", "{expression}");
        assert!(error.message.contains(part), "{expression}: {}", error.message);
    }
    let empty = call(&mut dynamodb, "GetItem", json!({"Key": {"pk": {"S": ""}}}), start());
    assert_eq!(empty.unwrap_err().code, "ValidationException");
    let unknown =
        dynamodb.call("GetItem", &json!({"TableName": "x"}), None, start(), &mut Rng::with_seed(1));
    assert_eq!(unknown.unwrap_err().code, "ResourceNotFoundException");
    assert_eq!(dynamodb.items("ledger").count(), 0);
}

// Constraints: 400 KB.
#[test]
fn an_item_has_at_most_400_kilobytes() {
    let mut dynamodb = ledger();
    let item = |size: usize| json!({"Item": {"pk": {"S": "a"}, "x": {"S": "x".repeat(size)}}});
    assert!(call(&mut dynamodb, "PutItem", item(MAX_ITEM - 4), start()).is_ok());
    let error = call(&mut dynamodb, "PutItem", item(MAX_ITEM - 3), start()).unwrap_err();
    assert!(error.message.contains("Item size"), "{}", error.message);
}

// TTL: "deleted within a few days"; read until then.
#[test]
fn an_expired_item_is_read_until_it_is_deleted_days_later() {
    let mut dynamodb = ledger();
    let expiry = after(start(), DAY).as_second();
    let item = json!({"pk": {"S": "a"}, "expires_at": {"N": expiry.to_string()}});
    put(&mut dynamodb, &item, start());
    put(&mut dynamodb, &json!({"pk": {"S": "b"}, "expires_at": {"S": "no number"}}), start());
    assert_eq!(get(&mut dynamodb, "a", after(start(), 2 * DAY)), item);
    let gone = after(start(), 3 * DAY);
    assert_eq!(get(&mut dynamodb, "a", gone), Value::Null);
    dynamodb.sweep(gone);
    assert_eq!(dynamodb.items("ledger").count(), 1);
}

// HowItWorks.ReadConsistency.
#[test]
fn a_read_that_is_not_consistent_can_be_late() {
    let mut dynamodb = ledger();
    dynamodb.late_reads = LateReads { window: Duration::from_secs(1), probability: 0.5 };
    let mut rng = Rng::with_seed(1);
    let item = |n: u32| json!({"pk": {"S": "a"}, "n": {"N": n.to_string()}});
    put(&mut dynamodb, &item(1), start());
    let now = after(start(), DAY);
    put(&mut dynamodb, &item(2), now);
    let soon = after(now, Duration::from_millis(100));
    let mut read = |consistent: bool, now| {
        let input =
            json!({"TableName": "ledger", "Key": {"pk": {"S": "a"}}, "ConsistentRead": consistent});
        let answer = dynamodb.call("GetItem", &input, None, now, &mut rng).unwrap();
        answer["Item"]["n"]["N"].as_str().unwrap().to_owned()
    };
    let late: Vec<String> = (0..50).map(|_| read(false, soon)).collect();
    assert!(late.contains(&"1".to_owned()) && late.contains(&"2".to_owned()));
    assert!((0..50).all(|_| read(true, soon) == "2"));
    let later = after(now, Duration::from_secs(2));
    assert!((0..50).all(|_| read(false, later) == "2"));
}

// API_BatchGetItem: UnprocessedKeys; 100 keys.
#[test]
fn a_batch_is_read_in_part_where_a_fault_says_so() {
    let mut dynamodb = ledger();
    for pk in ["a", "b", "c"] {
        put(&mut dynamodb, &json!({"pk": {"S": pk}}), start());
    }
    let keys = |number: u32| {
        let keys: Vec<Value> =
            ["a", "b", "c", "d"].iter().map(|pk| json!({"pk": {"S": pk}})).collect();
        let keys: Vec<Value> = keys.into_iter().cycle().take(number as usize).collect();
        json!({"RequestItems": {"ledger": {"Keys": keys, "ConsistentRead": true}}})
    };
    let fault = Fault { failed_entries: Some(2), ..Fault::default() };
    let mut rng = Rng::with_seed(1);
    let answer = dynamodb.call("BatchGetItem", &keys(4), Some(&fault), start(), &mut rng).unwrap();
    let left = &answer["UnprocessedKeys"]["ledger"];
    assert_eq!(
        (left["Keys"].as_array().unwrap().len(), &left["ConsistentRead"]),
        (2, &json!(true))
    );
    let answer = dynamodb.call("BatchGetItem", &keys(4), None, start(), &mut rng).unwrap();
    assert_eq!(answer["Responses"]["ledger"].as_array().unwrap().len(), 3);
    assert!(dynamodb.call("BatchGetItem", &keys(101), None, start(), &mut rng).is_err());
}

#[test]
fn a_deletion_removes_the_item_and_returns_it() {
    let mut dynamodb = ledger();
    put(&mut dynamodb, &json!({"pk": {"S": "a"}}), start());
    let input = json!({"Key": {"pk": {"S": "a"}}, "ReturnValues": "ALL_OLD"});
    let answer = call(&mut dynamodb, "DeleteItem", input.clone(), start()).unwrap();
    assert_eq!(answer["Attributes"]["pk"]["S"], "a");
    assert_eq!(call(&mut dynamodb, "DeleteItem", input, start()).unwrap(), json!({}));
    assert_eq!(
        (get(&mut dynamodb, "a", start()), dynamodb.tables["ledger"].rows.len()),
        (Value::Null, 0)
    );
}

#[test]
fn what_was_written_longest_ago_is_forgotten_where_that_is_asked_for() {
    let mut dynamodb = DynamoDb::default();
    dynamodb.create("ledger", TableOptions { kept: 20, ..TableOptions::new("pk") });
    for number in 0..100 {
        let now = after(start(), Duration::from_secs(number));
        put(&mut dynamodb, &json!({"pk": {"S": number.to_string()}}), now);
        assert!(dynamodb.items("ledger").count() <= 20);
    }
    let end = after(start(), DAY);
    assert!(get(&mut dynamodb, "99", end).is_object());
    assert!(get(&mut dynamodb, "50", end).is_null());
    assert!(dynamodb.items("ledger").count() > 15, "a tenth is forgotten at a time");
}

proptest! {
    /// In whatever order and however often times are raised, the greatest is left.
    #[test]
    fn conditional_raises_commute(times in proptest::collection::vec(0..1_000_u64, 1..40)) {
        let mut dynamodb = ledger();
        for time in &times {
            raise(&mut dynamodb, *time).ok();
        }
        let greatest = times.iter().max().unwrap().to_string();
        let item = get(&mut dynamodb, "a", start());
        prop_assert_eq!(&item["deleted_at"]["N"], &json!(greatest));
    }

    /// No expression makes the parser fail otherwise than with an error of the caller.
    #[test]
    fn any_text_is_an_expression_or_an_error(text in "[a-zA-Z#:0-9 ,.()<>=+\\[\\]-]{0,40}") {
        let mut dynamodb = ledger();
        for code in [
            update(&mut dynamodb, &text, &Value::Null).map_err(|error| error.code),
            call(&mut dynamodb, "DeleteItem", json!({"Key": {"pk": {"S": "a"}}, "ConditionExpression": text}), start())
                .map_err(|error| error.code),
        ] {
            let known = matches!(code, Ok(_) | Err("ValidationException" | "ConditionalCheckFailedException"));
            prop_assert_eq!(known, true);
        }
    }
}
