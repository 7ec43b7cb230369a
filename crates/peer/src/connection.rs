//! One peer connection on str0m: performs single commands and reports their ends, as
//! `RTCPeerConnection` does.

mod candidates;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openstudio_session::mesh::{
    Completion, DescriptionKind, Input, OpError, OpId, PcId, PeerConnectionState, StatsSample,
};
use openstudio_units::{PeerId, Timestamp};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::format::Codec;
use str0m::media::{Direction, Frequency, MediaData, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive, Transmit};
use str0m::rtp::Extension;
use str0m::{Event, IceConnectionState, Output, Rtc, RtcConfig};

use crate::ear::Ear;
use crate::network::{Datagram, Network};
use candidates::Candidates;

/// How long the longest wait for the answer to a connectivity check is. With the four
/// repetitions below, a dead path is known after about 14 s (RFC 8445 §14.3 leaves it open).
const MAX_STUN_RTO: Duration = Duration::from_secs(1);

/// How often a connectivity check is repeated.
const STUN_RETRANSMITS: usize = 4;

/// How often str0m looks at its statistics.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// How many packets back those are that a redundant packet carries again. The second outlives
/// a packet and the one after it.
const REDUNDANT: [u32; 2] = [1, 2];

/// An offer that was made and not answered.
#[derive(Debug)]
struct Pending {
    offer: SdpPendingOffer,
    mid: Option<Mid>,
}

/// A packet that came, for whoever records.
#[derive(Debug)]
pub(crate) struct Tapped {
    /// When it came.
    pub(crate) arrival: Instant,
    /// Its RTP time, which does not wrap.
    pub(crate) time: u64,
    /// What it says.
    pub(crate) data: Arc<[u8]>,
}

/// How many packets were expected, and came or were brought back by those behind them.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    first: Option<u64>,
    highest: u64,
    received: u64,
}

impl Tally {
    fn expected(&self) -> u64 {
        self.first.map_or(0, |first| self.highest.saturating_sub(first) + 1)
    }

    /// Returns the share of packets that were lost since an earlier look.
    fn loss_since(&self, earlier: Self) -> Option<f64> {
        let expected = self.expected().saturating_sub(earlier.expected());
        let received = self.received.saturating_sub(earlier.received);
        (expected > 0).then(|| (1.0 - received as f64 / expected as f64).max(0.0))
    }
}

/// A peer connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// What it is called.
    pub(crate) pc: PcId,
    /// To whom.
    pub(crate) peer: PeerId,
    /// What is heard on it.
    pub(crate) ear: Ear,
    /// When the newest packet of sound came.
    pub(crate) heard: Option<Instant>,
    /// When it wants to be told the time.
    pub(crate) due: Instant,
    /// Packets that came, if somebody wants them.
    pub(crate) tap: Option<Vec<Tapped>>,
    rtc: Rtc,
    candidates: Candidates,
    /// The one audio section, once it is agreed on.
    mid: Option<Mid>,
    offers: bool,
    pending: Option<Pending>,
    /// The answer to the offer that was applied, until it is asked for.
    answer: Option<String>,
    remote_fragment: Option<String>,
    wants_restart: bool,
    track_told: bool,
    /// Whether DTLS has come to its end.
    secured: bool,
    state: PeerConnectionState,
    tally: Tally,
    looked: Tally,
    round_trip: Option<Duration>,
    /// The loss that the other side reported, until it is asked for.
    reported_loss: Option<f32>,
    is_redundant: bool,
    reports: VecDeque<Input>,
}

