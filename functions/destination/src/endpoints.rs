//! The routes of the deployed API. An endpoint is one file in `endpoints/`, its module and its row here.

mod delete_user;
mod ping;
mod post_events;
mod track_user;
mod webhook;

use crate::endpoint::Endpoint;
use crate::event::HttpResponse;

/// Stands for an application's code in a path.
const APP_CODE: &str = "{app_code}";

/// A row per route: variant, file.
macro_rules! routes {
    ($($route:ident, $file:ident;)*) => {
        /// A route.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Route {
            $(#[doc = concat!("`", stringify!($file), "`")] $route,)*
        }

        impl Route {
            /// Every route.
            pub const ALL: &[Self] = &[$(Self::$route,)*];

            /// What it does.
            pub fn endpoint(self) -> &'static Endpoint {
                match self { $(Self::$route => &$file::ENDPOINT,)* }
            }
        }
    };
}

routes! {
    Ping, ping;
    TrackUser, track_user;
    PostEvents, post_events;
    DeleteUser, delete_user;
    Webhook, webhook;
}

impl Route {
    /// The route of a request, with the application's code that the path names, empty where it names
    /// none; or the response to a request that has no route.
    pub fn find<'p>(method: &str, path: &'p str) -> Result<(Self, &'p str), HttpResponse> {
        let matched = Self::ALL
            .iter()
            .find_map(|route| Some((*route, code_in(route.endpoint().path, path)?)));
        let (route, code) = matched.ok_or_else(|| HttpResponse::message(404, "not found"))?;
        if route.endpoint().methods.contains(&method) {
            Ok((route, code))
        } else {
            Err(HttpResponse::message(405, "method not allowed: send a POST"))
        }
    }
}

/// The application's code in a path of this form; empty where the form has none.
fn code_in<'p>(form: &str, path: &'p str) -> Option<&'p str> {
    match form.strip_suffix(APP_CODE) {
        Some(prefix) => path.strip_prefix(prefix),
        None => (path == form).then_some(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &str, path: &str) -> Result<(Route, String), u16> {
        Route::find(method, path)
            .map(|(route, code)| (route, code.to_owned()))
            .map_err(|response| response.status_code)
    }

    #[test]
    fn every_route_is_found_by_its_path_and_methods() {
        for route in Route::ALL {
            let endpoint = route.endpoint();
            let path = endpoint.path.replace(APP_CODE, "APP-1");
            let code = if endpoint.path.contains(APP_CODE) { "APP-1" } else { "" };
            assert!(endpoint.methods.contains(&"POST"), "{path}");
            for method in endpoint.methods {
                assert_eq!(found(method, &path), Ok((*route, code.to_owned())), "{method} {path}");
            }
            assert_eq!(found("GET", &path), Err(405), "{path}");
            assert_eq!(found("POST", &format!("/x{path}")), Err(404), "{path}");
        }
    }

    #[test]
    fn other_paths_are_not_found() {
        for path in
            ["", "/", "/integration-segment/v1/", "/integration-segment/v1/other", "/webhook"]
        {
            assert_eq!(found("POST", path), Err(404), "{path}");
        }
        // The code is checked where it is looked up.
        assert_eq!(found("POST", "/webhook/"), Ok((Route::Webhook, String::new())));
    }
}
