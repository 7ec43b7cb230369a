//! Who is in the room, at which sequence number.
//!
//! Applies snapshots and single changes; says what is different, and forgets nobody who
//! may yet come back. It does not know what a link is.
//!
//! Invariants: the sequence number never falls within one life of the server's room; a
//! change that is older than the roster changes nothing.

use std::collections::BTreeMap;

use openstudio_units::PeerId;
use openstudio_wire::{NamedStrip, Participant};

/// The participants of the room.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    seq: u64,
    seats: BTreeMap<PeerId, Participant>,
    /// Whether the server has started anew and may yet learn what it has forgotten.
    rebuilding: bool,
}

/// What a snapshot changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) changed: Vec<Participant>,
    pub(crate) gone: Vec<PeerId>,
    /// Strips that the server knows in an older revision than this, or not at all.
    pub(crate) forgotten: Vec<NamedStrip>,
}

impl Roster {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Participant> {
        self.seats.values()
    }

    /// Applies all seats at once. Without `complete`, who is missing is away, not gone:
    /// a restarted server has not heard from them yet.
    pub(crate) fn apply_snapshot(
        &mut self,
        seq: u64,
        complete: bool,
        participants: Vec<Participant>,
    ) -> Difference {
        self.seq = seq;
        self.rebuilding = !complete;
        let listed: Vec<PeerId> = participants.iter().map(|p| p.peer_id).collect();
        let mut difference = Difference::default();
        if self.rebuilding {
            difference.forgotten = self.forgotten_by(&participants);
        }
        for participant in participants {
            difference.changed.extend(self.put(participant));
        }
        let missing: Vec<PeerId> =
            self.seats.keys().filter(|peer| !listed.contains(peer)).copied().collect();
        for peer in missing {
            if complete {
                self.seats.remove(&peer);
                difference.gone.push(peer);
            } else if let Some(seat) = self.seats.get_mut(&peer).filter(|seat| seat.present) {
                seat.present = false;
                difference.changed.push(seat.clone());
            }
        }
        difference
    }

    /// Applies one seat. Returns it if anything is different.
    pub(crate) fn apply(&mut self, seq: u64, participant: Participant) -> Option<Participant> {
        if seq <= self.seq {
            return None;
        }
        self.seq = seq;
        self.put(participant)
    }

    /// Applies a mute. Returns the seat if anything is different.
    pub(crate) fn apply_mute(
        &mut self,
        seq: u64,
        peer: PeerId,
        muted: bool,
    ) -> Option<Participant> {
        let mut participant = self.seats.get(&peer)?.clone();
        participant.muted = muted;
        self.apply(seq, participant)
    }

    /// Applies a strip. Returns whether anything is different.
    pub(crate) fn apply_strip(
        &mut self,
        seq: u64,
        NamedStrip { peer_id, strip }: NamedStrip,
    ) -> bool {
        let known = self.seats.get(&peer_id).cloned();
        known.is_some_and(|known| self.apply(seq, Participant { strip, ..known }).is_some())
    }

    /// Takes note of a change that says nothing new.
    pub(crate) fn note(&mut self, seq: u64) {
        self.seq = self.seq.max(seq);
    }

    /// Returns a seat.
    pub(crate) fn get(&self, peer: PeerId) -> Option<&Participant> {
        self.seats.get(&peer)
    }

    /// Takes a seat out. Returns whether it was there.
    pub(crate) fn remove(&mut self, seq: u64, peer: PeerId) -> bool {
        self.seq = self.seq.max(seq);
        self.seats.remove(&peer).is_some()
    }

    /// Takes out everybody who is away. Returns who that was.
    pub(crate) fn drop_absent(&mut self) -> Vec<PeerId> {
        let gone: Vec<PeerId> =
            self.seats.values().filter(|seat| !seat.present).map(|seat| seat.peer_id).collect();
        self.seats.retain(|_, seat| seat.present);
        gone
    }

