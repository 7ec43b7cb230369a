//! The programme strip: what the audience hears, in level and loudness.

use leptos::html;
use leptos::prelude::*;

use crate::driver::{Event, Wish};
use crate::model::card::voices_words;
use crate::model::engine;
use crate::model::loudness::{Loudness, shown};
use crate::model::words;
use crate::ui::Wishes;
use crate::ui::engine::EngineControls;
use crate::view::View;

/// The programme strip.
#[component]
pub(crate) fn Programme(view: View, wishes: Wishes) -> impl IntoView {
    let voices = Memo::new(move |_| view.cards.with(|cards| voices_words(cards)));
    let live = Memo::new(move |_| {
        view.engine.with(|engine| engine.as_ref().map(|state| state.air.is_some()))
    });
    let class = move || if live.get() == Some(true) { "lamp is-lit" } else { "lamp" };
    view! {
        <section class="programme" aria-label="Programme">
            <h2>"Programme"</h2>
            <p class=class>{move || engine::programme(live.get(), voices.get())}</p>
            <Show when=move || view.role.get().may_mix()>
                <Level wishes/>
            </Show>
            <Show when=move || view.desk_missing.get()>
                <p class="programme-missing" role="status">{words::DESK_MISSING}</p>
            </Show>
            <Show when=move || view.role.get().may_mix() && !view.desk_missing.get()>
                <Readings view wishes/>
            </Show>
            <Show when=move || view.role.get().may_mix() && view.engine.with(Option::is_some)>
                <EngineControls view wishes/>
            </Show>
        </section>
    }
}

/// The meter, for those whose page has the programme.
#[component]
fn Level(wishes: Wishes) -> impl IntoView {
    let element = NodeRef::<html::Div>::new();
    Effect::new(move |_| {
        if let Some(meter) = element.get() {
            wishes.event(Event::ProgrammeMeterShown(meter.into()));
        }
    });
    view! {
        <div
            node_ref=element
            class="meter is-wide"
            role="meter"
            aria-label="Programme level"
            aria-valuemin="0"
            aria-valuemax="100"
            aria-valuenow="0"
        >
            <div class="meter-cover"></div>
            <div class="meter-mark"></div>
        </div>
    }
}

/// The numbers, as EBU R 128 names them.
#[component]
fn Readings(view: View, wishes: Wishes) -> impl IntoView {
    let number = move |level: fn(&Loudness) -> Option<f32>| {
        Memo::new(move |_| view.loudness.with(|loudness| shown(level(loudness))))
    };
    let overs = Memo::new(move |_| view.loudness.with(|loudness| loudness.overs));
    let over_class = move || if overs.get() == 0 { "reading" } else { "reading is-over" };
    view! {
        <dl class="readings">
            <Reading name="M" title="Momentary loudness, 0.4 s" unit="LUFS" value=number(|l| l.momentary)/>
            <Reading name="S" title="Short-term loudness, 3 s" unit="LUFS" value=number(|l| l.short_term)/>
            <Reading name="I" title="Integrated loudness since the reset" unit="LUFS" value=number(|l| l.integrated)/>
            <Reading name="LRA" title="Loudness range" unit="LU" value=number(|l| l.range)/>
            <Reading name="Peak" title="Highest true peak since the reset" unit="dBTP" value=number(|l| l.true_peak)/>
            <div class=over_class>
                <dt title="Samples above full scale before the limiter">"Over"</dt>
                <dd>{overs}</dd>
            </div>
        </dl>
        <button type="button" class="quiet small" on:click=move |_| wishes.send(Wish::ResetLoudness)>
            "Reset loudness"
        </button>
    }
}

#[component]
fn Reading(
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    value: Memo<String>,
) -> impl IntoView {
    view! {
        <div class="reading">
            <dt title=title>{name}</dt>
            <dd>{value}<span>{unit}</span></dd>
        </div>
    }
}
