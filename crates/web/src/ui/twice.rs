//! Buttons that end something, and so want to be pressed twice.

use std::time::Duration;

use leptos::ev::{KeyboardEvent, MouseEvent};
use leptos::prelude::*;

/// For how long the second press is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a first press was made, for five seconds.
#[derive(Debug, Clone, Copy)]
struct Armed {
    armed: RwSignal<bool>,
    rest: StoredValue<Option<TimeoutHandle>>,
}

impl Armed {
    fn new() -> Self {
        let this = Self { armed: RwSignal::new(false), rest: StoredValue::new(None) };
        on_cleanup(move || this.forget_timer());
        this
    }

    fn get(self) -> bool {
        self.armed.get()
    }

    /// Takes a press; returns whether it was the second.
    fn press(self) -> bool {
        let second = self.armed.get_untracked();
        self.forget_timer();
        self.armed.set(!second);
        if !second {
            let armed = self.armed;
            let rest = move || {
                let _ = armed.try_set(false);
            };
            // Without a timer it waits for ever, and the button says so.
            self.rest.set_value(set_timeout_with_handle(rest, PATIENCE).ok());
        }
        second
    }

    fn disarm(self) {
        self.forget_timer();
        self.armed.set(false);
    }

    fn forget_timer(self) {
        let timer = self.rest.try_update_value(Option::take).flatten();
        if let Some(timer) = timer {
            timer.clear();
        }
    }
}

/// The second half of a double click means nothing: many click everything twice.
fn is_own_press(event: &MouseEvent) -> bool {
    event.detail() <= 1
}

/// A key that is held down is one press.
fn ignore_repeats(event: &KeyboardEvent) {
    if event.repeat() && event.key() == "Enter" {
        event.prevent_default();
    }
}

/// A button whose second press within five seconds counts. `label` is what it is called, for
/// those who cannot see where it stands; `again` what it says after the first press.
#[component]
pub(crate) fn TwiceButton(
    #[prop(into)] label: Signal<String>,
    text: &'static str,
    again: &'static str,
    #[prop(into)] disabled: Signal<bool>,
    press: impl Fn() + 'static,
) -> impl IntoView {
    let armed = Armed::new();
    let on_press = move |event: MouseEvent| {
        if is_own_press(&event) && armed.press() {
            press();
        }
    };
    view! {
        <button
            type="button"
            class=move || if armed.get() { "small danger-lit" } else { "quiet small" }
            aria-label=move || if armed.get() { again.to_owned() } else { label.get() }
            disabled=disabled
            on:keydown=move |event| ignore_repeats(&event)
            on:click=on_press
        >
            {move || if armed.get() { again } else { text }}
        </button>
        <Question armed again/>
    }
}

/// What a [`SwitchButton`] says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SwitchWords {
    /// While it is off.
    pub(crate) begin: &'static str,
    /// While it is on.
    pub(crate) end: &'static str,
    /// After the first press while it is on.
    pub(crate) again: &'static str,
}

/// A button that switches something on at once, and off with a second press within five
/// seconds. It stays the same button, so that the focus stays on it. `has_dot`: with a red dot
/// while it is off.
#[component]
pub(crate) fn SwitchButton(
    words: SwitchWords,
    #[prop(optional)] has_dot: bool,
    on: Memo<bool>,
    #[prop(into)] disabled: Signal<bool>,
    switch: impl Fn(bool) + 'static,
) -> impl IntoView {
    let armed = Armed::new();
    // Somebody else may have switched it off, and on again.
    Effect::new(move |_| {
        if !on.get() {
            armed.disarm();
        }
    });
    let on_press = move |event: MouseEvent| {
        if !is_own_press(&event) {
            return;
        }
        if !on.get_untracked() {
            switch(true);
        } else if armed.press() {
            switch(false);
        }
    };
    let text = move || match (on.get(), armed.get()) {
        (false, _) => words.begin,
        (true, false) => words.end,
        (true, true) => words.again,
    };
    view! {
        <button
            type="button"
            class=move || if armed.get() { "small danger-lit" } else { "secondary small" }
            aria-pressed=move || if on.get() { "true" } else { "false" }
            disabled=disabled
            on:keydown=move |event| ignore_repeats(&event)
            on:click=on_press
        >
            <Show when=move || has_dot && !on.get()>
                <span class="dot" aria-hidden="true"></span>
            </Show>
            {text}
        </button>
        <Question armed again=words.again/>
    }
}

/// Says that another press is wanted, to those who cannot see it.
#[component]
fn Question(armed: Armed, again: &'static str) -> impl IntoView {
    view! { <span class="unseen" role="status">{move || armed.get().then_some(again)}</span> }
}
