//! What the loop is told, by the browser and by the page.

use futures_channel::mpsc::UnboundedSender;
use openstudio_session::Input;
use openstudio_session::mesh::{self, OpError, OpId, PcId};
use openstudio_session::wire::DisplayName;
use openstudio_units::PeerId;
use web_sys::{HtmlElement, MediaStream, MediaStreamTrack};

use crate::driver::stats::Reading;
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
    /// *Try microphone again*.
    TryMicrophone,
    /// Another microphone, by its id; empty for the browser's choice.
    ChooseMicrophone(String),
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
    /// The microphones that there are: id and label.
    DevicesListed(Vec<(String, String)>),
    /// A card is on the screen, with its meter.
    MeterShown {
        /// Whose.
        peer: PeerId,
        /// The element with `role="meter"`.
        meter: HtmlElement,
    },
    /// Time to look at the levels.
    MeterTick,
    /// The address changed: back, forward, or a link to another session.
    AddressChanged,
    /// The browser says that it is online.
    Online,
    /// The browser says that its network is another one.
    NetworkChanged,
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
