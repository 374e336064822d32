//! The functions run as in Lambda: one invocation per process, frozen between invocations, replaced now and
//! then.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::sandbox::Sandbox;

fn event(user: usize) -> Value {
    json!({"events": [{"user_id": format!("u{user}"), "device_platform": "ios", "name": "E", "attributes": {}}]})
}

fn frozen(pid: &Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|fields| fields.trim_start().starts_with('T'))
}

async fn pids(sandbox: &Sandbox) -> Vec<Value> {
    sandbox.get("state").await["functions"]["destination"]["pids"].as_array().unwrap().clone()
}

async fn all_frozen(sandbox: &Sandbox) -> Vec<Value> {
    sandbox
        .until("all processes are frozen", async |sandbox| {
            let pids = pids(sandbox).await;
            pids.iter().all(frozen).then_some(pids)
        })
        .await
}

#[tokio::test]
async fn concurrent_requests_get_processes_of_their_own_which_freeze_afterwards() {
    let sandbox = Sandbox::with(&["--environments", "3"]);
    assert_eq!(all_frozen(&sandbox).await.len(), 1);
    sandbox.faults("pushwoosh", &json!([{"delay_ms": 500}])).await;
    let requests: Vec<Value> = (0..6).map(event).collect();
    let answers = join_all(requests.iter().map(|body| sandbox.post("post-events", body))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(all_frozen(&sandbox).await.len(), 3);
    // A thawed process still works.
    sandbox.faults("pushwoosh", &json!([])).await;
    assert_eq!(sandbox.post("post-events", &event(7)).await.status, 200);
    assert_eq!(sandbox.calls("pushwoosh").await.len(), 7);
}

#[tokio::test]
async fn a_frozen_process_that_dies_is_replaced() {
    let sandbox = Sandbox::with(&["--environments", "2"]);
    let pid = all_frozen(&sandbox).await.remove(0);
    std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
    sandbox
        .until("another process is frozen", async |sandbox| {
            let pids = pids(sandbox).await;
            (pids.len() == 1 && pids[0] != pid && frozen(&pids[0])).then_some(())
        })
        .await;
    assert_eq!(sandbox.post("post-events", &event(1)).await.status, 200);
}

#[tokio::test]
async fn a_process_that_is_idle_for_long_is_replaced() {
    let sandbox = Sandbox::with(&["--environments", "1", "--idle", "1"]);
    let first = all_frozen(&sandbox).await;
    sandbox
        .until("another process is frozen", async |sandbox| {
            let pids = pids(sandbox).await;
            (pids.len() == 1 && pids != first && frozen(&pids[0])).then_some(())
        })
        .await;
    assert_eq!(sandbox.post("post-events", &event(1)).await.status, 200);
}

#[tokio::test]
async fn one_process_takes_several_requests_at_a_time_where_that_is_asked_for() {
    let sandbox = Sandbox::with(&["--shared"]);
    sandbox.faults("pushwoosh", &json!([{"delay_ms": 500}])).await;
    let requests: Vec<Value> = (0..6).map(event).collect();
    let answers = join_all(requests.iter().map(|body| sandbox.post("post-events", body))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let pids = pids(&sandbox).await;
    assert!(pids.len() == 1 && !frozen(&pids[0]), "{pids:?}");
}

#[tokio::test]
async fn a_call_that_hangs_is_given_up_and_what_it_carried_arrives_later() {
    let sandbox = Sandbox::start();
    sandbox.faults("pushwoosh", &json!([{"hang": true, "times": 1}])).await;
    assert_eq!(sandbox.post("post-events", &event(1)).await.status, 200);
    sandbox
        .until("the event arrives", async |sandbox| {
            let calls = sandbox.calls("pushwoosh").await;
            calls.iter().any(|call| call["status"] == 200).then_some(())
        })
        .await;
    assert_eq!(sandbox.calls("pushwoosh").await[0]["status"], 0);
}

/// A load balancer or a NAT gateway has given the connection up while the process was frozen. The next call
/// on it hangs or breaks.
#[tokio::test]
async fn a_kept_connection_that_was_given_up_costs_no_item() {
    for given_up in ["reset", "hang"] {
        let sandbox = Sandbox::with(&["--environments", "1"]);
        assert_eq!(sandbox.post("post-events", &event(1)).await.status, 200);
        all_frozen(&sandbox).await;
        let fault = json!([{"idle_ms": 0, given_up: true, "times": 1}]);
        sandbox.faults("pushwoosh", &fault).await;
        assert_eq!(sandbox.post("post-events", &event(2)).await.status, 200);
        let statuses = sandbox
            .until("the event arrives", async |sandbox| {
                let calls = sandbox.calls("pushwoosh").await;
                let of_user = |call: &&Value| call["body"]["request"]["userId"] == "u2";
                let statuses: Vec<Value> =
                    calls.iter().filter(of_user).map(|call| call["status"].clone()).collect();
                statuses.contains(&json!(200)).then_some(statuses)
            })
            .await;
        assert_eq!(statuses, [0, 200], "{given_up}");
    }
}

#[tokio::test]
async fn dynamodb_is_served_and_can_fail() {
    let sandbox = Sandbox::start();
    let state = sandbox.get("state").await;
    let endpoint = state["aws"]["endpoint"].as_str().unwrap();
    let call = async |operation: &str, input: &Value| {
        let request = reqwest::Client::new().post(endpoint).body(input.to_string());
        let request = request.header("x-amz-target", format!("DynamoDB_20120810.{operation}"));
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str::<Value>(&response.text().await.unwrap()).unwrap())
    };
    let item = json!({"pk": {"S": "a"}, "n": {"N": "1"}});
    let put = json!({"TableName": "ledger", "Item": item, "ConditionExpression": "attribute_not_exists(pk)"});
    assert_eq!(call("PutItem", &put).await.0, 200);
    let (status, error) = call("PutItem", &put).await;
    assert_eq!((status, &error["__type"]), (400, &json!("ConditionalCheckFailedException")));
    let fault =
        json!([{"path": "GetItem", "status": 400, "code": "ThrottlingException", "times": 1}]);
    sandbox.faults("dynamodb", &fault).await;
    let get = json!({"TableName": "ledger", "Key": {"pk": {"S": "a"}}});
    assert_eq!(call("GetItem", &get).await.1["__type"], "ThrottlingException");
    assert_eq!(call("GetItem", &get).await.1["Item"], item);
    assert_eq!(sandbox.get("state").await["aws"]["calls"]["GetItem"], 2);
}
