//! The methods that take effect at once: tracks, transceivers, `restartIce()`, `close()`.

use crate::description::Direction;
use crate::peer_connection::{DomError, PeerConnection, SignalingState};
use crate::transceiver::{Kind, Origin, StreamId, Transceiver};

impl PeerConnection {
    /// `addTransceiver(kind, {direction})`.
    ///
    /// # Errors
    /// [`DomError::InvalidState`] when it is closed.
    pub fn add_transceiver(&mut self, kind: Kind, direction: Direction) -> Result<(), DomError> {
        self.check_open()?;
        self.transceivers.push(Transceiver::new(kind, direction, Origin::Added));
        self.update_needed();
        Ok(())
    }

    /// `addTrack(track)` with a track of this kind. Returns the index of the transceiver.
    ///
    /// # Errors
    /// [`DomError::InvalidState`] when it is closed.
    pub fn add_track(&mut self, kind: Kind) -> Result<usize, DomError> {
        self.check_open()?;
        // webrtc-pc §5.1: a sender of the kind that never had a track is used again.
        let free = |t: &Transceiver| t.kind == kind && !t.has_track && !t.ever_sent;
        let index = self.transceivers.iter().position(free).unwrap_or(self.transceivers.len());
        if let Some(transceiver) = self.transceivers.get_mut(index) {
            transceiver.has_track = true;
            transceiver.taken = true;
            transceiver.direction = match transceiver.direction {
                Direction::Recvonly | Direction::Sendrecv => Direction::Sendrecv,
                Direction::Inactive | Direction::Sendonly => Direction::Sendonly,
            };
        } else {
            let made = Transceiver::new(kind, Direction::Sendrecv, Origin::Track);
            self.transceivers.push(Transceiver { has_track: true, ..made });
        }
        self.update_needed();
        Ok(index)
    }

    /// `transceiver.direction = direction`, of the transceiver at `index`.
    ///
    /// # Errors
    /// [`DomError::InvalidState`] when it is closed.
    pub fn set_direction(&mut self, index: usize, direction: Direction) -> Result<(), DomError> {
        self.check_open()?;
        if let Some(transceiver) = self.transceivers.get_mut(index)
            && transceiver.direction != direction
        {
            transceiver.direction = direction;
            self.update_needed();
        }
        Ok(())
    }

    /// `sender.setStreams(stream)` of the transceiver at `index`.
    ///
    /// # Errors
    /// [`DomError::InvalidState`] when it is closed.
    pub fn set_streams(&mut self, index: usize, stream: Option<StreamId>) -> Result<(), DomError> {
        self.check_open()?;
        if let Some(transceiver) = self.transceivers.get_mut(index) {
            transceiver.stream = stream;
            self.update_needed();
        }
        Ok(())
    }

    /// `sender.replaceTrack(…)` of the transceiver at `index`: never touches descriptions. As
    /// in Chromium it takes effect at once; in webrtc-pc it is chained like an operation.
    ///
    /// # Errors
    /// [`DomError::InvalidState`] when it is closed.
    pub fn replace_track(&mut self, index: usize, has_track: bool) -> Result<(), DomError> {
        self.check_open()?;
        if let Some(transceiver) = self.transceivers.get_mut(index) {
            transceiver.has_track = has_track;
        }
        Ok(())
    }

    /// `restartIce()`.
    pub fn restart_ice(&mut self) {
        if self.signaling == SignalingState::Closed {
            return;
        }
        let local = [&self.current_local, &self.pending_local];
        self.to_replace = local.into_iter().flatten().map(|d| d.credentials).collect();
        self.update_needed();
    }

    /// `close()`. What is on the chain never ends.
    pub fn close(&mut self) {
        self.signaling = SignalingState::Closed;
        self.chain.clear();
        self.prepared = None;
        self.events.clear();
        self.update_queued = false;
        self.update_on_empty_chain = false;
    }

    fn check_open(&self) -> Result<(), DomError> {
        match self.signaling {
            SignalingState::Closed => Err(DomError::InvalidState),
            SignalingState::Stable
            | SignalingState::HaveLocalOffer
            | SignalingState::HaveRemoteOffer => Ok(()),
        }
    }
}
