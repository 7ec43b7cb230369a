//! Who takes part, in few bytes: a handful of participants, half of them with lower ids than
//! this side and half with higher ones.
//!
//! It is *not* a room; that is [`crate::server`].

use arbitrary::Arbitrary;
use openstudio_units::PeerId;

/// How many participants there are besides this side.
pub(crate) const OTHERS: u8 = 4;

/// One of the other participants.
#[derive(Arbitrary, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Who(u8);

impl Who {
    /// Everybody else.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..OTHERS).map(Self)
    }

    /// A number below [`OTHERS`].
    pub(crate) fn index(self) -> usize {
        usize::from(self.0 % OTHERS)
    }

    /// The id. Ids are compared from the first byte on; [`local`] is in the middle.
    pub(crate) fn id(self) -> PeerId {
        let first = [0x10, 0x20, 0xe0, 0xf0];
        PeerId::from_random_bytes([first.get(self.index()).copied().unwrap_or(0xf0); 16])
    }
}

/// This side's id, where the target chooses it.
pub(crate) fn local() -> PeerId {
    PeerId::from_random_bytes([0x80; 16])
}
