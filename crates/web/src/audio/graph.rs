//! The Web Audio graph: remote tracks and one's own → the desk → the loudspeaker.
//!
//! On pages of people who do not mix, before the desk is on the audio thread, and where it
//! cannot be, each track goes through a gain node of its own: everybody is heard as the room
//! wants it, without a programme. Where there is not even that, a media element plays the track
//! alone.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::Array;
use openstudio_session::mesh::PcId;
use openstudio_units::{Gain, PeerId};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    AudioContext, AudioContextOptions, AudioContextState, Document, Event, GainNode,
    HtmlAudioElement, MediaStream, MediaStreamTrack,
};

use crate::audio::desk_node::{DeskNode, INPUTS, Listening, MONITOR, OWN_INPUT, Reading};
use crate::audio::feed::{Feed, Target, WINDOW};
use crate::audio::let_run;
use crate::audio::meters::Meters;
use crate::driver::{Listener, Sink};
use crate::model::pace::Pace;
use crate::model::strip::Mixed;

/// Opus is 48 kHz; another rate would resample every track.
pub(crate) const SAMPLE_RATE: f32 = 48_000.0;

/// Seconds of sound made at a time, at most. The least that Chromium makes is 10 ms; twice as
/// much wakes the processor half as often, and a busy page has time for its desk before the
/// loudspeaker runs dry.
const LATENCY_S: f64 = 0.02;

/// One remote participant's way to the loudspeaker.
#[derive(Debug)]
struct Strip {
    pc: PcId,
    stream: MediaStream,
    /// None where the browser refuses the graph.
    feed: Option<Feed>,
    /// Chromium gives Web Audio silence unless a media element plays the stream as well.
    element: HtmlAudioElement,
}

impl Strip {
    /// Without a graph the element plays, and has to do it at the right place.
    fn play_to(&self, output: &str) {
        if self.feed.is_none() {
            let_run(self.element.unchecked_ref::<Sink>().set_sink_id(output));
        }
    }

    /// Without a graph the element does what it can: mute, and up to 100 %.
    fn follow(&self, mixed: Mixed) {
        let direct = self.feed.is_none();
        self.element.set_muted(!direct || mixed.silent);
        self.element.set_volume(f64::from(mixed.gain.factor()).min(1.0));
    }
}

impl Drop for Strip {
    fn drop(&mut self) {
        self.element.set_src_object(None);
    }
}

/// The graph. Dropping it closes the `AudioContext`.
#[derive(Debug)]
pub(crate) struct Graph {
    context: AudioContext,
    bus: GainNode,
    desk: Option<DeskNode>,
    strips: BTreeMap<PeerId, Strip>,
    own: Option<(MediaStream, Option<Feed>)>,
    window: Vec<f32>,
    /// How everybody is mixed, those too whose track has not come.
    mixed: BTreeMap<PeerId, Mixed>,
    own_mixed: Option<Mixed>,
    monitor: (Gain, Listening),
    /// Where it plays; empty for the browser's choice.
    output: String,
    pace: Pace,
    meters: Rc<RefCell<Meters>>,
    _gestures: [Listener; 2],
}

impl Graph {
    /// Makes the graph, and lets any gesture of the person start it.
    pub(crate) fn new(document: &Document, meters: Rc<RefCell<Meters>>) -> Result<Self, JsValue> {
        let options = AudioContextOptions::new();
        options.set_latency_hint(&LATENCY_S.into());
        options.set_sample_rate(SAMPLE_RATE);
        let context = AudioContext::new_with_context_options(&options)?;
        let bus = context.create_gain()?;
        bus.connect_with_audio_node(&context.destination())?;
        let listen = |kind| {
            let context = context.clone();
            Listener::new(document, kind, move |_: Event| {
                if context.state() != AudioContextState::Running {
                    let_run(context.resume());
                }
            })
        };
        let gestures = [listen("click"), listen("keydown")];
        Ok(Self {
            context,
            bus,
            desk: None,
            strips: BTreeMap::new(),
            own: None,
            window: vec![0.0; usize::from(WINDOW)],
            mixed: BTreeMap::new(),
            own_mixed: None,
            monitor: (Gain::UNITY, Listening::default()),
            output: String::new(),
            pace: Pace::Off,
            meters,
            _gestures: gestures,
        })
    }