impl Connection {
    /// Makes a peer connection. With `relay_only`, packets go through relays alone
    /// (`iceTransportPolicy: "relay"`).
    pub(crate) fn new(
        (pc, peer): (PcId, PeerId),
        (offers, relay_only): (bool, bool),
        now: Instant,
        network: &Network,
    ) -> Result<Self, OpError> {
        // Without transport-wide sequence numbers a browser sends no probes. In a stream of sound
        // they are packets of padding, and str0m takes what is lost beside one for padding, too:
        // its copy is not looked for.
        let mut config = RtcConfig::new()
            .clear_extension_map()
            .set_extension(1, Extension::AudioLevel)
            .set_extension(4, Extension::RtpMid)
            .clear_codecs()
            .enable_opus(true, true)
            .set_red_distances(&REDUNDANT)
            .set_reordering_size_audio(0)
            .set_stats_interval(Some(STATS_INTERVAL));
        config.set_max_stun_rto(MAX_STUN_RTO);
        config.set_max_stun_retransmits(STUN_RETRANSMITS);
        let mut reports = VecDeque::new();
        if offers {
            reports.push_back(Input::NegotiationNeeded { pc });
        }
        let mut connection = Self {
            pc,
            peer,
            ear: Ear::new().map_err(|error| op_error(&error))?,
            heard: None,
            due: now,
            tap: None,
            rtc: config.build(now),
            candidates: Candidates::new(relay_only, network.is_gathering()),
            mid: None,
            offers,
            pending: None,
            answer: None,
            remote_fragment: None,
            wants_restart: false,
            track_told: false,
            secured: false,
            state: PeerConnectionState::New,
            tally: Tally::default(),
            looked: Tally::default(),
            round_trip: None,
            reported_loss: None,
            is_redundant: false,
            reports,
        };
        network.candidates().iter().for_each(|one| connection.add_local_candidate(one));
        Ok(connection)
    }

    /// Returns what has happened.
    pub(crate) fn next_report(&mut self) -> Option<Input> {
        self.reports.pop_front()
    }

    /// Reports the end of an operation.
    pub(crate) fn complete(&mut self, op: OpId, result: Result<Completion, OpError>) {
        self.reports.push_back(Input::Completed { op, result });
    }

    /// `setLocalDescription()`.
    pub(crate) fn set_local_description(&mut self, op: OpId) {
        let described = match self.answer.take() {
            Some(sdp) => Ok((DescriptionKind::Answer, sdp)),
            None => self.offer().map(|sdp| (DescriptionKind::Offer, sdp)),
        };
        let described = described.map(|(kind, sdp)| Completion::LocalDescriptionSet { kind, sdp });
        let is_set = described.is_ok();
        self.complete(op, described);
        if is_set {
            self.tell_candidates();
        }
    }

