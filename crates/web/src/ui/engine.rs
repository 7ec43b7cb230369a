//! The studio's engine on the page: lights for everybody, *Record*, *Go on air* and *Mark* for
//! hosts.

use leptos::prelude::*;
use leptos::task::spawn_local;
use openstudio_session::Order;
use openstudio_session::wire::{AirState, Destination, DestinationState, Line, RecordingState};

use crate::driver::{self, Wish};
use crate::model::engine;
use crate::ui::Wishes;
use crate::ui::recordings::RecordingsButton;
use crate::ui::twice::{SwitchButton, SwitchWords};
use crate::view::View;

/// What a mark says where nothing was typed.
const MARK: &str = "Mark";

const RECORD: SwitchWords =
    SwitchWords { begin: "Record", end: "Stop recording", again: "Press again to stop" };

const AIR: SwitchWords =
    SwitchWords { begin: "Go on air", end: "Go off air", again: "Press again to go off air" };

impl View {
    /// The recording under way.
    pub(crate) fn recording(self) -> Memo<Option<RecordingState>> {
        Memo::new(move |_| {
            self.engine.with(|engine| engine.as_ref().and_then(|state| state.recording.clone()))
        })
    }

    /// The programme on its way to listeners.
    fn air(self) -> Memo<Option<AirState>> {
        Memo::new(move |_| {
            self.engine.with(|engine| engine.as_ref().and_then(|state| state.air.clone()))
        })
    }
}

/// *Recording* and *On air*, where everybody sees them. What begins and ends is announced
/// elsewhere, once; these change every second.
#[component]
pub(crate) fn Lights(view: View) -> impl IntoView {
    let (recording, air) = (view.recording(), view.air());
    let length = move || {
        recording.with(|recording| recording.as_ref().map(|now| engine::length(now.length_ms)))
    };
    let listeners =
        move || air.with(|air| air.as_ref().map(|air| engine::listeners(air.listeners)));
    view! {
        <Show when=move || recording.with(Option::is_some)>
            <p class="light is-recording"><span>"Recording "</span>{length}</p>
        </Show>
        <Show when=move || air.with(Option::is_some)>
            <p class="light is-on-air"><span>"On air · "</span>{listeners}</p>
        </Show>
    }
}

/// What hosts do with the engine. Orders reach it through the server alone: while that is away
/// there is nothing to press.
#[component]
pub(crate) fn EngineControls(view: View, wishes: Wishes) -> impl IntoView {
    let alarms = Memo::new(move |_| {
        let state = view.engine.get().unwrap_or_default();
        view.cards.with(|cards| engine::alarms(&state, cards))
    });
    view! {
        <div class="engine">
            <Recorder view wishes/>
            <OnAir view wishes/>
            <RecordingsButton view wishes/>
            <Destinations view/>
            <div class="alarms" role="alert">
                {move || alarms.get().into_iter().map(|words| view! { <p>{words}</p> }).collect_view()}
            </div>
        </div>
    }
}

#[component]
fn Recorder(view: View, wishes: Wishes) -> impl IntoView {
    let recording = view.recording();
    let records = Memo::new(move |_| recording.with(Option::is_some));
    let order = move |on| wishes.send(Wish::Order(Order::Record(on)));
    let facts = move || {
        recording.with(|recording| {
            recording.as_ref().map(|now| {
                format!("{} · {}", engine::length(now.length_ms), engine::size(now.bytes))
            })
        })
    };
    view! {
        <div class="engine-row">
            <SwitchButton words=RECORD has_dot=true on=records disabled=view.reconnecting switch=order/>
            <Show when=move || records.get()>
                <p class="engine-facts">{facts}</p>
                <Marker view wishes recording/>
            </Show>
        </div>
    }
}

