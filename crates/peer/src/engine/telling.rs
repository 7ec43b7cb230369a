//! Telling others how it stands: the snapshot, and who is there for the recording.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use openstudio_session::mesh::ConnectionState;
use openstudio_units::PeerId;

use super::Engine;
use crate::interruptions::Arrivals;
use crate::jitter::JitterCounters;
use crate::pitch::Heard;
use crate::recorder::{Known, Recorder};
use crate::snapshot::{Other, Snapshot};

impl Engine {
    /// Notes who is there, for the recording.
    fn follow_people(&mut self) {
        let Some(recorder) = &mut self.recorder else { return };
        let me = self.session.me();
        let others = self.session.participants();
        let others = others.filter(|o| o.present && o.role.is_person() && Some(o.peer_id) != me);
        let known = others.map(|other| {
            let name = other.name.as_ref().map(ToString::to_string).unwrap_or_default();
            let muted = other.muted || self.session.strip(other.peer_id).muted;
            (other.peer_id, Known { name, role: other.role, muted })
        });
        let now = Instant::now();
        recorder.follow(now, known.collect());
        let links = self.session.links().into_iter();
        let connected: BTreeSet<PeerId> = links
            .filter(|link| link.state == ConnectionState::Connected)
            .map(|link| link.peer)
            .collect();
        let heard = self.session.participants().filter(|other| other.microphone);
        let expected = heard.map(|other| other.peer_id).filter(|peer| connected.contains(peer));
        recorder.expect(now, &expected.collect());
    }

    /// Renews the snapshot.
    pub(super) fn show(&mut self) {
        self.follow_people();
        let seat = self.session.room().zip(self.session.me()).zip(self.session.role());
        let links: BTreeMap<PeerId, _> =
            self.session.links().into_iter().map(|link| (link.peer, link.state)).collect();
        let mut heard: BTreeMap<PeerId, (Heard, Option<f32>, JitterCounters)> = self
            .connections
            .values_mut()
            .map(|c| (c.peer, (c.ear.heard(), c.ear.tone(), c.ear.counters())))
            .collect();
        let me = self.session.me();
        let there: BTreeSet<PeerId> = self.session.participants().map(|one| one.peer_id).collect();
        self.arrivals.retain(|peer, _| there.contains(peer));
        let others = self.session.participants().filter(|other| Some(other.peer_id) != me);
        let others = others.filter(|other| other.role.is_person()).map(|other| {
            let silence = Heard { level_db: -120.0, hertz: None };
            let (heard, tone, packets) =
                heard.remove(&other.peer_id).unwrap_or((silence, None, JitterCounters::default()));
            Other {
                peer: other.peer_id,
                name: other.name.as_ref().map(ToString::to_string).unwrap_or_default(),
                sends_audio: other.microphone,
                muted: other.muted,
                strip: self.session.strip(other.peer_id),
                state: links.get(&other.peer_id).copied(),
                heard,
                tone,
                packets,
                gaps: self.arrivals.get(&other.peer_id).map(Arrivals::gaps).unwrap_or_default(),
            }
        });
        let snapshot = Snapshot {
            signalling: self.signalling,
            outages: self.outages.list(),
            seat: seat.map(|((room, me), role)| (room, me, role)),
            others: others.collect(),
            engine: self.session.engine().cloned(),
            recording: self.recorder.as_ref().map(Recorder::status),
            refusal: self.refusal.clone(),
            alarm: self.recorder.as_ref().and_then(Recorder::trouble).or(self.alarm.clone()),
            ended: self.ended.clone(),
        };
        self.shown.send_replace(snapshot);
    }
}
