//! The desk on the audio thread: an `AudioWorkletNode` with `openstudio-mix` inside.
//!
//! It takes every participant's sound on an input of its own and gives two outputs, the
//! monitor and the programme. What to do with an input is told by message; levels come back
//! the same way. `desk-worklet.js` has the other end of both.

use std::rc::Rc;

use js_sys::{Array, Float32Array, Object, Promise, Reflect, WebAssembly};
use openstudio_units::Gain;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    AudioContext, AudioNode, AudioWorkletNode, AudioWorkletNodeOptions, ChannelCountMode,
    ChannelInterpretation, Document, MessageEvent, Window,
};

use crate::driver::{Event, Sender};
use crate::model::pace::Pace;
use crate::model::strip::Mixed;

/// How many participants one desk takes, oneself included: a room has 15 seats by default.
pub(crate) const INPUTS: u8 = 16;

/// The input of the person in front of the screen.
pub(crate) const OWN_INPUT: u8 = 0;

/// The output with what the person listens to. The other one, 1, is the programme.
pub(crate) const MONITOR: u32 = 0;

/// The name that the script registers.
const PROCESSOR: &str = "openstudio-desk";

/// How many samples there are between two messages with levels at 48 kHz.
fn samples_between(pace: Pace) -> u16 {
    match pace {
        Pace::Off => 0,
        Pace::Slow => 9600,
        Pace::Full => 800,
    }
}

/// What the person listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Listening {
    /// Everybody else.
    #[default]
    Conversation,
    /// What the audience hears, oneself included.
    Programme,
}

/// What the audio thread says.
#[derive(Debug, Clone)]
pub(crate) enum Reading {
    /// A peak and an RMS for each input, then for the programme, linear.
    Levels(Float32Array),
    /// See [`crate::model::loudness::Loudness`].
    Loudness(Float32Array),
}

/// The files of the desk, fetched and compiled once a page.
#[derive(Debug, Clone)]
pub(crate) struct DeskFiles {
    script: String,
    module: Promise,
}

impl DeskFiles {
    /// Begins to fetch and compile; none on a page without them.
    pub(crate) fn fetch(window: &Window, document: &Document) -> Option<Self> {
        let address = |name: &str| {
            let meta = document.query_selector(&format!("meta[name=\"{name}\"]")).ok().flatten()?;
            meta.get_attribute("content")
        };
        let script = address("openstudio-desk-worklet")?;
        let response = window.fetch_with_str(&address("openstudio-desk-wasm")?);
        let module = WebAssembly::compile_streaming(&response);
        Some(Self { script, module })
    }

    /// Brings the desk to a context's audio thread; reports the compiled module, or that
    /// there is none.
    pub(crate) fn load(&self, context: &AudioContext, sender: Sender) {
        let (script, module) = (self.script.clone(), self.module.clone());
        let context = context.clone();
        spawn_local(async move {
            let loaded = async {
                let added = context.audio_worklet()?.add_module(&script)?;
                JsFuture::from(added).await?;
                JsFuture::from(module).await
            };
            let result: Result<JsValue, JsValue> = loaded.await;
            // The loop ends with the page only.
            drop(sender.unbounded_send(Event::DeskLoaded(result.ok())));
        });
    }
}

/// The node. Dropping it ends its work on the audio thread.
#[derive(Debug)]
pub(crate) struct DeskNode {
    node: AudioWorkletNode,
    _messages: Closure<dyn FnMut(MessageEvent)>,
}

impl DeskNode {
    /// Makes the node; `on_reading` gets what it measures.
    pub(crate) fn new(
        context: &AudioContext,
        module: &JsValue,
        on_reading: Rc<dyn Fn(Reading)>,
    ) -> Result<Self, JsValue> {
        let node = AudioWorkletNode::new_with_options(context, PROCESSOR, &options(module)?)?;
        let messages = Closure::new(move |event: MessageEvent| {
            if let Some(reading) = reading(&event.data()) {
                on_reading(reading);
            }
        });
        node.port()?.set_onmessage(Some(messages.as_ref().unchecked_ref()));
        let node = Self { node, _messages: messages };
        node.set_pace(Pace::Off);
        Ok(node)
    }

    /// Returns the node itself, to connect it.
    pub(crate) fn node(&self) -> &AudioNode {
        &self.node
    }

    /// Says how an input is mixed from here on.
    pub(crate) fn set_strip(&self, input: u8, mixed: Mixed) {
        let flags = mixed.flags(input == OWN_INPUT);
        self.post("strip", &[input.into(), mixed.gain.percent(), flags.into()]);
    }

    /// Forgets an input, which the next participant may get.
    pub(crate) fn clear(&self, input: u8) {
        self.post("clear", &[input.into()]);
    }

    /// Says what is listened to, and how loud.
    pub(crate) fn set_monitor(&self, volume: Gain, listening: Listening) {
        let source = u16::from(listening == Listening::Programme);
        self.post("monitor", &[volume.percent(), source]);
    }

    /// Begins a new measurement of loudness.
    pub(crate) fn reset_loudness(&self) {
        self.post("reset", &[]);
    }

    /// How often levels are wanted: a page that nobody sees needs none.
    pub(crate) fn set_pace(&self, pace: Pace) {
        self.post("rate", &[samples_between(pace)]);
    }

    fn post(&self, what: &str, numbers: &[u16]) {
        let message = Array::of1(&what.into());
        for number in numbers {
            message.push(&(*number).into());
        }
        // Fails only for what cannot be copied; these are numbers.
        drop(self.node.port().and_then(|port| port.post_message(&message)));
    }
}

impl Drop for DeskNode {
    fn drop(&mut self) {
        self.post("close", &[]);
        if let Ok(port) = self.node.port() {
            port.set_onmessage(None);
        }
        // Fails only for nodes that are not connected.
        drop(self.node.disconnect());
    }
}

fn options(module: &JsValue) -> Result<AudioWorkletNodeOptions, JsValue> {
    let options = AudioWorkletNodeOptions::new();
    options.set_number_of_inputs(INPUTS.into());
    options.set_number_of_outputs(2);
    options.set_output_channel_count(&Array::of2(&2.into(), &2.into()));
    options.set_channel_count(2);
    options.set_channel_count_mode(ChannelCountMode::Explicit);
    options.set_channel_interpretation(ChannelInterpretation::Speakers);
    let processor = Object::new();
    Reflect::set(&processor, &"module".into(), module)?;
    Reflect::set(&processor, &"strips".into(), &INPUTS.into())?;
    options.set_processor_options(Some(&processor));
    Ok(options)
}

fn reading(data: &JsValue) -> Option<Reading> {
    let field = |name: &str| Reflect::get(data, &name.into()).ok();
    match field("type")?.as_string()?.as_str() {
        "levels" => Some(Reading::Levels(field("levels")?.dyn_into().ok()?)),
        "loudness" => Some(Reading::Loudness(field("values")?.dyn_into().ok()?)),
        _ => None,
    }
}
