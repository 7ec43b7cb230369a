//! The negotiation-needed flag (webrtc-pc §4.7.3).

use crate::description::{Msid, SdpType};
use crate::peer_connection::{Event, PeerConnection, SignalingState};
use crate::transceiver::Transceiver;

impl PeerConnection {
    /// "Update the negotiation-needed flag": its queued part is [`Self::run_update`].
    pub(crate) fn update_needed(&mut self) {
        if self.chain.is_empty() {
            self.update_queued = true;
        } else {
            self.update_on_empty_chain = true;
        }
    }

    /// The queued part of "update the negotiation-needed flag".
    pub(crate) fn run_update(&mut self) {
        if !std::mem::take(&mut self.update_queued) {
            return;
        }
        if !self.chain.is_empty() {
            self.update_on_empty_chain = true;
        } else {
            self.update_now();
        }
    }

    pub(crate) fn update_now(&mut self) {
        if self.signaling != SignalingState::Stable {
            // It is updated again on the way back to stable.
        } else if !self.is_needed() {
            self.needed = false;
        } else if !self.needed {
            self.needed = true;
            self.events.push_back(Event::NegotiationNeeded);
        }
    }

    /// "Check if negotiation is needed".
    fn is_needed(&self) -> bool {
        // Chromium finds that before the first exchange there is always something to
        // negotiate; webrtc-pc asks for a transceiver. That shows after a rollback or
        // `restartIce()`.
        self.current_local.is_none()
            || !self.to_replace.is_empty()
            || self.transceivers.iter().any(|t| self.needs(t))
    }

    fn needs(&self, transceiver: &Transceiver) -> bool {
        let Some(local) = &self.current_local else {
            return true;
        };
        let section = |of: &Option<crate::Description>| {
            let description = of.as_ref()?;
            description
                .sections
                .iter()
                .find(|section| Some(section.mid) == transceiver.mid)
                .copied()
        };
        let Some(ours) = section(&self.current_local) else {
            return true;
        };
        if transceiver.direction.sends() && ours.msid != Msid::of(transceiver.stream) {
            return true;
        }
        let theirs = section(&self.current_remote).map(|section| section.direction.reversed());
        match (local.kind, theirs) {
            (SdpType::Answer, Some(offered)) => {
                ours.direction != transceiver.direction.intersected(offered)
            }
            (SdpType::Offer, theirs) => {
                ours.direction != transceiver.direction && theirs != Some(transceiver.direction)
            }
            (SdpType::Answer | SdpType::Rollback, _) => false,
        }
    }
}
