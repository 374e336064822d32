//! The flag for the optional properties of Track calls: the same value as the functions' setting.

use anyhow::Result;
use clap::Args;
use mapping::tracking_log::OptionalProperty;
use platform::settings;

use crate::bad_input::BadInput;

/// The optional properties of Track calls.
#[derive(Debug, Clone, Args)]
pub struct TrackProperties {
    /// Properties that Track calls carry beyond the usual ones, as in `PWSEG_TRACK_PROPERTIES`
    #[arg(long, value_name = "NAMES", env = "PWSEG_TRACK_PROPERTIES")]
    track_properties: Option<String>,
}

impl TrackProperties {
    /// The properties; nothing where neither the flag nor the variable is given.
    pub fn read(&self) -> Result<Option<Vec<OptionalProperty>>> {
        let Some(names) = &self.track_properties else {
            return Ok(None);
        };
        let known: Vec<_> = OptionalProperty::ALL.iter().map(|one| one.name()).collect();
        let read = settings::track_properties(names).ok_or_else(|| {
            let known = known.join(", ");
            BadInput(format!("--track-properties must be a comma-separated list of {known}"))
        })?;
        Ok(Some(read))
    }
}
