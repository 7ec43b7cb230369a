//! [`PeerConnection`]: its calls, its chain of operations, its events.
//!
//! What takes effect at once is in `methods`, what applying a description does in `apply`,
//! the negotiation-needed flag in `needed`.

use std::collections::VecDeque;

use crate::candidates::Candidate;
use crate::chain::{Call, CallId, Value};
use crate::description::{Credentials, Description, SdpType};
use crate::transceiver::{Mids, Transceiver};

/// `RTCSignalingState` (webrtc-pc §4.3.1), without provisional answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignalingState {
    /// No exchange is under way.
    Stable,
    /// A local offer is to be answered.
    HaveLocalOffer,
    /// A remote offer is to be answered.
    HaveRemoteOffer,
    /// It was closed.
    Closed,
}

impl SignalingState {
    /// Returns the name in the standard.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::HaveLocalOffer => "have-local-offer",
            Self::HaveRemoteOffer => "have-remote-offer",
            Self::Closed => "closed",
        }
    }
}

/// The exceptions that the calls reject with (Web IDL §2.8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DomError {
    /// The call does not fit the signalling state, or it is closed.
    InvalidState,
    /// The description or the candidate cannot be used.
    Operation,
    /// The local description is not the one that was made.
    InvalidModification,
}

impl DomError {
    /// Returns the name in the standard.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidState => "InvalidStateError",
            Self::Operation => "OperationError",
            Self::InvalidModification => "InvalidModificationError",
        }
    }
}

/// What fired or was settled, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// A promise was settled.
    Settled(CallId, Result<Value, DomError>),
    /// `negotiationneeded` fired.
    NegotiationNeeded,
    /// `signalingstatechange` fired.
    SignalingStateChange(SignalingState),
    /// `track` fired for the media section with this identification.
    Track(u32),
    /// Gathering begins for new credentials: `icecandidate` events are to follow.
    Gather(Credentials),
}

/// An `RTCPeerConnection`. See the crate's documentation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PeerConnection {
    name: u64,
    made_credentials: u32,
    calls: CallCount,
    pub(crate) signaling: SignalingState,
    pub(crate) chain: VecDeque<(CallId, Call)>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) transceivers: Vec<Transceiver>,
    /// The transceivers as they were when `stable` was left, for a rollback.
    pub(crate) before: Vec<Transceiver>,
    pub(crate) current_local: Option<Description>,
    pub(crate) pending_local: Option<Description>,
    pub(crate) current_remote: Option<Description>,
    pub(crate) pending_remote: Option<Description>,
    /// `[[LastCreatedOffer]]`.
    pub(crate) last_offer: Option<Description>,
    /// Whether [`Self::last_offer`] was made since `stable` was last entered.
    pub(crate) offer_is_fresh: bool,
    /// `[[LastCreatedAnswer]]`.
    pub(crate) last_answer: Option<Description>,
    /// `[[LocalIceCredentialsToReplace]]`.
    pub(crate) to_replace: Vec<Credentials>,
    /// `[[NegotiationNeeded]]`.
    pub(crate) needed: bool,
    /// `[[UpdateNegotiationNeededFlagOnEmptyChain]]`.
    pub(crate) update_on_empty_chain: bool,
    pub(crate) update_queued: bool,
    /// Credentials for which gathering was begun.
    pub(crate) gathered: Option<Credentials>,
    pub(crate) mids: Mids,
    pub(crate) candidates: Vec<Candidate>,
    /// What the operation under way has made, if it makes any.
    pub(crate) prepared: Option<Result<Description, DomError>>,
}

/// How many calls there were. Like the ids it gives, no part of the value's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CallCount(u32);

impl std::hash::Hash for CallCount {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

impl PeerConnection {
    /// Makes a peer connection. `name` goes into its credentials: no other may have it.
    pub fn new(name: u64) -> Self {
        Self {
            name,
            made_credentials: 0,
            calls: CallCount(0),
            signaling: SignalingState::Stable,
            chain: VecDeque::new(),
            events: VecDeque::new(),
            transceivers: Vec::new(),
            before: Vec::new(),
            current_local: None,
            pending_local: None,
            current_remote: None,
            pending_remote: None,
            last_offer: None,
            offer_is_fresh: false,
            last_answer: None,
            to_replace: Vec::new(),
            needed: false,
            update_on_empty_chain: false,
            update_queued: false,
            gathered: None,
            mids: Mids::default(),
            candidates: Vec::new(),
            prepared: None,
        }
    }

    /// Returns the name that it was made with.
    pub fn name(&self) -> u64 {
        self.name
    }

    /// `signalingState`.
    pub fn signaling_state(&self) -> SignalingState {
        self.signaling
    }

