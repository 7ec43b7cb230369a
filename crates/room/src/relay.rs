//! What one peer says to another: looked at for who and to whom, never for what.
//!
//! This is the busiest path of the server. The message is moved through, not copied.

use openstudio_units::PeerId;
use openstudio_wire::{
    CandidateBatch, CandidateMessage, Description, ErrorCode, OfferRequest, ServerMessage,
    StaleNotice,
};

use crate::output::ConnId;
use crate::refusal::Refusal;
use crate::rooms::Rooms;

/// A message that goes to another peer of the same room.
pub(crate) trait Relayed {
    /// The sender, as the sender says.
    fn from(&mut self) -> &mut PeerId;

    /// The receiver.
    fn to(&self) -> PeerId;

    /// Wraps the message for the receiver.
    fn wrap(self) -> ServerMessage;
}

/// A description that is an answer.
#[derive(Debug)]
pub(crate) struct Answer(pub(crate) Description);

macro_rules! relayed {
    ($type:ty, $variant:ident) => {
        impl Relayed for $type {
            fn from(&mut self) -> &mut PeerId {
                &mut self.from
            }

            fn to(&self) -> PeerId {
                self.to
            }

            fn wrap(self) -> ServerMessage {
                ServerMessage::$variant(self)
            }
        }
    };
}

relayed!(Description, Offer);
relayed!(CandidateMessage, IceCandidate);
relayed!(CandidateBatch, IceCandidates);
relayed!(OfferRequest, RequestOffer);
relayed!(StaleNotice, Stale);

impl Relayed for Answer {
    fn from(&mut self) -> &mut PeerId {
        &mut self.0.from
    }

    fn to(&self) -> PeerId {
        self.0.to
    }

    fn wrap(self) -> ServerMessage {
        ServerMessage::Answer(self.0)
    }
}

impl Rooms {
    /// Passes a message on.
    ///
    /// # Errors
    /// The sender is not registered, has no seat, or names a sender that it is not; the
    /// receiver is not in the room, or its socket is not there.
    pub(crate) fn relay<M: Relayed>(
        &mut self,
        conn: ConnId,
        mut message: M,
    ) -> Result<(), Refusal> {
        let to = message.to();
        let peer = self.registered(conn).map_err(|refusal| refusal.about(to))?;
        if *message.from() != peer {
            return Err(
                Refusal::new(ErrorCode::ForgedSender, "`from` must be your own peer id").about(to)
            );
        }
        let (room, _) = self.seated(conn).map_err(|refusal| refusal.about(to))?;
        let Some(seat) = self.rooms.get(&room).and_then(|room| room.seats.get(&to)) else {
            return Err(Refusal::new(
                ErrorCode::PeerNotFound,
                "there is nobody of this peer id in the room",
            )
            .about(to));
        };
        let Some(receiver) = seat.conn() else {
            return Err(Refusal::new(
                ErrorCode::PeerNotFound,
                "this peer is away; the message was not kept",
            )
            .about(to));
        };
        *message.from() = peer;
        self.send(receiver, message.wrap());
        Ok(())
    }
}
