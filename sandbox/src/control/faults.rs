//! Routes: what the services do wrong, on purpose.

use serde_json::json;
use world::faults::Fault;

use super::{Control, Standins, not_found};
use crate::http::{self, Response};

impl Control {
    /// Replaces the faults of a service.
    pub(super) fn set_faults(&self, service: &str, body: &[u8]) -> Response {
        let list = match serde_json::from_slice::<Vec<Fault>>(body) {
            Ok(list) => list,
            Err(error) => {
                let message = format!("a list of faults is expected: {error}");
                return http::json(400, &json!({ "message": message }));
            }
        };
        let Standins { pushwoosh, segment, aws } = &self.standins;
        match service {
            "pushwoosh" => pushwoosh.set_faults(list),
            "segment" => segment.set_faults(list),
            "sqs" => aws.queues.set_faults(list),
            "secretsmanager" => aws.set_secrets_faults(list),
            "dynamodb" => aws.set_table_faults(list),
            _ => return not_found(),
        }
        http::empty(204)
    }

    /// The faults of a service, with the `times` that are left.
    pub(super) fn faults(&self, service: &str) -> Response {
        let Standins { pushwoosh, segment, aws } = &self.standins;
        let list = match service {
            "pushwoosh" => pushwoosh.faults(),
            "segment" => segment.faults(),
            "sqs" => aws.queues.faults(),
            "secretsmanager" => aws.secrets_faults(),
            "dynamodb" => aws.table_faults(),
            _ => return not_found(),
        };
        http::json(200, &json!(list))
    }
}
