//! One `RTCPeerConnection`: performs single commands and reports their ends.

use std::rc::Rc;

use js_sys::{Array, Promise, Reflect};
use openstudio_session::mesh::{
    Completion, DescriptionKind, IceCandidate, Input, OpError, OpId, PcId, PeerConnectionState,
};
use openstudio_session::wire::IceConfig;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    Event, MediaStream, MediaStreamTrack, RtcBundlePolicy, RtcConfiguration, RtcIceCandidateInit,
    RtcIceServer, RtcIceTransportPolicy, RtcPeerConnection, RtcPeerConnectionIceEvent,
    RtcRtpSender, RtcRtpTransceiver, RtcRtpTransceiverDirection, RtcRtpTransceiverInit, RtcSdpType,
    RtcSessionDescriptionInit, RtcTrackEvent,
};

use crate::driver::event::{Port, Report};
use crate::driver::externs::{ImplicitPeerConnection, StreamSender};
use crate::driver::listener::Listener;
use crate::driver::sending::{self, Sending};
use crate::driver::stats::Progress;
use crate::model::opus;
use crate::model::processing::Processing;

/// What a new peer connection is made with.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    /// Its name.
    pub(crate) pc: PcId,
    /// Whether this side makes the first offer.
    pub(crate) offers: bool,
    /// Whether relayed candidates alone are used.
    pub(crate) relay_only: bool,
    /// STUN and TURN servers.
    pub(crate) ice: &'a IceConfig,
    /// The local track, if there is one.
    pub(crate) track: Option<&'a MediaStreamTrack>,
    /// Names the local stream for the other side.
    pub(crate) stream: &'a MediaStream,
    /// What the microphone is used for.
    pub(crate) processing: Processing,
}

/// A peer connection. Dropping it removes the listeners, then closes it.
#[derive(Debug)]
pub(crate) struct PeerConnection {
    /// Their track, once it is there.
    pub(crate) remote: Option<MediaStreamTrack>,
    /// What the statistics said so far.
    pub(crate) progress: Progress,
    relay_only: bool,
    native: ImplicitPeerConnection,
    sending: Rc<Sending>,
    listeners: Vec<Listener>,
}

impl PeerConnection {
    /// Makes a peer connection.
    pub(crate) fn new(port: &Port, setup: &Setup<'_>) -> Result<Self, OpError> {
        let configuration = configuration(setup.ice, setup.relay_only);
        let native: ImplicitPeerConnection =
            RtcPeerConnection::new_with_configuration(&configuration)
                .map_err(|error| op_error(&error))?
                .unchecked_into();
        let sending = Rc::new(Sending::new(native.clone(), setup.processing));
        let mut listeners = listen(port, setup.pc, &native);
        listeners.push(sending.follow());
        let progress = Progress::default();
        let relay_only = setup.relay_only;
        let connection = Self { remote: None, progress, relay_only, native, sending, listeners };
        if setup.offers {
            let init = RtcRtpTransceiverInit::new();
            init.set_direction(RtcRtpTransceiverDirection::Sendrecv);
            init.set_streams(&Array::of1(setup.stream));
            sending::limit(&init, setup.processing);
            match setup.track {
                Some(track) => {
                    connection.native.add_transceiver_with_media_stream_track_and_init(track, &init)
                }
                None => connection.native.add_transceiver_with_str_and_init("audio", &init),
            };
        }
        Ok(connection)
    }

    /// `setConfiguration(…)`: other servers, or newer credentials, for what is gathered from
    /// here on. What is allocated goes on; the next offer restarts ICE (RFC 9429 §4.1.18).
    pub(crate) fn set_ice(&self, ice: &IceConfig) {
        let configuration = configuration(ice, self.relay_only);
        if self.native.set_configuration_with_configuration(&configuration).is_err() {
            tracing::warn!("setConfiguration() failed");
        }
    }

    /// Sends for another purpose; returns whether that takes a round of negotiation.
    pub(crate) fn set_processing(&self, processing: Processing) -> bool {
        self.sending.set_processing(processing)
    }

    /// Sends with redundancy or without; returns whether that takes a round of negotiation.
    pub(crate) fn set_redundant(&self, redundant: bool) -> bool {
        self.sending.set_redundant(redundant)
    }

