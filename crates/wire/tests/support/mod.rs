//! One sample of every message, with every optional field there and left out.
#![allow(dead_code, reason = "each test file uses its part of it")]
#![allow(unreachable_pub, reason = "shared by the test files")]

use openstudio_units::{Gain, Generation, Incarnation, OfferId, PeerId, Role, RoomId};
use openstudio_wire::{
    AirState, Candidate, CandidateBatch, CandidateMessage, ClientMessage, Description, Destination,
    DestinationState, DisplayName, EngineState, ErrorCode, IceConfig, IceServer, LeaveReason, Line,
    NamedStrip, OfferRequest, OfferRequestKind, Participant, RecordingState, RecordingSummary,
    SeatGrant, ServerMessage, StaleNotice, Strip, StripChange, Token, TrackSummary,
};

pub fn ada() -> PeerId {
    "0000ada0-0000-4000-8000-000000000001".parse().unwrap()
}

pub fn bo() -> PeerId {
    "0000b000-0000-4000-8000-000000000002".parse().unwrap()
}

pub fn room() -> RoomId {
    "4007f2d8-311a-400f-8c56-845fd769ed7a".parse().unwrap()
}

const RECORDING: &str = "4007f2d8-311a-400f-8c56-845fd769ed7a-1764000000";

fn engine() -> EngineState {
    let recording = RecordingState {
        id: RECORDING.to_owned(),
        length_ms: 61_000,
        bytes: 1_000_000,
        stalled: vec![bo()],
    };
    let destination = Destination {
        name: "Icecast".to_owned(),
        state: DestinationState::Retrying,
        words: "Icecast does not answer; trying again.".to_owned(),
    };
    let air = AirState {
        length_ms: 60_000,
        listeners: 12,
        title: Some("The late show".to_owned()),
        destinations: vec![destination],
    };
    EngineState { recording: Some(recording), air: Some(air), alarm: Some("Careful".to_owned()) }
}

fn recordings() -> ServerMessage {
    let voice = TrackSummary {
        file: "0000ada0-0000-4000-8000-000000000001.opus".to_owned(),
        name: Some("Ada".to_owned()),
        role: Some(Role::Host),
        bytes: 500_000,
    };
    let programme =
        TrackSummary { file: "programme.wav".to_owned(), name: None, role: None, bytes: 500_000 };
    let summary = RecordingSummary {
        id: RECORDING.to_owned(),
        started_at: 1_764_000_000_000,
        length_ms: 61_000,
        bytes: 1_000_000,
        finished: true,
        tracks: vec![programme, voice],
    };
    ServerMessage::Recordings { recordings: vec![summary], token: token("download-token") }
}

fn name(text: &str) -> DisplayName {
    DisplayName::new(text).unwrap()
}

fn token(text: &str) -> Token {
    Token(text.to_owned())
}

fn full_description() -> Description {
    Description {
        from: ada(),
        to: bo(),
        sdp: "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n".to_owned(),
        generation: Some(Generation(196_609)),
        offer_id: Some(OfferId(1)),
    }
}

fn bare_description() -> Description {
    Description { generation: None, offer_id: None, ..full_description() }
}

fn full_candidate() -> Candidate {
    Candidate {
        candidate: "candidate:1 1 udp 2122260223 192.0.2.1 56143 typ host".to_owned(),
        sdp_mid: Some("0".to_owned()),
        sdp_m_line_index: Some(0),
        username_fragment: Some("abcd".to_owned()),
    }
}

fn last_candidate() -> Candidate {
    Candidate {
        candidate: String::new(),
        sdp_mid: None,
        sdp_m_line_index: None,
        username_fragment: None,
    }
}

fn candidate_message() -> CandidateMessage {
    CandidateMessage {
        from: ada(),
        to: bo(),
        candidate: full_candidate(),
        generation: Some(Generation(196_609)),
        offer_id: Some(OfferId(1)),
    }
}

fn batch() -> CandidateBatch {
    CandidateBatch {
        from: ada(),
        to: bo(),
        candidates: vec![full_candidate(), last_candidate()],
        generation: Generation(196_609),
        offer_id: OfferId(2),
    }
}

