//! *End session*, asked twice.

use leptos::html;
use leptos::prelude::*;

use crate::driver::Wish;
use crate::ui::Wishes;
use crate::ui::icons::{Icon, Picture};
use crate::view::View;

/// *End session*, for hosts.
#[component]
pub(crate) fn EndSessionButton(view: View, wishes: Wishes) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let open = move |_| {
        if let Some(dialog) = dialog.get() {
            // Fails only if it is open already.
            drop(dialog.show_modal());
        }
    };
    let close = move || {
        if let Some(dialog) = dialog.get() {
            dialog.close();
        }
    };
    let end = move |_| {
        close();
        wishes.send(Wish::EndSession);
    };
    view! {
        <Show when=move || view.role.get().may_end_room()>
            <button type="button" class="quiet danger" on:click=open>
                <Icon picture=Picture::Stop/>
                "End session"
            </button>
            <dialog node_ref=dialog aria-labelledby="end-title">
                <h2 id="end-title">"End the session for everybody?"</h2>
                <p>"All participants are disconnected, and the link stops working."</p>
                <div class="dialog-keys">
                    <button type="button" class="secondary" on:click=move |_| close()>"Cancel"</button>
                    <button type="button" class="key leave for-all" on:click=end>"End session"</button>
                </div>
            </dialog>
        </Show>
    }
}
