//! Text from the other end of a socket, as both ends parse it.
//!
//! It is *not* about what a message means. Invariants checked: what parses is within the
//! limits of the protocol, and means the same after it was written and read again.

use openstudio_wire::{Candidate, ClientMessage, Line, ServerMessage, Token, limits};

/// What a server reads from a client.
///
/// # Panics
/// A message is beyond the limits, or is another one after `to_json` and `parse`.
pub fn wire_client(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let message = match ClientMessage::parse(text) {
        Ok(message) => message,
        Err(error) => {
            // The refusal goes back to the sender: it must not carry the message with it.
            assert!(error.message.len() < 2048, "a refusal of {} bytes", error.message.len());
            return;
        }
    };
    assert!(text.len() <= limits::MAX_MESSAGE_BYTES);
    assert!(is_within_limits(&message), "{} is beyond the limits", message.kind());
    let again = ClientMessage::parse(&message.to_json());
    assert_eq!(again.as_ref(), Ok(&message), "written and read again");
}

/// What a client reads from a server.
///
/// # Panics
/// A message is another one after `to_json` and `parse`.
pub fn wire_server(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(message) = ServerMessage::parse(text) {
        let again = ServerMessage::parse(&message.to_json());
        assert_eq!(again.ok().as_ref(), Some(&message), "written and read again");
    }
}

/// Whether every part of a message is as small as the protocol promises.
pub(crate) fn is_within_limits(message: &ClientMessage) -> bool {
    let token = |token: &Token| token.0.len() <= limits::MAX_TOKEN_BYTES;
    match message {
        ClientMessage::Offer(description) | ClientMessage::Answer(description) => {
            description.sdp.len() <= limits::MAX_SDP_BYTES
        }
        ClientMessage::IceCandidate(message) => is_small(&message.candidate),
        ClientMessage::IceCandidates(batch) => {
            batch.candidates.len() <= limits::MAX_CANDIDATES
                && batch.candidates.iter().all(is_small)
        }
        ClientMessage::Resume { token: seat, .. } => token(seat),
        ClientMessage::CreateOrJoinRoom { invite_token, name, .. } => {
            invite_token.as_ref().is_none_or(token)
                && name.as_ref().is_none_or(|name| is_short(name.as_str()))
        }
        ClientMessage::RestoreStrips { strips } => strips.len() <= limits::MAX_STRIPS,
        ClientMessage::Rename { name } => is_short(name.as_str()),
        ClientMessage::Air { title, .. } => title.as_ref().is_none_or(is_one_line),
        ClientMessage::Mark { text } => is_one_line(text),
        ClientMessage::DeleteRecording { id } => id.len() <= limits::MAX_RECORDING_ID_BYTES,
        ClientMessage::Register { .. }
        | ClientMessage::Ping
        | ClientMessage::CreateRoom
        | ClientMessage::JoinRoom { .. }
        | ClientMessage::RequestOffer(_)
        | ClientMessage::Stale(_)
        | ClientMessage::Mute { .. }
        | ClientMessage::Microphone { .. }
        | ClientMessage::SetStrip { .. }
        | ClientMessage::RequestInvite { .. }
        | ClientMessage::Record { .. }
        | ClientMessage::ListRecordings
        | ClientMessage::Leave
        | ClientMessage::EndRoom => true,
    }
}

fn is_small(candidate: &Candidate) -> bool {
    let texts = [
        Some(&candidate.candidate),
        candidate.sdp_mid.as_ref(),
        candidate.username_fragment.as_ref(),
    ];
    texts.into_iter().flatten().all(|text| text.len() <= limits::MAX_CANDIDATE_BYTES)
}

fn is_short(name: &str) -> bool {
    !name.is_empty() && name.trim() == name && name.chars().count() <= limits::MAX_NAME_CHARS
}

fn is_one_line(line: &Line) -> bool {
    let text = line.as_str();
    !text.is_empty() && text.chars().count() <= limits::MAX_LINE_CHARS && !text.contains('\n')
}
