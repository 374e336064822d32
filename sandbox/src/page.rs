//! The page's files. They are part of the binary, and a browser runs nothing else in the page.

use crate::http::{self, Response};

/// A file: the path that it is served at, its type, its text.
type File = (&'static str, &'static str, &'static str);

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// The files below `page/`; the page itself comes first.
const FILES: &[File] = &[
    ("/", HTML, include_str!("page/index.html")),
    ("/page/style.css", CSS, include_str!("page/style.css")),
    ("/page/items.css", CSS, include_str!("page/items.css")),
    ("/page/app.js", JS, include_str!("page/app.js")),
    ("/page/api.js", JS, include_str!("page/api.js")),
    ("/page/dom.js", JS, include_str!("page/dom.js")),
    ("/page/words.js", JS, include_str!("page/words.js")),
    ("/page/live.js", JS, include_str!("page/live.js")),
    ("/page/plots.js", JS, include_str!("page/plots.js")),
    ("/page/items.js", JS, include_str!("page/items.js")),
    ("/page/item.js", JS, include_str!("page/item.js")),
    ("/page/explanation.js", JS, include_str!("page/explanation.js")),
    ("/page/playground.js", JS, include_str!("page/playground.js")),
    ("/page/playground_link.js", JS, include_str!("page/playground_link.js")),
    ("/page/as_test.js", JS, include_str!("page/as_test.js")),
    ("/page/examples.js", JS, include_str!("page/examples.js")),
    ("/page/application_choice.js", JS, include_str!("page/application_choice.js")),
    ("/page/send.js", JS, include_str!("page/send.js")),
    ("/page/queues.js", JS, include_str!("page/queues.js")),
    ("/page/faults.js", JS, include_str!("page/faults.js")),
];

/// What a browser may do in the page: run and show its files, and call its server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// The file at a path.
pub(crate) fn file(path: &str) -> Option<Response> {
    let (_, kind, text) = FILES.iter().find(|(own, _, _)| *own == path)?;
    let response = http::answer(200, kind, *text);
    let response = http::with_header(response, "content-security-policy", POLICY);
    Some(http::with_header(response, "cache-control", "no-cache"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_is_named_is_served_and_nothing_runs_that_the_policy_forbids() {
        for (path, _, text) in FILES {
            for part in text.split(['"', '\'']) {
                let name = part.strip_prefix("./").or_else(|| part.strip_prefix("/page/"));
                let is_file = |name: &&str| [".js", ".css"].iter().any(|end| name.ends_with(end));
                let Some(name) = name.filter(is_file) else { continue };
                assert!(file(&format!("/page/{name}")).is_some(), "{path} names {name}");
            }
            for forbidden in [" style=", " onclick=", "<style", "innerHTML", "http://", "eval("] {
                let text = text.replace("http://www.w3.org/", "");
                assert!(!text.contains(forbidden), "{path} has {forbidden}");
            }
        }
        let (_, _, page) = FILES[0];
        assert_eq!(
            page.matches("<script").count(),
            page.matches("<script type=\"module\" src=").count()
        );
    }

    #[test]
    fn other_paths_have_no_file() {
        assert!(file("/page/").is_none() && file("/page/../serve.rs").is_none());
        assert!(file("/").is_some());
    }
}
