//! The room: who is here, and the desk below.

use leptos::prelude::*;

use crate::ui::Wishes;
use crate::ui::card::ParticipantCard;
use crate::ui::confirm::EndSessionButton;
use crate::ui::controls::{LeaveButton, MicrophoneSelect, MuteButton};
use crate::ui::details::ConnectionDetails;
use crate::ui::entry::Wordmark;
use crate::ui::invite::InviteButton;
use crate::ui::notices::Banners;
use crate::ui::theme::ThemeButton;
use crate::view::View;

/// The room.
#[component]
pub(crate) fn Room(view: View, wishes: Wishes) -> impl IntoView {
    let count = move || match view.cards.with(Vec::len) {
        0 | 1 => "Only you".to_owned(),
        people => format!("{people} people"),
    };
    view! {
        <div class="room">
            <header class="topbar">
                <Wordmark/>
                <p class="head-count">{count}</p>
                <InviteButton view wishes/>
                <ThemeButton/>
            </header>
            <main class="floor">
                <h1 class="unseen">"Session"</h1>
                <Banners view wishes/>
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
                <div class="desk-settings">
                    <MicrophoneSelect view wishes/>
                    <EndSessionButton view wishes/>
                </div>
                <div class="desk-keys">
                    <MuteButton view wishes/>
                    <LeaveButton wishes/>
                </div>
            </footer>
            <p class="unseen" aria-live="polite">{move || view.announcement.get()}</p>
        </div>
    }
}
