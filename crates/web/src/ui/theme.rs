//! Light or dark: the system's wish, unless the person chose.

use leptos::prelude::*;
use web_sys::Document;

use crate::driver;
use crate::ui::icons::{Icon, Picture};

const KEY: &str = "openstudio.theme";
const ATTRIBUTE: &str = "data-theme";

/// Applies what the person chose earlier in this browser.
pub(crate) fn apply_remembered(document: &Document) {
    if let Some(theme) = driver::remembered(KEY) {
        apply(document, &theme);
    }
}

fn apply(document: &Document, theme: &str) {
    if let Some(root) = document.document_element() {
        drop(root.set_attribute(ATTRIBUTE, theme));
    }
}

fn is_dark(document: &Document) -> bool {
    let chosen = document.document_element().and_then(|root| root.get_attribute(ATTRIBUTE));
    match chosen.as_deref() {
        Some("dark") => true,
        Some("light") => false,
        _ => window()
            .match_media("(prefers-color-scheme: light)")
            .ok()
            .flatten()
            .is_none_or(|query| !query.matches()),
    }
}

/// The button that changes between the two.
#[component]
pub(crate) fn ThemeButton() -> impl IntoView {
    let toggle = move |_| {
        let theme = if is_dark(&document()) { "light" } else { "dark" };
        apply(&document(), theme);
        driver::remember(KEY, theme);
    };
    view! {
        <button type="button" class="quiet square" aria-label="Light or dark" title="Light or dark" on:click=toggle>
            <Icon picture=Picture::Theme/>
        </button>
    }
}
