//! What a secret must not hold in production, although the functions could use it.

use std::net::IpAddr;

use mapping::tracking_log::MessageEvent;
use platform::application::unknown_events;
use serde_json::Value;

/// Fewest characters of a key or a shared secret. Pushwoosh's and Segment's own are longer; a shared secret, which
/// people make up, could be guessed from one signed event.
pub const MIN_SECRET_CHARS: usize = 16;

/// What people leave in a copied example.
const PLACEHOLDERS: [&str; 6] = ["…", "...", "<", "xxxx", "changeme", "your_"];

/// Every key and shared secret.
const KEYS: [&str; 3] = ["/pushwoosh/api_token", "/segment/write_key", "/webhook/shared_secret"];

/// The addresses of the upstreams.
const URLS: [&str; 2] = ["/pushwoosh/base_url", "/segment/base_url"];

/// Why a secret is refused; none of its values.
pub(crate) fn refusals(secret: &Value) -> Vec<String> {
    let mut refusals = only_in_a_sandbox(secret);
    refusals.extend(refusals_anywhere(secret));
    refusals
}

/// What only a sandbox may have: keys that could be guessed, and upstreams on the same machine.
pub(crate) fn only_in_a_sandbox(secret: &Value) -> Vec<String> {
    let mut refusals = short_keys(secret);
    for pointer in URLS {
        for url in texts(secret.pointer(pointer)) {
            if url.trim().starts_with("http://") && !is_in_the_clear(url) && !is_placeholder(url) {
                refusals.push(in_the_clear(pointer));
            }
        }
    }
    refusals
}

fn in_the_clear(pointer: &str) -> String {
    let name = name_of(pointer);
    format!("{name} must be https: over http, keys and personal data can be read on the way")
}

/// Keys that could be guessed. In a sandbox nobody does.
pub(crate) fn short_keys(secret: &Value) -> Vec<String> {
    let mut refusals = Vec::new();
    for pointer in KEYS {
        let name = name_of(pointer);
        for key in texts(secret.pointer(pointer)) {
            if !is_placeholder(key) && (1..MIN_SECRET_CHARS).contains(&key.trim().chars().count()) {
                refusals.push(format!(
                    "{name} has fewer than {MIN_SECRET_CHARS} characters: it can be guessed"
                ));
            }
        }
    }
    refusals
}

/// Why a secret is refused wherever it is.
pub(crate) fn refusals_anywhere(secret: &Value) -> Vec<String> {
    let mut refusals = Vec::new();
    for pointer in KEYS {
        let keys = texts(secret.pointer(pointer)).into_iter().filter(|key| is_placeholder(key));
        let name = name_of(pointer);
        refusals.extend(keys.map(|_| format!("{name} is a placeholder: put the real value there")));
    }
    for pointer in URLS {
        for url in texts(secret.pointer(pointer)) {
            let name = name_of(pointer);
            if is_placeholder(url) {
                refusals.push(format!(
                    "{name} is a placeholder: put the real value there, or leave it out"
                ));
            } else if is_in_the_clear(url) {
                refusals.push(in_the_clear(pointer));
            }
        }
    }
    let known: Vec<&str> = MessageEvent::ALL.iter().map(|event| event.name()).collect();
    refusals.extend(unknown_events(secret).into_iter().map(|name| {
        format!(
            "segment.events names an unknown event: {name}; expected some of {}",
            known.join(", ")
        )
    }));
    refusals
}

/// A text, or a list of them.
fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_placeholder(text: &str) -> bool {
    let text = text.to_lowercase();
    PLACEHOLDERS.iter().any(|placeholder| text.contains(placeholder))
}

/// Whether a URL leads over the network without TLS. Another program on the same machine is a test's.
pub(crate) fn is_in_the_clear(url: &str) -> bool {
    let Some(rest) = url.trim().strip_prefix("http://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    !(host == "localhost" || address.is_ok_and(|address| address.is_loopback()))
}

fn name_of(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GOOD: &str = "0123456789abcdef";

    fn secret(pointer: &str, value: Value) -> Value {
        let mut secret = json!({
            "pushwoosh": {"api_token": GOOD, "base_url": "https://api.pushwoosh.com"},
            "segment": {"write_key": GOOD, "base_url": "https://api.segment.io/v1", "events": "Push Sent"},
            "webhook": {"shared_secret": GOOD},
        });
        *secret.pointer_mut(pointer).unwrap() = value;
        secret
    }

    #[test]
    fn short_keys_are_refused_without_being_shown() {
        for pointer in KEYS {
            assert!(refusals(&secret(pointer, json!(GOOD))).is_empty(), "{pointer}");
            let found = refusals(&secret(pointer, json!("0123456789abcde")));
            assert!(found[0].starts_with(&name_of(pointer)), "{found:?}");
            assert!(found[0].contains("fewer than 16") && !found[0].contains("0123"), "{found:?}");
        }
        let list = secret("/webhook/shared_secret", json!([GOOD, "short"]));
        assert_eq!(refusals(&list).len(), 1);
    }

    #[test]
    fn placeholders_are_refused() {
        for placeholder in
            ["…", "...", "<token>", "YOUR_PUSHWOOSH_API_TOKEN", "xxxxxxxxxxxxxxxxxxxx"]
        {
            for pointer in KEYS {
                let found = refusals(&secret(pointer, json!(placeholder)));
                assert!(found[0].contains("placeholder"), "{pointer} {placeholder}: {found:?}");
            }
        }
    }

    #[test]
    fn upstreams_in_the_clear_are_refused() {
        for url in
            ["http://api.pushwoosh.com", "http://10.0.0.1:80/x", "http://localhost.example.com"]
        {
            for pointer in URLS {
                assert_eq!(refusals(&secret(pointer, json!(url))).len(), 1, "{pointer} {url}");
            }
        }
        assert!(refusals(&secret(URLS[0], json!("https://x"))).is_empty());
        // A sandbox's own; no stack reaches them.
        for url in ["http://127.0.0.1:8787", "http://localhost:1/v1", "http://[::1]:2"] {
            for pointer in URLS {
                let secret = secret(pointer, json!(url));
                assert_eq!(refusals(&secret), [in_the_clear(pointer)], "{url}");
                assert!(refusals_anywhere(&secret).is_empty(), "{url}");
            }
        }
    }

    #[test]
    fn misspelt_event_names_are_refused_with_the_known_ones() {
        let found = refusals(&secret("/segment/events", json!("Push Sent, Pusch Sent")));
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("Pusch Sent; expected some of"), "{found:?}");
    }
}
