//! How AWS's SDK is set up, the same for every function: on our clock and our transport.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_async::rt::sleep::{AsyncSleep, SharedAsyncSleep, Sleep};
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::ReconnectMode;
use aws_types::sdk_config::Builder;
use bytes::Bytes;

use crate::clock::Clock;
use crate::transport::{Transport, TransportError};
use crate::upstream::one_line;

/// A call to AWS within a region takes milliseconds; the caller waits for us meanwhile.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// First attempt and one more.
const ATTEMPTS: u32 = 2;

/// Largest answer that is read, 32 MiB: ten SQS messages of 1 MiB as JSON text.
const MAX_ANSWER_BYTES: usize = 33_554_432;

/// What to do where an answer took too long.
pub(crate) const NO_ANSWER: &str =
    "AWS gave no answer in time: check the network; if it lasts, see the AWS Health Dashboard";

/// Set in Lambda.
const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";

/// Configuration from the environment that Lambda sets, or as every AWS tool finds it.
pub async fn config(clock: &Clock, transport: &Arc<dyn Transport>) -> SdkConfig {
    #[expect(clippy::disallowed_methods, reason = "the one place that sets the SDK up")]
    let loader = aws_config::defaults(BehaviorVersion::latest());
    // Finding credentials and region may need the network too.
    let loader = loader
        .http_client(SdkTransport(Arc::clone(transport)))
        .sleep_impl(SdkClock(clock.clone()))
        .time_source(SdkClock(clock.clone()));
    // The chain of providers begins with the environment, where Lambda puts them. Making the others, with a client of
    // STS, is an eighth of a function's start.
    let loader = match std::env::var_os(ACCESS_KEY) {
        Some(_) => loader.credentials_provider(EnvironmentVariableCredentialsProvider::new()),
        None => loader,
    };
    on_seams(loader.load().await.into_builder(), clock, transport).build()
}

/// A configuration that uses this clock and this transport and nothing of the system's.
pub fn on_seams(mut config: Builder, clock: &Clock, transport: &Arc<dyn Transport>) -> Builder {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    config.set_http_client(Some(SharedHttpClient::new(SdkTransport(Arc::clone(transport)))));
    config.set_sleep_impl(Some(SharedAsyncSleep::new(SdkClock(clock.clone()))));
    config.set_time_source(Some(SharedTimeSource::new(SdkClock(clock.clone()))));
    config.set_timeout_config(Some(timeouts));
    // The SDK cannot close a connection of our transport, and would log an error for each call that failed.
    let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
    config.set_retry_config(Some(retries.with_reconnect_mode(ReconnectMode::ReuseAllConnections)));
    config
}

/// What went wrong with a function's call to AWS, on one line: what AWS says, and what to do. `action` is the permission
/// that the call needs.
#[must_use]
pub fn trouble<E, R>(error: &SdkError<E, R>, action: &str) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    described(error, action, "it is tried again")
}

/// Likewise for a command of a person, which is not tried again by itself.
#[must_use]
pub fn trouble_of_command<E, R>(error: &SdkError<E, R>, action: &str) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    described(error, action, "run the command again")
}

/// `again`: how the call is repeated.
fn described<E, R>(error: &SdkError<E, R>, action: &str, again: &str) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let Some(answer) = error.as_service_error() else {
        let what = one_line(&causes(error));
        return match error {
            SdkError::TimeoutError(_) => format!("{NO_ANSWER} ({what})"),
            // The SDK tries every source of credentials, and its list of them says less than this.
            _ if what.contains("credential") => {
                "no AWS credentials were found: set AWS_PROFILE or AWS_ACCESS_KEY_ID, or sign in with `aws sso login`".to_owned()
            }
            _ if what.contains("region") => {
                "no AWS region is set: set AWS_REGION, or the region of the profile".to_owned()
            }
            _ => format!("AWS could not be reached: check the network ({what})"),
        };
    };
    let code = answer.code().unwrap_or("an unnamed error");
    let words = answer.message().unwrap_or_default();
    let remedy = match code {
        code if code.contains("KMS") || code.contains("Kms") || words.contains("KMS") => {
            "allow the use of the KMS key"
        }
        code if code.contains("AccessDenied") => {
            return one_line(&format!("{code}: allow {action} ({words})"));
        }
        code if code.contains("DoesNotExist")
            || code.contains("NonExistent")
            || code.contains("NotFound") =>
        {
            "it does not exist: correct the setting that names it"
        }
        code if code.contains("Throttl") || code.contains("TooManyRequests") => {
            return one_line(&format!("{code}: AWS limits the rate: {again} ({words})"));
        }
        code if code.contains("Token") || code.contains("Client") || code.contains("Signature") => {
            "the credentials are not valid"
        }
        _ => {
            let remedy = format!("{again}; if it lasts, see the AWS Health Dashboard");
            return one_line(&format!("{code}: {remedy} ({words})"));
        }
    };
    one_line(&format!("{code}: {remedy} ({words})"))
}

/// An error and what it comes from, on one line. What was said already is not said again: some errors show their source themselves.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = error.source();
    }
    text
}

#[derive(Debug, Clone)]
struct SdkClock(Clock);

impl AsyncSleep for SdkClock {
    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(self.0.sleep(duration))
    }
}

impl TimeSource for SdkClock {
    fn now(&self) -> SystemTime {
        let since = u64::try_from(self.0.wall().as_millisecond()).unwrap_or(0);
        SystemTime::UNIX_EPOCH + Duration::from_millis(since)
    }
}

