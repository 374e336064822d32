//! Why a request is not worked on: what the caller is told, and what is counted and logged.
//!
//! Invariants: who has no key learns nothing but that; log lines are bounded, whatever comes in. The
//! counts are not: every denied request is one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mapping::ItemKind;
use platform::Invocation;
use platform::bucket::Bucket;
use platform::clock::Clock;
use platform::telemetry::{Count, Door};

use crate::endpoints::Route;
use crate::event::{HttpRequest, HttpResponse};

/// Of a code that a caller made up, so much is logged.
const LOGGED_CODE_CHARS: usize = 64;

/// Log lines of refused requests that a process may write at once.
pub const LINES_BURST: u32 = 100;

/// One more line each time this has passed: at 300 bytes, 780 MB a month (0.40 USD) for a process that denies
/// requests all the time.
pub const LINES_INTERVAL: Duration = Duration::from_secs(1);

/// Code of requests to a path or with a method that is nobody's.
pub const NO_ROUTE: &str = "no_route";

/// Code of requests whose body is not what its route takes.
pub const BAD_BODY: &str = "bad_body";

/// A row per denial: variant, code, status, count, message.
macro_rules! denials {
    ($($variant:ident, $code:literal, $status:literal, $count:ident, $message:literal;)*) => {
        /// Why a request is denied.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Denial {
            $(#[doc = concat!("`", $code, "`")] $variant,)*
        }

        impl Denial {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Stable, machine-readable code: of log lines and metrics.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// What the caller is told.
            pub fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)* }
            }

            /// What is counted, beside a metric of its own.
            pub fn count(self) -> Count {
                match self { $(Self::$variant => Count::$count,)* }
            }
        }
    };
}

denials! {
    Address, "address", 403, DeniedAddress,
        "forbidden: requests from this address are not accepted";
    NoCode, "no_code", 400, DeniedUnknown,
        "missing application code";
    UnknownApplication, "unknown_application", 400, DeniedUnknown,
        "application not found";
    // The words are the same, so that nobody learns which applications have a secret.
    NoDestination, "no_destination", 400, DeniedUnknown,
        "application not found";
    WrongKey, "wrong_key", 401, DeniedKey,
        "unauthorized";
    NoSignature, "no_signature", 401, DeniedKey,
        "unauthorized: the header x-signature is missing; set the shared secret in Segment";
    WrongSignature, "wrong_signature", 401, DeniedKey,
        "unauthorized: x-signature is not the HMAC-SHA1 of the body with webhook.shared_secret as key, in hexadecimal digits";
    UnsignedList, "unsigned_list", 401, DeniedKey,
        "unauthorized: x-signature covers only the first event of the list; switch batching off in Segment, or set webhook.signed to first_element";
    OutsideWindow, "outside_window", 401, DeniedKey,
        "unauthorized: the time of the signed event (receivedAt, or else timestamp) is missing, or further from now than webhook.max_age_s";
    WebhookClosed, "webhook_closed", 403, DeniedKey,
        "the webhook of this application is closed";
    TooManyItems, "too_many_items", 413, DeniedSize,
        "too many items: send them in several requests";
}

impl Denial {
    /// The response.
    pub(crate) fn response(self) -> HttpResponse {
        self.with_message(self.message())
    }

    /// The response with a message that says more.
    pub(crate) fn with_message(self, message: &str) -> HttpResponse {
        HttpResponse::denied(self, message)
    }
}

impl From<Denial> for HttpResponse {
    fn from(denial: Denial) -> Self {
        denial.response()
    }
}

/// Counts what is denied, and logs every request that is not worked on.
#[derive(Debug)]
pub(crate) struct Denials {
    lines: Bucket,
    left_out: AtomicU64,
    clock: Clock,
}

impl Denials {
    pub(crate) fn new(clock: Clock) -> Self {
        let lines = Bucket::new(LINES_BURST, LINES_INTERVAL);
        Self { lines, left_out: AtomicU64::new(0), clock }
    }

    /// A request is not worked on, and has this response.
    pub(crate) fn report(
        &self,
        response: &HttpResponse,
        request: &HttpRequest,
        invocation: &Invocation,
    ) {
        let (route, code) = match Route::find(&request.method, &request.path) {
            Ok((route @ Route::Webhook, code)) => (Some(route), code),
            Ok((route, _)) => (Some(route), request.header("x-pw-appcode").unwrap_or_default()),
            Err(_) => (None, ""),
        };
        let door = if route == Some(Route::Webhook) { Door::Webhook } else { Door::Api };
        if let Some(denial) = response.denial {
            invocation.tally.denied(door, denial.code(), denial.count(), 1);
        }
        if !self.lines.take(self.clock.wall()) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        let code = code.chars().take(LOGGED_CODE_CHARS).collect::<String>();
        let (reason, detail) = match (response.denial, response.refusal.as_deref()) {
            (Some(denial), _) => (denial.code(), None),
            (None, Some((reason, detail))) => (*reason, Some(detail.as_str())),
            (None, None) => (if route.is_none() { NO_ROUTE } else { BAD_BODY }, None),
        };
        tracing::warn!(
            outcome = "refused",
            reason,
            app.code = Some(code).filter(|code| !code.is_empty()),
            kind = route.and_then(|route| route.endpoint().kind).map(ItemKind::name),
            origin = invocation.id,
            status = response.status_code,
            detail,
            source = door.name(),
            address = request.address,
            lines.left_out = left_out,
            "refused"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_denial_has_a_code_of_its_own_and_a_status_of_the_caller() {
        let codes: std::collections::HashSet<_> =
            Denial::ALL.iter().map(|one| one.code()).collect();
        assert_eq!(codes.len(), Denial::ALL.len());
        for denial in Denial::ALL {
            assert!((400..500).contains(&denial.status()), "{denial:?}");
            let response = denial.response();
            assert_eq!((response.status_code, response.denial), (denial.status(), Some(*denial)));
        }
    }
}
