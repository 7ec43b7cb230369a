//! The engine's pages: for listeners, and for downloads.

mod downloads;
mod listening;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use crate::engine::Shared;

/// Makes the routes.
pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/listen/{name}", get(listening::listen))
        .route("/recordings/{name}", get(downloads::all))
        .route("/recordings/{id}/{file}", get(downloads::one))
        .with_state(shared)
}

/// Answers with a text of a kind, which is not to be kept.
fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Answers with a sentence for people.
fn sentence(status: StatusCode, words: &'static str) -> Response<Body> {
    answer(status, "text/plain; charset=utf-8", words)
}
