//! Making and applying descriptions (webrtc-pc §4.4.1.4 to §4.4.1.6, RFC 9429 §5.2 to §5.9).

use crate::chain::Value;
use crate::description::{Credentials, Description, Direction, Msid, SdpType, Section};
use crate::peer_connection::{DomError, Event, PeerConnection, SignalingState};
use crate::transceiver::{Origin, Transceiver};

impl PeerConnection {
    // ----- making

    pub(crate) fn create_offer(&mut self) -> Result<Description, DomError> {
        match self.signaling {
            SignalingState::Stable | SignalingState::HaveLocalOffer => {}
            SignalingState::HaveRemoteOffer | SignalingState::Closed => {
                return Err(DomError::InvalidState);
            }
        }
        let newest = self.local_description().map(|description| description.credentials);
        let credentials = match newest {
            Some(newest) if !self.to_replace.contains(&newest) => newest,
            Some(_) | None => self.fresh_credentials(),
        };
        let mut sections: Vec<Section> = Vec::new();
        for transceiver in &self.transceivers {
            let mid = transceiver.mid.unwrap_or_else(|| self.mids.generate());
            let Transceiver { kind, direction, .. } = *transceiver;
            sections.push(Section { mid, kind, direction, msid: transceiver.msid() });
        }
        // Sections keep their places; those without one follow in the order of making.
        let known = [self.local_description(), self.remote_description()];
        let place = |section: &Section| {
            let in_it =
                |known: &&Description| known.sections.iter().position(|s| s.mid == section.mid);
            known.iter().flatten().find_map(in_it).unwrap_or(usize::MAX)
        };
        sections.sort_by_key(place);
        self.made(SdpType::Offer, credentials, sections)
    }

    /// What `setLocalDescription()` applies: the offer that was made last, if it is still
    /// what would be made now, or else a new one. As in Chromium, none from before a rollback.
    pub(crate) fn created_or_new_offer(&mut self) -> Result<Description, DomError> {
        let last = self.last_offer.as_ref().filter(|last| self.is_accurate(last));
        last.cloned().map_or_else(|| self.create_offer(), Ok)
    }

    fn is_accurate(&self, offer: &Description) -> bool {
        let newest = self.local_description().map(|description| description.credentials);
        let kept = newest.is_none_or(|newest| newest == offer.credentials);
        let mut free = self.free_mids(offer);
        let mut says = |t: &Transceiver| {
            let Some(mid) = t.mid.or_else(|| free.next()) else { return false };
            let section = Section { mid, kind: t.kind, direction: t.direction, msid: t.msid() };
            offer.sections.contains(&section)
        };
        self.offer_is_fresh
            && (kept || newest.is_some_and(|newest| self.to_replace.contains(&newest)))
            && !self.to_replace.contains(&offer.credentials)
            && offer.sections.len() == self.transceivers.len()
            && self.transceivers.iter().all(&mut says)
    }

    pub(crate) fn create_answer(&mut self) -> Result<Description, DomError> {
        let Some(offer) = self.pending_remote.clone() else {
            return Err(DomError::InvalidState);
        };
        let before = self.current_remote.as_ref().map(|description| description.credentials);
        let restarts = before.is_some_and(|before| before != offer.credentials);
        let ours = self.current_local.as_ref().map(|description| description.credentials);
        let credentials = match ours {
            Some(ours) if !restarts => ours,
            Some(_) | None => self.fresh_credentials(),
        };
        let answer = |offered: &Section| {
            let wanted = self.transceivers.iter().find(|t| t.mid == Some(offered.mid));
            let msid = wanted.map_or(Msid::Absent, Transceiver::msid);
            let wanted = wanted.map_or(Direction::Inactive, |t| t.direction);
            let direction = wanted.intersected(offered.direction.reversed());
            Section { direction, msid, ..*offered }
        };
        let sections = offer.sections.iter().map(answer).collect();
        self.made(SdpType::Answer, credentials, sections)
    }

