//! The keys of the desk: mute, microphone, leave.

use leptos::prelude::*;

use openstudio_units::Gain;

use crate::audio::Listening;
use crate::driver::Wish;
use crate::model::devices::Device;
use crate::model::processing::Processing;
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
    let state = move || {
        if view.microphone.get() != MicrophoneState::Live {
            "No microphone"
        } else if view.held.get() {
            "A host muted you"
        } else if view.muted.get() {
            "You are muted"
        } else if view.coughing.get() {
            "Cough: nobody hears you"
        } else {
            "Microphone on"
        }
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
    let inputs = Signal::derive(move || view.devices.with(|devices| devices.inputs.clone()));
    let choose = move |id| wishes.send(Wish::ChooseMicrophone(id));
    view! { <DeviceSelect id="microphone" label="Microphone" devices=inputs chosen=view.device choose/> }
}

/// A list of devices, named `label`; the unnamed ones in it are called so, too.
#[component]
fn DeviceSelect(
    id: &'static str,
    label: &'static str,
    devices: Signal<Vec<Device>>,
    chosen: RwSignal<String>,
    choose: impl Fn(String) + 'static,
) -> impl IntoView {
    let is_chosen = move |id: &str| chosen.with(|chosen| chosen == id);
    let option = move |device: Device| {
        let shown = if device.label.is_empty() { label.to_owned() } else { device.label };
        let selected = is_chosen(&device.id);
        view! { <option value=device.id selected=selected>{shown}</option> }
    };
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <select id=id on:change:target=move |event| choose(event.target().value())>
                <option value="" selected=move || is_chosen("")>"Browser’s choice"</option>
                {move || devices.get().into_iter().map(option).collect_view()}
            </select>
        </div>
    }
}

/// *Sound*: what the microphone is used for.
#[component]
pub(crate) fn ProcessingSelect(view: View, wishes: Wishes) -> impl IntoView {
    let option = move |processing: Processing, words: &'static str| {
        view! {
            <option value=processing.value() selected=move || view.processing.get() == processing>
                {words}
            </option>
        }
    };
    view! {
        <div class="field">
            <label for="processing">"Sound"</label>
            <select
                id="processing"
                on:change:target=move |event| {
                    wishes.send(Wish::ChooseProcessing(Processing::parse(&event.target().value())));
                }
            >
                {option(Processing::Voice, "Voice (noise and echo removed)")}
                {option(Processing::Music, "Music (unprocessed, stereo)")}
            </select>
        </div>
    }
}

/// *Loudspeaker*, where the browser lets a page choose one.
#[component]
pub(crate) fn OutputSelect(view: View, wishes: Wishes) -> impl IntoView {
    let outputs = Signal::derive(move || view.devices.with(|devices| devices.outputs.clone()));
    let choose = move |id| wishes.send(Wish::ChooseOutput(id));
    view! {
        <Show when=move || view.chooses_output.get()>
            <DeviceSelect id="output" label="Loudspeaker" devices=outputs chosen=view.output choose/>
        </Show>
    }
}

/// How loud the person listens.
#[component]
pub(crate) fn Volume(view: View, wishes: Wishes) -> impl IntoView {
    let percent = move || view.volume.get().percent();
    view! {
        <div class="field">
            <label for="volume">"Listening volume"</label>
            <div class="fader">
                <input
                    id="volume"
                    type="range"
                    min="0"
                    max="200"
                    step="1"
                    aria-valuetext=move || view.volume.get().to_string()
                    prop:value=percent
                    on:input:target=move |event| {
                        if let Some(volume) = gain_of(&event.target().value()) {
                            wishes.send(Wish::SetVolume(volume));
                        }
                    }
                    on:dblclick=move |_| wishes.send(Wish::SetVolume(Gain::UNITY))
                />
                <output for="volume" aria-hidden="true">{move || view.volume.get().to_string()}</output>
            </div>
        </div>
    }
}

/// Reads a slider.
pub(crate) fn gain_of(value: &str) -> Option<Gain> {
    value.parse().ok().and_then(|percent| Gain::from_percent(percent).ok())
}

/// What the person listens to; for those who mix.
#[component]
pub(crate) fn ListenSelect(view: View, wishes: Wishes) -> impl IntoView {
    let is_programme = move || view.listening.get() == Listening::Programme;
    let change = move |value: String| {
        let listening =
            if value == "programme" { Listening::Programme } else { Listening::Conversation };
        wishes.send(Wish::ListenTo(listening));
    };
    view! {
        <Show when=move || view.role.get().may_mix()>
            <div class="field">
                <label for="listen">"Listen to"</label>
                <select id="listen" on:change:target=move |event| change(event.target().value())>
                    <option value="conversation" selected=move || !is_programme()>"The others"</option>
                    <option value="programme" selected=is_programme>"Programme (with your own voice)"</option>
                </select>
            </div>
        </Show>
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
