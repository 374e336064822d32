//! The functions of the deployment, and how one of them is run in a process.

use std::time::Duration;

use anyhow::Result;

/// A function and its time limit, as in `template.yaml`.
pub(crate) struct Deployed {
    pub(crate) name: &'static str,
    pub(crate) timeout: Duration,
}

/// The functions of the deployment.
pub(crate) const FUNCTIONS: [Deployed; 3] = [
    Deployed { name: "destination", timeout: Duration::from_secs(29) },
    Deployed { name: "source", timeout: Duration::from_mins(1) },
    Deployed { name: "retry", timeout: Duration::from_mins(1) },
];

/// The function's own loop, on the kind of runtime that its binary uses.
pub fn run_function(name: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        match name {
            "destination" => destination::run().await,
            "source" => source::run().await,
            "retry" => retry::run().await,
            _ => Err(format!("there is no function {name}").into()),
        }
    });
    ended.map_err(|error| anyhow::anyhow!("{name}: {error}"))
}
