//! What a counterpart says, in few bytes: any signal, of a generation and a round that are
//! right, nearly right, or wild.

use arbitrary::Arbitrary;
use openstudio_mesh::{IceCandidate, OfferKind, Signal};
use openstudio_units::{Generation, OfferId, PeerId};
use openstudio_wire::{
    Candidate, CandidateBatch, CandidateMessage, Description, OfferRequest, OfferRequestKind,
    ServerMessage, StaleNotice,
};

/// A generation, seen from the present one.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(crate) enum Age {
    None,
    Present,
    Ahead(u8),
    Behind(u8),
    Wild(u64),
}

impl Age {
    pub(crate) fn generation(self, present: Generation) -> Option<Generation> {
        match self {
            Self::None => None,
            Self::Present => Some(present),
            Self::Ahead(n) => Some(Generation(present.0.saturating_add(u64::from(n % 4)))),
            Self::Behind(n) => Some(Generation(present.0.saturating_sub(u64::from(n % 4)))),
            Self::Wild(n) => Some(Generation(n)),
        }
    }
}

/// A round of an offer and its answer.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(crate) enum Round {
    None,
    Early(u8),
    Wild(u32),
}

impl Round {
    pub(crate) fn offer(self) -> Option<OfferId> {
        match self {
            Self::None => None,
            Self::Early(n) => Some(OfferId(u32::from(n % 8))),
            Self::Wild(n) => Some(OfferId(n)),
        }
    }
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Kind {
    Offer,
    Answer,
    Candidates(u8),
    RequestOffer,
    RequestRestart,
    Stale,
}

/// A signal of a counterpart.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(crate) struct Said {
    kind: Kind,
    age: Age,
    round: Round,
    relay_only: bool,
}

impl Said {
    pub(crate) fn signal(self, present: Generation) -> Signal {
        let (generation, offer) = (self.age.generation(present), self.round.offer());
        let (counted, relay_only) = (generation.unwrap_or(present), self.relay_only);
        let sdp = "theirs".to_owned();
        match self.kind {
            Kind::Offer => Signal::Offer { generation, offer, sdp },
            Kind::Answer => Signal::Answer { generation, offer, sdp },
            Kind::Candidates(n) => {
                let candidates = (0..n % 80).map(candidate).collect();
                Signal::Candidates { generation, offer, candidates }
            }
            Kind::RequestOffer => {
                Signal::RequestOffer { generation: counted, kind: OfferKind::Any, relay_only }
            }
            Kind::RequestRestart => {
                let kind = OfferKind::IceRestart;
                Signal::RequestOffer { generation: counted, kind, relay_only }
            }
            Kind::Stale => Signal::Stale { generation: counted },
        }
    }
}

fn candidate(n: u8) -> IceCandidate {
    IceCandidate {
        candidate: format!("candidate:{n}"),
        sdp_mid: Some("0".to_owned()),
        sdp_m_line_index: None,
        username_fragment: None,
    }
}

/// The message in which a server relays `signal`.
pub(crate) fn relayed(from: PeerId, to: PeerId, signal: Signal) -> ServerMessage {
    match signal {
        Signal::Offer { generation, offer: offer_id, sdp } => {
            ServerMessage::Offer(Description { from, to, sdp, generation, offer_id })
        }
        Signal::Answer { generation, offer: offer_id, sdp } => {
            ServerMessage::Answer(Description { from, to, sdp, generation, offer_id })
        }
        Signal::Candidates { generation, offer: offer_id, candidates } => {
            let mut candidates: Vec<Candidate> = candidates.into_iter().map(on_wire).collect();
            match (generation, offer_id) {
                (Some(generation), Some(offer_id)) => {
                    let batch = CandidateBatch { from, to, candidates, generation, offer_id };
                    ServerMessage::IceCandidates(batch)
                }
                // Whoever does not count sends candidates one by one.
                (Some(_) | None, _) => {
                    let candidate = candidates.pop().unwrap_or_else(|| on_wire(candidate(0)));
                    let message = CandidateMessage { from, to, candidate, generation, offer_id };
                    ServerMessage::IceCandidate(message)
                }
            }
        }
        Signal::RequestOffer { generation, kind, relay_only } => {
            let kind = match kind {
                OfferKind::Any => OfferRequestKind::Offer,
                OfferKind::IceRestart => OfferRequestKind::IceRestart,
            };
            ServerMessage::RequestOffer(OfferRequest { from, to, generation, kind, relay_only })
        }
        Signal::Stale { generation } => ServerMessage::Stale(StaleNotice { from, to, generation }),
    }
}

fn on_wire(candidate: IceCandidate) -> Candidate {
    let IceCandidate { candidate, sdp_mid, sdp_m_line_index, username_fragment } = candidate;
    Candidate { candidate, sdp_mid, sdp_m_line_index, username_fragment }
}
