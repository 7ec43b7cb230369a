//! The meters on the screen: moved outside the reactive system, and only when they must.

use std::collections::BTreeMap;

use openstudio_units::PeerId;
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use crate::model::level::{self, STEPS};

/// How often the levels are looked at, milliseconds: ten times a second.
pub(crate) const TICK_MS: i32 = 100;

/// Every how many looks the number for assistive technology is renewed: once a second.
const TICKS_PER_NUMBER: u32 = 10;

/// One meter. Its only child covers the scale from the right and is scaled away.
#[derive(Debug)]
struct Meter {
    element: HtmlElement,
    cover: HtmlElement,
    shown: u8,
    said: u8,
}

/// All meters of the room.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    meters: BTreeMap<PeerId, Meter>,
    ticks: u32,
}

impl Meters {
    /// Takes over the meter of a card that has come to the screen.
    pub(crate) fn add(&mut self, peer: PeerId, element: HtmlElement) {
        let Some(cover) = element.first_element_child() else { return };
        let meter = Meter { element, cover: cover.unchecked_into(), shown: 0, said: 0 };
        self.meters.insert(peer, meter);
    }

    /// Forgets a participant's meter.
    pub(crate) fn remove(&mut self, peer: PeerId) {
        self.meters.remove(&peer);
    }

    /// Moves the meters to what `level` gives.
    pub(crate) fn tick(&mut self, mut level: impl FnMut(PeerId) -> u8) {
        self.ticks = self.ticks.wrapping_add(1);
        let speaks = self.ticks.is_multiple_of(TICKS_PER_NUMBER);
        for (peer, meter) in &mut self.meters {
            meter.move_to(level::follow(meter.shown, level(*peer)));
            if speaks {
                meter.say();
            }
        }
    }
}

impl Meter {
    fn move_to(&mut self, step: u8) {
        if step == self.shown {
            return;
        }
        self.shown = step;
        let covered = 1.0 - f32::from(step) / f32::from(STEPS);
        let transform = format!("scaleX({covered})");
        drop(self.cover.style().set_property("transform", &transform));
    }

    fn say(&mut self) {
        let percent = level::percent(self.shown);
        if percent == self.said {
            return;
        }
        self.said = percent;
        drop(self.element.set_attribute("aria-valuenow", &percent.to_string()));
    }
}
