//! What this participant changes on the desk, until the server has confirmed it.
//!
//! One change a strip is under way at a time; what is wanted meanwhile waits and is one
//! change when its turn comes, so that a fader that is dragged sends no more than the way to
//! the server carries. It does not know what the strips are like: the roster does.
//!
//! Invariants: the last thing wanted is what is sent last; what was not confirmed when a
//! socket broke is sent again on the next one.

use std::collections::BTreeMap;
use std::time::Duration;

use openstudio_units::{PeerId, Timestamp};
use openstudio_wire::{ClientMessage, Strip, StripChange};

/// After how long a change without an answer is sent again: the server drops messages that
/// come too fast. To send one twice does no harm.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What is not confirmed of one strip.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Pending {
    /// Sent, and not answered.
    under_way: StripChange,
    /// Not sent.
    wanted: StripChange,
}

/// The changes of this participant that the server has not confirmed.
#[derive(Debug, Default)]
pub(crate) struct Mixer {
    pending: BTreeMap<PeerId, Pending>,
    again_at: Option<Timestamp>,
}

impl Mixer {
    /// Returns what to show on top of the confirmed strip.
    pub(crate) fn unconfirmed(&self, peer: PeerId) -> StripChange {
        let pending = self.pending.get(&peer).copied().unwrap_or_default();
        pending.under_way.then(pending.wanted)
    }

    /// The person changes a strip.
    pub(crate) fn want(&mut self, peer: PeerId, change: StripChange) {
        let pending = self.pending.entry(peer).or_default();
        pending.wanted = pending.wanted.then(change);
    }

    /// The server told what a strip is like after a change of this participant's: the one
    /// under way, unless a restored strip comes before it.
    pub(crate) fn on_confirmed(&mut self, peer: PeerId, strip: Strip) {
        let pending = self.pending.get_mut(&peer);
        if let Some(pending) = pending.filter(|p| strip.with(p.under_way) == strip) {
            pending.under_way = StripChange::default();
        }
        self.tidy();
    }

    /// The server refused a change, or the participant is gone: nothing is wanted any more.
    /// Returns whether anything was.
    pub(crate) fn forget(&mut self, peer: PeerId) -> bool {
        let known = self.pending.remove(&peer).is_some();
        self.tidy();
        known
    }

    /// The socket is gone, and with it all answers.
    pub(crate) fn on_lost(&mut self) {
        for pending in self.pending.values_mut() {
            pending.wanted = pending.under_way.then(pending.wanted);
            pending.under_way = StripChange::default();
        }
        self.again_at = None;
    }

    /// Returns what is to be sent, which then is under way.
    pub(crate) fn take_messages(&mut self, now: Timestamp) -> Vec<ClientMessage> {
        let mut messages = Vec::new();
        for (peer_id, pending) in &mut self.pending {
            if pending.under_way.is_empty() && !pending.wanted.is_empty() {
                let change = std::mem::take(&mut pending.wanted);
                pending.under_way = change;
                messages.push(ClientMessage::SetStrip { peer_id: *peer_id, change });
            }
        }
        if !messages.is_empty() {
            self.again_at = Some(now + ANSWER_TIMEOUT);
        }
        messages
    }

    /// Wants again what has been under way for too long. Returns whether there is any.
    pub(crate) fn on_timeout(&mut self, now: Timestamp) -> bool {
        let due = self.again_at.is_some_and(|at| now >= at);
        if due {
            self.on_lost();
        }
        due
    }

    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.again_at
    }

    fn tidy(&mut self) {
        self.pending.retain(|_, pending| *pending != Pending::default());
        if self.pending.values().all(|pending| pending.under_way.is_empty()) {
            self.again_at = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openstudio_units::Gain;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const NOW: Timestamp = Timestamp::ZERO;

    fn peer() -> PeerId {
        PeerId::from_random_bytes([1; 16])
    }

    fn gain(percent: u16) -> StripChange {
        StripChange::gain(Gain::from_percent(percent).unwrap())
    }

    fn sent(mixer: &mut Mixer, now: Timestamp) -> Vec<StripChange> {
        let change = |message| {
            let ClientMessage::SetStrip { change, .. } = message else {
                panic!("{message:?}");
            };
            change
        };
        mixer.take_messages(now).into_iter().map(change).collect()
    }

    #[test]
    fn a_dragged_fader_has_one_message_under_way() {
        let mut mixer = Mixer::default();
        mixer.want(peer(), gain(101));
        assert_eq!(sent(&mut mixer, NOW), [gain(101)]);
        for percent in 102..150 {
            mixer.want(peer(), gain(percent));
            assert_eq!(sent(&mut mixer, NOW), []);
        }
        mixer.want(peer(), StripChange::muted(true));
        assert_eq!(mixer.unconfirmed(peer()), gain(149).then(StripChange::muted(true)));
        let strip = Strip::default();
        mixer.on_confirmed(peer(), strip);
        assert_eq!(sent(&mut mixer, NOW), [], "that was not the change under way");
        mixer.on_confirmed(peer(), strip.with(gain(101)));
        assert_eq!(sent(&mut mixer, NOW), [gain(149).then(StripChange::muted(true))]);
        mixer.on_confirmed(peer(), strip.with(gain(149)).with(StripChange::muted(true)));
        assert_eq!(sent(&mut mixer, NOW), []);
        assert_eq!(mixer.unconfirmed(peer()), StripChange::default());
        assert_eq!(mixer.deadline(), None);
    }

    #[test]
    fn what_was_under_way_when_the_socket_broke_is_sent_again() {
        let mut mixer = Mixer::default();
        mixer.want(peer(), gain(50));
        mixer.take_messages(NOW);
        mixer.want(peer(), StripChange::on_air(false));
        mixer.on_lost();
        assert_eq!(mixer.deadline(), None);
        assert_eq!(sent(&mut mixer, NOW), [gain(50).then(StripChange::on_air(false))]);
    }

    #[test]
    fn a_change_without_an_answer_is_sent_again_and_the_later_wish_wins() {
        let mut mixer = Mixer::default();
        mixer.want(peer(), gain(50));
        mixer.take_messages(NOW);
        mixer.want(peer(), gain(60));
        assert!(!mixer.on_timeout(NOW + Duration::from_millis(1999)));
        let later = NOW + ANSWER_TIMEOUT;
        assert_eq!(mixer.deadline(), Some(later));
        assert!(mixer.on_timeout(later));
        assert_eq!(sent(&mut mixer, later), [gain(60)]);
        assert_eq!(mixer.deadline(), Some(later + ANSWER_TIMEOUT));
    }

    #[test]
    fn what_the_server_refused_is_no_longer_wanted() {
        let mut mixer = Mixer::default();
        mixer.want(peer(), gain(50));
        mixer.take_messages(NOW);
        assert!(mixer.forget(peer()));
        assert!(!mixer.forget(peer()));
        assert_eq!((mixer.unconfirmed(peer()), mixer.deadline()), (StripChange::default(), None));
    }
}
