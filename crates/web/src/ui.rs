//! The page: what it shows comes from the [`View`], what is pressed goes into the loop.
//!
//! It is *not* where anything is decided; components read signals and send wishes.
#![expect(unreachable_pub, reason = "the component macro makes everything of a component `pub`")]

mod card;
mod check;
mod confirm;
mod controls;
mod details;
mod engine;
mod entry;
mod icons;
mod invite;
mod keys;
mod notices;
mod programme;
mod recordings;
mod room;
mod strip;
mod theme;
mod twice;

use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::driver::{self, Event, Sender, Wish};
use crate::model::address::Address;
use crate::model::words;
use crate::view::{Screen, View};

/// The way into the loop, for components.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wishes(StoredValue<Sender, LocalStorage>);

impl Wishes {
    /// Says what the person wants.
    pub(crate) fn send(self, wish: Wish) {
        self.event(Event::Wish(wish));
    }

    /// Says what happened to the page.
    pub(crate) fn event(self, event: Event) {
        // The loop ends with the page only.
        self.0.with_value(|sender| drop(sender.unbounded_send(event)));
    }
}

/// Draws the page, and starts the loop behind it.
pub(crate) fn mount() {
    let Some(window) = web_sys::window() else { return };
    let Some(document) = window.document() else { return };
    let Some(body) = document.body() else { return };
    theme::apply_remembered(&document);
    if let Some(boot) = document.get_element_by_id("boot") {
        boot.remove();
    }
    if !is_supported(&window) {
        mount_to(body.unchecked_into(), unsupported).forget();
        return;
    }
    let address = Address::parse(&window.location().hash().unwrap_or_default());
    mount_to(body.unchecked_into(), move || {
        let view = View::new(address);
        let sender = driver::start(window, document, view);
        let wishes = Wishes(StoredValue::new_local(sender));
        view! { <Page view wishes/> }
    })
    .forget();
}

fn is_supported(window: &web_sys::Window) -> bool {
    ["RTCPeerConnection", "WebSocket", "MediaStream"]
        .iter()
        .all(|name| js_sys::Reflect::has(window, &(*name).into()).unwrap_or(false))
}

fn unsupported() -> impl IntoView {
    view! { <main class="entry"><p class="notice is-warning" role="alert">{words::UNSUPPORTED}</p></main> }
}

#[component]
fn Page(view: View, wishes: Wishes) -> impl IntoView {
    move || match view.screen.get() {
        Screen::Entry => view! { <entry::Entry view wishes/> }.into_any(),
        Screen::Room => view! { <room::Room view wishes/> }.into_any(),
    }
}
