//! Tests of the bookkeeper itself: [`Rooms::is_consistent`] notices each way in which the books
//! can be wrong. Every other test relies on it.

use std::time::Duration;

use openstudio_units::{PeerId, RoomId, Seed, Timestamp};
use openstudio_wire::{ClientMessage, Token};

use crate::output::ConnId;
use crate::room::Room;
use crate::rooms::{Place, Rooms};
use crate::tokens::{Claims, SignError, TokenError, Tokens};
use crate::{Output, RoomConfig};

/// Tokens that nobody reads.
#[derive(Debug)]
struct BlankTokens;

impl Tokens for BlankTokens {
    fn sign(&self, _: &Claims, _: Duration) -> Result<Token, SignError> {
        Ok(Token(String::new()))
    }

    fn verify(&self, _: &Token) -> Result<Claims, TokenError> {
        Err(TokenError::Invalid)
    }
}

fn peer(n: u8) -> PeerId {
    PeerId::from_random_bytes([n; 16])
}

/// A host in a room, somebody in the lobby, and a room that was ended.
fn sound() -> (Rooms, RoomId) {
    let now = Timestamp::ZERO;
    let seed = Seed::from_number(1);
    let mut rooms = Rooms::new(RoomConfig::default(), seed, Box::new(BlankTokens), now);
    for (n, peer_id) in [(1, peer(1)), (2, peer(2))] {
        rooms.connected(now, ConnId(n));
        rooms.message(now, ConnId(n), ClientMessage::Register { peer_id });
    }
    rooms.message(now, ConnId(1), ClientMessage::CreateRoom);
    rooms.remember_ended(RoomId::from_random_bytes([9; 16]));
    while let Some(output) = rooms.poll_output() {
        assert!(!matches!(output, Output::Close { .. }));
    }
    assert!(rooms.is_consistent());
    let room_id = *rooms.rooms.keys().next().unwrap();
    (rooms, room_id)
}

#[test]
fn every_way_in_which_the_books_can_be_wrong_is_noticed() {
    type Spoil = fn(&mut Rooms, RoomId);
    let wrong: [(&str, Spoil); 7] = [
        ("a peer in the lobby without a socket", |rooms, _| {
            rooms.connections.remove(&ConnId(2));
        }),
        ("a seat whose socket is gone", |rooms, _| {
            rooms.connections.remove(&ConnId(1));
        }),
        ("a seat whose socket is another's", |rooms, _| {
            rooms.connections.get_mut(&ConnId(1)).unwrap().peer = Some(peer(3));
        }),
        ("a seat of somebody else than who is said to have one", |rooms, room_id| {
            rooms.peers.remove(&peer(1));
            rooms.peers.insert(peer(3), Place::Seated(room_id));
        }),
        ("a seat of nobody", |rooms, _| {
            rooms.peers.remove(&peer(1));
        }),
        ("a seat without a timer", |rooms, _| rooms.timers.clear()),
        ("a room without seats", |rooms, _| {
            rooms.rooms.insert(RoomId::from_random_bytes([5; 16]), Room::default());
        }),
    ];
    for (name, spoil) in wrong {
        let (mut rooms, room_id) = sound();
        spoil(&mut rooms, room_id);
        assert!(!rooms.is_consistent(), "{name}");
    }
}
