//! One participant's card.

use leptos::html;
use leptos::prelude::*;

use crate::driver::{Event, Wish};
use crate::model::card::{Card, MicrophoneMark, Status, role_label};
use crate::ui::Wishes;
use crate::ui::icons::{Icon, Picture};
use crate::ui::strip::{StripControls, StripMarks};
use crate::view::View;

/// One participant's card. `first` is what it shows at first; the rest comes by signals.
#[component]
pub(crate) fn ParticipantCard(first: Card, view: View, wishes: Wishes) -> impl IntoView {
    let peer = first.peer;
    let (me, hue) = (first.me, first.hue);
    let card = Memo::new(move |shown: Option<&Card>| {
        let newest = view.cards.with(|cards| cards.iter().find(|card| card.peer == peer).cloned());
        newest.or_else(|| shown.cloned()).unwrap_or_else(|| first.clone())
    });
    let name = Memo::new(move |_| card.with(|card| card.name.clone()));
    let class = move || {
        let state = card.with(|card| card.status.map_or("is-me", Status::class));
        format!("card hue-{hue} {state}")
    };
    view! {
        <li class=class aria-label=name>
            <div class="card-head">
                <span class="avatar" aria-hidden="true">{move || card.with(|card| card.initials.clone())}</span>
                <div class="who">
                    <p class="name">{name}</p>
                    <p class="role">
                        <span>{move || role_label(card.with(|card| card.role))}</span>
                        {me.then(|| view! { <span class="you">"you"</span> })}
                    </p>
                </div>
            </div>
            <Connection card wishes/>
            <Meter name peer wishes/>
            <Show when=move || view.role.get().may_mix() fallback=move || view! { <StripMarks card/> }>
                <StripControls card view wishes/>
            </Show>
        </li>
    }
}

/// The state of the connection, and what can be done about it.
#[component]
fn Connection(card: Memo<Card>, wishes: Wishes) -> impl IntoView {
    let peer = card.with_untracked(|card| card.peer);
    let status = Memo::new(move |_| card.with(|card| card.status));
    let reason = Memo::new(move |_| card.with(|card| card.reason.clone()));
    let microphone = Memo::new(move |_| card.with(|card| card.microphone));
    let away = Memo::new(move |_| card.with(|card| card.signalling_away));
    view! {
        <div class="connection">
            {move || status.get().map(|status| view! { <p class="status">{status.label()}</p> })}
            {move || away.get().then(|| view! { <p class="aside">"signalling away"</p> })}
            {move || microphone.get().label().map(|label| {
                let absent = microphone.get() == MicrophoneMark::Absent;
                let class = if absent { "silent is-absent" } else { "silent" };
                view! { <p class=class><Icon picture=Picture::MicrophoneOff/><span>{label}</span></p> }
            })}
            {move || reason.get().map(|reason| view! { <p class="reason">{reason}</p> })}
            {move || (status.get() == Some(Status::Failed)).then(|| view! {
                <button type="button" class="secondary" on:click=move |_| wishes.send(Wish::Retry(peer))>
                    "Retry"
                </button>
            })}
        </div>
    }
}

/// The level meter. What moves it stands outside of the reactive system.
#[component]
fn Meter(name: Memo<String>, peer: openstudio_units::PeerId, wishes: Wishes) -> impl IntoView {
    let element = NodeRef::<html::Div>::new();
    Effect::new(move |_| {
        if let Some(meter) = element.get() {
            wishes.event(Event::MeterShown { peer, meter: meter.into() });
        }
    });
    view! {
        <div
            node_ref=element
            class="meter"
            role="meter"
            aria-label=move || format!("Level of {}", name.get())
            aria-valuemin="0"
            aria-valuemax="100"
            aria-valuenow="0"
        >
            <div class="meter-cover"></div>
            <div class="meter-mark"></div>
        </div>
    }
}
