//! Counts and logs the requests that are not worked on.
//!
//! Invariants: log lines are bounded, whatever comes in. The counts are not: every denied request is one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mapping::ItemKind;
use platform::Invocation;
use platform::bucket::Bucket;
use platform::clock::Clock;
use platform::telemetry::Door;

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
