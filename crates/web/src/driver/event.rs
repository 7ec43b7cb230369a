//! What the loop is told, by the browser and by the page.

use futures_channel::mpsc::UnboundedSender;
use openstudio_session::mesh::{self, OpError, OpId, PcId};
use openstudio_session::wire::{DisplayName, StripChange};
use openstudio_session::{Input, Order};
use openstudio_units::{Gain, PeerId};
use wasm_bindgen::JsValue;
use web_sys::{HtmlElement, MediaStream, MediaStreamTrack};

use crate::audio::Listening;
use crate::driver::stats::Reading;
use crate::model::devices::Devices;
use crate::model::processing::Processing;
use crate::model::words::MicrophoneState;

/// What the person wants.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    /// *Start session*.
    Start(DisplayName),
    /// *Join session*, at the address that the page stands at.
    Join(DisplayName),
    /// *Rejoin* or *Use this tab*: take the kept seat.
    Resume,
    /// Give up entering.
    Cancel,
    /// *Leave*.
    Leave,
    /// *End session*, confirmed.
    EndSession,
    /// *Mute myself* pressed or released.
    SetMuted(bool),
    /// A control of the desk was moved.
    SetStrip(PeerId, StripChange),
    /// *Mute NAME* pressed.
    ToggleMute(PeerId),
    /// *Solo NAME* pressed.
    ToggleSolo(PeerId),
    /// The cough key is held, or released.
    Cough(bool),
    /// How loud the person listens.
    SetVolume(Gain),
    /// What the person listens to.
    ListenTo(Listening),
    /// A new measurement of the programme's loudness.
    ResetLoudness,
    /// The studio's engine is to do something.
    Order(Order),
    /// *Try microphone again*.
    TryMicrophone,
    /// Another microphone, by its id; empty for the browser's choice.
    ChooseMicrophone(String),
    /// What the microphone is used for.
    ChooseProcessing(Processing),
    /// Another loudspeaker, by its id; empty for the browser's choice.
    ChooseOutput(String),
    /// The check of the microphone is opened, or closed.
    Check(bool),
    /// *Record 3 seconds*.
    RecordCheck,
    /// *Play a test tone*.
    Beep,
    /// *Turn sound on*.
    TurnSoundOn,
    /// *Invite*: a link for another host is wanted.
    InviteHost,
    /// *Retry* on a card.
    Retry(PeerId),
    /// *Connection details* opened or closed.
    ShowDetails(bool),
    /// A sentence in the room was read.
    DismissRefusal,
    /// A new session rather than the one of the address.
    StartAnew,
}

/// What one session's browser objects report. The number tells sessions apart.
#[derive(Debug)]
pub(crate) enum Report {
    /// Straight into the session.
    Input(Input),
    /// A remote offer is applied; its transceivers are to be attached.
    OfferApplied {
        /// What to complete.
        op: OpId,
        /// Where.
        pc: PcId,
    },
    /// `track` fired.
    TrackArrived {
        /// Where.
        pc: PcId,
        /// The track.
        track: MediaStreamTrack,
    },
    /// A relay answered to a probe.
    RelayAnswered {
        /// Which probe.
        probe: u32,
        /// By which URL, as far as the browser says.
        url: Option<String>,
        /// By which protocol, as far as the browser says.
        protocol: Option<String>,
    },
    /// A probe has heard of all relays that there are.
    RelaysGathered {
        /// Which probe.
        probe: u32,
    },
    /// The statistics of a connection were read.
    StatsRead {
        /// What to complete.
        op: OpId,
        /// Where.
        pc: PcId,
        /// What they say.
        reading: Result<Reading, OpError>,
        /// Whether loss and round trip are wanted.
        detailed: bool,
    },
}

/// Everything that can happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// The person wants something.
    Wish(Wish),
    /// A session's browser object reports.
    Session(u32, Report),
    /// The deadline is there.
    Alarm,
    /// `getUserMedia` came to its end.
    Microphone {
        /// Which request.
        request: u32,
        /// How.
        result: Result<MediaStream, MicrophoneState>,
    },
    /// The track of a request ended by itself.
    MicrophoneEnded {
        /// Which request.
        request: u32,
    },
    /// `devicechange` fired.
    DevicesChanged,
    /// The devices for sound that there are.
    DevicesListed {
        /// All of them.
        devices: Devices,
        /// Whether one came or went.
        changed: bool,
    },
    /// A card is on the screen, with its meter.
    MeterShown {
        /// Whose.
        peer: PeerId,
        /// The element with `role="meter"`.
        meter: HtmlElement,
    },
    /// The programme's meter is on the screen.
    ProgrammeMeterShown(HtmlElement),
    /// The desk's program is compiled and its script on the audio thread; none if it cannot be.
    DeskLoaded(Option<JsValue>),
    /// The microphone under test is open, or is not.
    CheckOpened {
        /// Which request.
        number: u32,
        /// How.
        result: Result<MediaStream, MicrophoneState>,
    },
    /// Time to look at the microphone under test.
    CheckTick,
    /// The recording of the check was heard to its end.
    CheckPlayed,
    /// The page came to the front, or went to the back.
    VisibilityChanged,
    /// Time to bring the room to the screen.
    Tick,
    /// The address changed: back, forward, or a link to another session.
    AddressChanged,
    /// The browser says that it is online.
    Online,
    /// The browser says that its network is another one.
    NetworkChanged,
    /// The browser says that something about its network is different, which may be its speed
    /// alone.
    NetworkHint,
    /// Another tab of this browser says something.
    OtherTab(String),
}

/// The way into the loop. Never blocks; after the page's end it goes nowhere.
pub(crate) type Sender = UnboundedSender<Event>;

/// The way into the loop for one session's objects.
#[derive(Debug, Clone)]
pub(crate) struct Port {
    sender: Sender,
    session: u32,
}

impl Port {
    /// Makes a port for the session with this number.
    pub(crate) fn new(sender: Sender, session: u32) -> Self {
        Self { sender, session }
    }

    /// Reports something.
    pub(crate) fn report(&self, report: Report) {
        // The loop ends with the page only.
        drop(self.sender.unbounded_send(Event::Session(self.session, report)));
    }

    /// Reports something to the session itself.
    pub(crate) fn input(&self, input: Input) {
        self.report(Report::Input(input));
    }

    /// Reports something to the connection manager.
    pub(crate) fn mesh(&self, input: mesh::Input) {
        self.input(Input::Mesh(input));
    }

    /// Reports the end of an operation.
    pub(crate) fn complete(&self, op: OpId, result: Result<mesh::Completion, OpError>) {
        self.mesh(mesh::Input::Completed { op, result });
    }
}