fn offer_request() -> OfferRequest {
    OfferRequest {
        from: ada(),
        to: bo(),
        generation: Generation(196_610),
        kind: OfferRequestKind::IceRestart,
        relay_only: true,
    }
}

fn stale() -> StaleNotice {
    StaleNotice { from: ada(), to: bo(), generation: Generation(196_610) }
}

fn host() -> Participant {
    Participant {
        peer_id: ada(),
        role: Role::Host,
        name: Some(name("Ada")),
        incarnation: Incarnation(1),
        present: true,
        muted: false,
        microphone: true,
        strip: Strip::default(),
    }
}

fn caller() -> Participant {
    Participant {
        peer_id: bo(),
        role: Role::Caller,
        name: None,
        incarnation: Incarnation(2),
        present: false,
        muted: true,
        microphone: false,
        strip: strip(),
    }
}

fn strip() -> Strip {
    Strip { gain: Gain::from_percent(150).unwrap(), on_air: false, muted: true, revision: 7 }
}

fn seat() -> SeatGrant {
    SeatGrant {
        role: Role::Host,
        token: token("seat-token"),
        incarnation: Incarnation(1),
        ice: IceConfig {
            stun: vec!["stun:stun.example:3478".to_owned()],
            turn: vec![IceServer {
                urls: vec!["turn:turn.example:3478".to_owned()],
                username: "user".to_owned(),
                credential: "password".to_owned(),
            }],
        },
    }
}

/// Every message that a client sends, under the name of its golden file.
pub fn client_messages() -> Vec<(&'static str, ClientMessage)> {
    use ClientMessage as M;
    vec![
        ("register", M::Register { peer_id: ada() }),
        ("resume", M::Resume { token: token("seat-token"), fresh: true }),
        ("ping", M::Ping),
        ("create-room", M::CreateRoom),
        ("join-room", M::JoinRoom { room_id: room() }),
        (
            "create-or-join-room",
            M::CreateOrJoinRoom {
                room_id: Some(room()),
                role: Some(Role::Ops),
                invite_token: Some(token("invite-token")),
                name: Some(name("Ada")),
            },
        ),
        (
            "create-or-join-room-bare",
            M::CreateOrJoinRoom { room_id: None, role: None, invite_token: None, name: None },
        ),
        ("offer", M::Offer(full_description())),
        ("offer-bare", M::Offer(bare_description())),
        ("answer", M::Answer(full_description())),
        ("ice-candidate", M::IceCandidate(candidate_message())),
        ("ice-candidates", M::IceCandidates(batch())),
        ("request-offer", M::RequestOffer(offer_request())),
        ("stale", M::Stale(stale())),
        ("mute", M::Mute { peer_id: Some(ada()), muted: true }),
        ("mute-bare", M::Mute { peer_id: None, muted: false }),
        ("microphone", M::Microphone { available: true }),
        (
            "set-strip",
            M::SetStrip {
                peer_id: bo(),
                change: StripChange {
                    gain: Some(Gain::from_percent(150).unwrap()),
                    on_air: Some(false),
                    muted: Some(true),
                },
            },
        ),
        ("set-strip-bare", M::SetStrip { peer_id: bo(), change: StripChange::gain(Gain::SILENCE) }),
        (
            "restore-strips",
            M::RestoreStrips { strips: vec![NamedStrip { peer_id: bo(), strip: strip() }] },
        ),
        ("rename", M::Rename { name: name("Ada Lovelace") }),
        ("request-invite", M::RequestInvite { invite_role: Role::Host }),
        ("record", M::Record { on: true }),
        ("air", M::Air { on: true, title: Some(Line::new("The late show").unwrap()) }),
        ("air-bare", M::Air { on: false, title: None }),
        ("mark", M::Mark { text: Line::new("the jingle").unwrap() }),
        ("list-recordings", M::ListRecordings),
        ("delete-recording", M::DeleteRecording { id: RECORDING.to_owned() }),
        ("leave", M::Leave),
        ("end-room", M::EndRoom),
    ]
}

