//! Sizes of the archives that are uploaded.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

/// The functions of the template.
pub(crate) const FUNCTIONS: [&str; 3] = ["destination", "source", "retry"];

/// What an archive may have: 3 MiB.
pub(crate) const MAX_ZIP_BYTES: u64 = 3 * 1024 * 1024;

/// Size of a function's archive: its only file, compressed as a zip file does it.
pub(crate) fn zip(function: &str) -> Result<u64> {
    let file = format!("target/lambda/{function}/bootstrap");
    let bytes = std::fs::read(&file)
        .with_context(|| format!("{file} cannot be read: build the functions first"))?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes)?;
    Ok(encoder.finish()?.len() as u64)
}
