//! What is on the screen, as signals: the loop writes them, the page reads them.

use leptos::prelude::*;

use crate::audio::Listening;
use crate::model::address::Address;
use crate::model::card::Card;
use crate::model::check::Finding;
use crate::model::devices::Devices;
use crate::model::loudness::Loudness;
use crate::model::processing::Processing;
use crate::model::words::{MicrophoneState, Notice};
use openstudio_session::wire::{EngineState, RecordingSummary, Token};
use openstudio_units::{Gain, Role};

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

/// What the check of the microphone is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum CheckStage {
    /// It is closed.
    #[default]
    Closed,
    /// The browser is asking.
    Asking,
    /// There is no microphone to check.
    Refused(MicrophoneState),
    /// It listens.
    Listening,
    /// The person is recorded.
    Recording,
    /// They hear themselves.
    Playing,
    /// A tone is played.
    Beeping,
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
    /// Whether a host muted the person.
    pub(crate) held: RwSignal<bool>,
    /// Whether the cough key is held.
    pub(crate) coughing: RwSignal<bool>,
    /// How loud the person listens.
    pub(crate) volume: RwSignal<Gain>,
    /// What the person listens to.
    pub(crate) listening: RwSignal<Listening>,
    /// The programme's loudness.
    pub(crate) loudness: RwSignal<Loudness>,
    /// What the studio's engine does; none where there is no engine.
    pub(crate) engine: RwSignal<Option<EngineState>>,
    /// What it began or ended last, for those who cannot see it.
    pub(crate) engine_news: RwSignal<String>,
    /// The room's recordings, and what lets them be downloaded, once they were asked for.
    pub(crate) recordings: RwSignal<Option<(Vec<RecordingSummary>, Token)>>,
    /// The page for listeners.
    pub(crate) listen_link: RwSignal<String>,
    /// Whether the list of keys is shown.
    pub(crate) shows_keys: RwSignal<bool>,
    /// Whether the sound has to do without the desk.
    pub(crate) desk_missing: RwSignal<bool>,
    /// Where the microphone stands.
    pub(crate) microphone: RwSignal<MicrophoneState>,
    /// The devices for sound that there are.
    pub(crate) devices: RwSignal<Devices>,
    /// The chosen microphone; empty for the browser's choice.
    pub(crate) device: RwSignal<String>,
    /// What the microphone is used for.
    pub(crate) processing: RwSignal<Processing>,
    /// The chosen loudspeaker; empty for the browser's choice.
    pub(crate) output: RwSignal<String>,
    /// Whether this browser lets the page choose one.
    pub(crate) chooses_output: RwSignal<bool>,
    /// What the check of the microphone is at.
    pub(crate) check: RwSignal<CheckStage>,
    /// What it found.
    pub(crate) findings: RwSignal<Vec<Finding>>,
    /// The level of the microphone under test, 0 to 100.
    pub(crate) check_level: RwSignal<u8>,
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
            held: RwSignal::new(false),
            coughing: RwSignal::new(false),
            volume: RwSignal::new(Gain::UNITY),
            listening: RwSignal::new(Listening::default()),
            loudness: RwSignal::new(Loudness::default()),
            engine: RwSignal::new(None),
            engine_news: RwSignal::new(String::new()),
            recordings: RwSignal::new(None),
            listen_link: RwSignal::new(String::new()),
            shows_keys: RwSignal::new(false),
            desk_missing: RwSignal::new(false),
            microphone: RwSignal::new(MicrophoneState::Idle),
            devices: RwSignal::new(Devices::default()),
            device: RwSignal::new(String::new()),
            processing: RwSignal::new(Processing::default()),
            output: RwSignal::new(String::new()),
            chooses_output: RwSignal::new(false),
            check: RwSignal::new(CheckStage::default()),
            findings: RwSignal::new(Vec::new()),
            check_level: RwSignal::new(0),
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
