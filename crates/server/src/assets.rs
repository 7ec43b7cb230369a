//! The browser client: inside the binary, or in a folder while it is being worked on.
//!
//! Names with a hash of their content never change their content, so browsers may keep
//! them for ever; all others are asked for again each time.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use axum::body::Body;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

/// Name and content of each embedded file, compressed variants as files of their own.
static EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The page.
const INDEX: &str = "index.html";

/// Encodings in the order in which they are preferred, with their file extensions.
const ENCODINGS: [(&str, &str); 2] = [("br", "br"), ("gzip", "gz")];

/// Where the client's files come from.
#[derive(Debug)]
pub(crate) enum Assets {
    /// The binary.
    Embedded(BTreeMap<&'static str, &'static [u8]>),
    /// A folder, read at each request.
    Folder(PathBuf),
}

impl Assets {
    pub(crate) fn new(folder: Option<&Path>) -> Self {
        match folder {
            Some(folder) => Self::Folder(folder.to_owned()),
            None => Self::Embedded(EMBEDDED.iter().copied().collect()),
        }
    }

    /// Answers a request for `path`, which begins with a slash.
    pub(crate) async fn serve(&self, path: &str, request: &HeaderMap) -> Response<Body> {
        let name = match path.strip_prefix('/').unwrap_or(path) {
            "" => INDEX,
            name => name,
        };
        let Some(kind) = content_type(name).filter(|_| is_plain(name)) else {
            return not_found();
        };
        let Some((content, encoding)) = self.best(name, request).await else {
            return not_found();
        };
        respond(name, kind, content, encoding, request)
    }

    /// Returns the smallest variant that the client understands.
    async fn best(
        &self,
        name: &str,
        request: &HeaderMap,
    ) -> Option<(Cow<'static, [u8]>, Option<&'static str>)> {
        for (encoding, extension) in ENCODINGS {
            if accepts(request, encoding)
                && let Some(content) = self.read(&format!("{name}.{extension}")).await
            {
                return Some((content, Some(encoding)));
            }
        }
        self.read(name).await.map(|content| (content, None))
    }

    async fn read(&self, name: &str) -> Option<Cow<'static, [u8]>> {
        match self {
            Self::Embedded(files) => files.get(name).map(|content| Cow::Borrowed(*content)),
            Self::Folder(folder) => tokio::fs::read(folder.join(name)).await.ok().map(Cow::Owned),
        }
    }
}

fn respond(
    name: &str,
    kind: &'static str,
    content: Cow<'static, [u8]>,
    encoding: Option<&'static str>,
    request: &HeaderMap,
) -> Response<Body> {
    let etag = format!("\"{:016x}\"", fnv1a(&content));
    let known = request
        .get_all(IF_NONE_MATCH)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.contains(&etag)));
    let mut response = if known {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new(match content {
            Cow::Borrowed(content) => Body::from(content),
            Cow::Owned(content) => Body::from(content),
        })
    };
    let caching = if is_hashed(name) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    set(CONTENT_TYPE, kind);
    set(CACHE_CONTROL, caching);
    set(ETAG, &etag);
    set(VARY, "accept-encoding");
    if let Some(encoding) = encoding {
        set(CONTENT_ENCODING, encoding);
    }
    response
}

fn not_found() -> Response<Body> {
    let mut response = Response::new(Body::from("There is no such page. The studio is at /.\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// Returns whether a name stays within its folder: plain segments and nothing else.
fn is_plain(name: &str) -> bool {
    name.split('/').all(|segment| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    })
}

/// Returns whether a name holds the hash of its content: `stem-0123456789abcdef.ext`.
fn is_hashed(name: &str) -> bool {
    name.split(['-', '.', '_']).any(|part| {
        part.len() >= 12 && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Returns the media type of a name; `None` for what is never served by itself, such
/// as the compressed variants.
fn content_type(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

/// Returns whether a client accepts an encoding (RFC 9110 §12.5.3).
fn accepts(request: &HeaderMap, encoding: &str) -> bool {
    request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|item| {
            let (name, weight) = item.split_once(';').unwrap_or((item, "q=1"));
            let weight = weight.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok());
            name.trim().eq_ignore_ascii_case(encoding) && weight.is_some_and(|q| q > 0.0)
        })
    })
}

/// 64-bit FNV-1a. Tells versions of one file apart; proves nothing.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::TempDir;

    fn request(headers: &[(HeaderName, &str)]) -> HeaderMap {
        headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_names_with_a_hash_are_kept_for_ever() {
        assert!(is_hashed("app-0123456789abcdef.js"));
        assert!(is_hashed("snippets/x-0123456789abcdef.css"));
        assert!(!is_hashed("index.html"));
        assert!(!is_hashed("app-01234.js"));
        assert!(!is_hashed("facade.js"));
    }

    #[test]
    fn an_encoding_with_weight_zero_is_not_accepted() {
        let accept = |value| request(&[(ACCEPT_ENCODING, value)]);
        assert!(accepts(&accept("gzip, deflate, br, zstd"), "br"));
        assert!(accepts(&accept("br;q=0.5"), "br"));
        assert!(!accepts(&accept("br;q=0, gzip"), "br"));
        assert!(!accepts(&accept("bread"), "br"));
        assert!(!accepts(&HeaderMap::new(), "gzip"));
    }

    #[tokio::test]
    async fn a_folder_is_served_and_never_left() {
        let dir = TempDir::new();
        let web = dir.path().join("web");
        std::fs::create_dir(&web).unwrap();
        std::fs::write(dir.path().join("secret.txt"), "s").unwrap();
        std::fs::write(web.join("index.html"), "<p>").unwrap();
        std::fs::write(web.join("app-0123456789abcdef.wasm"), "plain").unwrap();
        std::fs::write(web.join("app-0123456789abcdef.wasm.br"), "brotli").unwrap();
        let assets = Assets::new(Some(&web));

        let response = assets
            .serve("/app-0123456789abcdef.wasm", &request(&[(ACCEPT_ENCODING, "gzip, br")]))
            .await;
        assert_eq!(response.headers()[CONTENT_ENCODING], "br");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/wasm");
        assert!(response.headers()[CACHE_CONTROL].to_str().unwrap().ends_with("immutable"));

        let response = assets.serve("/", &HeaderMap::new()).await;
        assert_eq!(response.headers()[CACHE_CONTROL], "no-cache");
        let etag = response.headers()[ETAG].to_str().unwrap().to_owned();
        let response = assets.serve("/", &request(&[(IF_NONE_MATCH, &etag)])).await;
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);

        for path in ["/../secret.txt", "/..%2fsecret.txt", "//etc/x.txt", "/app.js", "/.env.txt"] {
            assert_eq!(assets.serve(path, &HeaderMap::new()).await.status(), StatusCode::NOT_FOUND);
        }
    }
}
