//! Routes: what the services do wrong, on purpose.

use serde_json::json;
use world::faults::Fault;

use super::{Control, Standins, not_found};
use crate::http::{self, Response};

/// The services that can have faults.
const SERVICES: [&str; 5] = ["pushwoosh", "segment", "sqs", "secretsmanager", "dynamodb"];

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
        if let Some(message) = list.iter().find_map(|fault| misplaced(service, fault)) {
            return http::json(400, &json!({ "message": message }));
        }
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
        let list = self.standins.faults(service);
        list.map_or_else(not_found, |list| http::json(200, &json!(list)))
    }
}

impl Standins {
    fn faults(&self, service: &str) -> Option<Vec<Fault>> {
        let Self { pushwoosh, segment, aws } = self;
        Some(match service {
            "pushwoosh" => pushwoosh.faults(),
            "segment" => segment.faults(),
            "sqs" => aws.queues.faults(),
            "secretsmanager" => aws.secrets_faults(),
            "dynamodb" => aws.table_faults(),
            _ => return None,
        })
    }

    /// How many faults are in force.
    pub(crate) fn number_of_faults(&self) -> usize {
        let lists = SERVICES.into_iter().filter_map(|service| self.faults(service));
        lists.map(|list| list.len()).sum()
    }
}

/// Why the `path` of a fault would fit no call of a service; nothing where it may fit.
fn misplaced(service: &str, fault: &Fault) -> Option<String> {
    let path = fault.path.as_deref()?;
    match service {
        "pushwoosh" | "segment" => (!path.starts_with('/')).then(|| {
            format!("path {path:?} would fit no call: it must begin with /, such as /json/1.3/setTags or /v1/batch")
        }),
        _ => path.contains('/').then(|| {
            format!("path {path:?} would fit no call: of AWS it is the name of an operation, such as SendMessageBatch")
        }),
    }
}
