//! What the studio's engine does, in words: times, sizes, what is told when it begins.

use std::time::Duration;

use openstudio_session::wire::{EngineState, RecordingSummary, TrackSummary};
use openstudio_units::Timestamp;

use crate::model::card::{Card, role_label};

/// For how long after a seat was given an engine that does nothing is not believed: it is told
/// what it does only after the seat.
const SETTLING: Duration = Duration::from_secs(3);

/// How long the room is on the screen before something is told: what stands there from the
/// beginning is read to nobody.
const ARRIVING: Duration = Duration::from_secs(1);

/// Returns a length as people read it: `4:05`, or `1:02:03` from an hour on.
pub(crate) fn length(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// Returns a size as people read it: two digits are enough.
pub(crate) fn size(bytes: u64) -> String {
    // What rounds to a thousand has the next unit.
    let (amount, unit) = match bytes {
        0..999_500 => return format!("{:.0} kB", bytes as f64 / 1e3),
        999_500..999_500_000 => (bytes as f64 / 1e6, "MB"),
        _ => (bytes as f64 / 1e9, "GB"),
    };
    if amount < 9.95 { format!("{amount:.1} {unit}") } else { format!("{amount:.0} {unit}") }
}

/// Returns how many listen, in words.
pub(crate) fn listeners(count: u64) -> String {
    format!("{count} listening")
}

/// Follows the engine through lost connections, and knows what was told of it.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    shown: Option<EngineState>,
    /// Whether it was told that the session is recorded, and that it is on air.
    told: (bool, bool),
    first_seat: Option<Timestamp>,
    last_seat: Option<Timestamp>,
}

impl Follower {
    /// A seat was given, for the first time or again.
    pub(crate) fn seated(&mut self, now: Timestamp) {
        self.first_seat.get_or_insert(now);
        self.last_seat = Some(now);
    }

    /// Takes what the session knows; returns what is to be shown. None: there is no engine.
    pub(crate) fn follow(
        &mut self,
        now: Timestamp,
        state: Option<&EngineState>,
    ) -> Option<&EngineState> {
        let settling = self.last_seat.is_some_and(|seat| now.since(seat) < SETTLING);
        let unknown = settling && state.is_some_and(EngineState::is_idle);
        if self.shown.as_ref() != state && !(unknown && self.shown.is_some()) {
            self.shown = state.cloned();
        }
        self.shown.as_ref()
    }