    /// Returns the context, to bring the desk to its audio thread.
    pub(crate) fn context(&self) -> &AudioContext {
        &self.context
    }

    /// Returns whether anything can be heard.
    pub(crate) fn is_running(&self) -> bool {
        self.context.state() == AudioContextState::Running
    }

    /// Asks the browser to let the sound through; works in a gesture only.
    pub(crate) fn resume(&self) {
        let_run(self.context.resume());
    }

    /// The desk is on the audio thread: all sound goes through it from here on.
    pub(crate) fn install(
        &mut self,
        module: &JsValue,
        on_reading: Rc<dyn Fn(Reading)>,
    ) -> Result<(), JsValue> {
        let desk = DeskNode::new(&self.context, module, on_reading)?;
        desk.node().connect_with_audio_node_and_output(&self.bus, MONITOR)?;
        let (volume, listening) = self.monitor;
        desk.set_monitor(volume, listening);
        self.bus.gain().set_value(1.0);
        self.desk = Some(desk);
        self.pace = Pace::Off;
        for peer in self.strips.keys().copied().collect::<Vec<_>>() {
            self.feed(peer);
        }
        let own = self.own.take().map(|(stream, _)| stream);
        self.measure_own(own.as_ref());
        Ok(())
    }

    /// Plays the track that came on `pc` as `peer`'s; replaces the one before.
    pub(crate) fn play(
        &mut self,
        peer: PeerId,
        pc: PcId,
        track: &MediaStreamTrack,
    ) -> Result<(), JsValue> {
        let stream = MediaStream::new_with_tracks(&Array::of1(track))?;
        let element = HtmlAudioElement::new()?;
        element.set_src_object(Some(&stream));
        let before = self.strips.insert(peer, Strip { pc, stream, feed: None, element });
        drop(before);
        self.feed(peer);
        if let Some(strip) = self.strips.get(&peer) {
            if !self.output.is_empty() {
                strip.play_to(&self.output);
            }
            let_run(strip.element.play());
        }
        Ok(())
    }

    /// Gives a participant an input of the desk, if there is one.
    fn feed(&mut self, peer: PeerId) {
        let free = self.free_input();
        let mixed = self.mixed.get(&peer).copied();
        let Some(strip) = self.strips.get_mut(&peer) else { return };
        // The older source must be away before the stream has a new one.
        strip.feed = None;
        strip.feed = match (&self.desk, free) {
            (Some(desk), Some(input)) => {
                Feed::to_desk(&self.context, desk, &strip.stream, input).ok()
            }
            _ => Feed::to_bus(&self.context, &self.bus, &strip.stream).ok(),
        };
        let input = strip.feed.as_ref().and_then(Feed::input);
        self.meters.borrow_mut().set_input(peer, input);
        self.mix(peer, mixed.unwrap_or_default());
    }

    fn free_input(&self) -> Option<u8> {
        let used = |input| {
            let mut feeds = self.strips.values().filter_map(|strip| strip.feed.as_ref());
            feeds.any(|feed| feed.input() == Some(input))
        };
        (OWN_INPUT + 1..INPUTS).find(|input| !used(*input))
    }

    /// Ends what was played of `pc`, if it is still the one.
    pub(crate) fn stop(&mut self, pc: PcId) {
        let ended: Vec<PeerId> =
            self.strips.iter().filter(|(_, strip)| strip.pc == pc).map(|(peer, _)| *peer).collect();
        for peer in ended {
            let feed = self.strips.remove(&peer).and_then(|mut strip| strip.feed.take());
            let input = feed.as_ref().and_then(Feed::input);
            drop(feed);
            if let (Some(input), Some(desk)) = (input, &self.desk) {
                desk.clear(input);
            }
            self.meters.borrow_mut().set_input(peer, None);
        }
    }

    /// Forgets how a participant who left was mixed.
    pub(crate) fn forget(&mut self, peer: PeerId) {
        self.mixed.remove(&peer);
    }

