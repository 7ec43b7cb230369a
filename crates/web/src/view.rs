//! What is on the screen, as signals: the loop writes them, the page reads them.

use leptos::prelude::*;

use crate::model::address::Address;
use crate::model::card::Card;
use crate::model::words::{MicrophoneState, Notice};
use openstudio_units::Role;

/// Which page is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    /// Your name, and a button.
    Entry,
    /// The room.
    Room,
}

/// Where entering stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entering {
    /// Nothing was pressed.
    Idle,
    /// The server is being asked.
    Busy,
    /// The server does not answer; it is being tried again.
    Unreachable,
    /// A reloaded page takes its seat again.
    Returning,
}

/// Whether the session can be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sound {
    /// It can, or there is nothing to hear yet.
    On,
    /// The browser waits for a gesture.
    Held,
    /// There is no Web Audio.
    Impossible,
}

/// One line of *Connection details*.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkRow {
    /// To whom.
    pub(crate) name: String,
    /// Everything else, in words of the standard.
    pub(crate) facts: String,
}

/// Everything on the screen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    /// Which page is shown.
    pub(crate) screen: RwSignal<Screen>,
    /// What the address leads to.
    pub(crate) address: RwSignal<Address>,
    /// Where entering stands.
    pub(crate) entering: RwSignal<Entering>,
    /// A sentence on the entry page.
    pub(crate) notice: RwSignal<Option<Notice>>,
    /// Whether another tab of this browser is in the room of the address.
    pub(crate) elsewhere: RwSignal<bool>,
    /// The role of the seat that this tab keeps for the address.
    pub(crate) kept_role: RwSignal<Option<Role>>,
    /// The participants, in order.
    pub(crate) cards: RwSignal<Vec<Card>>,
    /// What the person may do.
    pub(crate) role: RwSignal<Role>,
    /// Whether the way to the server is broken.
    pub(crate) reconnecting: RwSignal<bool>,
    /// Something that the server refused while the session goes on.
    pub(crate) refusal: RwSignal<Option<String>>,
    /// Whether the person is muted.
    pub(crate) muted: RwSignal<bool>,
    /// Where the microphone stands.
    pub(crate) microphone: RwSignal<MicrophoneState>,
    /// The microphones that there are: id and label.
    pub(crate) devices: RwSignal<Vec<(String, String)>>,
    /// The chosen one; empty for the browser's choice.
    pub(crate) device: RwSignal<String>,
    /// Whether the session can be heard.
    pub(crate) sound: RwSignal<Sound>,
    /// The link for callers.
    pub(crate) caller_link: RwSignal<String>,
    /// The link for another host, once the server made it.
    pub(crate) host_link: RwSignal<String>,
    /// The lines of *Connection details*, while they are shown.
    pub(crate) links: RwSignal<Vec<LinkRow>>,
    /// The newest change, for those who cannot see it.
    pub(crate) announcement: RwSignal<String>,
}

impl View {
    /// Makes the view of a page that was just loaded.
    pub(crate) fn new(address: Address) -> Self {
        Self {
            screen: RwSignal::new(Screen::Entry),
            address: RwSignal::new(address),
            entering: RwSignal::new(Entering::Idle),
            notice: RwSignal::new(None),
            elsewhere: RwSignal::new(false),
            kept_role: RwSignal::new(None),
            cards: RwSignal::new(Vec::new()),
            role: RwSignal::new(Role::Caller),
            reconnecting: RwSignal::new(false),
            refusal: RwSignal::new(None),
            muted: RwSignal::new(false),
            microphone: RwSignal::new(MicrophoneState::Idle),
            devices: RwSignal::new(Vec::new()),
            device: RwSignal::new(String::new()),
            sound: RwSignal::new(Sound::On),
            caller_link: RwSignal::new(String::new()),
            host_link: RwSignal::new(String::new()),
            links: RwSignal::new(Vec::new()),
            announcement: RwSignal::new(String::new()),
        }
    }
}

/// Writes a signal only if the value is another one, so that nothing is drawn in vain.
pub(crate) fn put<T: PartialEq + Send + Sync + 'static>(signal: RwSignal<T>, value: T) {
    if signal.with_untracked(|shown| *shown != value) {
        signal.set(value);
    }
}
