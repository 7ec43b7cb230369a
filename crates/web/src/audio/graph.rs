//! The Web Audio graph: remote track → level tap → bus → loudspeaker.

use std::collections::BTreeMap;

use js_sys::Array;
use openstudio_session::mesh::PcId;
use openstudio_units::PeerId;
use wasm_bindgen::JsValue;
use web_sys::{
    AnalyserNode, AudioContext, AudioContextOptions, AudioContextState, Document, Event, GainNode,
    HtmlAudioElement, MediaStream, MediaStreamAudioSourceNode, MediaStreamTrack,
};

use crate::audio::let_run;
use crate::driver::Listener;
use crate::model::level;

/// Opus is 48 kHz; another rate would resample every track.
const SAMPLE_RATE: f32 = 48_000.0;

/// Samples behind one level: 21 ms, a pitch period of the lowest voice.
const WINDOW: u16 = 1024;

/// A stream whose level is measured.
#[derive(Debug)]
struct Tap {
    source: MediaStreamAudioSourceNode,
    analyser: AnalyserNode,
}

impl Tap {
    fn new(context: &AudioContext, stream: &MediaStream) -> Result<Self, JsValue> {
        let source = context.create_media_stream_source(stream)?;
        let analyser = context.create_analyser()?;
        analyser.set_fft_size(u32::from(WINDOW));
        source.connect_with_audio_node(&analyser)?;
        Ok(Self { source, analyser })
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // Fails only for nodes that are not connected.
        drop(self.source.disconnect());
        drop(self.analyser.disconnect());
    }
}

/// One remote participant's way to the loudspeaker.
#[derive(Debug)]
struct Strip {
    pc: PcId,
    /// None where the browser refuses the graph: then the element alone is heard.
    tap: Option<Tap>,
    /// Chromium gives Web Audio silence unless a media element plays the stream as well.
    element: HtmlAudioElement,
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
    strips: BTreeMap<PeerId, Strip>,
    own: Option<Tap>,
    window: Vec<f32>,
    _gestures: [Listener; 2],
}

impl Graph {
    /// Makes the graph, and lets any gesture of the person start it.
    pub(crate) fn new(document: &Document) -> Result<Self, JsValue> {
        let options = AudioContextOptions::new();
        options.set_latency_hint(&"interactive".into());
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
        let window = vec![0.0; usize::from(WINDOW)];
        let strips = BTreeMap::new();
        Ok(Self { context, bus, strips, own: None, window, _gestures: gestures })
    }

    /// Returns whether anything can be heard.
    pub(crate) fn is_running(&self) -> bool {
        self.context.state() == AudioContextState::Running
    }

    /// Asks the browser to let the sound through; works in a gesture only.
    pub(crate) fn resume(&self) {
        let_run(self.context.resume());
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
        // Some browsers refuse streams of another sample rate. Heard without a level is
        // better than not heard.
        let tap = self.path(&stream).ok();
        element.set_muted(tap.is_some());
        element.set_src_object(Some(&stream));
        let_run(element.play());
        self.strips.insert(peer, Strip { pc, tap, element });
        Ok(())
    }

    fn path(&self, stream: &MediaStream) -> Result<Tap, JsValue> {
        let tap = Tap::new(&self.context, stream)?;
        tap.analyser.connect_with_audio_node(&self.bus)?;
        Ok(tap)
    }

    /// Ends what was played of `pc`, if it is still the one.
    pub(crate) fn stop(&mut self, pc: PcId) {
        self.strips.retain(|_, strip| strip.pc != pc);
    }

    /// Measures the local microphone, or nothing.
    pub(crate) fn measure_own(&mut self, stream: Option<&MediaStream>) {
        self.own = stream.and_then(|stream| Tap::new(&self.context, stream).ok());
    }

    /// Returns the meter position of a participant's voice; `peer` is none for one's own.
    pub(crate) fn level(&mut self, peer: Option<PeerId>) -> u8 {
        let tap = match peer {
            Some(peer) => self.strips.get(&peer).and_then(|strip| strip.tap.as_ref()),
            None => self.own.as_ref(),
        };
        let Some(tap) = tap else { return 0 };
        tap.analyser.get_float_time_domain_data(&mut self.window);
        level::step_of(level::rms_db(&self.window))
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        self.strips.clear();
        self.own = None;
        let_run(self.context.close());
    }
}