#[component]
fn Marker(view: View, wishes: Wishes, recording: Memo<Option<RecordingState>>) -> impl IntoView {
    let text = RwSignal::new(String::new());
    let marked = RwSignal::new(None::<String>);
    let mark = move || {
        // Enter comes here even where the button is disabled.
        if view.reconnecting.get_untracked() {
            return;
        }
        let line = Line::new(&text.get_untracked()).or_else(|_| Line::new(MARK));
        if let Ok(line) = line {
            wishes.send(Wish::Order(Order::Mark(line)));
            text.set(String::new());
            let length = recording.with_untracked(|now| now.as_ref().map(|now| now.length_ms));
            marked.set(length.map(|length| format!("Marked at {}", engine::length(length))));
        }
    };
    view! {
        <form class="engine-form" on:submit=move |event| { event.prevent_default(); mark(); }>
            <input
                type="text"
                maxlength="200"
                autocomplete="off"
                aria-label="Text of the mark"
                placeholder="What is here"
                prop:value=text
                on:input:target=move |event| text.set(event.target().value())
            />
            <button type="submit" class="secondary small" disabled=view.reconnecting>"Mark"</button>
        </form>
        <p class="engine-facts" role="status">{move || marked.get()}</p>
    }
}

#[component]
fn OnAir(view: View, wishes: Wishes) -> impl IntoView {
    let air = view.air();
    let on = Memo::new(move |_| air.with(Option::is_some));
    let text = RwSignal::new(String::new());
    let order = move |on| {
        let title = Line::new(&text.get_untracked()).ok();
        wishes.send(Wish::Order(Order::Air { on, title }));
    };
    // Enter in the field puts nothing on air, and nothing reaches a server that is away.
    let change_title = move || {
        if on.get_untracked() && !view.reconnecting.get_untracked() {
            order(true);
        }
    };
    let facts = move || {
        air.with(|air| {
            air.as_ref().map(|air| {
                format!("{} · {}", engine::length(air.length_ms), engine::listeners(air.listeners))
            })
        })
    };
    view! {
        <div class="engine-row">
            <SwitchButton words=AIR on=on disabled=view.reconnecting switch=order/>
            <Show when=move || on.get()>
                <p class="engine-facts">{facts}</p>
            </Show>
            <form class="engine-form" on:submit=move |event| { event.prevent_default(); change_title(); }>
                <input
                    type="text"
                    maxlength="200"
                    autocomplete="off"
                    aria-label="Title for listeners"
                    placeholder="Title for listeners"
                    prop:value=text
                    on:input:target=move |event| text.set(event.target().value())
                />
                <Show when=move || on.get()>
                    <button type="submit" class="secondary small" disabled=view.reconnecting>"Change title"</button>
                </Show>
            </form>
            <ListenPage view/>
        </div>
    }
}

/// The page for listeners, to look at and to hand on.
#[component]
fn ListenPage(view: View) -> impl IntoView {
    let copied = RwSignal::new("");
    let copy = move |_| {
        // What is said a second time is a change only if it was gone meanwhile.
        copied.set("");
        spawn_local(async move {
            let done = driver::copy_text(view.listen_link.get_untracked()).await;
            copied.set(if done { "Link copied." } else { "Copy the address of the link by hand." });
        });
    };
    view! {
        <a class="engine-link" href=move || view.listen_link.get() target="_blank" rel="noopener">
            "Listen page"
        </a>
        <button type="button" class="quiet small" aria-label="Copy link of the listen page" on:click=copy>
            "Copy link"
        </button>
        <p class="engine-facts" role="status">{copied}</p>
    }
}

/// Where the programme goes, and how that stands.
#[component]
fn Destinations(view: View) -> impl IntoView {
    let air = view.air();
    let destinations = Memo::new(move |_| {
        air.with(|air| air.as_ref().map(|air| air.destinations.clone()).unwrap_or_default())
    });
    view! {
        <Show when=move || !destinations.with(Vec::is_empty)>
            <ul class="destinations" role="list" aria-label="Destinations">
                {move || destinations.get().into_iter().map(destination).collect_view()}
            </ul>
        </Show>
    }
}

fn destination(place: Destination) -> impl IntoView {
    let class = match place.state {
        DestinationState::OnAir => "destination is-good",
        DestinationState::Connecting => "destination",
        DestinationState::Retrying | DestinationState::Failed => "destination is-bad",
    };
    view! { <li class=class><strong>{place.name}</strong>" "{place.words}</li> }
}
