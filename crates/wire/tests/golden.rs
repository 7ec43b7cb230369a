//! The protocol as bytes: one file a message in `golden/`, which is what a second
//! implementation can be tested with. A file changes only when the protocol does.
//!
//! `OPENSTUDIO_GOLDEN=write cargo test -p openstudio-wire --test golden` writes them anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unwrap_in_result,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a test fails by panicking"
)]
#![cfg(not(target_arch = "wasm32"))]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use openstudio_wire::{ClientMessage, CloseCode, ErrorCode, ServerMessage};
use serde_json::Value;

fn folder(direction: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(direction)
}

/// Compares each message with its file, and the list of messages with that of files.
fn check(direction: &str, messages: &[(&str, String)]) -> Vec<String> {
    let folder = folder(direction);
    let mut texts = Vec::new();
    for (name, json) in messages {
        let path = folder.join(format!("{name}.json"));
        let value: Value = serde_json::from_str(json).unwrap();
        if std::env::var_os("OPENSTUDIO_GOLDEN").is_some_and(|mode| mode == "write") {
            fs::write(&path, format!("{value:#}\n")).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{}", path.display()));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value, "{name}");
        texts.push(text);
    }
    let files: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected: BTreeSet<String> =
        messages.iter().map(|(name, _)| format!("{name}.json")).collect();
    assert_eq!(files, expected, "one file a message");
    texts
}

#[test]
fn what_clients_send_is_what_the_files_say() {
    let messages = support::client_messages();
    let json: Vec<_> = messages.iter().map(|(name, m)| (*name, m.to_json())).collect();
    for (text, (name, message)) in check("client", &json).iter().zip(&messages) {
        assert_eq!(ClientMessage::parse(text).as_ref(), Ok(message), "{name}");
        assert!(text.contains(&format!("\"type\": \"{}\"", message.kind())), "{name}");
    }
    let kinds: BTreeSet<&str> = messages.iter().map(|(_, message)| message.kind()).collect();
    assert_eq!(kinds.len(), 25, "every type has a sample");
}

#[test]
fn what_the_server_sends_is_what_the_files_say() {
    let messages = support::server_messages();
    let json: Vec<_> = messages.iter().map(|(name, m)| (*name, m.to_json())).collect();
    for (text, (name, message)) in check("server", &json).iter().zip(&messages) {
        assert_eq!(&ServerMessage::parse(text).unwrap(), message, "{name}");
    }
    let kinds: BTreeSet<u8> = messages.iter().map(|(_, message)| number(message)).collect();
    assert_eq!(kinds, (0..27).collect(), "every type has a sample");
}

/// Numbers the variants; does not compile when there is a new one.
fn number(message: &ServerMessage) -> u8 {
    use ServerMessage as M;
    match message {
        M::Welcome { .. } => 0,
        M::Registered { .. } => 1,
        M::Pong { .. } => 2,
        M::RoomCreated { .. } => 3,
        M::RoomJoined { .. } => 4,
        M::Resumed { .. } => 5,
        M::SeatToken { .. } => 6,
        M::Snapshot { .. } => 7,
        M::PeerJoined { .. } => 8,
        M::PeerUpdated { .. } => 9,
        M::PeerLeft { .. } => 10,
        M::Offer(_) => 11,
        M::Answer(_) => 12,
        M::IceCandidate(_) => 13,
        M::IceCandidates(_) => 14,
        M::RequestOffer(_) => 15,
        M::Stale(_) => 16,
        M::Mute { .. } => 17,
        M::InviteToken { .. } => 18,
        M::RoomEnded { .. } => 19,
        M::GoingAway { .. } => 20,
        M::Error { .. } => 21,
        M::Strip { .. } => 22,
        M::Engine { .. } => 23,
        M::Recordings { .. } => 24,
        M::IceServers { .. } => 25,
        M::RetrySpread { .. } => 26,
    }
}

#[test]
fn every_error_code_has_one_name() {
    let names: BTreeSet<&str> = support::ERROR_CODES.iter().map(|code| code.as_str()).collect();
    assert_eq!(names.len(), support::ERROR_CODES.len());
    for code in support::ERROR_CODES {
        let json = serde_json::to_string(&code).unwrap();
        assert_eq!(json, format!("\"{}\"", code.as_str()));
        assert_eq!(serde_json::from_str::<ErrorCode>(&json).unwrap(), code);
    }
}

#[test]
fn every_close_code_has_one_number() {
    let codes = [1001, 1008, 1013, 4001, 4002];
    for number in codes {
        assert_eq!(CloseCode::from_u16(number).unwrap().as_u16(), number);
    }
    assert_eq!((0..=u16::MAX).filter_map(CloseCode::from_u16).count(), codes.len());
}

#[test]
fn the_protocol_document_names_every_message_code_and_close_code() {
    let document = include_str!("../../../docs/protocol.md");
    let mut missing = Vec::new();
    let client = support::client_messages().into_iter().map(|(_, m)| m.to_json());
    let server = support::server_messages().into_iter().map(|(_, m)| m.to_json());
    for json in client.chain(server) {
        let value: Value = serde_json::from_str(&json).unwrap();
        collect_missing(document, &value, &mut missing);
    }
    for code in support::ERROR_CODES {
        if !document.contains(&format!("`{}`", code.as_str())) {
            missing.push(code.as_str().to_owned());
        }
    }
    for number in [1001, 1008, 1009, 1013, 4001, 4002] {
        if !document.contains(&number.to_string()) {
            missing.push(number.to_string());
        }
    }
    assert!(missing.is_empty(), "docs/protocol.md does not name {missing:?}");
}

/// Looks for the type and for every field, at any depth.
fn collect_missing(document: &str, value: &Value, missing: &mut Vec<String>) {
    if let Value::Array(values) = value {
        values.iter().for_each(|value| collect_missing(document, value, missing));
    }
    let Value::Object(map) = value else { return };
    if let Some(Value::String(kind)) = map.get("type")
        && !document.contains(&format!("`{kind}`"))
    {
        missing.push(kind.clone());
    }
    for (key, value) in map {
        if !document.contains(&format!("`{key}`")) {
            missing.push(key.clone());
        }
        collect_missing(document, value, missing);
    }
}
