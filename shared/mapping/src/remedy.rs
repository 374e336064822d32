//! What to do about causes of parking and failure, and about requests that are not worked on. What to do about a reason is
//! with the reason.

/// What to do about causes of parking and failure.
const CAUSES: &[(&str, &str)] = &[
    (
        "time_budget",
        "Nothing, if it is rare: it is sent again. If it is often so, the upstream is slow: look at its delays.",
    ),
    (
        "circuit_open",
        "Nothing: the calls before it failed, and it is sent again once the upstream answers. Look at why those failed.",
    ),
    (
        "timeout",
        "Nothing, if it is rare: it is sent again. If it lasts, the upstream is slow or cannot be reached.",
    ),
    (
        "connection",
        "Nothing, if it is rare: it is sent again. If it lasts, check the network and the upstream's host in `base_url`.",
    ),
    (
        "unauthorized",
        "The upstream refuses the key. Correct `pushwoosh.api_token` or `segment.write_key` in the application's secret; what is parked is then delivered.",
    ),
    (
        "unreadable_answer",
        "The answer is not the upstream's own: look for a proxy in between, and at `base_url` in the secret.",
    ),
    (
        "settings_unavailable",
        "The application's secret cannot be read. Check Secrets Manager, the function's permission, and the secret's content with `check-secret`.",
    ),
    (
        "ledger_unavailable",
        "DynamoDB does not answer. Old items wait until it does, so that nothing overtakes a deletion.",
    ),
    ("deletion_pending", "Nothing: it waits until the deletion that came before it is delivered."),
    ("behind_another", "Nothing: it waits behind an earlier item of the same person."),
    (
        "refused",
        "The upstream refused it for good. Correct what its answer names, and send it again from the rejects queue.",
    ),
    ("redrive", "Nothing: somebody sent it again, and it is on its way."),
    (
        "expired",
        "It was undelivered for longer than the age limit and lies on the dead-letter queue. Remove what held it up, then send it again from there.",
    ),
    (
        "queue_unavailable",
        "SQS did not take it, so the caller was told to resend it. Check the queue and the function's permission.",
    ),
    (
        "too_large_for_queue",
        "It cannot be kept: it is larger than a message may be. Its sender must make it smaller.",
    ),
    (
        "invocation_failed",
        "The function gave no answer. Its log says why; the caller was told to resend it.",
    ),
];

/// What a refused caller does.
const DENIALS: &[(&str, &str)] = &[
    ("address", "Add the address to `AllowedAddresses`, if it is one of yours."),
    (
        "no_code",
        "The caller must send the header `x-pw-appcode`: set the application code in Segment.",
    ),
    (
        "unknown_application",
        "Add a secret for the application with a section `pushwoosh`, or correct the application code in Segment.",
    ),
    ("no_destination", "Add a section `pushwoosh` to the application's secret."),
    (
        "wrong_key",
        "Set the API key in Segment to `pushwoosh.api_token` of the application's secret.",
    ),
    (
        "refused_key",
        "Pushwoosh refuses the key: use a Device API token that the application was granted, in Segment and in the application's secret.",
    ),
    ("no_signature", "Set the shared secret in Segment's Webhook destination."),
    (
        "wrong_signature",
        "Set the shared secret in Segment to `webhook.shared_secret` of the application's secret, and sign the bytes that are sent.",
    ),
    (
        "unsigned_list",
        "Switch batching off in Segment, or set `webhook.signed` to `first_element`.",
    ),
    ("outside_window", "Correct the sender's clock, or change `webhook.max_age_s`."),
    ("webhook_closed", "Add `webhook.shared_secret` to the application's secret."),
    ("too_many_items", "Send them in several requests."),
    ("no_route", "Correct the URL and the method: docs/openapi.yaml has the routes."),
    ("bad_body", "The body must be what the route expects: docs/openapi.yaml has it."),
    ("headers_too_large", "Send fewer and shorter headers."),
    ("request_too_large", "Send the items in several requests."),
];

/// What to do about a cause, by its code.
#[must_use]
pub fn of_cause(code: &str) -> &'static str {
    find(CAUSES, code).unwrap_or_else(|| of_status(code))
}

/// What a caller does whose request is not worked on, by the code of the denial.
#[must_use]
pub fn of_denial(code: &str) -> Option<&'static str> {
    find(DENIALS, code)
}

fn find(table: &[(&str, &'static str)], code: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == code).map(|(_, remedy)| *remedy)
}

/// For `http_503` and `status_code_500`.
fn of_status(cause: &str) -> &'static str {
    match cause.rsplit_once('_').and_then(|(_, number)| number.parse::<u16>().ok()) {
        Some(429) => {
            "Nothing: the upstream asked for a pause. If it lasts, the application sends more than the upstream takes."
        }
        Some(500..) => {
            "Nothing, if it is rare: it is sent again. If it lasts, ask the upstream's support."
        }
        Some(_) => "Read the upstream's answer, and correct what it names.",
        None => "Read the function's log.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_with_numbers_have_a_remedy_too() {
        assert!(of_cause("http_503").contains("sent again"));
        assert!(of_cause("status_code_429").contains("pause"));
        assert!(of_cause("http_400").contains("answer"));
        assert!(of_cause("unauthorized").contains("pushwoosh.api_token"));
        assert!(of_denial("wrong_key").is_some() && of_denial("nonsense").is_none());
    }
}
