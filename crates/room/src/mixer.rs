//! The shared mixer: who may touch it, and what everybody is told.
//!
//! Invariants: hosts and ops alone change a strip; nobody opens with a strip what its owner
//! closed; whoever is told of a strip is told its newest revision.

use openstudio_units::{PeerId, RoomId};
use openstudio_wire::{ErrorCode, NamedStrip, ServerMessage, Strip, StripChange, limits};

use crate::output::ConnId;
use crate::refusal::Refusal;
use crate::rooms::Rooms;

impl Rooms {
    pub(crate) fn set_strip(
        &mut self,
        conn: ConnId,
        peer: PeerId,
        change: StripChange,
    ) -> Result<(), Refusal> {
        let (room_id, from) = self.mixing(conn).map_err(|refusal| refusal.about(peer))?;
        let Some(room) = self.rooms.get(&room_id).filter(|room| room.seats.contains_key(&peer))
        else {
            return Err(Refusal::new(
                ErrorCode::PeerNotFound,
                "this participant is not in the room",
            )
            .about(peer));
        };
        let before = room.strip(peer);
        self.put_strip(room_id, from, (peer, before.changed(change)));
        if let Some(muted) = change.muted {
            self.tell_mute(room_id, from, peer, muted);
        }
        Ok(())
    }

    pub(crate) fn restore_strips(
        &mut self,
        conn: ConnId,
        strips: &[NamedStrip],
    ) -> Result<(), Refusal> {
        let (room_id, from) = self.mixing(conn)?;
        for NamedStrip { peer_id, strip } in strips {
            let known = self.rooms.get(&room_id).map(|room| room.strip(*peer_id));
            if known.is_some_and(|known| strip.revision > known.revision) {
                self.put_strip(room_id, from, (*peer_id, *strip));
            }
        }
        Ok(())
    }

    /// Returns the room and the peer behind a socket, which must have a seat that may mix.
    fn mixing(&self, conn: ConnId) -> Result<(RoomId, PeerId), Refusal> {
        let (room_id, peer, role) = self.seated_as(conn)?;
        if role.is_some_and(|role| role.may_mix()) {
            return Ok((room_id, peer));
        }
        Err(Refusal::new(ErrorCode::Forbidden, "only hosts and operators can mix or mute others"))
    }

    /// Keeps a strip and tells the room, if its owner is there to be heard.
    fn put_strip(&mut self, room_id: RoomId, from: PeerId, (peer_id, strip): (PeerId, Strip)) {
        let Some(room) = self.rooms.get_mut(&room_id) else {
            return;
        };
        room.keep_strip(peer_id, strip, limits::MAX_STRIPS.max(self.config.max_participants));
        if !room.seats.contains_key(&peer_id) {
            return;
        }
        let seq = room.bump();
        let strip = NamedStrip { peer_id, strip };
        self.broadcast(room_id, None, &ServerMessage::Strip { from, strip, seq });
    }

    /// Says the same once more to clients that know no strips.
    fn tell_mute(&mut self, room_id: RoomId, from: PeerId, peer_id: PeerId, muted: bool) {
        let Some(room) = self.rooms.get_mut(&room_id) else {
            return;
        };
        let seq = room.bump();
        self.broadcast(room_id, None, &ServerMessage::Mute { from, peer_id, muted, seq });
    }
}
