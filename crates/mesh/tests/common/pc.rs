//! One peer connection of the test world: `openstudio-model`, its events kept apart, and a
//! plain idea of when ICE is connected. What the model refuses as illegal ends the test.

use std::time::Duration;

use openstudio_mesh::{Completion, DescriptionKind, IceCandidate, OpError, PeerConnectionState};
use openstudio_model::{
    Call, Candidate, Credentials, Direction, DomError, Event, Kind, PeerConnection, SdpType,
    SignalingState, StreamId,
};
use openstudio_units::Timestamp;

/// The text of an offer of somebody unknown.
pub(crate) fn strange_offer(owner: u64) -> String {
    format!("offer\na=ice-ufrag:{owner}.1\nm=0 audio sendrecv")
}

/// One peer connection.
#[derive(Debug)]
pub(crate) struct TestPc {
    pub(crate) other: usize,
    pub(crate) state: PeerConnectionState,
    pub(crate) progress: u64,
    pc: PeerConnection,
    needed: bool,
    gathering: Option<Credentials>,
    lost_at: Option<Timestamp>,
}

impl TestPc {
    pub(crate) fn new(other: usize, offers: bool, name: u64) -> Self {
        let mut made = Self {
            other,
            state: PeerConnectionState::New,
            progress: 0,
            pc: PeerConnection::new(name),
            needed: false,
            gathering: None,
            lost_at: None,
        };
        if offers {
            made.pc.add_transceiver(Kind::Audio, Direction::Sendrecv).expect("it is new");
            made.name_streams();
        }
        made.pump();
        made
    }

    /// The driver's contract: one stream, the same at every offer.
    fn name_streams(&mut self) {
        for index in 0..self.pc.transceivers().len() {
            self.pc.set_streams(index, Some(StreamId(1))).expect("it is open");
        }
    }

    /// Sorts what fired. Returns how the last promise was settled.
    fn pump(&mut self) -> Option<Result<(), DomError>> {
        let mut settled = None;
        while let Some(event) = self.pc.poll_event() {
            match event {
                Event::Settled(_, result) => settled = Some(result.map(|_| ())),
                Event::NegotiationNeeded => self.needed = true,
                Event::Gather(credentials) => self.gathering = Some(credentials),
                Event::SignalingStateChange(_) | Event::Track(_) => {}
            }
        }
        settled
    }

    fn call(&mut self, call: Call) -> Result<(), OpError> {
        self.pc.call(call.clone());
        self.pc.finish();
        match self.pump().expect("a promise is settled") {
            Ok(()) => Ok(()),
            Err(DomError::Operation) => Err(OpError("OperationError".to_owned())),
            Err(error @ (DomError::InvalidState | DomError::InvalidModification)) => {
                panic!("{call:?} in {:?}: {error:?}", self.pc.signaling_state())
            }
        }
    }

    pub(crate) fn restart(&mut self) {
        self.pc.restart_ice();
        self.pump();
    }

    pub(crate) fn take_needed(&mut self) -> bool {
        std::mem::take(&mut self.needed)
    }

    pub(crate) fn take_gathering(&mut self) -> Option<Credentials> {
        self.gathering.take()
    }

    pub(crate) fn set_local(&mut self) -> Result<Completion, OpError> {
        self.call(Call::SetLocal)?;
        let description = self.pc.local_description().expect("it was set");
        let kind = match description.kind {
            SdpType::Offer => DescriptionKind::Offer,
            SdpType::Answer | SdpType::Rollback => DescriptionKind::Answer,
        };
        Ok(Completion::LocalDescriptionSet { kind, sdp: description.to_string() })
    }

    pub(crate) fn set_remote(&mut self, kind: DescriptionKind, sdp: &str) -> Result<(), OpError> {
        self.call(Call::SetRemote(sdp.to_owned()))?;
        if kind == DescriptionKind::Offer {
            self.attach();
        }
        Ok(())
    }

    /// Takes the transceivers that an offer made.
    fn attach(&mut self) {
        for index in 0..self.pc.transceivers().len() {
            self.pc.set_direction(index, Direction::Sendrecv).expect("it is open");
        }
        self.name_streams();
        self.pump();
    }

    pub(crate) fn add_candidate(&mut self, candidate: &IceCandidate) -> Result<(), OpError> {
        let IceCandidate { candidate: line, sdp_mid, username_fragment, .. } = candidate;
        // A fragment that is none of the model's belongs to nobody.
        let nobody = Credentials { owner: u64::MAX, count: 0 };
        let of = username_fragment.as_deref().map(|of| of.parse().unwrap_or(nobody));
        self.call(Call::AddCandidate(Candidate {
            line: line.clone(),
            mid: sdp_mid.as_deref().and_then(|mid| mid.parse().ok()),
            credentials: of,
        }))
    }

    /// The credentials in force: ours, theirs.
    fn credentials(&self) -> Option<(Credentials, Credentials)> {
        let local = self.pc.local_description()?.credentials;
        Some((local, self.pc.remote_description()?.credentials))
    }

    fn is_stable(&self) -> bool {
        self.pc.signaling_state() == SignalingState::Stable
    }

    fn knows_candidates(&self) -> bool {
        !self.pc.remote_candidates().is_empty()
    }

    pub(crate) fn is_mate_of(&self, other: &Self) -> bool {
        let matched = match (self.credentials(), other.credentials()) {
            (Some((local, remote)), Some(theirs)) => theirs == (remote, local),
            (None, _) | (_, None) => false,
        };
        self.pc.signaling_state() != SignalingState::HaveRemoteOffer
            && matched
            && (self.knows_candidates() || other.knows_candidates())
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
                New if self.knows_candidates() && self.is_stable() => {
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
