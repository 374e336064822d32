//! The body of delete-user: a user and all their devices leave Pushwoosh (spec D3).
//!
//! Deleting twice, or deleting a user that is unknown, is the same as deleting once.

use serde::Deserialize;
use serde_json::Value;

use crate::call::{Call, Method, Plan};
use crate::field::{id, json, object};
use crate::reason::{Reason, Refusal};

/// `external_id` is what Segment's destination sends; `user_id` is its name everywhere else.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire {
    external_id: Value,
    user_id: Value,
}

/// The calls for one delete-user body.
pub fn plan(application: &str, body: &[u8]) -> Result<Plan, Refusal> {
    plan_value(application, json(body)?)
}

/// The same for a body that was read before.
pub(crate) fn plan_value(application: &str, body: Value) -> Result<Plan, Refusal> {
    let wire: Wire = object(body)?;
    let user = id(&wire.external_id).or_else(|| id(&wire.user_id)).ok_or_else(|| {
        Refusal::new(Reason::NoIdentity, "external_id: the id of the user to delete is expected")
    })?;
    Ok(Plan::one(Call::new(Method::DeleteUser, application).with("user_id", Some(user))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_user_is_deleted_under_either_name() {
        for body in [
            r#"{"external_id":"u1"}"#,
            r#"{"user_id":"u1"}"#,
            r#"{"external_id":"","user_id":"u1"}"#,
        ] {
            let plan = serde_json::to_value(plan("DEMO0-00001", body.as_bytes()).unwrap()).unwrap();
            let request = json!({"application": "DEMO0-00001", "user_id": "u1"});
            assert_eq!(plan, json!([[{"method": "deleteUser", "request": request}]]));
        }
    }

    #[test]
    fn without_a_user_nothing_is_deleted() {
        for body in ["{}", r#"{"external_id":null}"#, r#"{"external_id":""}"#] {
            assert_eq!(plan("A", body.as_bytes()).unwrap_err().reason, Reason::NoIdentity);
        }
        assert_eq!(plan("A", b"[1]").unwrap_err().reason, Reason::NotAnObject);
    }
}