/// Every message that the server sends, under the name of its golden file.
pub fn server_messages() -> Vec<(&'static str, ServerMessage)> {
    use ServerMessage as M;
    let participants = || vec![host(), caller()];
    vec![
        (
            "welcome",
            M::Welcome {
                protocol: 1,
                server: "0.1.0".to_owned(),
                grace_ms: 30_000,
                setups_in_flight: Some(4),
                engine: true,
                retry_spread_ms: Some(4096),
            },
        ),
        ("registered", M::Registered { peer_id: ada() }),
        ("pong", M::Pong { timestamp: 1_700_000_000_000 }),
        (
            "room-created",
            M::RoomCreated {
                room_id: room(),
                host_id: ada(),
                seat: seat(),
                seq: 1,
                participants: vec![host()],
            },
        ),
        (
            "room-joined",
            M::RoomJoined {
                room_id: room(),
                seat: SeatGrant { role: Role::Caller, ice: IceConfig::default(), ..seat() },
                seq: 2,
                participants: participants(),
            },
        ),
        ("resumed", M::Resumed { peer_id: ada(), room_id: room(), seat: seat() }),
        ("seat-token", M::SeatToken { token: token("newer-token") }),
        ("ice-servers", M::IceServers { ice: seat().ice }),
        (
            "snapshot",
            M::Snapshot { room_id: room(), seq: 7, complete: false, participants: participants() },
        ),
        ("peer-joined", M::PeerJoined { participant: host(), seq: 2 }),
        ("peer-updated", M::PeerUpdated { participant: caller(), seq: 3 }),
        ("peer-left", M::PeerLeft { peer_id: bo(), reason: LeaveReason::TimedOut, seq: 4 }),
        ("offer", M::Offer(full_description())),
        ("answer", M::Answer(bare_description())),
        ("ice-candidate", M::IceCandidate(candidate_message())),
        ("ice-candidates", M::IceCandidates(batch())),
        ("request-offer", M::RequestOffer(offer_request())),
        ("stale", M::Stale(stale())),
        ("mute", M::Mute { from: ada(), peer_id: ada(), muted: true, seq: 5 }),
        (
            "strip",
            M::Strip { from: ada(), strip: NamedStrip { peer_id: bo(), strip: strip() }, seq: 6 },
        ),
        ("engine", M::Engine { state: engine() }),
        ("engine-idle", M::Engine { state: EngineState::default() }),
        ("recordings", recordings()),
        (
            "invite-token",
            M::InviteToken {
                invite_token: token("invite-token"),
                room_id: room(),
                role: Role::Caller,
            },
        ),
        ("room-ended", M::RoomEnded { room_id: room() }),
        ("retry-spread", M::RetrySpread { retry_spread_ms: 512 }),
        ("going-away", M::GoingAway { retry_after_ms: 1000 }),
        (
            "error",
            M::Error {
                code: ErrorCode::PeerNotFound,
                message: "there is nobody of this peer id in the room".to_owned(),
                request: Some("offer".to_owned()),
                to: Some(bo()),
            },
        ),
        (
            "error-bare",
            M::Error {
                code: ErrorCode::MalformedJson,
                message: "not JSON".to_owned(),
                request: None,
                to: None,
            },
        ),
    ]
}

/// Every error code. The match below fails to compile when one is missing there; the
/// test that uses both fails when one is missing here.
pub const ERROR_CODES: [ErrorCode; 28] = [
    ErrorCode::MalformedJson,
    ErrorCode::DuplicateKey,
    ErrorCode::TooLarge,
    ErrorCode::UnknownType,
    ErrorCode::MissingField,
    ErrorCode::InvalidField,
    ErrorCode::InvalidName,
    ErrorCode::NotText,
    ErrorCode::NotRegistered,
    ErrorCode::AlreadyRegistered,
    ErrorCode::PeerIdTaken,
    ErrorCode::NotInRoom,
    ErrorCode::AlreadyInRoom,
    ErrorCode::RoomNotFound,
    ErrorCode::RoomNotBack,
    ErrorCode::RoomEnded,
    ErrorCode::RoomFull,
    ErrorCode::ServerFull,
    ErrorCode::ForgedSender,
    ErrorCode::PeerNotFound,
    ErrorCode::Forbidden,
    ErrorCode::InvalidToken,
    ErrorCode::ExpiredToken,
    ErrorCode::WrongToken,
    ErrorCode::NoEngine,
    ErrorCode::RecordingNotFound,
    ErrorCode::RateLimited,
    ErrorCode::Internal,
];
