//! *Invite*: the links, ready to be copied.

use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::driver::{self, Wish};
use crate::ui::Wishes;
use crate::ui::icons::{Icon, Picture};
use crate::view::View;

/// *Invite*, and the panel behind it.
#[component]
pub(crate) fn InviteButton(view: View, wishes: Wishes) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let copied = RwSignal::new(String::new());
    let copy = move |what: &'static str, link: String| {
        spawn_local(async move {
            let done = driver::copy_text(link).await;
            copied.set(if done {
                format!("{what} copied.")
            } else {
                format!("{what}: select it and copy it by hand.")
            });
        });
    };
    let open = move |_| {
        let Some(dialog) = dialog.get() else { return };
        copied.set(String::new());
        // Fails only if it is open already.
        drop(dialog.show_modal());
        copy("Caller link", view.caller_link.get_untracked());
        if view.role.get_untracked().may_invite() {
            wishes.send(Wish::InviteHost);
        }
    };
    let close = move |_| {
        if let Some(dialog) = dialog.get() {
            dialog.close();
        }
    };
    view! {
        <button type="button" class="secondary" on:click=open>
            <Icon picture=Picture::Link/>
            "Invite"
        </button>
        <dialog node_ref=dialog aria-labelledby="invite-title">
            <h2 id="invite-title">"Invite people"</h2>
            <LinkField
                id="caller-link"
                label="Caller link"
                hint="Whoever has it joins as a caller."
                link=view.caller_link
                copy=move || copy("Caller link", view.caller_link.get_untracked())
            />
            <Show when=move || view.role.get().may_invite()>
                <LinkField
                    id="host-link"
                    label="Host link"
                    hint="Whoever has it joins as a host. Give it to co-hosts alone."
                    link=view.host_link
                    copy=move || copy("Host link", view.host_link.get_untracked())
                />
            </Show>
            <p class="copied" role="status">{move || copied.get()}</p>
            <div class="dialog-keys">
                <button type="button" class="secondary" on:click=close>"Done"</button>
            </div>
        </dialog>
    }
}

#[component]
fn LinkField(
    id: &'static str,
    label: &'static str,
    hint: &'static str,
    link: RwSignal<String>,
    copy: impl Fn() + Copy + 'static,
) -> impl IntoView {
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <p class="hint">{hint}</p>
            <div class="link-row">
                <input id=id type="text" readonly prop:value=link on:focus:target=move |event| event.target().select()/>
                <button
                    type="button"
                    class="secondary"
                    aria-label=format!("Copy {}", label.to_lowercase())
                    disabled=move || link.with(String::is_empty)
                    on:click=move |_| copy()
                >
                    "Copy"
                </button>
            </div>
        </div>
    }
}
