//! A model of `RTCPeerConnection`, as far as the mesh can tell it from a real one.
//!
//! A description is the text `kind ufrag`: whose ICE credentials it carries is all that
//! decides whether two ends fit.

use std::time::Duration;

use openstudio_mesh::{Completion, DescriptionKind, IceCandidate, OpError, PeerConnectionState};
use openstudio_units::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signaling {
    Stable,
    HaveLocalOffer,
    HaveRemoteOffer,
}

/// One peer connection.
#[derive(Debug)]
pub(crate) struct FakePc {
    pub(crate) other: usize,
    pub(crate) state: PeerConnectionState,
    pub(crate) progress: u64,
    signaling: Signaling,
    local: u64,
    /// Credentials of the offer that is out, to be taken back by a rollback.
    before_offer: Option<u64>,
    remote: Option<u64>,
    wants_restart: bool,
    negotiated: bool,
    offers: bool,
    needed_fired: bool,
    gathering: Option<u64>,
    gathered: Option<u64>,
    candidates: usize,
    lost_at: Option<Timestamp>,
}

impl FakePc {
    pub(crate) fn new(other: usize, offers: bool, ufrag: u64) -> Self {
        Self {
            other,
            state: PeerConnectionState::New,
            progress: 0,
            signaling: Signaling::Stable,
            local: ufrag,
            before_offer: None,
            remote: None,
            wants_restart: false,
            negotiated: false,
            offers,
            needed_fired: false,
            gathering: None,
            gathered: None,
            candidates: 0,
            lost_at: None,
        }
    }

    pub(crate) fn restart(&mut self) {
        self.wants_restart = true;
        self.needed_fired = false;
    }

    /// webrtc-pc §4.7.3: fires once, in `stable`, while something is not negotiated.
    pub(crate) fn take_needed(&mut self) -> bool {
        let wanted = (self.offers && !self.negotiated) || self.wants_restart;
        let fires = wanted && self.signaling == Signaling::Stable && !self.needed_fired;
        self.needed_fired |= fires;
        fires
    }

    pub(crate) fn take_gathering(&mut self) -> Option<u64> {
        self.gathering.take()
    }

    pub(crate) fn set_local(&mut self, fresh: u64) -> Completion {
        let kind = match self.signaling {
            Signaling::Stable => {
                self.before_offer = Some(self.local);
                if self.wants_restart {
                    self.local = fresh;
                }
                self.signaling = Signaling::HaveLocalOffer;
                DescriptionKind::Offer
            }
            Signaling::HaveRemoteOffer => {
                if self.wants_restart {
                    self.local = fresh;
                    self.wants_restart = false;
                }
                self.signaling = Signaling::Stable;
                self.negotiated = true;
                self.needed_fired = false;
                DescriptionKind::Answer
            }
            Signaling::HaveLocalOffer => panic!("setLocalDescription() in have-local-offer"),
        };
        if self.gathered != Some(self.local) {
            self.gathered = Some(self.local);
            self.gathering = Some(self.local);
        }
        let word = if kind == DescriptionKind::Offer { "offer" } else { "answer" };
        Completion::LocalDescriptionSet { kind, sdp: format!("{word} {}", self.local) }
    }

    pub(crate) fn set_remote(&mut self, kind: DescriptionKind, sdp: &str) -> Result<(), OpError> {
        let ufrag: u64 = sdp
            .split_once(' ')
            .and_then(|(_, ufrag)| ufrag.parse().ok())
            .ok_or_else(|| OpError("garbage".to_owned()))?;
        match (kind, self.signaling) {
            (DescriptionKind::Offer, Signaling::Stable) => {}
            (DescriptionKind::Offer, Signaling::HaveLocalOffer) => {
                self.local = self.before_offer.take().unwrap_or(self.local);
                self.needed_fired = false;
            }
            (DescriptionKind::Answer, Signaling::HaveLocalOffer) => {}
            (kind, state) => panic!("setRemoteDescription({kind:?}) in {state:?}"),
        }
        if self.remote != Some(ufrag) {
            self.candidates = 0;
        }
        self.remote = Some(ufrag);
        if kind == DescriptionKind::Offer {
            self.signaling = Signaling::HaveRemoteOffer;
        } else {
            self.signaling = Signaling::Stable;
            self.negotiated = true;
            self.wants_restart = false;
            self.needed_fired = false;
        }
        Ok(())
    }

    pub(crate) fn add_candidate(&mut self, candidate: &IceCandidate) -> Result<(), OpError> {
        assert!(self.remote.is_some(), "addIceCandidate before setRemoteDescription");
        let of = candidate.username_fragment.as_deref().and_then(|text| text.parse::<u64>().ok());
        if of != self.remote {
            return Err(OpError(format!("no ice generation {of:?}")));
        }
        self.candidates += 1;
        Ok(())
    }

    pub(crate) fn is_mate_of(&self, other: &Self) -> bool {
        self.signaling != Signaling::HaveRemoteOffer
            && self.remote == Some(other.local)
            && other.remote == Some(self.local)
            && (self.candidates > 0 || other.candidates > 0)
    }

    pub(crate) fn waits_for_network(&self) -> bool {
        self.lost_at.is_some()
    }

    /// Returns the state to come and when it is told, if it is another one.
    pub(crate) fn evaluate(
        &mut self,
        now: Timestamp,
        path: bool,
    ) -> Option<(PeerConnectionState, Duration)> {
        use PeerConnectionState::{Connected, Connecting, Disconnected, Failed, New};
        let to = if path {
            self.lost_at = None;
            Connected
        } else {
            match self.state {
                New if self.candidates > 0 && self.signaling == Signaling::Stable => {
                    self.lost_at = Some(now);
                    Connecting
                }
                Connected => {
                    let lost = *self.lost_at.get_or_insert(now);
                    if now.since(lost) < Duration::from_secs(5) { Connected } else { Disconnected }
                }
                Connecting | Disconnected => {
                    let lost = *self.lost_at.get_or_insert(now);
                    if now.since(lost) < Duration::from_secs(20) { self.state } else { Failed }
                }
                New | Failed | PeerConnectionState::Closed => {
                    self.lost_at = None;
                    self.state
                }
            }
        };
        if to == self.state {
            return None;
        }
        self.state = to;
        Some((to, Duration::from_millis(10)))
    }
}
