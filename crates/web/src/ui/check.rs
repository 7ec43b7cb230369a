//! The check of microphone and loudspeaker in front of the room. Nobody has to open it.

use leptos::ev::Event;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlDetailsElement;

use crate::driver::Wish;
use crate::ui::Wishes;
use crate::ui::controls::{MicrophoneSelect, OutputSelect, ProcessingSelect};
use crate::view::{CheckStage, View};

/// *Check microphone and loudspeaker*.
#[component]
pub(crate) fn SoundCheck(view: View, wishes: Wishes) -> impl IntoView {
    let toggled = move |event: Event| {
        let details =
            event.target().and_then(|target| target.dyn_into::<HtmlDetailsElement>().ok());
        wishes.send(Wish::Check(details.is_some_and(|details| details.open())));
    };
    view! {
        <details class="check" on:toggle=toggled>
            <summary>"Check microphone and loudspeaker"</summary>
            <div class="check-body">
                <MicrophoneSelect view wishes/>
                <ProcessingSelect view wishes/>
                <OutputSelect view wishes/>
                <Level view/>
                <Tests view wishes/>
                <div class="check-words" role="status">
                    <p class="check-stage">{move || words(view.check.get())}</p>
                    <ul role="list">
                        {move || view.findings.get().into_iter().map(|finding| view! {
                            <li class="notice" class:is-warning=finding.warns()>{finding.sentence()}</li>
                        }).collect_view()}
                    </ul>
                </div>
            </div>
        </details>
    }
}

#[component]
fn Level(view: View) -> impl IntoView {
    let level = move || view.check_level.get();
    view! {
        <div
            class="meter is-wide"
            role="meter"
            aria-label="Level of your microphone"
            aria-valuemin="0"
            aria-valuemax="100"
            aria-valuenow=level
        >
            <div
                class="meter-cover"
                style:transform=move || format!("scaleX({})", 1.0 - f32::from(level()) / 100.0)
            ></div>
        </div>
    }
}

#[component]
fn Tests(view: View, wishes: Wishes) -> impl IntoView {
    let waits = move || view.check.get() != CheckStage::Listening;
    view! {
        <div class="check-keys">
            <button
                type="button"
                class="secondary"
                disabled=waits
                on:click=move |_| wishes.send(Wish::RecordCheck)
            >
                "Record 3 seconds"
            </button>
            <button
                type="button"
                class="secondary"
                disabled=waits
                on:click=move |_| wishes.send(Wish::Beep)
            >
                "Play a test tone"
            </button>
        </div>
    }
}

fn words(stage: CheckStage) -> &'static str {
    match stage {
        CheckStage::Closed => "",
        CheckStage::Asking => "Your browser asks whether this page may use your microphone.",
        CheckStage::Refused(state) => state.check_sentence(),
        CheckStage::Listening => "Speak: the bar should reach its middle and stay out of the red.",
        CheckStage::Recording => "Recording. Say a sentence or two.",
        CheckStage::Playing => "This is how you sound.",
        CheckStage::Beeping => "Three beeps: do you hear them? Stay silent for a moment.",
    }
}
