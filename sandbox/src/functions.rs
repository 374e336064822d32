//! How one of the functions is run in a process.

use anyhow::Result;
use platform::function;

/// The function's own loop, on the kind of runtime that its binary uses.
pub fn run_function(name: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        match name {
            "destination" => function::run::<destination::Destination>().await,
            "source" => function::run::<source::Source>().await,
            "retry" => function::run::<retry::Retry>().await,
            _ => Err(format!("there is no function {name}").into()),
        }
    });
    ended.map_err(|error| anyhow::anyhow!("{name}: {error}"))
}