    fn made(
        &mut self,
        kind: SdpType,
        credentials: Credentials,
        sections: Vec<Section>,
    ) -> Result<Description, DomError> {
        if sections.is_empty() && kind == SdpType::Offer {
            // A browser makes an offer without sections; nothing of ours asks for one.
            return Err(DomError::Operation);
        }
        let description = Description { kind, credentials, sections };
        match kind {
            SdpType::Offer => {
                self.last_offer = Some(description.clone());
                self.offer_is_fresh = true;
            }
            SdpType::Answer | SdpType::Rollback => self.last_answer = Some(description.clone()),
        }
        Ok(description)
    }

    // ----- applying

    pub(crate) fn set_local(&mut self, description: Description) -> Result<Value, DomError> {
        let before = self.signaling;
        match (description.kind, before) {
            (SdpType::Offer, SignalingState::Stable | SignalingState::HaveLocalOffer) => {
                self.leave_stable();
                self.associate(&description);
                self.apply_streams(&description);
                self.pending_local = Some(description);
                self.signaling = SignalingState::HaveLocalOffer;
            }
            (SdpType::Answer, SignalingState::HaveRemoteOffer) => {
                self.apply_streams(&description);
                for section in &description.sections {
                    self.negotiated(section.mid, section.direction);
                }
                self.current_local = Some(description);
                self.current_remote = self.pending_remote.take();
                (self.last_offer, self.last_answer) = (None, None);
                self.become_stable();
            }
            _ => return Err(DomError::InvalidState),
        }
        self.changed(before);
        self.gather();
        Ok(Value::Undefined)
    }

    pub(crate) fn set_remote(&mut self, description: Description) -> Result<Value, DomError> {
        if (description.kind, self.signaling) == (SdpType::Offer, SignalingState::HaveLocalOffer) {
            let before = self.signaling;
            self.take_back();
            self.changed(before);
        }
        let before = self.signaling;
        let mut tracks = Vec::new();
        match (description.kind, before) {
            (SdpType::Offer, SignalingState::Stable | SignalingState::HaveRemoteOffer) => {
                self.leave_stable();
                self.take_sections(&description, &mut tracks);
                self.pending_remote = Some(description);
                self.signaling = SignalingState::HaveRemoteOffer;
            }
            (SdpType::Answer, SignalingState::HaveLocalOffer) => {
                for section in &description.sections {
                    self.fire_track(section, &mut tracks);
                    self.negotiated(section.mid, section.direction.reversed());
                }
                self.current_local = self.pending_local.take();
                self.current_remote = Some(description);
                (self.last_offer, self.last_answer) = (None, None);
                self.become_stable();
            }
            _ => return Err(DomError::InvalidState),
        }
        let newest = self.remote_description().map(|description| description.credentials);
        self.forget_candidates_but(newest);
        self.changed(before);
        self.events.extend(tracks.into_iter().map(Event::Track));
        Ok(Value::Undefined)
    }

    /// Takes the pending description back, whose ever it is.
    pub(crate) fn roll_back(&mut self) -> Result<Value, DomError> {
        let before = self.signaling;
        match before {
            SignalingState::HaveLocalOffer | SignalingState::HaveRemoteOffer => self.take_back(),
            SignalingState::Stable | SignalingState::Closed => return Err(DomError::InvalidState),
        }
        // In Chromium `negotiationneeded` comes first; in webrtc-pc it is the last.
        if self.chain.len() == 1 {
            self.update_on_empty_chain = false;
            self.update_now();
        }
        self.changed(before);
        Ok(Value::Undefined)
    }

    fn take_back(&mut self) {
        let snapshot = std::mem::take(&mut self.before);
        // A transceiver that a remote offer made goes, unless `addTrack()` took it since.
        let keeps = |index: usize, t: &Transceiver| {
            index < snapshot.len() || t.origin != Origin::Remote || t.taken
        };
        let kept = self.transceivers.drain(..).enumerate();
        let kept = kept.filter(|(index, t)| keeps(*index, t));
        self.transceivers = kept.map(|(index, t)| t.restored(snapshot.get(index))).collect();
        self.pending_local = None;
        self.pending_remote = None;
        self.become_stable();
        let newest = self.remote_description().map(|description| description.credentials);
        self.forget_candidates_but(newest);
    }

