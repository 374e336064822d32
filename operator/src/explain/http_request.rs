//! An HTTP request as text, as `events/destination/*.http` have it and as people copy it from a trace.

use crate::bad_input::BadInput;

/// The parts of a request that count here. Keys and signatures are not kept.
#[derive(Debug)]
pub(super) struct HttpRequest {
    pub(super) path: String,
    pub(super) application: Option<String>,
    pub(super) body: Vec<u8>,
}

/// The header that names the application.
const APPLICATION: &str = "x-pw-appcode";

impl HttpRequest {
    /// Reads a text that begins with a request line; nothing where it does not.
    pub(super) fn read(text: &str) -> Result<Option<Self>, BadInput> {
        let text = text.trim_start();
        let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
        let mut words = line.split_whitespace();
        let method = words.next().unwrap_or_default();
        let path = words.next().unwrap_or_default();
        if !matches!(method, "POST" | "GET" | "PUT" | "PATCH") || !is_target(path) {
            return Ok(None);
        }
        let (mut application, mut body) = (None, rest);
        loop {
            let (line, rest) = body.split_once('\n').unwrap_or((body, ""));
            body = rest;
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else {
                return Err(BadInput(
                    "it is an HTTP request without an empty line between headers and body"
                        .to_owned(),
                ));
            };
            if name.trim().eq_ignore_ascii_case(APPLICATION) {
                application = Some(value.trim().to_owned());
            }
        }
        let path = path.split_once("://").map_or(path, |(_, rest)| {
            rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/")
        });
        Ok(Some(Self { path: path.to_owned(), application, body: body.as_bytes().to_vec() }))
    }
}

fn is_target(path: &str) -> bool {
    path.starts_with('/') || path.starts_with("http://") || path.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_a_line_headers_and_a_body() {
        let text = "POST https://host.example/integration-segment/v1/track-user HTTP/1.1\nX-Pw-AppCode:  A \n\n{}\n{}";
        let request = HttpRequest::read(text).unwrap().unwrap();
        assert_eq!(request.path, "/integration-segment/v1/track-user");
        assert_eq!(request.application.as_deref(), Some("A"));
        assert_eq!(request.body, b"{}\n{}");
    }

    #[test]
    fn what_has_no_request_line_is_none() {
        for text in ["", "{}", "POST", "POST it", "HELLO /x"] {
            assert!(HttpRequest::read(text).unwrap().is_none(), "{text}");
        }
        assert!(HttpRequest::read("POST /x\n{}").is_err());
        assert_eq!(HttpRequest::read("POST /x").unwrap().unwrap().body, b"");
    }
}
