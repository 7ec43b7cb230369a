//! `/recordings/…`: one file of a recording, or all as a zip. Whoever has a token of the room
//! may: hosts get one with the list.

use std::io::{self, Write};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_DISPOSITION;
use http::{HeaderValue, Response, StatusCode};
use openstudio_wire::Token;
use serde::Deserialize;
use tokio::sync::mpsc;
use tower_http::services::ServeFile;
use tower_service::Service as _;

use super::sentence;
use crate::answers;
use crate::engine::Shared;

/// Pieces of a zip that wait for a slow browser at most.
const QUEUE: usize = 8;

/// How large a piece is.
const PIECE: usize = 64 * 1_024;

/// What proves that somebody may.
#[derive(Debug, Deserialize)]
pub(super) struct Proof {
    token: Option<String>,
}

/// Answers with all files of a recording.
pub(super) async fn all(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Query(proof): Query<Proof>,
) -> Response<Body> {
    let Some(id) = name.strip_suffix(".zip").map(str::to_owned) else { return no_such() };
    if !may(&shared, &id, proof) {
        return not_yours();
    }
    if shared.library.file(&id, "session.json").is_none() {
        return no_such();
    }
    let (sender, receiver) = mpsc::channel(QUEUE);
    let library = shared.library.clone();
    let file_name = format!("{id}.zip");
    tokio::task::spawn_blocking(move || {
        let mut sink = Pieces { sender, piece: Vec::with_capacity(PIECE) };
        let written = library.zip(&id, &mut sink).and_then(|()| sink.flush());
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            tracing::warn!(%error, "a recording could not be given away");
            // The browser is to notice that something is missing.
            drop(sink.sender.blocking_send(Err(error)));
        }
    });
    let pieces = stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    let response = super::answer(StatusCode::OK, "application/zip", Body::from_stream(pieces));
    attached(response, &file_name)
}

/// Answers with one file of a recording; a part of it, if that is asked for.
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Path((id, file)): Path<(String, String)>,
    Query(proof): Query<Proof>,
    request: Request,
) -> Response<Body> {
    if !may(&shared, &id, proof) {
        return not_yours();
    }
    let Some(path) = shared.library.file(&id, &file) else { return no_such() };
    match ServeFile::new(path).call(request).await {
        Ok(response) => attached(response.map(Body::new), &file),
        Err(never) => match never {},
    }
}

fn may(shared: &Shared, id: &str, proof: Proof) -> bool {
    let room = proof.token.and_then(|token| shared.line.open_download(&Token(token)));
    room.is_some_and(|room| answers::is_of(id, room))
}

fn no_such() -> Response<Body> {
    sentence(StatusCode::NOT_FOUND, "There is no such recording any more.\n")
}

fn not_yours() -> Response<Body> {
    sentence(
        StatusCode::FORBIDDEN,
        "This link is good for an hour, and for hosts alone. Open the list of recordings again.\n",
    )
}

/// Has the browser keep it under a name, which must be one of ours.
fn attached(mut response: Response<Body>, name: &str) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    response
}

/// What is written, in pieces on their way to a browser.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.piece));
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
