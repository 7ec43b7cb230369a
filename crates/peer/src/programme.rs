//! The programme, mixed from what a participant hears: the sum of all who are on air, through
//! the limiter, as at the desk.

use std::collections::BTreeMap;

use openstudio_mix::{Desk, DeskConfig, StripSettings};
use openstudio_session::wire;
use openstudio_units::PeerId;

use crate::{PACKET_FRAMES, SAMPLE_RATE};

/// Strips of the programme: more than there are in a room.
const STRIPS: usize = DeskConfig::MAX_STRIPS;

/// The mix.
#[derive(Debug)]
pub(crate) struct Programme {
    desk: Desk,
    strips: BTreeMap<PeerId, usize>,
    /// Which strips were written for the present block.
    written: u32,
}

impl Programme {
    /// Makes a mix of nobody. None if the desk cannot be made, which is a mistake in `STRIPS`.
    pub(crate) fn new() -> Option<Self> {
        let config =
            DeskConfig { sample_rate: SAMPLE_RATE, strips: STRIPS, max_frames: PACKET_FRAMES };
        let desk = Desk::prepare(config).ok()?;
        Some(Self { desk, strips: BTreeMap::new(), written: 0 })
    }

    /// Takes 20 ms of somebody's sound, left and right in turn.
    pub(crate) fn sound(&mut self, peer: PeerId, strip: wire::Strip, piece: &[f32]) {
        let Some(place) = self.place(peer) else { return };
        let wire::Strip { gain, on_air, muted, .. } = strip;
        self.desk
            .set_strip(place, StripSettings { gain, muted, on_air, ..StripSettings::default() });
        let Some(sides) = self.desk.input_mut(place) else { return };
        for (side, samples) in sides.into_iter().enumerate() {
            for (to, from) in samples.iter_mut().zip(piece.iter().skip(side).step_by(2)) {
                *to = *from;
            }
        }
        self.written |= 1 << place;
    }

    /// Mixes what came since the last time: left and right, 20 ms.
    pub(crate) fn mix(&mut self) -> [&[f32]; 2] {
        let written = std::mem::take(&mut self.written);
        self.desk.process(PACKET_FRAMES, written);
        // Whoever has no connection any more needs no strip.
        let desk = &mut self.desk;
        self.strips.retain(|_, place| {
            let kept = written >> *place & 1 == 1;
            if !kept {
                desk.clear_strip(*place);
            }
            kept
        });
        self.desk.programme()
    }

    fn place(&mut self, peer: PeerId) -> Option<usize> {
        if let Some(place) = self.strips.get(&peer) {
            return Some(*place);
        }
        let free = (0..STRIPS).find(|place| !self.strips.values().any(|taken| taken == place))?;
        self.strips.insert(peer, free);
        Some(free)
    }
}
