//! One simulated peer connection: the model, its transports, and what the driver knows of it.

use std::collections::BTreeMap;

use openstudio_model as model;
use openstudio_session::mesh::{Completion, DescriptionKind, IceCandidate, OpError, OpId};
use openstudio_units::{Generation, PeerId};

use crate::network::{CandidateType, End, Known, Route, Site};

/// The one operation of the mesh that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnderWay {
    pub(crate) op: OpId,
    pub(crate) kind: OpKind,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum OpKind {
    Create,
    SetLocal,
    ApplyOffer,
    ApplyAnswer,
    AddCandidates,
    Sample,
}

/// What media go by, once connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Selected {
    /// The model's name of the other end.
    pub(crate) mate: u64,
    pub(crate) route: Route,
    /// Which relay there was.
    pub(crate) relay: Option<u32>,
    /// The addresses of this end and of the other.
    pub(crate) epochs: (u32, u32),
}

/// A peer connection of one client.
#[derive(Debug)]
pub(crate) struct SimPc {
    pub(crate) peer: PeerId,
    /// The other client.
    pub(crate) other: usize,
    pub(crate) generation: Generation,
    pub(crate) relay_only: bool,
    pub(crate) model: model::PeerConnection,
    pub(crate) transport: model::Transport,
    pub(crate) under_way: Option<UnderWay>,
    pub(crate) selected: Option<Selected>,
    /// The credentials of both ends for which checks began.
    pub(crate) checked: Option<(model::Credentials, model::Credentials)>,
    /// What of the other end's candidates is known, by the epoch of its addresses.
    known: BTreeMap<u32, Known>,
    known_of: Option<model::Credentials>,
    /// The browser never begins: neither gathering nor checks.
    pub(crate) stuck: bool,
    /// Changes while packets of audio arrive.
    pub(crate) progress: u64,
    /// When the transports are looked at next.
    pub(crate) armed: Option<openstudio_units::Timestamp>,
}

impl SimPc {
    pub(crate) fn new(
        (peer, other): (PeerId, usize),
        generation: Generation,
        relay_only: bool,
        name: u64,
        timings: model::Timings,
    ) -> Self {
        Self {
            peer,
            other,
            generation,
            relay_only,
            model: model::PeerConnection::new(name),
            transport: model::Transport::new(timings),
            under_way: None,
            selected: None,
            checked: None,
            known: BTreeMap::new(),
            known_of: None,
            stuck: false,
            progress: 0,
            armed: None,
        }
    }

    /// The credentials in force here: ours, theirs.
    pub(crate) fn credentials(&self) -> Option<(model::Credentials, model::Credentials)> {
        credentials(&self.model)
    }

    /// Takes note of the candidates that the model took since.
    pub(crate) fn learn(&mut self) {
        let newest = self.model.remote_description().map(|description| description.credentials);
        if self.known_of != newest {
            self.known_of = newest;
            self.known.clear();
        }
        for candidate in self.model.remote_candidates() {
            if let Some((kind, epoch, relay)) = read_line(&candidate.line) {
                self.known.entry(epoch).or_default().add(kind, relay);
            }
        }
    }

    /// Whether any candidate of the other end is known.
    pub(crate) fn knows_any(&self) -> bool {
        !self.known.is_empty()
    }

    /// The other end, at its present addresses and at the present relay, as far as this one knows
    /// it.
    pub(crate) fn view_of(&self, site: Site, relay_only: bool, relay: Option<u32>) -> End {
        let mut known = self.known.get(&site.epoch).copied().unwrap_or_default();
        known.relay = known.relay.filter(|known| Some(*known) == relay);
        End { site, known, relay_only }
    }
}

impl From<DescriptionKind> for OpKind {
    /// Applying a description of this kind.
    fn from(kind: DescriptionKind) -> Self {
        match kind {
            DescriptionKind::Offer => Self::ApplyOffer,
            DescriptionKind::Answer => Self::ApplyAnswer,
        }
    }
}

/// The credentials in force at one end: ours, theirs.
pub(crate) fn credentials(
    pc: &model::PeerConnection,
) -> Option<(model::Credentials, model::Credentials)> {
    let stable = pc.signaling_state() == model::SignalingState::Stable;
    let local = pc.local_description()?.credentials;
    let remote = pc.remote_description()?.credentials;
    stable.then_some((local, remote))
}

/// What setting the local description gave.
pub(crate) fn local_description_set(
    pc: &model::PeerConnection,
) -> Result<(DescriptionKind, Completion), OpError> {
    let none = || OpError("there is no local description".to_owned());
    let description = pc.local_description().ok_or_else(none)?;
    let kind = match description.kind {
        model::SdpType::Offer => DescriptionKind::Offer,
        model::SdpType::Answer | model::SdpType::Rollback => DescriptionKind::Answer,
    };
    let sdp = description.to_string();
    Ok((kind, Completion::LocalDescriptionSet { kind, sdp }))
}

/// Writes a candidate.
/// `epoch` is that of the client's addresses, `relay` that of the relay.
pub(crate) fn candidate(
    kind: CandidateType,
    (epoch, relay): (u32, u32),
    of: model::Credentials,
) -> IceCandidate {
    IceCandidate {
        candidate: format!("candidate:{} {epoch} {relay}", kind.as_str()),
        sdp_mid: Some("0".to_owned()),
        sdp_m_line_index: Some(0),
        username_fragment: Some(of.to_string()),
    }
}

/// Reads a candidate as the model takes it.
pub(crate) fn to_model(candidate: &IceCandidate) -> model::Candidate {
    model::Candidate {
        line: candidate.candidate.clone(),
        mid: candidate.sdp_mid.as_deref().and_then(|mid| mid.parse().ok()),
        credentials: candidate.username_fragment.as_deref().and_then(|of| of.parse().ok()),
    }
}

fn read_line(line: &str) -> Option<(CandidateType, u32, u32)> {
    let (kind, numbers) = line.strip_prefix("candidate:")?.split_once(' ')?;
    let (epoch, relay) = numbers.split_once(' ')?;
    let kind = CandidateType::ALL.into_iter().find(|known| known.as_str() == kind)?;
    Some((kind, epoch.parse().ok()?, relay.parse().ok()?))
}
