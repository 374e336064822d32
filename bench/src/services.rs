//! Secrets Manager, and both upstreams: they answer at once, and count what they receive.

use std::io::Read as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::events::{APPLICATION, HEAVY_APPLICATION, SHARED_SECRET, heavy_mappings};
use crate::http::{Request, Response, serve};
use crate::tls::{Authority, HOST};

/// What the upstreams have received.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    /// Requests.
    pub(crate) requests: u64,
    /// Bytes of their bodies.
    pub(crate) bytes: u64,
    /// Track calls.
    pub(crate) calls: u64,
    /// All `messageId`s, in whatever order: equal sums mean equal ids.
    pub(crate) ids: u64,
}

/// How services are reached.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Conditions<'a> {
    /// By TLS, if there is one.
    pub(crate) authority: Option<&'a Authority>,
    /// How long each answer takes.
    pub(crate) answer_time: Duration,
}

/// The services of one contestant.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    /// Where they are.
    pub(crate) url: String,
    received: Arc<Mutex<Received>>,
}

impl Services {
    /// Starts them.
    pub(crate) fn start(conditions: Conditions<'_>) -> Result<Self> {
        let Conditions { authority, answer_time } = conditions;
        let received = Arc::new(Mutex::new(Received::default()));
        let counter = Arc::clone(&received);
        let own = Arc::new(OnceLock::new());
        let known = Arc::clone(&own);
        let tls = authority.map(|authority| Arc::clone(&authority.config));
        let address = serve(tls, move |request| {
            std::thread::sleep(answer_time);
            answer(request, known.get().map_or("", String::as_str), &counter)
        })?;
        let url = match authority {
            Some(_) => format!("https://{HOST}:{}", address.port()),
            None => format!("http://{address}"),
        };
        Ok(Self { url: own.get_or_init(|| url).clone(), received })
    }

    /// What came since this was asked last.
    pub(crate) fn take(&self) -> Received {
        std::mem::take(&mut *self.received.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn answer(request: &Request, own: &str, counter: &Mutex<Received>) -> Response {
    match request.header("x-amz-target") {
        Some("secretsmanager.GetSecretValue") => return secret(&request.body, own),
        Some(_) => return Response::json(200, "{}"),
        None => {}
    }
    let unzipped = request.header("content-encoding").map(|_| {
        let mut body = Vec::new();
        flate2::read::GzDecoder::new(request.body.as_slice()).read_to_end(&mut body).ok();
        body
    });
    let body = unzipped.as_ref().unwrap_or(&request.body);
    let (calls, ids) = message_ids(body);
    let mut received = counter.lock().unwrap_or_else(PoisonError::into_inner);
    received.requests += 1;
    received.bytes += request.body.len() as u64;
    received.calls += calls;
    received.ids = received.ids.wrapping_add(ids);
    Response::json(
        200,
        r#"{"status_code":200,"status_message":"OK","response":null,"success":true}"#,
    )
}

/// How many `messageId`s there are, and their sum.
fn message_ids(body: &[u8]) -> (u64, u64) {
    const KEY: &[u8] = b"\"messageId\":";
    memchr::memmem::find_iter(body, KEY).fold((0, 0), |(calls, sum), at| {
        let id = body.get(at + KEY.len()..).unwrap_or_default().trim_ascii_start();
        let id =
            id.get(1..).unwrap_or_default().split(|byte| *byte == b'"').next().unwrap_or_default();
        let hash = id.iter().fold(0_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        (calls + 1, sum.wrapping_add(hash))
    })
}

/// The application's own secret, those of `BENCH-…`, and no others.
fn secret(body: &[u8], upstream: &str) -> Response {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let id = asked.get("SecretId").and_then(Value::as_str).unwrap_or_default();
    let code = id.rsplit('/').next().unwrap_or_default();
    let current = asked.get("VersionStage").is_none_or(|stage| stage == "AWSCURRENT");
    if !(code == APPLICATION || code.starts_with("BENCH-")) || !current {
        return Response::json(
            400,
            r#"{"__type":"ResourceNotFoundException","Message":"not found"}"#,
        );
    }
    let mut secret = json!({
        "pushwoosh": {"api_token": "demo-token", "base_url": upstream},
        "segment": {"write_key": "demo-write-key", "base_url": format!("{upstream}/v1")},
        "webhook": {"shared_secret": SHARED_SECRET},
    });
    if let (HEAVY_APPLICATION, Some(secret)) = (code, secret.as_object_mut()) {
        secret.insert("mappings".to_owned(), heavy_mappings());
    }
    let answer = json!({
        "ARN": format!("arn:aws:secretsmanager:eu-central-1:123456789012:secret:{id}"), "Name": id,
        "VersionId": "11111111-2222-3333-4444-555555555555", "SecretString": secret.to_string(),
        "VersionStages": ["AWSCURRENT"], "CreatedDate": 1_700_000_000,
    });
    Response::json(200, &answer.to_string())
}
