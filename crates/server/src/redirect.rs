//! Leads those who come without TLS to `https://`.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, LOCATION};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};

/// The port that `https://` means without one.
const HTTPS_PORT: u16 = 443;

/// Answers every request with the same address at this port of `https://`.
pub(crate) fn router(port: u16) -> Router {
    Router::new().fallback(lead).with_state(port)
}

async fn lead(State(port): State<u16>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let location = host.and_then(|host| target(host, port, &uri));
    let mut response = Response::new(Body::from(match &location {
        Some(location) => format!("This studio is at {location}\n"),
        None => "This studio is at https:// and speaks no plain HTTP.\n".to_owned(),
    }));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    // Not for ever: TLS may be switched off again.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    *response.status_mut() = match location.and_then(|text| HeaderValue::from_str(&text).ok()) {
        Some(location) => {
            response.headers_mut().insert(LOCATION, location);
            StatusCode::TEMPORARY_REDIRECT
        }
        None => StatusCode::BAD_REQUEST,
    };
    response
}

/// Returns where somebody is led who asked a host for something.
fn target(host: &str, port: u16, uri: &Uri) -> Option<String> {
    let authority: Authority = host.parse().ok()?;
    let host = authority.host();
    if host.is_empty() || authority.as_str().contains('@') {
        return None;
    }
    let port = if port == HTTPS_PORT { String::new() } else { format!(":{port}") };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('/') { path } else { "/" };
    Some(format!("https://{host}{port}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_address_is_given_with_https() {
        let of = |host, port, uri: &str| target(host, port, &uri.parse().unwrap());
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(of("radio.example", 443, "/"), is("https://radio.example/"));
        assert_eq!(of("radio.example:80", 443, "/a?b=c"), is("https://radio.example/a?b=c"));
        assert_eq!(of("[::1]:80", 6736, "/"), is("https://[::1]:6736/"));
        assert_eq!(of("a", 443, "http://evil.example/x"), is("https://a/x"));
        assert_eq!(of("a", 443, "*"), is("https://a/"));
    }

    #[test]
    fn what_is_no_host_leads_nowhere() {
        let uri = Uri::from_static("/");
        for host in ["", "a b", "a@evil.example", "a/b", "http://a", ":80"] {
            assert_eq!(target(host, 443, &uri), None, "{host}");
        }
    }
}
