//! The browser client: driver, Web Audio graph and page, compiled to WASM.
//!
//! It is the shell around `openstudio-session`: whatever is decided about connections is
//! decided there. Layers, from the inside out: `model` works out what to show and is
//! plain data; `driver` performs what the core commands and owns everything that lives;
//! `audio` is what is heard and measured; `view` holds what is on the screen as signals;
//! `ui` draws it.
//!
//! Invariants: closures given to the browser only send into the loop's channel; names and
//! messages reach the page as text nodes, never as HTML; entering never waits for the
//! microphone.
#![cfg_attr(
    not(target_arch = "wasm32"),
    expect(dead_code, reason = "on the host only the tests of `model` use it")
)]

mod model;

#[cfg(target_arch = "wasm32")]
mod audio;
#[cfg(target_arch = "wasm32")]
mod driver;
#[cfg(target_arch = "wasm32")]
mod log;
#[cfg(target_arch = "wasm32")]
mod ui;
#[cfg(target_arch = "wasm32")]
mod view;

/// Starts the client. Called by the page once the module is loaded.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen(start)]
pub fn start() {
    log::install();
    ui::mount();
}
