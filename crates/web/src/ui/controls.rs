//! The keys of the desk: mute, microphone, leave.

use leptos::prelude::*;

use crate::driver::Wish;
use crate::model::words::MicrophoneState;
use crate::ui::Wishes;
use crate::ui::icons::{Icon, Picture};
use crate::view::View;

/// *Mute myself*, and what the microphone does at the moment.
#[component]
pub(crate) fn MuteButton(view: View, wishes: Wishes) -> impl IntoView {
    let picture =
        Signal::derive(
            move || {
                if view.muted.get() { Picture::MicrophoneOff } else { Picture::Microphone }
            },
        );
    let press = move |_| wishes.send(Wish::SetMuted(!view.muted.get_untracked()));
    let state = move || match (view.microphone.get(), view.muted.get()) {
        (MicrophoneState::Live, true) => "You are muted",
        (MicrophoneState::Live, false) => "Microphone on",
        _ => "No microphone",
    };
    view! {
        <button
            type="button"
            class="key mute"
            aria-pressed=move || if view.muted.get() { "true" } else { "false" }
            on:click=press
        >
            <Icon picture/>
            "Mute myself"
        </button>
        <p class="desk-state" role="status">{state}</p>
    }
}

/// *Microphone*.
#[component]
pub(crate) fn MicrophoneSelect(view: View, wishes: Wishes) -> impl IntoView {
    let chosen = move |id: &str| view.device.with(|device| device == id);
    view! {
        <div class="field">
            <label for="microphone">"Microphone"</label>
            <select
                id="microphone"
                on:change:target=move |event| wishes.send(Wish::ChooseMicrophone(event.target().value()))
            >
                <option value="" selected=move || chosen("")>"Browser’s choice"</option>
                {move || view.devices.get().into_iter().map(|(id, label)| {
                    let shown = if label.is_empty() { "Microphone".to_owned() } else { label };
                    let selected = chosen(&id);
                    view! { <option value=id selected=selected>{shown}</option> }
                }).collect_view()}
            </select>
        </div>
    }
}

/// *Leave*.
#[component]
pub(crate) fn LeaveButton(wishes: Wishes) -> impl IntoView {
    view! {
        <button type="button" class="key leave" on:click=move |_| wishes.send(Wish::Leave)>
            <Icon picture=Picture::Leave/>
            "Leave"
        </button>
    }
}
