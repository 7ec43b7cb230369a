//! Faults of the signalling plane beyond delay: messages that are lost or come twice.
//!
//! A WebSocket does neither; a relay between servers, or one that restarts, does.

use std::collections::BTreeMap;

/// Which relayed messages a fault picks, by their `type` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relayed {
    /// Offers.
    Offer,
    /// Answers.
    Answer,
    /// Candidates.
    Candidates,
    /// Requests for an offer.
    Request,
}

impl Relayed {
    pub(crate) const ALL: [Self; 4] = [Self::Offer, Self::Answer, Self::Candidates, Self::Request];

    fn tag(self) -> &'static str {
        match self {
            Self::Offer => "\"type\":\"offer\"",
            Self::Answer => "\"type\":\"answer\"",
            Self::Candidates => "\"type\":\"ice-candidates\"",
            Self::Request => "\"type\":\"request-offer\"",
        }
    }
}

/// What happens to a message that is picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// It never arrives.
    Lost,
    /// It arrives twice.
    Doubled,
}

/// How many of the next messages of each kind meet with which fate.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    left: BTreeMap<(Relayed, Fate), u32>,
}

impl Faults {
    pub(crate) fn add(&mut self, kind: Relayed, fate: Fate, count: u32) {
        *self.left.entry((kind, fate)).or_default() += count;
    }

    /// What a trouble that ends has not used does not happen any more.
    pub(crate) fn clear(&mut self, kind: Relayed, fate: Fate) {
        self.left.remove(&(kind, fate));
    }

    /// How often a text arrives.
    pub(crate) fn copies(&mut self, text: &str) -> usize {
        if self.left.is_empty() {
            return 1;
        }
        let kind = Relayed::ALL.into_iter().find(|kind| text.contains(kind.tag()));
        let Some(kind) = kind else { return 1 };
        let mut take = |fate| {
            let left = self.left.get_mut(&(kind, fate));
            left.is_some_and(|left| {
                let any = *left > 0;
                *left = left.saturating_sub(1);
                any
            })
        };
        if take(Fate::Lost) {
            return 0;
        }
        if take(Fate::Doubled) { 2 } else { 1 }
    }
}
