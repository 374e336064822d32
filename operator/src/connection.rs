//! Where the operator's commands work: in AWS, or in a running sandbox.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use platform::clock::Clock;
use platform::transport::{self, Transport};
use serde_json::Value;

use crate::bad_input::BadInput;

/// Where a sandbox is unless another place is named.
pub(crate) const DEFAULT_SANDBOX: &str = "http://127.0.0.1:8787";

/// Largest state of a sandbox that is read.
const MAX_STATE_BYTES: usize = 1024 * 1024;

/// Longest wait for an answer of AWS: longer than the functions have, for ten large messages over a slow line.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection to AWS's services, or to a sandbox's.
pub(crate) struct Connection {
    pub(crate) config: SdkConfig,
    pub(crate) clock: Clock,
    pub(crate) transport: Arc<dyn Transport>,
    /// What the sandbox says of itself, where it is one.
    sandbox: Option<Sandbox>,
}

struct Sandbox {
    endpoint: String,
    state: Value,
}

impl Connection {
    /// To AWS; credentials and region are found as every AWS tool finds them.
    pub(crate) async fn to_aws() -> Result<Self> {
        let (config, clock, transport) = start().await?;
        Ok(Self { config, clock, transport, sandbox: None })
    }

    /// To stand-ins for AWS's services.
    #[cfg(test)]
    pub(crate) async fn to_endpoint(url: &str) -> Result<Self> {
        let (config, clock, transport) = start().await?;
        Ok(Self { config: stand_in(config, url), clock, transport, sandbox: None })
    }

    /// To a running sandbox. `otherwise`: the flags that name AWS's resources.
    pub(crate) async fn to_sandbox(url: &str, otherwise: &str) -> Result<Self> {
        let (config, clock, transport) = start().await?;
        let state = state(url, otherwise, &transport).await?;
        let endpoint = state.pointer("/aws/endpoint").and_then(Value::as_str);
        let endpoint = endpoint.context("no sandbox answers at this address")?.to_owned();
        let config = stand_in(config, &endpoint);
        Ok(Self { config, clock, transport, sandbox: Some(Sandbox { endpoint, state }) })
    }

    /// URL of a queue of the sandbox.
    pub(crate) fn sandbox_queue(&self, name: &str) -> Result<String> {
        let sandbox = self.sandbox.as_ref().context("name the stack with --stack")?;
        Ok(format!("{}/123456789012/{name}", sandbox.endpoint))
    }

    /// A text of the sandbox's state; nothing in AWS.
    pub(crate) fn sandbox_text(&self, pointer: &str) -> Option<&str> {
        self.sandbox.as_ref()?.state.pointer(pointer)?.as_str()
    }

    /// Whether it is a sandbox.
    pub(crate) fn is_sandbox(&self) -> bool {
        self.sandbox.is_some()
    }
}

/// Leads the SDK to a stand-in.
fn stand_in(config: SdkConfig, endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("sandbox", "sandbox", None, None, "sandbox");
    config
        .into_builder()
        .endpoint_url(endpoint)
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

async fn start() -> Result<(SdkConfig, Clock, Arc<dyn Transport>)> {
    let clock = Clock::system();
    let transport = transport::system(clock.clone())?;
    let config = platform::aws::config(&clock, &transport).await;
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    Ok((config.into_builder().timeout_config(timeouts).build(), clock, transport))
}

/// What a running sandbox says of itself.
async fn state(sandbox: &str, otherwise: &str, transport: &Arc<dyn Transport>) -> Result<Value> {
    let url = format!("{}/_sandbox/state", sandbox.trim_end_matches('/'));
    let request = http::Request::get(&url).body(bytes::Bytes::new()).ok();
    let request = request.filter(|request| request.uri().host().is_some()).ok_or_else(|| {
        BadInput(format!(
            "--sandbox {sandbox:?} is no URL: one as in {DEFAULT_SANDBOX} is expected"
        ))
    })?;
    let none = || {
        format!("no sandbox answers at {sandbox}: start one with `cargo run`, or give {otherwise}")
    };
    // The transport's words are those of the URL above.
    let answer =
        transport.send(request, MAX_STATE_BYTES).await.map_err(|_| anyhow::anyhow!(none()))?;
    let body = answer.body.map_err(|_| anyhow::anyhow!(none()))?;
    serde_json::from_slice(&body).ok().with_context(none)
}