    /// Returns what has begun or ended since the last call, in words; each is told once.
    pub(crate) fn news(&mut self, now: Timestamp) -> Option<String> {
        self.first_seat.filter(|seat| now.since(*seat) >= ARRIVING)?;
        let doing = |state: &EngineState| (state.recording.is_some(), state.air.is_some());
        let after = self.shown.as_ref().map(doing).unwrap_or_default();
        let before = std::mem::replace(&mut self.told, after);
        let recording = match (before.0, after.0) {
            (false, true) => Some("This session is being recorded."),
            (true, false) => Some("The recording has ended."),
            (true, true) | (false, false) => None,
        };
        let air = match (before.1, after.1) {
            (false, true) => Some("The programme is on air."),
            (true, false) => Some("The programme is off air."),
            (true, true) | (false, false) => None,
        };
        let words: Vec<&str> = recording.into_iter().chain(air).collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

/// Says what the audience hears, for the light above the programme. `live` is none where no
/// engine could send it.
pub(crate) fn programme(live: Option<bool>, voices: Option<String>) -> String {
    let voices = voices.unwrap_or_else(|| "no voice".to_owned());
    match live {
        Some(true) => format!("On air · {voices}"),
        Some(false) => format!("Off air · {voices}"),
        None => voices,
    }
}

/// Returns everything that a host must know at once, a sentence each.
pub(crate) fn alarms(state: &EngineState, cards: &[Card]) -> Vec<String> {
    let stalled = state.recording.iter().flat_map(|recording| &recording.stalled);
    let names = stalled.filter_map(|peer| cards.iter().find(|card| card.peer == *peer));
    let silent = names.map(|card| {
        format!("Nothing is recorded of {}: no sound of theirs arrives at the studio.", card.name)
    });
    state.alarm.iter().map(|words| sentence(words)).chain(silent).collect()
}

fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let end = if words.ends_with(['.', '!']) { "" } else { "." };
    first.chain(letters).chain(end.chars()).collect()
}

/// Says how many recordings there are; `count` is none until that is known.
pub(crate) fn how_many(count: Option<usize>) -> String {
    match count {
        None => "Asking the studio…".to_owned(),
        Some(0) => "Nothing has been recorded in this session yet.".to_owned(),
        Some(1) => "1 recording".to_owned(),
        Some(count) => format!("{count} recordings"),
    }
}

/// Says how long and how large a recording is; `under_way` is the one that is being made.
pub(crate) fn facts(recording: &RecordingSummary, under_way: Option<&str>) -> String {
    let standing = match recording.finished {
        _ if under_way == Some(recording.id.as_str()) => " · under way",
        false => " · not finished",
        true => "",
    };
    format!("{} · {}{standing}", length(recording.length_ms), size(recording.bytes))
}

/// Returns who is in a recording, each once; none if that is nobody.
pub(crate) fn people(recording: &RecordingSummary) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for name in recording.tracks.iter().filter_map(|track| track.name.as_deref()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    (!names.is_empty()).then(|| names.join(", "))
}

/// Returns what a file of a recording is called for people.
pub(crate) fn track(track: &TrackSummary) -> String {
    match (&track.name, track.role) {
        (Some(name), Some(role)) => format!("{name} ({})", role_label(role).to_lowercase()),
        (Some(name), None) => name.clone(),
        (None, _) if track.file.ends_with(".wav") => "Programme".to_owned(),
        (None, _) => "What happened".to_owned(),
    }
}

/// Returns where a file of a recording is downloaded; without a file, all of them.
pub(crate) fn download(id: &str, file: Option<&str>, token: &str) -> String {
    match file {
        Some(file) => format!("/recordings/{id}/{file}?token={token}"),
        None => format!("/recordings/{id}.zip?token={token}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openstudio_session::wire::{AirState, DisplayName, Participant, RecordingState, Strip};
    use openstudio_units::{Incarnation, Role};

    fn recording() -> EngineState {
        let recording =
            RecordingState { id: "r".into(), length_ms: 0, bytes: 0, stalled: Vec::new() };
        EngineState { recording: Some(recording), ..EngineState::default() }
    }

    #[test]
    fn lengths_and_sizes_are_read_at_a_glance() {
        let lengths = [0, 59_999, 245_000, 3_723_000].map(length);
        assert_eq!(lengths, ["0:00", "0:59", "4:05", "1:02:03"]);
        let sizes = [0, 999, 999_499, 999_500, 4_840_000, 48_200_000].map(size);
        assert_eq!(sizes, ["0 kB", "1 kB", "999 kB", "1.0 MB", "4.8 MB", "48 MB"]);
        let sizes = [9_949_999, 9_950_000, 999_499_999, 999_500_000, 12_000_000_000].map(size);
        assert_eq!(sizes, ["9.9 MB", "10 MB", "999 MB", "1.0 GB", "12 GB"]);
        assert_eq!([0, 1, 12].map(listeners), ["0 listening", "1 listening", "12 listening"]);
    }

    fn on_air() -> EngineState {
        let air = AirState { length_ms: 0, listeners: 0, title: None, destinations: Vec::new() };
        EngineState { air: Some(air), ..EngineState::default() }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    /// One who has been in the room for long.
    fn settled() -> Follower {
        let mut follower = Follower::default();
        follower.seated(at(0));
        follower
    }

    #[test]
    fn what_begins_and_ends_is_said_once() {
        let mut follower = settled();
        let mut told = |second: u64, state: &EngineState| {
            follower.follow(at(second), Some(state));
            follower.news(at(second))
        };
        let longer = EngineState { air: on_air().air, ..recording() };
        assert_eq!(told(10, &EngineState::default()), None);
        assert_eq!(told(11, &recording()).as_deref(), Some("This session is being recorded."));
        assert_eq!(told(12, &recording()), None);
        assert_eq!(told(13, &longer).as_deref(), Some("The programme is on air."));
        assert_eq!(told(14, &on_air()).as_deref(), Some("The recording has ended."));
        assert_eq!(told(15, &on_air()), None);
        assert_eq!(told(16, &EngineState::default()).as_deref(), Some("The programme is off air."));
    }

    #[test]
    fn whoever_enters_a_recorded_session_sees_it_at_once_and_is_told_when_they_listen() {
        let mut follower = settled();
        let both = EngineState { air: on_air().air, ..recording() };
        assert_eq!(follower.follow(at(0), Some(&both)), Some(&both));
        assert_eq!(follower.news(at(0)), None);
        let told = follower.news(at(1));
        let words = "This session is being recorded. The programme is on air.";
        assert_eq!(told.as_deref(), Some(words));
        assert_eq!(follower.news(at(2)), None);
    }

    #[test]
    fn a_lost_connection_ends_no_recording() {
        let (idle, mut follower) = (EngineState::default(), settled());
        follower.follow(at(10), Some(&recording()));
        assert!(follower.news(at(10)).is_some());
        follower.seated(at(20));
        assert_eq!(follower.follow(at(20), Some(&idle)), Some(&recording()));
        assert_eq!(follower.follow(at(21), Some(&recording())), Some(&recording()));
        assert_eq!(follower.news(at(30)), None);
        // One that ended meanwhile is known to have ended a little later.
        follower.seated(at(40));
        assert_eq!(follower.follow(at(42), Some(&idle)), Some(&recording()));
        assert_eq!(follower.follow(at(43), Some(&idle)), Some(&idle));
        assert_eq!(follower.news(at(43)).as_deref(), Some("The recording has ended."));
        // What is told otherwise is believed at once.
        follower.follow(at(50), Some(&recording()));
        follower.seated(at(60));
        assert_eq!(follower.follow(at(60), Some(&on_air())), Some(&on_air()));
        assert_eq!(follower.follow(at(60), None), None);
    }

    #[test]
    fn only_an_engine_puts_a_programme_on_air() {
        let voices = || Some("2 voices".to_owned());
        assert_eq!(programme(Some(true), voices()), "On air · 2 voices");
        assert_eq!(programme(Some(false), None), "Off air · no voice");
        assert_eq!(programme(None, voices()), "2 voices");
    }

    #[test]
    fn an_alarm_is_a_sentence() {
        let state = EngineState { alarm: Some("the disk is full".into()), ..recording() };
        assert_eq!(alarms(&state, &[]), ["The disk is full."]);
        assert_eq!(alarms(&recording(), &[]), Vec::<String>::new());
        let ended = EngineState { alarm: Some("Icecast is gone!".into()), ..recording() };
        assert_eq!(alarms(&ended, &[]), ["Icecast is gone!"]);
    }

    #[test]
    fn whoever_is_not_recorded_is_named() {
        let peer = |last| format!("00000000-0000-4000-8000-0000000000{last:02x}").parse().unwrap();
        let card = Card::new(
            &Participant {
                peer_id: peer(1),
                role: Role::Caller,
                name: Some(DisplayName::new("Ada").unwrap()),
                incarnation: Incarnation(1),
                present: true,
                muted: false,
                microphone: true,
                strip: Strip::default(),
            },
            None,
        );
        let mut state = recording();
        // Who is not in the room any more is no alarm.
        state.recording.as_mut().unwrap().stalled = vec![peer(1), peer(2)];
        let words = "Nothing is recorded of Ada: no sound of theirs arrives at the studio.";
        assert_eq!(alarms(&state, &[card]), [words]);
    }

    #[test]
    fn a_recording_is_told_in_one_line_and_its_people_in_another() {
        let voice = |name: &str| TrackSummary {
            file: format!("{name}.opus"),
            name: Some(name.into()),
            role: Some(Role::Caller),
            bytes: 1,
        };
        let mix = TrackSummary { file: "programme.wav".into(), name: None, role: None, bytes: 1 };
        let mut one = RecordingSummary {
            id: "r".into(),
            started_at: 0,
            length_ms: 754_000,
            bytes: 48_200_000,
            finished: true,
            tracks: vec![voice("Ada"), voice("Bob"), voice("Ada"), mix],
        };
        assert_eq!(facts(&one, None), "12:34 · 48 MB");
        assert_eq!(people(&one).as_deref(), Some("Ada, Bob"));
        one.finished = false;
        assert_eq!(facts(&one, Some("another")), "12:34 · 48 MB · not finished");
        assert_eq!(facts(&one, Some("r")), "12:34 · 48 MB · under way");
        one.tracks.clear();
        assert_eq!(people(&one), None);
        assert_eq!(how_many(Some(0)), "Nothing has been recorded in this session yet.");
        assert_eq!([Some(1), Some(2)].map(how_many), ["1 recording", "2 recordings"]);
    }

    #[test]
    fn files_have_names_for_people() {
        let of = |name: Option<&str>, role, file: &str| {
            track(&TrackSummary { file: file.into(), name: name.map(Into::into), role, bytes: 0 })
        };
        assert_eq!(of(Some("Ada"), Some(Role::Host), "a.opus"), "Ada (host)");
        assert_eq!(of(None, None, "programme.wav"), "Programme");
        assert_eq!(of(None, None, "session.json"), "What happened");
        assert_eq!(download("r", None, "t"), "/recordings/r.zip?token=t");
        assert_eq!(download("r", Some("a.opus"), "t"), "/recordings/r/a.opus?token=t");
    }
}