    fn forgotten_by(&self, participants: &[Participant]) -> Vec<NamedStrip> {
        let told = |peer| participants.iter().find(|p| p.peer_id == peer).map(|p| p.strip);
        self.seats
            .values()
            .filter(|seat| seat.strip.revision > told(seat.peer_id).unwrap_or_default().revision)
            .map(|seat| NamedStrip { peer_id: seat.peer_id, strip: seat.strip })
            .collect()
    }

    /// While the server has not learnt all again, the newer revision of a strip counts.
    fn put(&mut self, mut participant: Participant) -> Option<Participant> {
        let before = self.seats.get(&participant.peer_id);
        let kept = before.map(|before| before.strip).filter(|_| self.rebuilding);
        if let Some(kept) = kept.filter(|kept| kept.revision > participant.strip.revision) {
            participant.strip = kept;
        }
        let before = self.seats.insert(participant.peer_id, participant.clone());
        (before.as_ref() != Some(&participant)).then_some(participant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openstudio_units::{Gain, Incarnation, Role};
    use openstudio_wire::{Strip, StripChange};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn seat(n: u8) -> Participant {
        Participant {
            peer_id: PeerId::from_random_bytes([n; 16]),
            role: Role::Caller,
            name: None,
            incarnation: Incarnation(1),
            present: true,
            muted: false,
            microphone: false,
            strip: Strip::default(),
        }
    }

    #[test]
    fn an_incomplete_snapshot_drops_nobody() {
        let mut roster = Roster::default();
        roster.apply_snapshot(1, true, vec![seat(1), seat(2)]);
        let difference = roster.apply_snapshot(1, false, vec![seat(1)]);
        assert!(difference.gone.is_empty());
        assert!(!roster.seats[&seat(2).peer_id].present);
        let difference = roster.apply_snapshot(2, true, vec![seat(1)]);
        assert_eq!(difference.gone, [seat(2).peer_id]);
    }

    #[test]
    fn a_change_older_than_the_roster_changes_nothing() {
        let mut roster = Roster::default();
        roster.apply_snapshot(5, true, vec![seat(1)]);
        let muted = Participant { muted: true, ..seat(1) };
        assert_eq!(roster.apply(5, muted.clone()), None);
        assert_eq!(roster.apply(6, muted.clone()), Some(muted));
    }

    #[test]
    fn a_server_that_has_forgotten_a_strip_is_not_believed_until_it_is_complete() {
        let mut roster = Roster::default();
        let strip = Strip::default().changed(StripChange::gain(Gain::SILENCE));
        let touched = Participant { strip, ..seat(1) };
        roster.apply_snapshot(9, true, vec![touched.clone(), seat(2)]);
        let difference = roster.apply_snapshot(1, false, vec![seat(1)]);
        let forgotten = NamedStrip { peer_id: touched.peer_id, strip };
        assert_eq!(difference.forgotten, [forgotten]);
        assert_eq!(roster.get(touched.peer_id).unwrap().strip, strip);
        assert_eq!(roster.apply(2, seat(1)), None);
        let newer = strip.changed(StripChange::muted(true));
        assert!(roster.apply_strip(3, NamedStrip { strip: newer, ..forgotten }));
        assert_eq!(roster.get(touched.peer_id).unwrap().strip, newer);
        let difference = roster.apply_snapshot(4, true, vec![seat(1), seat(2)]);
        assert_eq!(difference.changed, [seat(1), seat(2)]);
        assert_eq!(roster.get(touched.peer_id).unwrap().strip, Strip::default());
    }

    #[test]
    fn what_is_the_same_is_not_reported() {
        let mut roster = Roster::default();
        roster.apply_snapshot(1, true, vec![seat(1)]);
        assert_eq!(roster.apply(2, seat(1)), None);
        assert_eq!(roster.apply_snapshot(3, true, vec![seat(1)]), Difference::default());
    }
}
