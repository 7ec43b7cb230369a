//! Answers about recordings on disk, which take their time and hold nobody up.

use std::io;

use openstudio_record::{Library, RecordingId};
use openstudio_server::{ConnId, EngineLine};
use openstudio_units::RoomId;
use openstudio_wire::{ErrorCode, ServerMessage, limits};

use crate::state;

/// What is wanted.
#[derive(Debug)]
pub(crate) enum Question {
    /// Which recordings there are.
    List,
    /// That one is deleted, and then which are left.
    Delete(String),
}

/// Answers `conn` from a thread that may wait.
pub(crate) fn answer(
    (line, library): (EngineLine, Library),
    room: RoomId,
    conn: ConnId,
    question: Question,
) {
    tokio::task::spawn_blocking(move || {
        if let Question::Delete(id) = &question
            && let Err(refusal) = delete(&library, room, id)
        {
            line.answer(conn, *refusal);
            return;
        }
        let Some(token) = line.sign_download(room) else { return };
        line.answer(conn, list(&library, room, token));
    });
}

fn list(library: &Library, room: RoomId, token: openstudio_wire::Token) -> ServerMessage {
    match library.list(Some(room)) {
        Ok(found) => {
            let recordings = found.into_iter().take(limits::MAX_RECORDINGS).map(state::summary);
            ServerMessage::Recordings { recordings: recordings.collect(), token }
        }
        Err(error) => refusal(
            ErrorCode::Internal,
            format!("the recordings cannot be read: {error}"),
            "list-recordings",
        ),
    }
}

fn delete(library: &Library, room: RoomId, id: &str) -> Result<(), Box<ServerMessage>> {
    let no = |code, words: String| Box::new(refusal(code, words, "delete-recording"));
    if !is_of(id, room) {
        return Err(no(ErrorCode::RecordingNotFound, "this room has no such recording".to_owned()));
    }
    library.delete(id).map_err(|error| {
        if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) {
            no(ErrorCode::RecordingNotFound, "there is no such recording any more".to_owned())
        } else {
            no(ErrorCode::Internal, format!("the recording cannot be deleted: {error}"))
        }
    })
}

/// Returns whether a name is that of a recording of this room.
pub(crate) fn is_of(id: &str, room: RoomId) -> bool {
    id.parse::<RecordingId>().is_ok_and(|id| id.room == room)
}

/// Returns an error that answers `request`.
pub(crate) fn refusal(code: ErrorCode, message: String, request: &str) -> ServerMessage {
    ServerMessage::Error { code, message, request: Some(request.to_owned()), to: None }
}
