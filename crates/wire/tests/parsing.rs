//! What the server refuses to read, code by code, and what no input can do to it.
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

use openstudio_units::{Generation, OfferId, PeerId};
use openstudio_wire::{
    Candidate, CandidateBatch, ClientMessage, Description, DisplayName, ErrorCode, ServerMessage,
    limits,
};
use proptest::prelude::*;

const ID: &str = "0000ada0-0000-4000-8000-000000000001";

fn code(text: &str) -> ErrorCode {
    let error = ClientMessage::parse(text).unwrap_err();
    assert!(!error.message.is_empty());
    assert!(error.message.len() < 400, "the input is not echoed: {}", error.message);
    error.code
}

fn offer(sdp: usize) -> String {
    format!(r#"{{"type":"offer","from":"{ID}","to":"{ID}","sdp":"{}"}}"#, "x".repeat(sdp))
}

fn candidate(length: usize) -> String {
    let line = "x".repeat(length);
    format!(
        r#"{{"type":"ice-candidate","from":"{ID}","to":"{ID}","candidate":{{"candidate":"{line}"}}}}"#
    )
}

fn batch(count: usize) -> String {
    let list = vec![r#"{"candidate":""}"#; count].join(",");
    format!(
        r#"{{"type":"ice-candidates","from":"{ID}","to":"{ID}","generation":1,"offerId":1,"candidates":[{list}]}}"#
    )
}

fn rename(name: &str) -> String {
    serde_json::json!({"type": "rename", "name": name}).to_string()
}

#[test]
fn each_fault_has_its_code() {
    use ErrorCode as E;
    for (text, expected) in [
        ("", E::MalformedJson),
        ("{", E::MalformedJson),
        ("[]", E::MalformedJson),
        ("\"ping\"", E::MalformedJson),
        (r#"{"type":"ping"} x"#, E::MalformedJson),
        (r#"{"type":"ping","type":"ping"}"#, E::DuplicateKey),
        (r#"{"type":"ping","x":{"y":1,"y":1}}"#, E::DuplicateKey),
        (r#"{"type":"dance"}"#, E::UnknownType),
        (r#"{"type":"Ping"}"#, E::UnknownType),
        (r#"{"type":"welcome"}"#, E::UnknownType),
        (r#"{"type":null}"#, E::InvalidField),
        (r#"{"peerId":"x"}"#, E::MissingField),
        (r#"{"type":"register"}"#, E::MissingField),
        (r#"{"type":"resume"}"#, E::MissingField),
        (r#"{"type":"mute"}"#, E::MissingField),
        (r#"{"type":"join-room"}"#, E::MissingField),
        (r#"{"type":"request-invite"}"#, E::MissingField),
        (&format!(r#"{{"type":"offer","from":"{ID}","sdp":""}}"#), E::MissingField),
        (&format!(r#"{{"type":"offer","from":"{ID}","to":"{ID}"}}"#), E::MissingField),
        (r#"{"type":"register","peerId":"x"}"#, E::InvalidField),
        (r#"{"type":"register","peerId":7}"#, E::InvalidField),
        (r#"{"type":"mute","muted":"yes"}"#, E::InvalidField),
        (r#"{"type":"request-invite","inviteRole":"root"}"#, E::InvalidField),
        (r#"{"type":"resume","token":{}}"#, E::InvalidField),
        (&rename(""), E::InvalidName),
        (&rename(&"x".repeat(300)), E::InvalidName),
        (&rename("a\u{1}"), E::InvalidName),
        (&offer(limits::MAX_SDP_BYTES + 1), E::TooLarge),
        (&offer(limits::MAX_MESSAGE_BYTES), E::TooLarge),
        (&candidate(limits::MAX_CANDIDATE_BYTES + 1), E::TooLarge),
        (&batch(limits::MAX_CANDIDATES + 1), E::TooLarge),
        (&format!(r#"{{"type":"resume","token":"{}"}}"#, "x".repeat(3000)), E::TooLarge),
        (&format!("{}1{}", r#"{"a":"#.repeat(9), "}".repeat(9)), E::TooLarge),
    ] {
        assert_eq!(code(text), expected, "{text:.200}");
    }
}

#[test]
fn what_is_exactly_at_its_limit_is_read() {
    for text in [
        offer(limits::MAX_SDP_BYTES),
        candidate(limits::MAX_CANDIDATE_BYTES),
        batch(limits::MAX_CANDIDATES),
        rename(&"ö".repeat(limits::MAX_NAME_CHARS)),
    ] {
        ClientMessage::parse(&text).unwrap();
    }
}

#[test]
fn unknown_fields_are_ignored_and_old_names_understood() {
    let text = r#"{"type":"create-or-join-room","role":"guest","colour":[1,{"a":null}]}"#;
    ClientMessage::parse(text).unwrap();
    let text = format!(r#"{{"type":"peer-joined","peerId":"{ID}","role":"caller","seq":1}}"#);
    let ServerMessage::PeerJoined { participant, .. } = ServerMessage::parse(&text).unwrap() else {
        panic!()
    };
    assert!(participant.present && !participant.microphone);
}

fn peer() -> impl Strategy<Value = PeerId> {
    any::<[u8; 16]>().prop_map(PeerId::from_random_bytes)
}

fn description() -> impl Strategy<Value = Description> {
    let rounds = (any::<Option<u64>>(), any::<Option<u32>>());
    (peer(), peer(), ".{0,200}", rounds).prop_map(|(from, to, sdp, (generation, offer_id))| {
        Description {
            from,
            to,
            sdp,
            generation: generation.map(Generation),
            offer_id: offer_id.map(OfferId),
        }
    })
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    let optional = proptest::option::of(".{0,20}");
    (".{0,100}", optional.clone(), any::<Option<u16>>(), optional).prop_map(
        |(candidate, sdp_mid, sdp_m_line_index, username_fragment)| Candidate {
            candidate,
            sdp_mid,
            sdp_m_line_index,
            username_fragment,
        },
    )
}

fn message() -> impl Strategy<Value = ClientMessage> {
    let candidates = proptest::collection::vec(any_candidate(), 0..20);
    prop_oneof![
        description().prop_map(ClientMessage::Offer),
        description().prop_map(ClientMessage::Answer),
        (peer(), peer(), candidates, any::<u64>(), any::<u32>()).prop_map(
            |(from, to, candidates, generation, offer_id)| {
                let (generation, offer_id) = (Generation(generation), OfferId(offer_id));
                ClientMessage::IceCandidates(CandidateBatch {
                    from,
                    to,
                    candidates,
                    generation,
                    offer_id,
                })
            }
        ),
        "[a-zA-Zöß<>&🎙 ]{1,40}[a-z]".prop_map(|name| {
            let name = DisplayName::new(&name).unwrap();
            ClientMessage::Rename { name }
        }),
        any::<bool>().prop_map(|muted| ClientMessage::Mute { peer_id: None, muted }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(message in message()) {
        prop_assert_eq!(ClientMessage::parse(&message.to_json()), Ok(message));
    }

    #[test]
    fn no_text_makes_either_reader_panic(text in ".{0,300}") {
        let _ = ClientMessage::parse(&text);
        let _ = ServerMessage::parse(&text);
    }

    #[test]
    fn no_damage_to_a_message_makes_either_reader_panic(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        with in "[\\x00-\\x7f]{0,4}",
        cut in 0..8usize,
    ) {
        let client = support::client_messages().into_iter().map(|(_, m)| m.to_json());
        let server = support::server_messages().into_iter().map(|(_, m)| m.to_json());
        let samples: Vec<String> = client.chain(server).collect();
        let mut text = which.get(&samples).clone();
        let from = at.index(text.len());
        let to = (from + cut).min(text.len());
        // The samples are ASCII, so that every index is a boundary.
        text.replace_range(from..to, &with);
        let _ = ClientMessage::parse(&text);
        let _ = ServerMessage::parse(&text);
    }
}
