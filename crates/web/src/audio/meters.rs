//! The meters on the screen: moved outside the reactive system, and only when they must.

use std::collections::BTreeMap;

use js_sys::Float32Array;
use openstudio_units::PeerId;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use crate::audio::desk_node::{INPUTS, OWN_INPUT};
use crate::model::meter::{self, Needle, STEPS, Shown};
use crate::model::pace::Pace;

/// Every how many looks the number for assistive technology is renewed: once a second.
const LOOKS_PER_NUMBER: u32 = 60;

/// The same in ticks of 100 ms, and how many looks one of them stands for.
const TICKS_PER_NUMBER: u32 = 10;
const LOOKS_PER_TICK: u32 = 6;

/// How many numbers the desk sends: a peak and an RMS for each input and the programme.
const NUMBERS: usize = (INPUTS as usize + 1) * 2;

/// The attribute of a card whose owner speaks.
const SPEAKING: &str = "data-speaking";

/// One meter. Its first child covers the scale from the right and is scaled away; its second
/// is the mark.
#[derive(Debug)]
struct Meter {
    element: HtmlElement,
    cover: HtmlElement,
    mark: Option<HtmlElement>,
    card: Option<Element>,
    needle: Needle,
    shown: Shown,
    said: u8,
}

impl Meter {
    fn new(element: HtmlElement) -> Option<Self> {
        let cover = element.first_element_child()?;
        let mark = cover.next_element_sibling().map(JsCast::unchecked_into);
        let card = element.closest(".card").ok().flatten();
        Some(Self {
            element,
            cover: cover.unchecked_into(),
            mark,
            card,
            needle: Needle::default(),
            shown: Shown::default(),
            said: 0,
        })
    }

    fn look(&mut self, peak: f32, span: u32, speaks: bool) {
        for _ in 1..span {
            self.needle.look(peak);
        }
        let shown = self.needle.look(peak);
        if shown.bar != self.shown.bar {
            let covered = 1.0 - f32::from(shown.bar) / f32::from(STEPS);
            transform(&self.cover, &format!("scaleX({covered:.4})"));
        }
        if shown.mark != self.shown.mark
            && let Some(mark) = &self.mark
        {
            let share = 100.0 * f32::from(shown.mark) / f32::from(STEPS);
            transform(mark, &format!("translateX({share:.2}%)"));
        }
        if shown.speaks != self.shown.speaks
            && let Some(card) = &self.card
        {
            drop(card.toggle_attribute_with_force(SPEAKING, shown.speaks));
        }
        self.shown = shown;
        if speaks {
            self.say();
        }
    }

    fn say(&mut self) {
        let percent = meter::percent(self.shown.bar);
        if percent != self.said {
            self.said = percent;
            drop(self.element.set_attribute("aria-valuenow", &percent.to_string()));
        }
    }
}

fn transform(element: &HtmlElement, value: &str) {
    drop(element.style().set_property("transform", value));
}

/// All meters of the room.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    meters: BTreeMap<PeerId, Meter>,
    programme: Option<Meter>,
    /// Which input of the desk is whose.
    inputs: BTreeMap<PeerId, u8>,
    looks: u32,
    ticks: u32,
    /// How many sixtieths of a second one look stands for.
    span: u32,
}

impl Meters {
    /// Takes over the meter of a card that has come to the screen.
    pub(crate) fn add(&mut self, peer: PeerId, element: HtmlElement) {
        self.meters.extend(Meter::new(element).map(|meter| (peer, meter)));
    }

    /// Takes over the meter of the programme.
    pub(crate) fn set_programme(&mut self, element: HtmlElement) {
        self.programme = Meter::new(element);
    }

    /// Says who the person in front of the screen is.
    pub(crate) fn set_own(&mut self, peer: PeerId) {
        self.inputs.insert(peer, OWN_INPUT);
    }

    /// Says which input of the desk is whose; none if it has none any more.
    pub(crate) fn set_input(&mut self, peer: PeerId, input: Option<u8>) {
        match input {
            Some(input) => self.inputs.insert(peer, input),
            None => self.inputs.remove(&peer),
        };
    }

    /// Forgets a participant's meter.
    pub(crate) fn remove(&mut self, peer: PeerId) {
        self.meters.remove(&peer);
        self.inputs.remove(&peer);
    }

    /// Says how often the desk sends levels, so that meters fall as fast as ever.
    pub(crate) fn set_pace(&mut self, pace: Pace) {
        self.span = if pace == Pace::Slow { 12 } else { 1 };
    }

    /// Moves the meters to what `peak` gives, ten times a second.
    pub(crate) fn look_at(&mut self, mut peak: impl FnMut(PeerId) -> f32) {
        self.ticks = self.ticks.wrapping_add(1);
        let speaks = self.ticks.is_multiple_of(TICKS_PER_NUMBER);
        for (peer, meter) in &mut self.meters {
            meter.look(peak(*peer), LOOKS_PER_TICK, speaks);
        }
    }

    /// Moves the meters to what the desk measured.
    pub(crate) fn look(&mut self, levels: &Float32Array) {
        let mut numbers = [0.0; NUMBERS];
        if usize::try_from(levels.length()) != Ok(NUMBERS) {
            return;
        }
        levels.copy_to(&mut numbers);
        let span = self.span.max(1);
        let peak = |index: u8| numbers.get(usize::from(index) * 2).copied().unwrap_or_default();
        let before = self.looks / LOOKS_PER_NUMBER;
        self.looks = self.looks.wrapping_add(span);
        let speaks = self.looks / LOOKS_PER_NUMBER != before;
        for (peer, meter) in &mut self.meters {
            let measured = self.inputs.get(peer).map_or(0.0, |input| peak(*input));
            meter.look(measured, span, speaks);
        }
        if let Some(programme) = &mut self.programme {
            programme.look(peak(INPUTS), span, speaks);
        }
    }
}
