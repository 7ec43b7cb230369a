//! The desk's keys: cough, mute, help. What they do is told by *Keys*.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, KeyboardEvent};

use crate::driver::Wish;
use crate::model::keys::{Key, Place};
use crate::ui::Wishes;
use crate::ui::icons::{Icon, Picture};
use crate::view::View;

/// Where a key press lands: some controls need keys for themselves. `by_pointer`: whether what
/// has the focus got it by a click.
fn place(target: Option<&Element>, by_pointer: bool) -> Place {
    let matches = |selector| target.is_some_and(|t| t.closest(selector).ok().flatten().is_some());
    if matches("dialog") {
        return Place::Dialog;
    }
    if matches("input:not([type=range]):not([type=checkbox]), textarea, select") {
        return Place::Field;
    }
    // Whoever moves by keyboard presses the focused button with space; whoever clicked it
    // with a mouse does not expect that it is pressed again.
    if !by_pointer && matches("button, summary, a, input[type=checkbox]") {
        return Place::Control;
    }
    Place::Page
}

fn key_of(event: &KeyboardEvent, by_pointer: bool) -> Option<Key> {
    let modified = event.ctrl_key() || event.alt_key() || event.meta_key();
    let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    if modified { None } else { Key::of(&event.key(), place(target.as_ref(), by_pointer)) }
}

/// Listens for the keys while the room is on the screen.
pub(crate) fn listen(view: View, wishes: Wishes) {
    let by_pointer = StoredValue::new(false);
    let pointed = window_event_listener(ev::pointerdown, move |_| by_pointer.set_value(true));
    let pressed = window_event_listener(ev::keydown, move |event| {
        if event.key() == "Tab" {
            by_pointer.set_value(false);
        }
        let Some(key) = key_of(&event, by_pointer.get_value()) else { return };
        event.prevent_default();
        if !event.repeat() {
            press(key, view, wishes);
        }
    });
    let release = move || {
        if view.coughing.get_untracked() {
            wishes.send(Wish::Cough(false));
        }
    };
    let released = window_event_listener(ev::keyup, move |event| {
        if event.key() == " " {
            // A button that was clicked before would be pressed by the release.
            if view.coughing.get_untracked() {
                event.prevent_default();
            }
            release();
        }
    });
    // The release goes elsewhere when the window is left with the key held.
    let left = window_event_listener(ev::blur, move |_| release());
    on_cleanup(move || {
        pointed.remove();
        pressed.remove();
        released.remove();
        left.remove();
    });
}

fn press(key: Key, view: View, wishes: Wishes) {
    match key {
        Key::Cough => wishes.send(Wish::Cough(true)),
        Key::MuteMyself => wishes.send(Wish::SetMuted(!view.muted.get_untracked())),
        Key::MuteStrip(number) => {
            let peer = view.cards.with_untracked(|cards| cards.get(number).map(|card| card.peer));
            if let Some(peer) = peer.filter(|_| view.role.get_untracked().may_mix()) {
                wishes.send(Wish::ToggleMute(peer));
            }
        }
        Key::Help => view.shows_keys.update(|shown| *shown = !*shown),
    }
}

/// *Keys*, and the list behind it.
#[component]
pub(crate) fn KeysButton(view: View) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        let (Some(dialog), shown) = (dialog.get(), view.shows_keys.get()) else { return };
        if shown && !dialog.open() {
            // Fails only if it is open already.
            drop(dialog.show_modal());
        } else if !shown && dialog.open() {
            dialog.close();
        }
    });
    let row = |key: &'static str, does: &'static str| {
        view! { <div><dt><kbd>{key}</kbd></dt><dd>{does}</dd></div> }
    };
    view! {
        <button
            type="button"
            class="quiet square"
            aria-label="Keys"
            title="Keys (?)"
            on:click=move |_| view.shows_keys.set(true)
        >
            <Icon picture=Picture::Keys/>
        </button>
        <dialog node_ref=dialog aria-labelledby="keys-title" on:close=move |_| view.shows_keys.set(false)>
            <h2 id="keys-title">"Keys"</h2>
            <dl class="keys">
                {row("Space", "Hold to cough: nobody hears you")}
                {row("M", "Mute yourself, or open your microphone again")}
                <Show when=move || view.role.get().may_mix()>
                    {row("1 – 9", "Mute the participant at that place")}
                    {row("← →", "Move the fader that has the focus by 1 %")}
                </Show>
                {row("?", "Show these keys")}
            </dl>
            <div class="dialog-keys">
                <button type="button" class="secondary" on:click=move |_| view.shows_keys.set(false)>"Done"</button>
            </div>
        </dialog>
    }
}
