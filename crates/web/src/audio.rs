//! Everything that is heard or measured: the graph, the microphone, the meters.
//!
//! The microphone's track goes to the peer connections as it is; Web Audio is for
//! listening and for levels.

mod graph;
mod meters;
mod microphone;

pub(crate) use graph::Graph;
pub(crate) use meters::{Meters, TICK_MS};
pub(crate) use microphone::{Microphone, list_devices};

use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, spawn_local};

/// Lets a promise run whose outcome shows elsewhere; its failure is no console error.
pub(crate) fn let_run(promise: Result<Promise, JsValue>) {
    if let Ok(promise) = promise {
        spawn_local(async move {
            drop(JsFuture::from(promise).await);
        });
    }
}