    /// Takes the local microphone into the programme, or nothing.
    pub(crate) fn measure_own(&mut self, stream: Option<&MediaStream>) {
        // The older source must be away before its input is fed anew.
        self.own = None;
        let desk = self.desk.as_ref();
        self.own = stream.map(|stream| {
            let fed = match desk {
                Some(desk) => Feed::to_desk(&self.context, desk, stream, OWN_INPUT),
                None => Feed::measured(&self.context, stream),
            };
            let fed = fed.ok();
            // Not the stream's own method of that name, which copies its tracks.
            (Clone::clone(stream), fed)
        });
        if let (Some(desk), Some(mixed)) = (desk, self.own_mixed) {
            desk.set_strip(OWN_INPUT, mixed);
        }
    }

    /// Mixes a participant in another way from here on.
    pub(crate) fn mix(&mut self, peer: PeerId, mixed: Mixed) {
        self.mixed.insert(peer, mixed);
        let Some(strip) = self.strips.get(&peer) else { return };
        strip.follow(mixed);
        match (strip.feed.as_ref().map(Feed::target), &self.desk) {
            (Some(Target::Desk(input)), Some(desk)) => desk.set_strip(*input, mixed),
            (Some(Target::Bus(_)), _) => self.follow_solos(),
            (Some(Target::Desk(_)), None) | (None, _) => {}
        }
    }

    /// Sets all gain nodes: a solo silences the others.
    fn follow_solos(&self) {
        let any_solo = self.mixed.values().any(|mixed| mixed.solo);
        for (peer, strip) in &self.strips {
            let Some(Target::Bus(tapped)) = strip.feed.as_ref().map(Feed::target) else { continue };
            let mixed = self.mixed.get(peer).copied().unwrap_or_default();
            tapped.follow(mixed.heard(any_solo), self.context.current_time());
        }
    }

    /// Mixes the person in front of the screen in another way from here on.
    pub(crate) fn mix_own(&mut self, mixed: Mixed) {
        self.own_mixed = Some(mixed);
        if let Some(desk) = &self.desk {
            desk.set_strip(OWN_INPUT, mixed);
        }
    }

    /// Sets what is listened to, and how loud.
    pub(crate) fn set_monitor(&mut self, volume: Gain, listening: Listening) {
        self.monitor = (volume, listening);
        match &self.desk {
            Some(desk) => desk.set_monitor(volume, listening),
            None => self.bus.gain().set_value(volume.factor()),
        }
    }

    /// Plays to the loudspeaker with this id, or to the browser's choice if it is empty. Where
    /// that cannot be, the sound stays where it is.
    pub(crate) fn set_output(&mut self, id: &str) {
        if self.output == id {
            return;
        }
        id.clone_into(&mut self.output);
        let_run(self.context.unchecked_ref::<Sink>().set_sink_id(id));
        for strip in self.strips.values() {
            strip.play_to(id);
        }
    }

    /// Begins a new measurement of loudness.
    pub(crate) fn reset_loudness(&self) {
        if let Some(desk) = &self.desk {
            desk.reset_loudness();
        }
    }

    /// Returns the peaks of a participant, or of oneself, where the desk does not measure.
    pub(crate) fn peak(&mut self, peer: Option<PeerId>) -> f32 {
        let feed = match peer {
            Some(peer) => self.strips.get(&peer).and_then(|strip| strip.feed.as_ref()),
            None => self.own.as_ref().and_then(|(_, feed)| feed.as_ref()),
        };
        match feed.map(Feed::target) {
            Some(Target::Bus(tapped)) => tapped.peak(&mut self.window),
            Some(Target::Desk(_)) | None => 0.0,
        }
    }

    /// Returns whether the desk is on the audio thread, and measures.
    pub(crate) fn has_desk(&self) -> bool {
        self.desk.is_some()
    }

    /// How often levels are wanted. Saying the same again is free.
    pub(crate) fn set_pace(&mut self, pace: Pace) {
        if let Some(desk) = self.desk.as_ref().filter(|_| self.pace != pace) {
            desk.set_pace(pace);
            self.pace = pace;
            self.meters.borrow_mut().set_pace(pace);
        }
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        self.strips.clear();
        self.own = None;
        self.desk = None;
        let_run(self.context.close());
    }
}
