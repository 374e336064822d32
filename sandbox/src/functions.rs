//! How one of the functions is run in a process.

use anyhow::Result;

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