    fn offer(&mut self) -> Result<String, OpError> {
        // An offer of one's own in place of an earlier one replaces it (RFC 9429 §4.1.10).
        self.pending = None;
        let mut api = self.rtc.sdp_api();
        let mid = (self.offers && self.mid.is_none())
            .then(|| api.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None));
        // An offer must offer something: with all agreed, that is another ICE generation.
        if self.wants_restart || mid.is_none() {
            api.ice_restart(true);
        }
        let (offer, pending) = api.apply().ok_or_else(|| OpError("nothing to offer".into()))?;
        self.pending = Some(Pending { offer: pending, mid });
        let sdp = offer.to_sdp_string();
        self.candidates.described(&sdp);
        Ok(sdp)
    }

    /// `setRemoteDescription(…)`.
    pub(crate) fn set_remote_description(&mut self, op: OpId, kind: DescriptionKind, sdp: &str) {
        let sdp = candidates::without_names(sdp);
        let applied = match kind {
            DescriptionKind::Offer => self.take_offer(&sdp),
            DescriptionKind::Answer => self.take_answer(&sdp),
        };
        if applied.is_ok() {
            self.follow_fragment(&sdp);
        }
        self.complete(op, applied.map(|()| Completion::Done));
        if applied_again(kind, self.wants_restart) {
            let pc = self.pc;
            self.reports.push_back(Input::NegotiationNeeded { pc });
        }
    }

    /// Taking an offer rolls an own one back.
    fn take_offer(&mut self, sdp: &str) -> Result<(), OpError> {
        self.pending = None;
        let offer = SdpOffer::from_sdp_string(sdp).map_err(|error| op_error(&error))?;
        let answer = self.rtc.sdp_api().accept_offer(offer).map_err(|error| op_error(&error))?;
        let sdp = answer.to_sdp_string();
        self.candidates.described(&sdp);
        self.answer = Some(sdp);
        Ok(())
    }

    fn take_answer(&mut self, sdp: &str) -> Result<(), OpError> {
        let Some(pending) = self.pending.take() else {
            return Err(OpError("there is no offer to be answered".into()));
        };
        let answer = SdpAnswer::from_sdp_string(sdp).map_err(|error| op_error(&error))?;
        self.rtc
            .sdp_api()
            .accept_answer(pending.offer, answer)
            .map_err(|error| op_error(&error))?;
        self.wants_restart = false;
        if let Some(mid) = pending.mid {
            self.agree(mid);
        }
        Ok(())
    }

    /// Another user name fragment is another ICE generation, on both sides (RFC 8839 §4.4.1).
    fn follow_fragment(&mut self, sdp: &str) {
        let fragment = candidates::fragment_of(sdp).map(str::to_owned);
        if self.remote_fragment.is_some() && self.remote_fragment != fragment {
            self.wants_restart = false;
        }
        self.remote_fragment = fragment;
    }

    fn agree(&mut self, mid: Mid) {
        self.mid.get_or_insert(mid);
        self.send_redundancy();
        if !std::mem::replace(&mut self.track_told, true) {
            let pc = self.pc;
            self.reports.push_back(Input::RemoteTrackAdded { pc });
        }
    }

    /// `restartIce()`.
    pub(crate) fn restart_ice(&mut self) {
        self.wants_restart = true;
        let pc = self.pc;
        self.reports.push_back(Input::NegotiationNeeded { pc });
    }

    /// Sends earlier packets again with each packet, or no longer. Both sides can since their
    /// first round, or never.
    pub(crate) fn set_redundant(&mut self, on: bool) {
        self.is_redundant = on;
        self.send_redundancy();
    }

    /// Returns whether it sends redundancy, where the other side understands that.
    pub(crate) fn is_redundant(&self) -> bool {
        self.is_redundant
    }

    fn send_redundancy(&mut self) {
        if let Some(mid) = self.mid {
            self.rtc.direct_api().set_red_send(mid, self.is_redundant);
        }
    }

    /// Looks at the connection.
    pub(crate) fn sample_stats(&mut self, op: OpId, detailed: bool) {
        let mut sample =
            StatsSample { inbound_progress: self.tally.received, ..StatsSample::default() };
        if detailed {
            sample.round_trip = self.round_trip;
            sample.inbound_loss = self.tally.loss_since(self.looked);
            sample.outbound_loss = self.reported_loss.take().map(f64::from);
            self.looked = self.tally;
        }
        self.complete(op, Ok(Completion::Stats(sample)));
    }

    /// Sends a packet of sound that begins at `time`, in frames.
    pub(crate) fn send(&mut self, now: Instant, time: u64, packet: &Arc<[u8]>) {
        // str0m would keep what comes too early, and send all of it at once when connected.
        if !self.rtc.is_connected() {
            return;
        }
        let Some(writer) = self.mid.and_then(|mid| self.rtc.writer(mid)) else { return };
        let opus = writer.payload_params().find(|params| params.spec().codec == Codec::Opus);
        let Some(pt) = opus.map(|params| params.pt()) else { return };
        let time = MediaTime::new(time, Frequency::FORTY_EIGHT_KHZ);
        if let Err(error) = writer.write(pt, now, time, packet.clone()) {
            tracing::debug!(%error, "a packet was not sent");
        }
    }

    /// Returns whether a datagram is for this connection.
    pub(crate) fn accepts(&self, now: Instant, datagram: &Datagram) -> bool {
        received(datagram).is_some_and(|data| self.rtc.accepts(&str0m::Input::Receive(now, data)))
    }

    /// Takes a datagram. What is wrong with one says nothing of the connection: anybody can
    /// send one.
    pub(crate) fn receive(&mut self, now: Instant, datagram: &Datagram) {
        let Some(data) = received(datagram) else { return };
        if let Err(error) = self.rtc.handle_input(str0m::Input::Receive(now, data)) {
            tracing::debug!(%error, "a datagram was refused");
        }
    }

    /// Takes the time.
    pub(crate) fn wake(&mut self, now: Instant) {
        let taken = self.rtc.handle_input(str0m::Input::Timeout(now));
        self.fail_on(taken);
    }

    /// Sends what is to be sent and takes what has happened. Wanted after each change.
    pub(crate) fn settle(&mut self, network: &mut Network, clock: impl Fn(Instant) -> Timestamp) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(due)) => {
                    self.due = due;
                    return;
                }
                Ok(Output::Transmit(Transmit { source, destination, contents, .. })) => {
                    network.send(Instant::now(), (source, destination), &contents);
                }
                Ok(Output::Event(event)) => self.take(event, &clock),
                Err(error) => {
                    self.fail_on::<()>(Err(error));
                    self.due += Duration::from_secs(3_600);
                    return;
                }
            }
        }
    }

    /// Closes the connection, and lets the other side know (RFC 8446 §6.1).
    pub(crate) fn close(&mut self, network: &mut Network) {
        let closing = self.rtc.close();
        self.fail_on(closing);
        while let Ok(output @ (Output::Transmit(_) | Output::Event(_))) = self.rtc.poll_output() {
            if let Output::Transmit(Transmit { source, destination, contents, .. }) = output {
                network.send(Instant::now(), (source, destination), &contents);
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "str0m tells much that nobody here wants")]
    fn take(&mut self, event: Event, clock: &impl Fn(Instant) -> Timestamp) {
        match event {
            Event::Connected => {
                self.secured = true;
                self.change(PeerConnectionState::Connected);
            }
            Event::IceConnectionStateChange(state) => self.ice_changed(state),
            Event::Closed => self.change(PeerConnectionState::Failed),
            Event::MediaAdded(added) if added.kind == MediaKind::Audio => self.agree(added.mid),
            Event::MediaData(data) => self.hear(&data, clock(data.network_time)),
            Event::MediaEgressStats(stats) => {
                self.reported_loss = stats.loss.or(self.reported_loss);
            }
            Event::PeerStats(stats) => {
                self.round_trip =
                    stats.selected_candidate_pair.and_then(|pair| pair.current_round_trip_time);
            }
            _ => {}
        }
    }

    fn ice_changed(&mut self, state: IceConnectionState) {
        match state {
            IceConnectionState::New => {}
            // An ICE restart checks beside the path in use (RFC 8445 §2.4).
            IceConnectionState::Checking if self.state == PeerConnectionState::Connected => {}
            IceConnectionState::Checking => self.change(PeerConnectionState::Connecting),
            IceConnectionState::Connected | IceConnectionState::Completed if self.secured => {
                self.change(PeerConnectionState::Connected);
            }
            // DTLS follows, and tells.
            IceConnectionState::Connected | IceConnectionState::Completed => {
                self.change(PeerConnectionState::Connecting);
            }
            IceConnectionState::Disconnected => self.change(PeerConnectionState::Disconnected),
        }
    }

    fn hear(&mut self, data: &MediaData, arrival: Timestamp) {
        if self.mid.is_some_and(|mid| mid != data.mid) {
            return;
        }
        let sequence = **data.seq_range.end();
        self.tally.first.get_or_insert(sequence);
        self.tally.highest = self.tally.highest.max(sequence);
        self.tally.received += 1;
        self.heard = Some(data.network_time);
        if let Some(tap) = &mut self.tap {
            let (arrival, time) = (data.network_time, data.time.numer());
            tap.push(Tapped { arrival, time, data: data.data.clone() });
        }
        self.ear.take(arrival, data.time.numer(), data.data.clone());
    }

    fn change(&mut self, state: PeerConnectionState) {
        if self.state != state && self.state != PeerConnectionState::Failed {
            self.state = state;
            let pc = self.pc;
            self.reports.push_back(Input::ConnectionStateChanged { pc, state });
        }
    }

    fn fail_on<T>(&mut self, result: Result<T, str0m::RtcError>) {
        if let Err(error) = result {
            tracing::warn!(%error, "a peer connection failed");
            self.change(PeerConnectionState::Failed);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.rtc.disconnect();
    }
}

/// Returns whether an ICE restart that was rolled back is to be offered again.
fn applied_again(kind: DescriptionKind, wants_restart: bool) -> bool {
    kind == DescriptionKind::Offer && wants_restart
}

fn received(datagram: &Datagram) -> Option<Receive<'_>> {
    let Datagram { source, destination, data } = datagram;
    Receive::new(Protocol::Udp, *source, *destination, data).ok()
}

fn op_error(error: &impl std::fmt::Display) -> OpError {
    OpError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_the_share_of_what_was_expected_since_the_last_look() {
        let earlier = Tally { first: Some(100), highest: 199, received: 100 };
        let now = Tally { first: Some(100), highest: 299, received: 190 };
        assert!((now.loss_since(earlier).unwrap() - 0.1).abs() < 1e-9);
        assert_eq!(earlier.loss_since(earlier), None);
        assert_eq!(Tally::default().loss_since(Tally::default()), None);
    }
}
