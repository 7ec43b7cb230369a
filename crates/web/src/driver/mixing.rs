//! The desk: from the session's strips to the audio graph, and from the person's hands to the
//! session.

use std::rc::Rc;

use openstudio_session::Input;
use openstudio_session::wire::StripChange;
use openstudio_units::{Gain, PeerId};
use wasm_bindgen::JsValue;

use crate::audio::{Listening, Reading};
use crate::driver::browser;
use crate::driver::studio::Studio;
use crate::model::loudness::Loudness;
use crate::model::strip::Mixed;
use crate::view::put;

/// Where the browser remembers how loud the person listens.
const VOLUME_KEY: &str = "openstudio.monitor-volume";

impl Studio {
    /// The graph's sound goes through the desk from now on.
    pub(crate) fn install_desk(&mut self, module: Option<&JsValue>) {
        let meters = self.desk.meters.clone();
        let loudness = self.view.loudness;
        let on_reading = Rc::new(move |reading: Reading| match reading {
            Reading::Levels(levels) => meters.borrow_mut().look(&levels),
            Reading::Loudness(numbers) => put(loudness, Loudness::read(&numbers.to_vec())),
        });
        let Some(graph) = &mut self.desk.graph else { return };
        let installed = module.is_some_and(|module| graph.install(module, on_reading).is_ok());
        put(self.view.desk_missing, !installed);
    }

    /// Mixes a participant as the room and the person want it.
    pub(crate) fn follow_strip(&mut self, peer: PeerId) {
        let Some(session) = self.running.as_ref().map(|running| &running.session) else { return };
        let Some(participant) = session.participants().find(|seat| seat.peer_id == peer) else {
            return;
        };
        // The studio's engine says nothing.
        if !participant.role.is_person() {
            return;
        }
        let mixed = Mixed::new(participant, session.strip(peer), self.desk.solos.contains(&peer));
        let own = session.me() == Some(peer);
        let held = session.strip(peer).muted;
        if let Some(graph) = &mut self.desk.graph {
            if own { graph.mix_own(mixed) } else { graph.mix(peer, mixed) }
        }
        if own && self.desk.microphone.set_held(held) {
            put(self.view.held, held);
            self.follow_microphone(false);
        }
        self.prompt = true;
    }

    /// *Mute NAME*: oneself by one's own mute, others by the host's. A host who was muted by
    /// another lifts that first.
    pub(crate) fn toggle_mute(&mut self, peer: PeerId) {
        let Some(session) = self.running.as_ref().map(|running| &running.session) else { return };
        let muted = session.strip(peer).muted;
        let own = session.me() == Some(peer);
        if own && !muted {
            let muted = self.desk.microphone.is_muted();
            self.set_muted(!muted);
        } else {
            self.input(Input::SetStrip { peer, change: StripChange::muted(!muted) });
        }
    }

    /// *Solo NAME*: this person hears the chosen ones alone.
    pub(crate) fn toggle_solo(&mut self, peer: PeerId) {
        if !self.desk.solos.remove(&peer) {
            self.desk.solos.insert(peer);
        }
        self.follow_strip(peer);
    }

    /// Space held or released.
    pub(crate) fn cough(&mut self, coughs: bool) {
        self.desk.microphone.set_coughing(coughs);
        put(self.view.coughing, coughs);
        self.prompt = true;
    }

    /// Takes up how loud the person listened the last time.
    pub(crate) fn remember_volume(&self) {
        let volume = browser::remembered(VOLUME_KEY).and_then(|percent| percent.parse().ok());
        let volume = volume.and_then(|percent| Gain::from_percent(percent).ok());
        put(self.view.volume, volume.unwrap_or_default());
    }

    pub(crate) fn set_volume(&mut self, volume: Gain) {
        browser::remember(VOLUME_KEY, &volume.percent().to_string());
        put(self.view.volume, volume);
        self.follow_monitor();
    }

    pub(crate) fn listen_to(&mut self, listening: Listening) {
        put(self.view.listening, listening);
        self.follow_monitor();
    }

    pub(crate) fn follow_monitor(&mut self) {
        use leptos::prelude::GetUntracked as _;
        let (volume, listening) =
            (self.view.volume.get_untracked(), self.view.listening.get_untracked());
        if let Some(graph) = &mut self.desk.graph {
            graph.set_monitor(volume, listening);
        }
    }
}
