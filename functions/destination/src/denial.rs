//! Why a request is denied: what the caller is told, and what is counted.
//!
//! Invariant: who has no key learns nothing but that.

use platform::telemetry::Count;

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
    // Only who presents our key is told.
    RefusedKey, "refused_key", 401, DeniedKey,
        "unauthorized: Pushwoosh refuses this API key for this application; use a Device API token that the application was granted";
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
        }
    }
}