/// The SDK's requests over our transport. Its connection settings are not used: the transport has its
/// own, and the SDK limits the time of every attempt.
#[derive(Debug, Clone)]
struct SdkTransport(Arc<dyn Transport>);

impl HttpClient for SdkTransport {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for SdkTransport {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let transport = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|e| ConnectorError::user(e.into()))?;
            // The operations that are used here have bodies in memory.
            let request =
                request.map(|body| body.bytes().map(Bytes::copy_from_slice).unwrap_or_default());
            let response = transport.send(request, MAX_ANSWER_BYTES).await.map_err(failed)?;
            let mut http = http::Response::new(SdkBody::from(response.body.map_err(failed)?));
            *http.status_mut() = response.status;
            *http.headers_mut() = response.headers;
            HttpResponse::try_from(http).map_err(|error| ConnectorError::user(error.into()))
        })
    }
}

fn failed(error: TransportError) -> ConnectorError {
    match error {
        TransportError::Connection(_) => ConnectorError::io(error.into()),
        TransportError::TooLarge(_) => ConnectorError::user(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests are signed with it: AWS refuses a time that is off by minutes.
    #[test]
    fn the_sdk_has_the_wall_clocks_time() {
        let clock = Clock::system();
        let sdk = SdkClock(clock.clone()).now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let wall = u64::try_from(clock.wall().as_second()).unwrap();
        assert!((sdk.as_secs()..=sdk.as_secs() + 60).contains(&wall));
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Words(String, #[source] Option<Box<Self>>);

    fn words(text: &str, source: Option<Words>) -> Words {
        Words(text.to_owned(), source.map(Box::new))
    }

    #[test]
    fn a_cause_is_said_once() {
        let refused = words("refused", None);
        let error = words("sending to URL", Some(words("sending to URL", Some(refused))));
        let error = words("the connection failed: sending to URL", Some(error));
        assert_eq!(causes(&error), "the connection failed: sending to URL: refused");
    }

    #[test]
    fn what_a_person_has_to_set_is_named() {
        let failed = |words: &str| {
            let error = ConnectorError::other(words.to_owned().into(), None);
            SdkError::<Denied, ()>::dispatch_failure(error)
        };
        for (words, part) in [
            ("no credentials found in chain", "set AWS_PROFILE or AWS_ACCESS_KEY_ID"),
            ("missing signing region", "set AWS_REGION"),
            ("refused", "check the network"),
        ] {
            let text = trouble_of_command(&failed(words), "sqs:SendMessage");
            assert!(text.contains(part) && !text.contains('\n'), "{text}");
        }
    }

    /// A service's answer.
    #[derive(Debug, thiserror::Error)]
    #[error("denied")]
    struct Denied(aws_smithy_types::error::ErrorMetadata);

    impl ProvideErrorMetadata for Denied {
        fn meta(&self) -> &aws_smithy_types::error::ErrorMetadata {
            &self.0
        }
    }

    #[test]
    fn only_a_function_tries_again_by_itself() {
        let error = |code: &str| {
            let meta = aws_smithy_types::error::ErrorMetadata::builder().code(code).build();
            SdkError::service_error(Denied(meta), ())
        };
        for code in ["InternalError", "ThrottlingException"] {
            let text = trouble(&error(code), "sqs:SendMessage");
            assert!(text.contains("it is tried again"), "{text}");
            let text = trouble_of_command(&error(code), "sqs:SendMessage");
            assert!(text.contains("run the command again") && !text.contains("is tried"), "{text}");
        }
    }

    #[test]
    fn what_aws_answers_names_what_to_do() {
        const KMS: &str = "allow the use of the KMS key";
        const MISSING: &str = "correct the setting that names it";
        const RATE: &str = "AWS limits the rate: it is tried again";
        const CREDENTIALS: &str = "the credentials are not valid";
        let told = |code: &str, words: &str| {
            let meta = aws_smithy_types::error::ErrorMetadata::builder().code(code).message(words);
            trouble(&SdkError::service_error(Denied(meta.build()), ()), "sqs:SendMessage")
        };
        for (code, words, remedy) in [
            ("KmsAccessDenied", "no", KMS),
            ("KMS.DisabledException", "no", KMS),
            ("AccessDeniedException", "no access to the KMS key", KMS),
            ("AccessDeniedException", "no", "allow sqs:SendMessage"),
            ("QueueDoesNotExist", "no", MISSING),
            ("AWS.SimpleQueueService.NonExistentQueue", "no", MISSING),
            ("ResourceNotFoundException", "no", MISSING),
            ("ThrottlingException", "no", RATE),
            ("TooManyRequestsException", "no", RATE),
            ("ExpiredToken", "no", CREDENTIALS),
            ("UnrecognizedClientException", "no", CREDENTIALS),
            ("InvalidSignatureException", "no", CREDENTIALS),
            ("InternalError", "no", "see the AWS Health Dashboard"),
        ] {
            let text = told(code, words);
            assert!(text.contains(remedy) && text.contains(words) && text.contains(code), "{text}");
        }
        let late = SdkError::<Denied, ()>::timeout_error("late");
        let text = trouble(&late, "sqs:SendMessage");
        assert!(text.starts_with(NO_ANSWER), "{text}");
    }

    #[test]
    fn a_broken_connection_is_tried_again_and_a_large_answer_is_not() {
        assert!(failed(TransportError::Connection("broken".into())).is_io());
        assert!(failed(TransportError::TooLarge(5)).is_user());
    }
}
