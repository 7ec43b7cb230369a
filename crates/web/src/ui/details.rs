//! *Connection details*: what the connection manager says of each link.

use leptos::html;
use leptos::prelude::*;

use crate::driver::Wish;
use crate::ui::Wishes;
use crate::view::View;

/// The panel, closed at first.
#[component]
pub(crate) fn ConnectionDetails(view: View, wishes: Wishes) -> impl IntoView {
    let panel = NodeRef::<html::Details>::new();
    let toggled = move |_| {
        let open = panel.get().is_some_and(|panel| panel.open());
        wishes.send(Wish::ShowDetails(open));
    };
    view! {
        <details class="details" node_ref=panel on:toggle=toggled>
            <summary>"Connection details"</summary>
            <dl>
                {move || view.links.get().into_iter().map(|row| view! {
                    <div>
                        <dt>{row.name}</dt>
                        <dd>{row.facts}</dd>
                    </div>
                }).collect_view()}
            </dl>
        </details>
    }
}
