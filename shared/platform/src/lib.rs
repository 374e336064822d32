//! What the functions share outside the mappings.
//!
//! # Layout
//! * [`application`]: an application's settings, the content of its secret.
//! * [`aws`]: how AWS's SDK is set up.
//! * [`circuit`]: leaves a sick upstream alone, per application.
//! * [`message`]: what lies on the queues.
//! * `otel`: traces over OTLP, behind a feature.
//! * [`queues`]: the SQS queues for retries and rejects.
//! * [`secrets`]: applications' settings from Secrets Manager, cached.
//! * [`settings`]: every environment variable.
//! * [`telemetry`]: logs and metrics.
//! * [`upstream`]: one way to read an answer and to decide whether to try again.

pub mod application;
pub mod aws;
pub mod circuit;
pub mod message;
#[cfg(feature = "otel")]
mod otel;
pub mod queues;
pub mod secrets;
pub mod settings;
pub mod telemetry;
pub mod upstream;

pub use application::Application;
