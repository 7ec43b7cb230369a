//! Sentences that say what happened, each with its way on.

use leptos::prelude::*;

use crate::driver::Wish;
use crate::model::words::{self, MicrophoneState, Tone};
use crate::ui::Wishes;
use crate::ui::entry::RemedyButton;
use crate::ui::icons::{Icon, Picture};
use crate::view::{Sound, View};

/// The sentence on the entry page.
#[component]
pub(crate) fn NoticeBox(view: View, wishes: Wishes) -> impl IntoView {
    move || {
        view.notice.get().map(|notice| {
            let class = match notice.tone {
                Tone::Calm => "notice is-calm",
                Tone::Warning => "notice is-warning",
            };
            let button = notice.remedy.map(|remedy| view! { <RemedyButton remedy wishes/> });
            view! {
                <div class=class role="status">
                    <p>{notice.text}</p>
                    {button}
                </div>
            }
        })
    }
}

/// The sentences in the room, above the cards.
#[component]
pub(crate) fn Banners(view: View, wishes: Wishes) -> impl IntoView {
    view! {
        <div class="banners" role="status">
            {move || view.reconnecting.get().then(|| view! {
                <p class="banner is-warning"><strong>"Reconnecting…"</strong>" "{words::RECONNECTING}</p>
            })}
            <SoundBanner view wishes/>
            <MicrophoneBanner view wishes/>
            {move || view.refusal.get().map(|message| view! {
                <div class="banner is-warning">
                    <p>"The studio server refused: " {message}</p>
                    <button type="button" class="secondary" on:click=move |_| wishes.send(Wish::DismissRefusal)>
                        "Close"
                    </button>
                </div>
            })}
        </div>
    }
}

#[component]
fn SoundBanner(view: View, wishes: Wishes) -> impl IntoView {
    move || {
        match view.sound.get() {
        Sound::On => None,
        Sound::Impossible => {
            Some(view! { <p class="banner is-warning">{words::SOUND_IMPOSSIBLE}</p> }.into_any())
        }
        Sound::Held => Some(
            view! {
                <div class="banner is-warning">
                    <p>{words::SOUND_HELD}</p>
                    <button type="button" class="primary" on:click=move |_| wishes.send(Wish::TurnSoundOn)>
                        <Icon picture=Picture::Sound/>
                        "Turn sound on"
                    </button>
                </div>
            }
            .into_any(),
        ),
    }
    }
}

#[component]
fn MicrophoneBanner(view: View, wishes: Wishes) -> impl IntoView {
    move || {
        let state = view.microphone.get();
        state.sentence().map(|sentence| {
            let class =
                if state == MicrophoneState::Asking { "banner is-calm" } else { "banner is-warning" };
            let retry = state.may_retry().then(|| view! {
                <button type="button" class="secondary" on:click=move |_| wishes.send(Wish::TryMicrophone)>
                    "Try microphone again"
                </button>
            });
            view! {
                <div class=class>
                    <p>{sentence}</p>
                    {retry}
                </div>
            }
        })
    }
}
