//! Everything that is heard or measured: the graph, the microphone, the meters.
//!
//! The microphone's track goes to the peer connections as it is; Web Audio is for
//! listening, for the programme and for levels.

mod check;
mod desk_node;
mod devices;
mod feed;
mod graph;
mod meters;
mod microphone;

pub(crate) use check::Check;
pub(crate) use desk_node::{DeskFiles, Listening, Reading};
pub(crate) use devices::{chooses_output, list_devices};
pub(crate) use graph::Graph;
pub(crate) use meters::Meters;
pub(crate) use microphone::Microphone;

use js_sys::Promise;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{MediaStream, MediaStreamTrack};

/// Switches a microphone off.
pub(crate) fn stop(stream: &MediaStream) {
    for track in stream.get_tracks() {
        track.unchecked_into::<MediaStreamTrack>().stop();
    }
}

/// Lets a promise run whose outcome shows elsewhere; its failure is no console error.
pub(crate) fn let_run(promise: Result<Promise, JsValue>) {
    if let Ok(promise) = promise {
        spawn_local(async move {
            drop(JsFuture::from(promise).await);
        });
    }
}
