//! The page in front of the room: your name, and one button.

use leptos::ev::SubmitEvent;
use leptos::html;
use leptos::prelude::*;
use openstudio_units::Role;

use crate::driver::{self, Wish};
use crate::model::address::Address;
use crate::model::card::role_label;
use crate::model::words::{self, Notice, Remedy};
use crate::model::{name, token};
use crate::ui::Wishes;
use crate::ui::check::SoundCheck;
use crate::ui::notices::NoticeBox;
use crate::ui::theme::ThemeButton;
use crate::view::{Entering, View};

const NAME_KEY: &str = "openstudio.name";

/// The page in front of the room.
#[component]
pub(crate) fn Entry(view: View, wishes: Wishes) -> impl IntoView {
    // A kept seat is taken again rather than doubled, and a notice has more to say.
    let doubles = move || {
        view.elsewhere.get()
            && view.entering.get() == Entering::Idle
            && view.kept_role.get().is_none()
            && view.notice.with(Option::is_none)
    };
    view! {
        <div class="entry">
            <header class="topbar">
                <Wordmark/>
                <ThemeButton/>
            </header>
            <main class="entry-main">
                <section class="panel">
                    <h1>{move || title(&view.address.get())}</h1>
                    <p class="lead">{move || lead(&view.address.get(), view.kept_role.get())}</p>
                    <NoticeBox view wishes/>
                    <Show when=|| !driver::is_secure()>
                        <p class="notice is-warning" role="note">{words::INSECURE_PAGE}</p>
                    </Show>
                    <Show when=doubles>
                        <p class="notice is-warning" role="status">{Notice::other_tab().text}</p>
                    </Show>
                    <NameForm view wishes/>
                    <Progress view wishes/>
                    <SoundCheck view wishes/>
                </section>
            </main>
        </div>
    }
}

/// The product's name.
#[component]
pub(crate) fn Wordmark() -> impl IntoView {
    view! {
        <p class="wordmark">
            <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
                <path d="M5 13v6M10.5 9v14M16 5v22M21.5 10v12M27 13.5v5"/>
            </svg>
            "OpenStudio"
        </p>
    }
}

#[component]
fn NameForm(view: View, wishes: Wishes) -> impl IntoView {
    let typed = RwSignal::new(driver::remembered(NAME_KEY).unwrap_or_default());
    let error = RwSignal::new(None::<&'static str>);
    let field = NodeRef::<html::Input>::new();
    let busy = move || view.entering.get() != Entering::Idle;
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let name = match name::parse(&typed.get_untracked()) {
            Ok(name) => name,
            Err(sentence) => return error.set(Some(sentence)),
        };
        error.set(None);
        // Removing a focused field makes the browser lay out the page on the spot.
        if let Some(field) = field.get_untracked() {
            drop(field.blur());
        }
        driver::remember(NAME_KEY, name.as_str());
        wishes.send(match view.address.get_untracked() {
            Address::Room { .. } => Wish::Join(name),
            Address::Start | Address::Broken => Wish::Start(name),
        });
    };
    view! {
        <form class="name-form" on:submit=submit novalidate>
            <label for="name">"Your name"</label>
            <input
                node_ref=field
                id="name"
                type="text"
                maxlength="64"
                autocomplete="nickname"
                autocapitalize="words"
                spellcheck="false"
                aria-describedby="name-error"
                aria-invalid=move || error.get().is_some().then_some("true")
                prop:value=typed
                on:input:target=move |event| typed.set(event.target().value())
            />
            <p id="name-error" class="field-error" role="alert">{move || error.get()}</p>
            <button type="submit" class="primary large" disabled=busy>
                {move || match view.address.get() {
                    Address::Room { .. } => "Join session",
                    Address::Start | Address::Broken => "Start session",
                }}
            </button>
        </form>
    }
}

/// What goes on after the button was pressed, and the way to give up.
#[component]
fn Progress(view: View, wishes: Wishes) -> impl IntoView {
    let words = move || match view.entering.get() {
        Entering::Idle => None,
        Entering::Busy => Some("Entering…"),
        Entering::Returning => Some("Returning to the session…"),
        Entering::Unreachable => Some(words::UNREACHABLE),
    };
    view! {
        <div class="progress" role="status">
            {move || words().map(|words| view! {
                <p class="progress-words">{words}</p>
                <button type="button" class="quiet" on:click=move |_| wishes.send(Wish::Cancel)>
                    "Cancel"
                </button>
            })}
        </div>
    }
}

/// A button under a sentence.
#[component]
pub(crate) fn RemedyButton(remedy: Remedy, wishes: Wishes) -> impl IntoView {
    let press = move |_| {
        wishes.send(match remedy {
            Remedy::Rejoin | Remedy::UseThisTab => Wish::Resume,
            Remedy::StartAnew => Wish::StartAnew,
        });
    };
    view! { <button type="button" class="secondary" on:click=press>{remedy.label()}</button> }
}

fn title(address: &Address) -> &'static str {
    match address {
        Address::Start | Address::Broken => "Open a studio",
        Address::Room { .. } => "Join the studio",
    }
}

fn lead(address: &Address, kept: Option<Role>) -> String {
    match address {
        Address::Start | Address::Broken => {
            "You will be the host. Then invite co-hosts and callers with a link.".to_owned()
        }
        Address::Room { invite: Some(invite), .. } => match token::role_of(invite) {
            Some(role) => format!("You are invited as {}.", with_article(role)),
            None => "You are invited to a session.".to_owned(),
        },
        Address::Room { invite: None, .. } => match kept {
            Some(role) => format!("You join again as {}.", with_article(role)),
            None => format!("You join as {}.", with_article(Role::Caller)),
        },
    }
}

fn with_article(role: Role) -> String {
    let word = role_label(role).to_lowercase();
    let article = if role == Role::Ops { "an" } else { "a" };
    format!("{article} {word}")
}