    /// `setLocalDescription()`.
    pub(crate) fn set_local_description(&self, port: Port, op: OpId) {
        let native = self.native.clone();
        let promise = self.sending.set_local_description();
        run(port, op, promise, move || {
            let description = native.local_description();
            let Some(description) = description else {
                return Err(OpError("there is no local description".into()));
            };
            let kind = if description.type_() == RtcSdpType::Offer {
                DescriptionKind::Offer
            } else {
                DescriptionKind::Answer
            };
            Ok(Completion::LocalDescriptionSet { kind, sdp: description.sdp() })
        });
    }

    /// `setRemoteDescription(…)`. An applied offer is reported as such first, so that its
    /// transceivers are attached before the operation completes.
    pub(crate) fn set_remote_description(
        &self,
        port: Port,
        (op, pc): (OpId, PcId),
        kind: DescriptionKind,
        sdp: &str,
    ) {
        let sdp_type = match kind {
            DescriptionKind::Offer => RtcSdpType::Offer,
            DescriptionKind::Answer => RtcSdpType::Answer,
        };
        let init = RtcSessionDescriptionInit::new(sdp_type);
        init.set_sdp(&self.sending.read(sdp));
        let promise = self.native.set_remote_description(&init);
        let sending = self.sending.clone();
        let sends_stereo = opus::stereo_of(sdp).sends;
        spawn_local(async move {
            let applied = JsFuture::from(promise).await;
            if applied.is_ok() && sending.hear(sends_stereo) && kind == DescriptionKind::Answer {
                port.mesh(Input::NegotiationNeeded { pc });
            }
            match applied {
                Ok(_) if kind == DescriptionKind::Offer => {
                    port.report(Report::OfferApplied { op, pc });
                }
                Ok(_) => port.complete(op, Ok(Completion::Done)),
                Err(error) => port.complete(op, Err(op_error(&error))),
            }
        });
    }

    /// Takes the transceivers that an offer made: both directions, and the local track.
    pub(crate) fn attach(
        &self,
        port: Port,
        op: OpId,
        track: Option<&MediaStreamTrack>,
        stream: &MediaStream,
    ) {
        for transceiver in sending::audio_transceivers(&self.native) {
            transceiver.set_direction(RtcRtpTransceiverDirection::Sendrecv);
            let sender: StreamSender = transceiver.sender().unchecked_into();
            // Where it is missing, the other side gets a track without a stream.
            drop(sender.set_streams(stream));
            replace_track(&sender, track);
        }
        // The browser takes the calls of one connection in order (webrtc-pc §4.4.1.2): the
        // answer that follows need not wait for the track here.
        port.complete(op, Ok(Completion::Done));
    }

    /// Sends another track, or none, from here on. Never touches descriptions.
    pub(crate) fn replace_track(&self, track: Option<&MediaStreamTrack>) {
        for transceiver in sending::audio_transceivers(&self.native) {
            replace_track(&transceiver.sender(), track);
        }
    }

    /// `addIceCandidate(…)` for each.
    pub(crate) fn add_ice_candidates(&self, port: Port, op: OpId, candidates: &[IceCandidate]) {
        let calls: Vec<JsFuture> =
            candidates.iter().map(|candidate| self.add_ice_candidate(candidate).into()).collect();
        spawn_local(async move {
            let mut refused = 0;
            for call in calls {
                refused += u32::from(call.await.is_err());
            }
            port.complete(op, Ok(Completion::CandidatesAdded { refused }));
        });
    }

    fn add_ice_candidate(&self, candidate: &IceCandidate) -> Promise {
        let init = RtcIceCandidateInit::new(&candidate.candidate);
        init.set_sdp_mid(candidate.sdp_mid.as_deref());
        init.set_sdp_m_line_index(candidate.sdp_m_line_index);
        if let Some(fragment) = &candidate.username_fragment {
            // Setting a property of a plain object cannot fail.
            drop(Reflect::set(&init, &"usernameFragment".into(), &fragment.into()));
        }
        self.native.add_ice_candidate_with_opt_rtc_ice_candidate_init(Some(&init))
    }

    /// `restartIce()`.
    pub(crate) fn restart_ice(&self) {
        if self.native.restart_ice().is_err() {
            tracing::warn!("restartIce() failed");
        }
    }

    /// Returns sender and receiver of the audio, once they are there.
    pub(crate) fn transceiver(&self) -> Option<RtcRtpTransceiver> {
        sending::audio_transceivers(&self.native).next()
    }
}

impl Drop for PeerConnection {
    fn drop(&mut self) {
        self.listeners.clear();
        self.native.close();
    }
}

