//! One participant, as its owner sees it.

use std::io;
use std::path::PathBuf;

use openstudio_session::Input;
use openstudio_session::wire::DisplayName;
use openstudio_tls::{TlsError, Trust};
use openstudio_units::Seed;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::engine::Engine;
use crate::link::Link;
use crate::network::Network;
use crate::signalling::Place;
use crate::snapshot::Snapshot;
use crate::voice::{Source, Voice};

/// Messages of the server that wait for the task at most; further ones wait in the network.
const REPORTS: usize = 256;

/// Who takes part, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// The room, or the studio where one is to be made.
    pub link: Link,
    /// Whom to believe that they are the studio, where the link says `https://`.
    pub trust: Trust,
    /// What the participant is called.
    pub name: Option<DisplayName>,
    /// What it says.
    pub source: Source,
    /// Whether it only listens: it sends no audio at all, and `source` is not played.
    pub listens_only: bool,
    /// Whether it sends redundancy to those who miss packets. Without, what redundancy is worth
    /// can be measured.
    pub sends_redundancy: bool,
    /// Whether its media go through relays alone, as a network would have it that lets nothing
    /// else through.
    pub relay_only: bool,
    /// How many of a hundred datagrams it loses on purpose, each way, as a bad network would.
    pub lose: u8,
    /// Where to record what it hears, in a new folder for each session; none does not record.
    pub record: Option<PathBuf>,
}

/// Takes the programme: left and right, 20 ms at a time. Called on the participant's task, so
/// it must not wait.
pub type ProgrammeSink = Box<dyn FnMut([&[f32]; 2]) + Send>;

/// Something to do beside the session.
pub enum Work {
    /// Record into a new folder below this one, from now on. Ignored while it records.
    Record(PathBuf),
    /// Go on with the recording in this folder, which was cut short.
    ResumeRecording(PathBuf),
    /// End the recording.
    StopRecording,
    /// Note this moment in the recording.
    Mark(String),
    /// Give the programme to this sink, in place of the one before.
    Programme(ProgrammeSink),
    /// Give the programme to nobody.
    NoProgramme,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Record(_) => "Record",
            Self::ResumeRecording(_) => "ResumeRecording",
            Self::StopRecording => "StopRecording",
            Self::Mark(_) => "Mark",
            Self::Programme(_) => "Programme",
            Self::NoProgramme => "NoProgramme",
        })
    }
}

/// What its owner wants of a participant.
#[derive(Debug)]
pub(crate) enum Wish {
    /// Of the session.
    Session(Input),
    /// Beside it.
    Work(Work),
}

/// Why a participant could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No socket for media could be opened.
    #[error("no UDP port could be opened for sound: {0}")]
    Network(io::Error),
    /// The encoder could not be made.
    #[error("the Opus encoder could not be made: {0}")]
    Encoder(opus::Error),
    /// There are no certificates to believe.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The system gave no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// A participant at work. Dropping it ends it at once, as a crash would; see
/// [`Participant::leave`].
#[derive(Debug)]
pub struct Participant {
    wishes: mpsc::UnboundedSender<Wish>,
    snapshot: watch::Receiver<Snapshot>,
    task: JoinHandle<()>,
}

impl Participant {
    /// Starts a participant.
    ///
    /// # Errors
    /// If this machine lacks what it takes. That the studio cannot be reached is no error:
    /// the session goes on trying.
    #[expect(clippy::unused_async, reason = "its tasks need the runtime that polls it")]
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let voice = Voice::new(options.source.clone()).map_err(StartError::Encoder)?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(StartError::Random)?;
        let tls = options.link.is_encrypted.then(|| options.trust.load()).transpose()?;
        let opened = Network::open(tls.clone(), Seed(seed));
        let (mut network, arrivals) = opened.map_err(StartError::Network)?;
        let (wishes, receiver) = mpsc::unbounded_channel();
        let (sender, snapshot) = watch::channel(Snapshot::default());
        let (reports, reported) = mpsc::channel(REPORTS);
        network.lose(options.lose, Seed(seed));
        let place = Place { url: options.link.socket_url(), tls };
        let engine = Engine::new((&options, place), Seed(seed), (network, voice), reports, sender);
        let task = tokio::spawn(engine.run(options, receiver, arrivals, reported));
        Ok(Self { wishes, snapshot, task })
    }

    /// Returns what is known of it, renewed ten times a second.
    pub fn snapshot(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.clone()
    }

    /// Tells the session something: *mute*, *retry*, what the desk is to do.
    pub fn tell(&self, input: Input) {
        // After its end nothing is to be told.
        drop(self.wishes.send(Wish::Session(input)));
    }

    /// Has something done. What comes of it is in the [`Snapshot`].
    pub fn work(&self, work: Work) {
        drop(self.wishes.send(Wish::Work(work)));
    }

    /// Leaves the room, and waits until the others can know.
    pub async fn leave(mut self) {
        self.tell(Input::Leave);
        // A task that panicked has nothing more to say.
        drop((&mut self.task).await);
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        self.task.abort();
    }
}
