//! What the functions share outside the mappings.
//!
//! # Layout
//! * [`function`]: how a function starts and is invoked. Start here. `events`: events past the runtime's parser.
//! * [`invocation`]: what one invocation has: id, deadlines, counters.
//! * [`settings`]: every environment variable.
//! * [`application`]: an application's settings, the content of its secret.
//! * [`secrets`]: applications' settings from Secrets Manager, cached; [`secret_place`]: which secret holds an
//!   application.
//! * [`gate`]: what every call to an upstream passes; [`circuit`]: pauses calls to a failing upstream.
//! * [`upstream`]: how an answer is read, and what follows from a failure.
//! * [`queues`]: the SQS queues for retries and rejects; [`message`]: their messages.
//! * [`ledger`]: what must not be forgotten while something is undelivered.
//! * [`networks`]: addresses from which requests are accepted.
//! * [`bucket`]: how often something may be done that unauthenticated callers can cause.
//! * [`clock`], [`transport`]: the seams: the only time, and the only way to other machines; `tls`: whom it trusts.
//! * [`aws`]: AWS's SDK on these seams.
//! * [`telemetry`]: logs and metrics; `otel`: traces over OTLP, behind a feature.
//! * `testing`: a platform in memory for unit tests, behind a feature.

pub mod application;
pub mod aws;
pub mod bucket;
pub mod circuit;
pub mod clock;
mod events;
pub mod function;
pub mod gate;
pub mod invocation;
pub mod ledger;
pub mod message;
pub mod networks;
#[cfg(feature = "otel")]
mod otel;
pub mod queues;
pub mod secret_place;
pub mod secrets;
pub mod settings;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tls;
pub mod transport;
pub mod upstream;

pub use application::Application;
pub use function::{Function, Platform};
pub use invocation::{Deadlines, Invocation};
