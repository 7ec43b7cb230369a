//! One room that the engine takes part in.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use openstudio_cast::{Air, Cast, CastConfig, CastError};
use openstudio_peer::session::EndReason;
use openstudio_peer::{Link, Options, Participant, Snapshot, Source, StartError, Trust, Work};
use openstudio_server::EngineLine;
use openstudio_units::RoomId;
use openstudio_wire::{DisplayName, EngineState, Line};

use crate::memory::UnderWay;
use crate::state;

/// What it is called in lists of participants that do not know its role.
const NAME: &str = "Studio";

/// What changes all the time is told this often.
const INTERVAL: Duration = Duration::from_secs(1);

/// A programme on its way.
#[derive(Debug)]
struct OnAir {
    cast: Arc<Mutex<Cast>>,
    air: Air,
}

/// The engine in one room.
#[derive(Debug)]
pub(crate) struct Show {
    participant: Participant,
    records: bool,
    on_air: Option<OnAir>,
    /// Why a programme cannot be sent.
    trouble: Option<String>,
    /// Since when nobody else is there.
    alone: Option<Instant>,
    told: EngineState,
    told_at: Instant,
    kept: UnderWay,
}

/// What became of a show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on.
    GoesOn,
    /// Nothing is wanted of it any more, or nobody is there.
    Done,
    /// The room is gone, or the engine was put out; in words, if somebody is to know.
    Ended(Option<String>),
}

impl Show {
    /// Begins to take part in a room.
    pub(crate) async fn begin(room: RoomId, line: &EngineLine) -> Result<Self, StartError> {
        let link = Link {
            is_encrypted: false,
            authority: line.address().to_string(),
            room: Some(room),
            invite: line.invite(room),
        };
        let participant = Participant::start(Options {
            link,
            trust: Trust::default(),
            name: DisplayName::new(NAME).ok(),
            source: Source::Silence,
            listens_only: true,
            sends_redundancy: true,
            relay_only: false,
            lose: 0,
            record: None,
        })
        .await?;
        Ok(Self {
            participant,
            records: false,
            on_air: None,
            trouble: None,
            alone: None,
            told: EngineState::default(),
            told_at: Instant::now(),
            kept: UnderWay::default(),
        })
    }

    /// Begins a recording below `parent`, or goes on with one.
    pub(crate) fn record(&mut self, parent: &Path, cut_short: Option<&str>) {
        if !std::mem::replace(&mut self.records, true) {
            self.participant.work(match cut_short {
                Some(id) => Work::ResumeRecording(parent.join(id)),
                None => Work::Record(parent.to_owned()),
            });
        }
    }

    /// Ends the recording.
    pub(crate) fn stop_recording(&mut self) {
        self.records = false;
        self.participant.work(Work::StopRecording);
    }

    /// Notes this moment.
    pub(crate) fn mark(&self, text: &Line) {
        self.participant.work(Work::Mark(text.as_str().to_owned()));
    }

    /// Sends the programme out; if it is sent already, under another title.
    pub(crate) fn go_on_air(&mut self, config: CastConfig) -> Result<(), CastError> {
        if let Some(OnAir { cast, .. }) = &self.on_air {
            lock(cast).set_title(&config.title);
            return Ok(());
        }
        let started = Cast::start(config);
        self.trouble = started.as_ref().err().map(ToString::to_string);
        let cast = started?;
        let air = cast.air();
        let cast = Arc::new(Mutex::new(cast));
        let pushed = cast.clone();
        self.participant
            .work(Work::Programme(Box::new(move |block: [&[f32]; 2]| lock(&pushed).push(block))));
        self.on_air = Some(OnAir { cast, air });
        Ok(())
    }

    /// Ends the programme.
    pub(crate) fn go_off_air(&mut self) {
        self.on_air = None;
        self.trouble = None;
        self.participant.work(Work::NoProgramme);
    }

    /// Returns the way to listen, while on air.
    pub(crate) fn air(&self) -> Option<Air> {
        self.on_air.as_ref().map(|on_air| on_air.air.clone())
    }

    /// Returns whether this recording is under way.
    pub(crate) fn is_recording(&self, id: &str) -> bool {
        self.kept.recording.as_deref() == Some(id)
    }

    /// Looks at what became of it.
    pub(crate) fn fate(&mut self, now: Instant, patience: Duration) -> Fate {
        let snapshot = self.participant.snapshot().borrow().clone();
        match &snapshot.ended {
            Some(EndReason::Refused { message, .. }) => return Fate::Ended(Some(message.clone())),
            Some(EndReason::TakenOver) => {
                return Fate::Ended(Some("another program has the engine's seat".to_owned()));
            }
            Some(EndReason::Left | EndReason::RoomEnded) => return Fate::Ended(None),
            None => {}
        }
        let deserted = snapshot.seat.is_some() && snapshot.others.is_empty();
        let alone = deserted.then(|| *self.alone.get_or_insert(now));
        self.alone = alone;
        let left = alone.is_some_and(|since| now.saturating_duration_since(since) > patience);
        if left || !(self.records || self.on_air.is_some()) { Fate::Done } else { Fate::GoesOn }
    }

    /// Returns what is to be told now, if anything is.
    pub(crate) fn news(&mut self, now: Instant) -> Option<EngineState> {
        let snapshot = self.participant.snapshot().borrow().clone();
        let state = self.state(&snapshot);
        let due = now.saturating_duration_since(self.told_at) >= INTERVAL;
        let same = still(&state) == still(&self.told);
        if same && (!due || state == self.told) {
            return None;
        }
        self.told = state.clone();
        self.told_at = now;
        Some(state)
    }

    /// Returns what is under way, if that is not what was kept last.
    pub(crate) fn newly_under_way(&mut self) -> Option<UnderWay> {
        let snapshot = self.participant.snapshot();
        let recording = snapshot.borrow().recording.as_ref().map(|status| status.id.clone());
        let air = self.on_air.as_ref().map(|on_air| on_air.air.status().title);
        let under_way = UnderWay { recording: recording.filter(|_| self.records), air };
        if under_way == self.kept {
            return None;
        }
        self.kept = under_way.clone();
        Some(under_way)
    }

    /// Returns what is under way.
    pub(crate) fn under_way(&self) -> &UnderWay {
        &self.kept
    }

    /// Ends it, and waits until all is written.
    pub(crate) async fn end(self) {
        self.participant.leave().await;
    }

    fn state(&self, snapshot: &Snapshot) -> EngineState {
        let alarm = self.trouble.clone().or_else(|| snapshot.alarm.clone());
        EngineState {
            recording: snapshot.recording.as_ref().filter(|_| self.records).map(state::recording),
            air: self.on_air.as_ref().map(|on_air| state::air(on_air.air.status())),
            alarm,
        }
    }
}

/// Returns a state without what changes all the time.
fn still(state: &EngineState) -> EngineState {
    let mut state = state.clone();
    if let Some(recording) = &mut state.recording {
        (recording.length_ms, recording.bytes) = (0, 0);
    }
    if let Some(air) = &mut state.air {
        (air.length_ms, air.listeners) = (0, 0);
    }
    state
}

fn lock(cast: &Mutex<Cast>) -> std::sync::MutexGuard<'_, Cast> {
    cast.lock().unwrap_or_else(PoisonError::into_inner)
}
