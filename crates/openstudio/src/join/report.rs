//! What some participants tell of each other: who is connected, and who hears whom.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use openstudio_peer::session::mesh::ConnectionState;
use openstudio_peer::{Other, Snapshot};
use serde_json::json;

/// How far a tone that is heard may be from the one that is played, Hz: one that is torn by a
/// slow machine is a little off, and is still nearer to its own than to the next.
const TONE_TOLERANCE: f32 = 100.0;

/// How many directions that are not heard are named in a line.
const UNHEARD_NAMED: usize = 3;

/// How the whole came about.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Milestones {
    /// When all were connected.
    pub(super) connected: Option<Duration>,
    /// When all heard each other.
    pub(super) heard: Option<Duration>,
}

/// What is to be told of some participants.
pub(super) struct Report<'a> {
    /// What each is called, and the tone that it plays.
    pub(super) tones: &'a [(String, Option<u32>)],
    /// What each knows, in the same order.
    pub(super) snapshots: &'a [Snapshot],
    pub(super) milestones: Milestones,
}

impl Report<'_> {
    /// Returns all directions: who listens, and to whom.
    fn directions(&self) -> impl Iterator<Item = (&str, &Other)> {
        self.tones.iter().zip(self.snapshots).flat_map(|((name, _), snapshot)| {
            snapshot.others.iter().map(move |other| (name.as_str(), other))
        })
    }

    /// Returns the tone that somebody plays, if they are one of these participants.
    fn tone_of(&self, other: &Other) -> Option<u32> {
        let own = |snapshot: &Snapshot| snapshot.seat.is_some_and(|(_, me, _)| me == other.peer);
        let place = self.snapshots.iter().position(own)?;
        self.tones.get(place).and_then(|(_, hertz)| *hertz)
    }

    /// Returns whether a listener hears somebody: a known tone by its frequency when it was
    /// last steady (a slow machine tears tones), everybody else by their level. Who is known to
    /// be silent counts as heard when their packets come.
    fn hears(&self, other: &Other) -> bool {
        let own = self.snapshots.iter().any(|s| s.seat.is_some_and(|(_, me, _)| me == other.peer));
        match self.tone_of(other) {
            Some(hertz) => {
                other.heard.is_audible()
                    && other.tone.is_some_and(|tone| (tone - hertz as f32).abs() < TONE_TOLERANCE)
            }
            None if own => other.packets.received > 0,
            None => other.heard.is_audible() || !other.sends_audio,
        }
    }

    fn expected(&self) -> usize {
        let everybody: BTreeSet<_> =
            self.snapshots.iter().flat_map(|s| &s.others).map(|other| other.peer).collect();
        let own = self
            .snapshots
            .iter()
            .filter_map(|s| s.seat)
            .filter(|(_, me, _)| !everybody.contains(me));
        (everybody.len() + own.count()).saturating_sub(1) * self.snapshots.len()
    }

    fn connected(&self) -> usize {
        self.directions()
            .filter(|(_, other)| other.state == Some(ConnectionState::Connected))
            .count()
    }

    fn heard(&self) -> usize {
        self.directions().filter(|(_, other)| self.hears(other)).count()
    }

    /// Returns who does not hear whom, in words; of many, the first few.
    fn unheard(&self) -> Option<String> {
        let mut pairs = self.directions().filter(|(_, other)| !self.hears(other));
        let named: Vec<_> = pairs
            .by_ref()
            .take(UNHEARD_NAMED)
            .map(|(name, other)| format!("{name} does not hear {}", other.name))
            .collect();
        let more = pairs.count();
        let rest = (more > 0).then(|| format!(" and {more} more"));
        (!named.is_empty()).then(|| named.join(", ") + rest.as_deref().unwrap_or_default())
    }

    pub(super) fn all_connected(&self) -> bool {
        self.is_complete() && self.connected() == self.expected()
    }

    pub(super) fn all_hear(&self) -> bool {
        self.is_complete() && self.heard() == self.expected()
    }

    /// Returns whether all are in the room and know of each other.
    fn is_complete(&self) -> bool {
        self.snapshots
            .iter()
            .all(|s| s.seat.is_some() && s.others.len() + 1 >= self.snapshots.len())
    }

    /// Returns what is wrong with the recording.
    pub(super) fn alarm(&self) -> Option<&str> {
        self.snapshots.iter().find_map(|snapshot| snapshot.alarm.as_deref())
    }

    pub(super) fn progress(&self) -> String {
        let expected = self.expected();
        let seats = self.snapshots.iter().filter(|snapshot| snapshot.seat.is_some()).count();
        let words = self.snapshots.iter().find_map(|snapshot| snapshot.refusal.as_deref());
        let alarm = self.alarm();
        format!(
            "{seats} of {} in the room; connected {} of {expected}, heard {} of {expected}{}{}{}",
            self.snapshots.len(),
            self.connected(),
            self.heard(),
            self.unheard().map(|words| format!(": {words}")).unwrap_or_default(),
            words.map(|words| format!("; {words}")).unwrap_or_default(),
            alarm.map(|alarm| format!("; RECORDING: {alarm}")).unwrap_or_default()
        )
    }

    pub(super) fn as_text(&self, hear: bool) -> String {
        let mut lines = Vec::new();
        if hear {
            lines.extend(self.directions().map(|(name, other)| {
                let tone = other.heard.hertz.map(|hertz| format!(", {hertz:.0} Hz"));
                let state = other.state.map_or("unknown", |state| state.as_str());
                format!(
                    "{name} hears {}: {:.1} dBFS{}; {state}, lost {}, concealed {}",
                    other.name,
                    other.heard.level_db,
                    tone.unwrap_or_default(),
                    other.packets.lost,
                    other.packets.concealed,
                )
            }));
        }
        lines.push(self.progress());
        if let Some(heard) = self.milestones.heard {
            lines.push(format!("all heard each other after {} ms", heard.as_millis()));
        }
        lines.join("\n")
    }

    pub(super) fn as_json(&self) -> serde_json::Value {
        let milliseconds = |time: Option<Duration>| time.map(|time| time.as_millis());
        let directions: Vec<_> = self
            .directions()
            .map(|(name, other)| {
                json!({
                    "from": other.name,
                    "to": name,
                    "state": other.state.map(|state| state.as_str()),
                    "heard": self.hears(other),
                    "gain": other.strip.gain.percent(),
                    "onAir": other.strip.on_air,
                    "muted": other.strip.muted || other.muted,
                    "levelDb": other.heard.level_db,
                    "hz": other.tone,
                    "received": other.packets.received,
                    "lost": other.packets.lost,
                    "concealed": other.packets.concealed,
                    "recovered": other.packets.recovered,
                    "gaps": gaps_as_json(other),
                })
            })
            .collect();
        json!({
            "connected": self.connected(),
            "expected": self.expected(),
            "allConnectedMs": milliseconds(self.milestones.connected),
            "alarm": self.alarm(),
            "allHear": self.all_hear(),
            "allHearMs": milliseconds(self.milestones.heard),
            "outages": self.outages(),
            "directions": directions,
        })
    }

    /// Returns when each was without the server.
    fn outages(&self) -> Vec<serde_json::Value> {
        let members = self.tones.iter().zip(self.snapshots);
        members
            .flat_map(|((name, _), snapshot)| {
                snapshot.outages.iter().map(move |outage| {
                    let back = outage.back.map(since_1970);
                    json!({ "of": name, "lostMs": since_1970(outage.lost), "backMs": back })
                })
            })
            .collect()
    }
}

/// Returns the times without a packet.
fn gaps_as_json(other: &Other) -> Vec<serde_json::Value> {
    let gaps = other.gaps.iter();
    gaps.map(|gap| json!({ "untilMs": since_1970(gap.until), "ms": gap.length.as_millis() }))
        .collect()
}

/// Returns milliseconds since 1970.
fn since_1970(time: SystemTime) -> u128 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis()
}
