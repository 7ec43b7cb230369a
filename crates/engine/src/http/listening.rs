//! `/listen/<room>`: a page with a player; `.ogg` is the sound, `.json` how it stands.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use futures_util::stream;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use openstudio_cast::Listener;
use openstudio_units::RoomId;

use super::{answer, sentence};
use crate::engine::Shared;

const PAGE: &str = include_str!("listen.html");
const SCRIPT: &str = include_str!("listen.js");
const STYLE: &str = include_str!("listen.css");

/// Answers for a name below `/listen/`.
pub(super) async fn listen(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Response<Body> {
    match name.as_str() {
        "listen.js" => return answer(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT),
        "listen.css" => return answer(StatusCode::OK, "text/css; charset=utf-8", STYLE),
        _ => {}
    }
    let (id, kind) = name.split_once('.').unwrap_or((&name, ""));
    let Ok(room) = id.parse::<RoomId>() else { return no_such() };
    match kind {
        "" => page(&shared, room),
        "ogg" => sound(&shared, room),
        "json" => status(&shared, room),
        _ => no_such(),
    }
}

fn no_such() -> Response<Body> {
    sentence(StatusCode::NOT_FOUND, "There is no such page: copy the whole link.\n")
}

fn page(shared: &Shared, room: RoomId) -> Response<Body> {
    let text =
        PAGE.replace("STATION", &escaped(&shared.station)).replace("ROOM", &room.to_string());
    answer(StatusCode::OK, "text/html; charset=utf-8", text)
}

fn status(shared: &Shared, room: RoomId) -> Response<Body> {
    let status = shared.air(room).map(|air| air.status());
    let text = serde_json::json!({
        "onAir": status.is_some(),
        "title": status.as_ref().map(|status| &status.title),
        "listeners": status.as_ref().map_or(0, |status| status.listeners),
    });
    elsewhere(answer(StatusCode::OK, "application/json", text.to_string()))
}

fn sound(shared: &Shared, room: RoomId) -> Response<Body> {
    let Some(air) = shared.air(room) else {
        return elsewhere(sentence(
            StatusCode::NOT_FOUND,
            "Nothing is on air here at the moment. Try again when the show has begun.\n",
        ));
    };
    let next = async |mut listener: Listener| {
        listener.next().await.map(|pages| (Ok::<_, Infallible>(pages), listener))
    };
    let pages = stream::unfold(air.listen(), next);
    elsewhere(answer(StatusCode::OK, "audio/ogg", Body::from_stream(pages)))
}

/// Lets pages of other origins play it: a station has a site of its own.
fn elsewhere(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let policy = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(policy, HeaderValue::from_static("cross-origin"));
    response
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
