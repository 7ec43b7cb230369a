//! A participant's channel strip: fader, mute, solo, on air; for others than hosts, what they
//! were set to.

use leptos::prelude::*;
use openstudio_session::wire::StripChange;
use openstudio_units::Gain;

use crate::driver::Wish;
use crate::model::card::Card;
use crate::ui::Wishes;
use crate::ui::controls::gain_of;
use crate::view::View;

/// The controls; for those who may mix.
#[component]
pub(crate) fn StripControls(card: Memo<Card>, view: View, wishes: Wishes) -> impl IntoView {
    let peer = card.with_untracked(|card| card.peer);
    let name = Memo::new(move |_| card.with(|card| card.name.clone()));
    let muted = Memo::new(move |_| card.with(Card::shows_muted));
    let solo = Memo::new(move |_| card.with(|card| card.solo));
    let on_air = Memo::new(move |_| card.with(|card| card.strip.on_air));
    let number = move || {
        let place = view.cards.with(|cards| cards.iter().position(|card| card.peer == peer));
        place.map(|place| place + 1).filter(|number| *number < 10)
    };
    view! {
        <div class="strip">
            <Fader card wishes/>
            <div class="strip-keys">
                <button
                    type="button"
                    class="strip-key is-mute"
                    aria-label=move || format!("Mute {}", name.get())
                    aria-pressed=move || pressed(muted.get())
                    aria-keyshortcuts=number
                    on:click=move |_| wishes.send(Wish::ToggleMute(peer))
                >
                    "Mute"
                </button>
                <button
                    type="button"
                    class="strip-key is-solo"
                    aria-label=move || format!("Solo {}", name.get())
                    aria-pressed=move || pressed(solo.get())
                    disabled=card.with_untracked(|card| card.me)
                    on:click=move |_| wishes.send(Wish::ToggleSolo(peer))
                >
                    "Solo"
                </button>
                <label class="on-air-box">
                    <input
                        type="checkbox"
                        aria-label=move || format!("On air: {}", name.get())
                        prop:checked=on_air
                        on:change:target=move |event| {
                            let change = StripChange::on_air(event.target().checked());
                            wishes.send(Wish::SetStrip(peer, change));
                        }
                    />
                    <span aria-hidden="true">"On air"</span>
                </label>
            </div>
        </div>
    }
}

fn pressed(on: bool) -> &'static str {
    if on { "true" } else { "false" }
}

/// The fader, with its exact value.
#[component]
fn Fader(card: Memo<Card>, wishes: Wishes) -> impl IntoView {
    let peer = card.with_untracked(|card| card.peer);
    let gain = Memo::new(move |_| card.with(|card| card.strip.gain));
    let set = move |gain| wishes.send(Wish::SetStrip(peer, StripChange::gain(gain)));
    view! {
        <div class="fader">
            <input
                type="range"
                min="0"
                max="200"
                step="1"
                aria-label=move || format!("Gain for {}", card.with(|card| card.name.clone()))
                aria-valuetext=move || gain.get().to_string()
                title="Double click: back to 100 %"
                prop:value=move || gain.get().percent()
                on:input:target=move |event| {
                    if let Some(gain) = gain_of(&event.target().value()) {
                        set(gain);
                    }
                }
                on:dblclick=move |_| set(Gain::UNITY)
            />
            <output aria-hidden="true">{move || gain.get().to_string()}</output>
        </div>
    }
}

/// What the strip was set to, in words; for those who may not mix.
#[component]
pub(crate) fn StripMarks(card: Memo<Card>) -> impl IntoView {
    let marks = move || {
        card.with(|card| {
            let on_air = if card.strip.on_air { "On air" } else { "Off air" };
            let gain =
                (card.strip.gain != Gain::UNITY).then(|| format!("Gain {}", card.strip.gain));
            (on_air, gain)
        })
    };
    view! {
        <p class="strip-marks">
            {move || marks().0}
            {move || marks().1.map(|gain| view! { <span>{gain}</span> })}
        </p>
    }
}