    // ----- parts

    fn leave_stable(&mut self) {
        if self.signaling == SignalingState::Stable {
            self.before = self.transceivers.clone();
        }
    }

    fn become_stable(&mut self) {
        self.signaling = SignalingState::Stable;
        self.before = Vec::new();
        self.offer_is_fresh = false;
        let ours = self.current_local.as_ref().map(|description| description.credentials);
        if !self.to_replace.is_empty() && !self.to_replace.iter().any(|old| Some(*old) == ours) {
            self.to_replace.clear();
        }
        self.needed = false;
        self.update_needed();
    }

    fn changed(&mut self, before: SignalingState) {
        if self.signaling != before {
            self.events.push_back(Event::SignalingStateChange(self.signaling));
        }
    }

    /// A local offer names the sections of those that have none.
    fn associate(&mut self, offer: &Description) {
        let mut free = self.free_mids(offer);
        for transceiver in self.transceivers.iter_mut().filter(|t| t.mid.is_none()) {
            transceiver.mid = free.next();
        }
    }

    /// The sections of an own offer that no transceiver has yet.
    fn free_mids(&self, offer: &Description) -> impl Iterator<Item = u32> + use<> {
        let taken: Vec<u32> = self.transceivers.iter().filter_map(|t| t.mid).collect();
        let mids = offer.sections.iter().map(|section| section.mid);
        mids.filter(|mid| !taken.contains(mid)).collect::<Vec<_>>().into_iter()
    }

    fn apply_streams(&mut self, local: &Description) {
        for section in &local.sections {
            self.mids.known.insert(section.mid);
            if let Some(transceiver) =
                self.transceivers.iter_mut().find(|t| t.mid == Some(section.mid))
            {
                transceiver.apply_local(section.msid);
            }
        }
    }

    /// A remote offer finds or makes the transceivers of its sections.
    fn take_sections(&mut self, offer: &Description, tracks: &mut Vec<u32>) {
        for section in &offer.sections {
            let Section { mid, kind, direction, .. } = *section;
            self.mids.known.insert(mid);
            if !self.transceivers.iter().any(|t| t.mid == Some(mid)) {
                let free = |t: &&mut Transceiver| {
                    t.mid.is_none() && t.kind == kind && t.origin == Origin::Track
                };
                match self.transceivers.iter_mut().find(free).filter(|_| direction.receives()) {
                    Some(transceiver) => transceiver.mid = Some(mid),
                    None => {
                        let made = Transceiver::new(kind, Direction::Recvonly, Origin::Remote);
                        self.transceivers.push(Transceiver { mid: Some(mid), ..made });
                    }
                }
            }
            self.fire_track(section, tracks);
        }
    }

    /// Fires when a track begins to come in, and when its stream is another one.
    fn fire_track(&mut self, remote: &Section, tracks: &mut Vec<u32>) {
        let mid = remote.mid;
        let Some(transceiver) = self.transceivers.iter_mut().find(|t| t.mid == Some(mid)) else {
            return;
        };
        let direction = remote.direction.reversed();
        let stream = remote.msid.stream().filter(|_| direction.receives());
        let fired = transceiver.fired.is_some_and(Direction::receives);
        let added = stream.is_some() && stream != transceiver.remote_stream;
        if direction.receives() && (!fired || added) {
            tracks.push(mid);
        }
        transceiver.fired = Some(direction);
        transceiver.remote_stream = stream;
    }

    fn negotiated(&mut self, mid: u32, direction: Direction) {
        if let Some(transceiver) = self.transceivers.iter_mut().find(|t| t.mid == Some(mid)) {
            transceiver.current_direction = Some(direction);
            transceiver.fired = Some(direction);
            transceiver.ever_sent |= direction.sends();
        }
    }

    fn gather(&mut self) {
        let newest = self.local_description().map(|description| description.credentials);
        if newest != self.gathered {
            self.gathered = newest;
            self.events.extend(newest.map(Event::Gather));
        }
    }
}