fn replace_track(sender: &RtcRtpSender, track: Option<&MediaStreamTrack>) {
    let promise = sender.replace_track(track);
    spawn_local(async move {
        // Fails only on a connection that is closed meanwhile.
        drop(JsFuture::from(promise).await);
    });
}

/// Reports the end of `promise`, with what `completion` makes of it.
fn run(
    port: Port,
    op: OpId,
    promise: Result<Promise, JsValue>,
    completion: impl FnOnce() -> Result<Completion, OpError> + 'static,
) {
    spawn_local(async move {
        let result = match promise {
            Ok(promise) => JsFuture::from(promise).await,
            Err(error) => Err(error),
        };
        port.complete(op, result.map_err(|error| op_error(&error)).and_then(|_| completion()));
    });
}

fn listen(port: &Port, pc: PcId, native: &ImplicitPeerConnection) -> Vec<Listener> {
    let negotiation = port.clone();
    let candidates = port.clone();
    let states = port.clone();
    let tracks = port.clone();
    let watched = native.clone();
    vec![
        Listener::new(native, "negotiationneeded", move |_: Event| {
            negotiation.mesh(Input::NegotiationNeeded { pc });
        }),
        Listener::new(native, "icecandidate", move |event: RtcPeerConnectionIceEvent| {
            let candidate = event.candidate().map(|candidate| IceCandidate {
                candidate: candidate.candidate(),
                sdp_mid: candidate.sdp_mid(),
                sdp_m_line_index: candidate.sdp_m_line_index(),
                username_fragment: Reflect::get(&candidate, &"usernameFragment".into())
                    .ok()
                    .and_then(|fragment| fragment.as_string()),
            });
            // An empty line ends one generation's candidates; the end of all follows it.
            if candidate.as_ref().is_none_or(|candidate| !candidate.candidate.is_empty()) {
                candidates.mesh(Input::LocalCandidateGathered { pc, candidate });
            }
        }),
        Listener::new(native, "connectionstatechange", move |_: Event| {
            if let Some(state) = state_of(&watched) {
                states.mesh(Input::ConnectionStateChanged { pc, state });
            }
        }),
        Listener::new(native, "track", move |event: RtcTrackEvent| {
            tracks.report(Report::TrackArrived { pc, track: event.track() });
        }),
    ]
}

fn state_of(native: &ImplicitPeerConnection) -> Option<PeerConnectionState> {
    use web_sys::RtcPeerConnectionState as Native;
    Some(match native.connection_state() {
        Native::New => PeerConnectionState::New,
        Native::Connecting => PeerConnectionState::Connecting,
        Native::Connected => PeerConnectionState::Connected,
        Native::Disconnected => PeerConnectionState::Disconnected,
        Native::Failed => PeerConnectionState::Failed,
        Native::Closed => PeerConnectionState::Closed,
        _ => return None,
    })
}

/// How peer connections are made.
pub(crate) fn configuration(ice: &IceConfig, relay_only: bool) -> RtcConfiguration {
    let servers = Array::new();
    if !ice.stun.is_empty() {
        let server = RtcIceServer::new();
        server.set_urls(&strings(&ice.stun));
        servers.push(&server);
    }
    for turn in &ice.turn {
        let server = RtcIceServer::new();
        server.set_urls(&strings(&turn.urls));
        server.set_username(&turn.username);
        server.set_credential(&turn.credential);
        servers.push(&server);
    }
    let configuration = RtcConfiguration::new();
    configuration.set_ice_servers(&servers);
    configuration.set_bundle_policy(RtcBundlePolicy::MaxBundle);
    if relay_only {
        configuration.set_ice_transport_policy(RtcIceTransportPolicy::Relay);
    }
    // Setting a property of a plain object cannot fail.
    drop(Reflect::set(&configuration, &"rtcpMuxPolicy".into(), &"require".into()));
    configuration
}

fn strings(texts: &[String]) -> Array {
    texts.iter().map(|text| JsValue::from_str(text)).collect()
}

/// Returns the words of an exception.
pub(crate) fn op_error(error: &JsValue) -> OpError {
    let text = |key: &str| Reflect::get(error, &key.into()).ok().and_then(|v| v.as_string());
    let name = text("name").unwrap_or_else(|| "error".to_owned());
    OpError(text("message").map_or(name.clone(), |message| format!("{name}: {message}")))
}
