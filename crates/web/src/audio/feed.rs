//! A stream's way into the graph: to an input of the desk, or through a gain node of its own.

use wasm_bindgen::JsValue;
use web_sys::{AnalyserNode, AudioContext, GainNode, MediaStream, MediaStreamAudioSourceNode};

use crate::audio::desk_node::DeskNode;
use crate::model::meter;

/// Samples behind one level where the desk does not measure: 21 ms.
pub(crate) const WINDOW: u16 = 1024;

/// How fast a gain node follows: it is there, to a twentieth, after 20 ms.
const FOLLOW_S: f64 = 0.0067;

/// A stream on one of the desk's inputs, or at a gain node. Dropping it takes it away.
///
/// Chromium may keep the source, some kilobytes with a track that has ended, for as long as
/// the context runs (<https://crbug.com/937231>); nothing but suspending the context frees it.
#[derive(Debug)]
pub(crate) struct Feed {
    source: MediaStreamAudioSourceNode,
    to: Target,
}

/// Where a stream goes.
#[derive(Debug)]
pub(crate) enum Target {
    /// To an input of the desk.
    Desk(u8),
    /// Through a gain node to where all are added.
    Bus(Tapped),
}

/// A gain node and what measures behind it.
#[derive(Debug)]
pub(crate) struct Tapped {
    gain: GainNode,
    analyser: AnalyserNode,
}

impl Feed {
    /// Brings a stream to an input of the desk.
    pub(crate) fn to_desk(
        context: &AudioContext,
        desk: &DeskNode,
        stream: &MediaStream,
        input: u8,
    ) -> Result<Self, JsValue> {
        let source = context.create_media_stream_source(stream)?;
        let to = u32::from(input);
        source.connect_with_audio_node_and_output_and_input(desk.node(), 0, to)?;
        Ok(Self { source, to: Target::Desk(input) })
    }

    /// Brings a stream to where all are added, silent at first.
    pub(crate) fn to_bus(
        context: &AudioContext,
        bus: &GainNode,
        stream: &MediaStream,
    ) -> Result<Self, JsValue> {
        let source = context.create_media_stream_source(stream)?;
        // Nobody is heard louder than they should be, not even for a moment.
        let tapped = Tapped::new(context, 0.0)?;
        source.connect_with_audio_node(&tapped.gain)?;
        tapped.analyser.connect_with_audio_node(bus)?;
        Ok(Self { source, to: Target::Bus(tapped) })
    }

    /// Measures a stream that is not heard.
    pub(crate) fn measured(context: &AudioContext, stream: &MediaStream) -> Result<Self, JsValue> {
        let source = context.create_media_stream_source(stream)?;
        let tapped = Tapped::new(context, 1.0)?;
        source.connect_with_audio_node(&tapped.gain)?;
        Ok(Self { source, to: Target::Bus(tapped) })
    }

    /// Returns where it goes.
    pub(crate) fn target(&self) -> &Target {
        &self.to
    }

    /// Returns the input of the desk that it has.
    pub(crate) fn input(&self) -> Option<u8> {
        match self.to {
            Target::Desk(input) => Some(input),
            Target::Bus(_) => None,
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // Fails only for nodes that are not connected.
        drop(self.source.disconnect());
    }
}

impl Tapped {
    fn new(context: &AudioContext, gain: f32) -> Result<Self, JsValue> {
        let node = context.create_gain()?;
        node.gain().set_value(gain);
        let analyser = context.create_analyser()?;
        analyser.set_fft_size(u32::from(WINDOW));
        node.connect_with_audio_node(&analyser)?;
        Ok(Self { gain: node, analyser })
    }

    /// Moves to a gain, beginning at `now` of the context's time.
    pub(crate) fn follow(&self, gain: f32, now: f64) {
        // Fails only for numbers that are none.
        drop(self.gain.gain().set_target_at_time(gain, now, FOLLOW_S));
    }

    /// Returns the highest of the latest samples; `window` has room for [`WINDOW`] of them.
    pub(crate) fn peak(&self, window: &mut [f32]) -> f32 {
        self.analyser.get_float_time_domain_data(window);
        meter::peak(window)
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        // Fails only for nodes that are not connected.
        drop(self.gain.disconnect());
        drop(self.analyser.disconnect());
    }
}
