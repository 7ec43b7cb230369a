//! The room: who is here, and the desk below.

use leptos::prelude::*;

use crate::ui::Wishes;
use crate::ui::card::ParticipantCard;
use crate::ui::confirm::EndSessionButton;
use crate::ui::controls::{
    LeaveButton, ListenSelect, MicrophoneSelect, MuteButton, OutputSelect, ProcessingSelect, Volume,
};
use crate::ui::details::ConnectionDetails;
use crate::ui::engine::Lights;
use crate::ui::entry::Wordmark;
use crate::ui::invite::InviteButton;
use crate::ui::keys::{KeysButton, listen};
use crate::ui::notices::Banners;
use crate::ui::programme::Programme;
use crate::ui::theme::ThemeButton;
use crate::view::View;

/// The room.
#[component]
pub(crate) fn Room(view: View, wishes: Wishes) -> impl IntoView {
    listen(view, wishes);
    let count = move || match view.cards.with(Vec::len) {
        0 | 1 => "Only you".to_owned(),
        people => format!("{people} people"),
    };
    view! {
        <div class="room">
            <header class="topbar">
                <Wordmark/>
                <Lights view/>
                <p class="head-count">{count}</p>
                <InviteButton view wishes/>
                <KeysButton view/>
                <ThemeButton/>
            </header>
            <main class="floor">
                <h1 class="unseen">"Session"</h1>
                <Banners view wishes/>
                <Programme view wishes/>
                <ul class="cards" role="list" aria-label="Participants">
                    <For each=move || view.cards.get() key=|card| card.peer let:card>
                        <ParticipantCard first=card view wishes/>
                    </For>
                </ul>
                <Show when=move || view.cards.with(|cards| cards.len() < 2)>
                    <p class="lonely">"Nobody else is here yet. Press Invite and send the link to your callers and co-hosts."</p>
                </Show>
                <ConnectionDetails view wishes/>
            </main>
            <footer class="desk">
                <details class="desk-devices">
                    <summary>"Microphone and loudspeaker"</summary>
                    <div class="desk-settings">
                        <MicrophoneSelect view wishes/>
                        <ProcessingSelect view wishes/>
                        <OutputSelect view wishes/>
                    </div>
                </details>
                <div class="desk-settings">
                    <Volume view wishes/>
                    <ListenSelect view wishes/>
                </div>
                <EndSessionButton view wishes/>
                <div class="desk-keys">
                    <MuteButton view wishes/>
                    <LeaveButton wishes/>
                </div>
            </footer>
            <p class="unseen" aria-live="polite">{move || view.announcement.get()}</p>
            <p class="unseen" role="status" aria-live="polite">{move || view.engine_news.get()}</p>
        </div>
    }
}
