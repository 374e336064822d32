//! Who may talk to the servers on this machine: programs, and the sandbox's own page. Not other web pages: a
//! browser would let any of them send requests here, and one whose name is made to lead here read the keys.
//!
//! The name in `Host` must be `localhost`, an address, or one that `--host` allows: a web page cannot be
//! served under an address that is not its own. The `Origin` of a page must be the server itself.

use hyper::header::{HOST, HeaderMap, ORIGIN};

/// Names under which a server is reached, beside `localhost` and addresses.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    names: Vec<String>,
}

impl Access {
    /// Under these names too.
    pub(crate) fn with_names(names: &[String]) -> Self {
        Self { names: names.iter().map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// Why a request is refused, for its caller.
    pub(crate) fn refusal(&self, headers: &HeaderMap) -> Option<String> {
        let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
        // Only programs send none.
        let host = text(HOST)?.to_ascii_lowercase();
        let name = name_of(&host);
        if !self.knows(name) {
            return Some(format!(
                "the sandbox does not answer under the name {name}: call it at localhost or its address, or start it with --host {name}"
            ));
        }
        let origin = text(ORIGIN)?.to_ascii_lowercase();
        let own = ["http://", "https://"].iter().any(|scheme| origin == format!("{scheme}{host}"));
        (!own).then(|| {
            format!(
                "a page of {origin} may not use the sandbox, which shows keys: use its own page http://{host}/, or a program such as curl"
            )
        })
    }

    fn knows(&self, name: &str) -> bool {
        name == "localhost"
            || name.ends_with(".localhost")
            || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok()
            || self.names.iter().any(|known| known == name)
    }
}

/// The name in `Host`, without the port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        // An address of version 6 has colons of its own, in brackets.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(access: &Access, host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        access.refusal(&headers).is_some()
    }

    #[test]
    fn a_server_answers_under_its_own_names_only() {
        let access = Access::with_names(&["Sandbox.test".to_owned()]);
        for host in [
            "localhost",
            "LOCALHOST:8787",
            "127.0.0.1:8787",
            "[::1]:8787",
            "[::1]",
            "192.0.2.1:1",
            "sandbox.test:8787",
            "a.localhost:1",
        ] {
            assert!(!is_refused(&access, host, None), "{host}");
        }
        for host in ["example.com", "localhost.example.com:8787", "127.0.0.1.example.com", "x", ""]
        {
            assert!(is_refused(&access, host, None), "{host}");
        }
        assert!(is_refused(&Access::default(), "sandbox.test", None));
        assert!(access.refusal(&HeaderMap::new()).is_none(), "a program without Host");
    }

    #[test]
    fn no_other_page_may_call_it() {
        let access = Access::default();
        let host = "127.0.0.1:8787";
        assert!(!is_refused(&access, host, Some("http://127.0.0.1:8787")));
        for origin in
            ["http://example.com", "http://127.0.0.1:8788", "null", "http://localhost:8787", "x"]
        {
            assert!(is_refused(&access, host, Some(origin)), "{origin}");
        }
    }
}
