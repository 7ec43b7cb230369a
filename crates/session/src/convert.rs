//! Signals of the mesh as messages of the protocol, and back.

use openstudio_mesh::{IceCandidate, OfferKind, PeerInfo, Signal};
use openstudio_units::PeerId;
use openstudio_wire::{
    Candidate, CandidateBatch, CandidateMessage, ClientMessage, Description, OfferRequest,
    OfferRequestKind, Participant, ServerMessage, StaleNotice,
};

/// Returns the message that carries `signal` from `from` to `to`.
pub(crate) fn to_message(from: PeerId, to: PeerId, signal: Signal) -> ClientMessage {
    match signal {
        Signal::Offer { generation, offer: offer_id, sdp } => {
            ClientMessage::Offer(Description { from, to, sdp, generation, offer_id })
        }
        Signal::Answer { generation, offer: offer_id, sdp } => {
            ClientMessage::Answer(Description { from, to, sdp, generation, offer_id })
        }
        Signal::Candidates { generation, offer, candidates } => {
            ClientMessage::IceCandidates(CandidateBatch {
                from,
                to,
                candidates: candidates.into_iter().map(candidate_to_wire).collect(),
                generation: generation.unwrap_or_default(),
                offer_id: offer.unwrap_or_default(),
            })
        }
        Signal::RequestOffer { generation, kind, relay_only } => {
            let kind = match kind {
                OfferKind::Any => OfferRequestKind::Offer,
                OfferKind::IceRestart => OfferRequestKind::IceRestart,
            };
            ClientMessage::RequestOffer(OfferRequest { from, to, generation, kind, relay_only })
        }
        Signal::Stale { generation } => ClientMessage::Stale(StaleNotice { from, to, generation }),
    }
}

/// Returns the signal that a message carries, with its sender; `None` if it carries none.
pub(crate) fn to_signal(message: ServerMessage) -> Option<(PeerId, Signal)> {
    match message {
        ServerMessage::Offer(Description { from, sdp, generation, offer_id: offer, .. }) => {
            Some((from, Signal::Offer { generation, offer, sdp }))
        }
        ServerMessage::Answer(Description { from, sdp, generation, offer_id: offer, .. }) => {
            Some((from, Signal::Answer { generation, offer, sdp }))
        }
        ServerMessage::IceCandidate(message) => {
            let CandidateMessage { from, candidate, generation, offer_id: offer, .. } = message;
            let candidates = vec![candidate_from_wire(candidate)];
            Some((from, Signal::Candidates { generation, offer, candidates }))
        }
        ServerMessage::IceCandidates(batch) => {
            let candidates = batch.candidates.into_iter().map(candidate_from_wire).collect();
            let (generation, offer) = (Some(batch.generation), Some(batch.offer_id));
            Some((batch.from, Signal::Candidates { generation, offer, candidates }))
        }
        ServerMessage::RequestOffer(request) => {
            let OfferRequest { from, generation, kind, relay_only, .. } = request;
            let kind = match kind {
                OfferRequestKind::Offer => OfferKind::Any,
                OfferRequestKind::IceRestart => OfferKind::IceRestart,
            };
            Some((from, Signal::RequestOffer { generation, kind, relay_only }))
        }
        ServerMessage::Stale(StaleNotice { from, generation, .. }) => {
            Some((from, Signal::Stale { generation }))
        }
        ServerMessage::Welcome { .. }
        | ServerMessage::Registered { .. }
        | ServerMessage::Pong { .. }
        | ServerMessage::RoomCreated { .. }
        | ServerMessage::RoomJoined { .. }
        | ServerMessage::Resumed { .. }
        | ServerMessage::SeatToken { .. }
        | ServerMessage::Snapshot { .. }
        | ServerMessage::PeerJoined { .. }
        | ServerMessage::PeerUpdated { .. }
        | ServerMessage::PeerLeft { .. }
        | ServerMessage::Mute { .. }
        | ServerMessage::InviteToken { .. }
        | ServerMessage::Engine { .. }
        | ServerMessage::Recordings { .. }
        | ServerMessage::IceServers { .. }
        | ServerMessage::RoomEnded { .. }
        | ServerMessage::RetrySpread { .. }
        | ServerMessage::GoingAway { .. }
        | ServerMessage::Strip { .. }
        | ServerMessage::Error { .. } => None,
    }
}

/// Returns what the mesh needs to know of a participant.
pub(crate) fn to_peer_info(participant: &Participant) -> PeerInfo {
    PeerInfo {
        role: participant.role,
        incarnation: participant.incarnation,
        present: participant.present,
        sends_audio: participant.microphone,
    }
}

fn candidate_to_wire(candidate: IceCandidate) -> Candidate {
    let IceCandidate { candidate, sdp_mid, sdp_m_line_index, username_fragment } = candidate;
    Candidate { candidate, sdp_mid, sdp_m_line_index, username_fragment }
}

fn candidate_from_wire(candidate: Candidate) -> IceCandidate {
    let Candidate { candidate, sdp_mid, sdp_m_line_index, username_fragment } = candidate;
    IceCandidate { candidate, sdp_mid, sdp_m_line_index, username_fragment }
}