    /// `getTransceivers()`.
    pub fn transceivers(&self) -> &[Transceiver] {
        &self.transceivers
    }

    /// `currentLocalDescription`.
    pub fn current_local_description(&self) -> Option<&Description> {
        self.current_local.as_ref()
    }

    /// `pendingLocalDescription`.
    pub fn pending_local_description(&self) -> Option<&Description> {
        self.pending_local.as_ref()
    }

    /// `currentRemoteDescription`.
    pub fn current_remote_description(&self) -> Option<&Description> {
        self.current_remote.as_ref()
    }

    /// `pendingRemoteDescription`.
    pub fn pending_remote_description(&self) -> Option<&Description> {
        self.pending_remote.as_ref()
    }

    /// `localDescription`: the pending one, or else the current.
    pub fn local_description(&self) -> Option<&Description> {
        self.pending_local.as_ref().or(self.current_local.as_ref())
    }

    /// `remoteDescription`: the pending one, or else the current.
    pub fn remote_description(&self) -> Option<&Description> {
        self.pending_remote.as_ref().or(self.current_remote.as_ref())
    }

    /// The remote candidates of the newest remote credentials.
    pub fn remote_candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    // ----- asynchronous methods

    /// Chains an operation. On a closed peer connection its promise is rejected at once.
    pub fn call(&mut self, call: Call) -> CallId {
        let id = CallId(self.calls.0);
        self.calls = CallCount(self.calls.0.wrapping_add(1));
        if self.signaling == SignalingState::Closed {
            self.events.push_back(Event::Settled(id, Err(DomError::InvalidState)));
        } else {
            self.chain.push_back((id, call));
            if self.chain.len() == 1 {
                self.begin();
            }
        }
        id
    }

    /// The operation under way.
    pub fn under_way(&self) -> Option<&Call> {
        self.chain.front().map(|(_, call)| call)
    }

    /// Ends the operation under way: its effects, its events, its promise.
    pub fn finish(&mut self) {
        let Some((id, call)) = self.chain.front().cloned() else {
            return;
        };
        let result = self.perform(call);
        self.events.push_back(Event::Settled(id, result));
        self.chain.pop_front();
        self.prepared = None;
        self.begin();
        if self.chain.is_empty() && std::mem::take(&mut self.update_on_empty_chain) {
            self.update_needed();
        }
    }

    /// Begins the operation that is the first of the chain now. As in Chromium, what it
    /// makes is made at once: changes that come while it is under way are not in it.
    /// (webrtc-pc §4.4.1.3 would look again, and so have them in.)
    fn begin(&mut self) {
        self.prepared = match self.chain.front() {
            Some((_, Call::CreateOffer)) => Some(self.create_offer()),
            Some((_, Call::CreateAnswer)) => Some(self.create_answer()),
            Some((_, Call::SetLocal)) => Some(match self.signaling {
                SignalingState::HaveRemoteOffer => self.create_answer(),
                SignalingState::Stable
                | SignalingState::HaveLocalOffer
                | SignalingState::Closed => self.created_or_new_offer(),
            }),
            Some(_) | None => None,
        };
    }

    /// Returns the next event; `None` when nothing is left to fire.
    pub fn poll_event(&mut self) -> Option<Event> {
        if self.events.is_empty() {
            self.run_update();
        }
        self.events.pop_front()
    }

    fn perform(&mut self, call: Call) -> Result<Value, DomError> {
        match call {
            Call::CreateOffer | Call::CreateAnswer => self.take_prepared().map(Value::Made),
            Call::SetLocal => {
                self.take_prepared().and_then(|description| self.set_local(description))
            }
            Call::SetLocalTo(text) => {
                let description = parse(&text)?;
                let last = [&self.last_offer, &self.last_answer];
                if !last.into_iter().flatten().any(|last| *last == description) {
                    return Err(DomError::InvalidModification);
                }
                self.set_local(description)
            }
            Call::SetRemote(text) => parse(&text).and_then(|given| self.set_remote(given)),
            Call::RollbackLocal | Call::RollbackRemote => self.roll_back(),
            Call::AddCandidate(candidate) => self.add_candidate(candidate),
        }
    }

    fn take_prepared(&mut self) -> Result<Description, DomError> {
        self.prepared.take().unwrap_or(Err(DomError::InvalidState))
    }

    pub(crate) fn fresh_credentials(&mut self) -> Credentials {
        self.made_credentials = self.made_credentials.saturating_add(1);
        Credentials { owner: self.name, count: self.made_credentials }
    }
}

fn parse(text: &str) -> Result<Description, DomError> {
    let description: Description = text.parse().map_err(|_| DomError::Operation)?;
    debug_assert!(description.kind != SdpType::Rollback, "a rollback has no text");
    Ok(description)
}
