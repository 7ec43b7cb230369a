//! *Recordings*: what was recorded in this room, to download and to delete.

use std::time::Duration;

use leptos::html;
use leptos::prelude::*;
use openstudio_session::Order;
use openstudio_session::wire::RecordingSummary;

use crate::driver::{Wish, local_time};
use crate::model::engine;
use crate::ui::Wishes;
use crate::ui::twice::TwiceButton;
use crate::view::View;

/// How long the files of a recording that ended may take until they are complete.
const CLOSING: Duration = Duration::from_secs(2);

/// *Recordings*, and the panel behind it.
#[component]
pub(crate) fn RecordingsButton(view: View, wishes: Wishes) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let title = NodeRef::<html::H2>::new();
    let ask = move || wishes.send(Wish::Order(Order::ListRecordings));
    let open = move |_| {
        let Some(dialog) = dialog.get() else { return };
        ask();
        // Fails only if it is open already.
        drop(dialog.show_modal());
    };
    let close = move |_| {
        if let Some(dialog) = dialog.get() {
            dialog.close();
        }
    };
    let recording = view.recording();
    let under_way =
        Memo::new(move |_| recording.with(|now| now.as_ref().map(|now| now.id.clone())));
    // One that has just begun or ended belongs into a list that is open.
    Effect::new(move |before: Option<Option<String>>| {
        let now = under_way.get();
        let renew = move || {
            if dialog.try_get_untracked().flatten().is_some_and(|dialog| dialog.open()) {
                ask();
            }
        };
        if before.is_some_and(|before| before != now) {
            renew();
            set_timeout(renew, CLOSING);
        }
        now
    });
    let count = move || view.recordings.with(|known| known.as_ref().map(|(list, _)| list.len()));
    view! {
        <button type="button" class="quiet small" on:click=open>"Recordings"</button>
        <dialog node_ref=dialog class="is-wide" aria-labelledby="recordings-title">
            <h2 id="recordings-title" tabindex="-1" node_ref=title>"Recordings"</h2>
            <p class="hint" role="status">{move || engine::how_many(count())}</p>
            {move || view.refusal.get().map(|message| view! {
                <p class="alarms" role="alert">"The studio server refused: "{message}</p>
            })}
            <List view wishes under_way title/>
            <div class="dialog-keys">
                <button type="button" class="secondary" on:click=close>"Done"</button>
            </div>
        </dialog>
    }
}

#[component]
fn List(
    view: View,
    wishes: Wishes,
    under_way: Memo<Option<String>>,
    title: NodeRef<html::H2>,
) -> impl IntoView {
    let list = Memo::new(move |_| {
        view.recordings
            .with(|known| known.as_ref().map(|(list, _)| list.clone()))
            .unwrap_or_default()
    });
    let token = Memo::new(move |_| {
        view.recordings
            .with(|known| known.as_ref().map(|(_, token)| token.0.clone()))
            .unwrap_or_default()
    });
    let delete = move |id: String| {
        wishes.send(Wish::Order(Order::DeleteRecording(id)));
        // The button that has the focus is about to go.
        if let Some(title) = title.get_untracked() {
            // Fails only if it is not on the page.
            drop(title.focus());
        }
    };
    // An entry that is the same stays, and with it the focus and a first press.
    let key = |one: &RecordingSummary| {
        (one.id.clone(), one.length_ms, one.bytes, one.finished, one.tracks.len())
    };
    view! {
        <Show when=move || !list.with(Vec::is_empty)>
            <ul class="recordings" role="list" aria-labelledby="recordings-title">
                <For each=move || list.get() key=key let:one>
                    <Entry one token under_way view delete/>
                </For>
            </ul>
        </Show>
    }
}

#[component]
fn Entry(
    one: RecordingSummary,
    token: Memo<String>,
    under_way: Memo<Option<String>>,
    view: View,
    delete: impl Fn(String) + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let when = local_time(one.started_at);
    let label = format!("Delete recording of {when}");
    let people = engine::people(&one).map(|people| view! { <p class="hint">{people}</p> });
    let one = StoredValue::new(one);
    let id = move || one.with_value(|one| one.id.clone());
    let facts =
        move || under_way.with(|now| one.with_value(|one| engine::facts(one, now.as_deref())));
    let all = move || token.with(|token| engine::download(&id(), None, token));
    let tracks = one.with_value(|one| one.tracks.clone()).into_iter().map(|track| {
        let (name, size) = (engine::track(&track), engine::size(track.bytes));
        let link = move || token.with(|token| engine::download(&id(), Some(&track.file), token));
        view! { <li><a href=link download="">{name}</a>" "<span class="hint">{size}</span></li> }
    });
    // Nobody deletes what is being made.
    let may_delete = move || {
        let under_way = under_way.with(|now| now.as_deref() == Some(id().as_str()));
        view.role.get().may_end_room() && !under_way
    };
    view! {
        <li class="recording">
            <p><strong>{when.clone()}</strong>" "<span class="hint">{facts}</span></p>
            {people}
            <ul class="tracks" role="list">{tracks.collect_view()}</ul>
            <div class="engine-row">
                <a class="button-like" href=all download="">"Download all"</a>
                <span class="hint">"zip"</span>
                <Show when=may_delete>
                    <TwiceButton
                        label=label.clone()
                        text="Delete"
                        again="Press again to delete"
                        disabled=view.reconnecting
                        press=move || delete(id())
                    />
                </Show>
            </div>
        </li>
    }
}
