//! Scenarios: which troubles meet a room, alone or together.

use std::time::Duration;

use openstudio_units::Rng;

use crate::signals::{Fate, Relayed};
use crate::trouble::Trouble;

/// A kind of trouble, before it is drawn who it meets and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// All but one leave, and all join again at the same moment.
    Storm,
    Leave,
    Crash,
    PowerCut,
    Reload,
    Sleep,
    Microphone,
    NetworkChange,
    OneWay,
    Cut,
    Silence,
    Partition,
    Offline,
    Server,
    Messages,
    Slow,
    ClockJump,
    Throttled,
    Stuck,
    ForeignRestart,
    Glare,
    Faders,
}

/// A named set of troubles.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// For `--scenario`.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    kinds: &'static [Kind],
    /// How many troubles meet at once, at most.
    at_once: u64,
}

/// All scenarios. The first is the default.
pub const SCENARIOS: [Scenario; 18] = [
    Scenario {
        name: "everything",
        about: "All troubles there are, up to three at once.",
        kinds: &[
            Kind::Storm,
            Kind::Leave,
            Kind::Crash,
            Kind::PowerCut,
            Kind::Reload,
            Kind::Sleep,
            Kind::Microphone,
            Kind::NetworkChange,
            Kind::OneWay,
            Kind::Cut,
            Kind::Silence,
            Kind::Partition,
            Kind::Offline,
            Kind::Server,
            Kind::Messages,
            Kind::Slow,
            Kind::ClockJump,
            Kind::Throttled,
            Kind::Stuck,
            Kind::ForeignRestart,
            Kind::Glare,
        ],
        at_once: 3,
    },
    Scenario {
        name: "join-storm",
        about: "All but one leave, and all join at the same moment, again and again.",
        kinds: &[Kind::Storm],
        at_once: 1,
    },
    Scenario {
        name: "coming-and-going",
        about: "People leave, crash, lose power, reload, and come back.",
        kinds: &[Kind::Leave, Kind::Crash, Kind::PowerCut, Kind::Reload],
        at_once: 3,
    },
    Scenario {
        name: "sleep",
        about: "Laptops are closed and opened again, clocks jump.",
        kinds: &[Kind::Sleep, Kind::ClockJump],
        at_once: 3,
    },
    Scenario {
        name: "microphone",
        about: "Microphones are lost and granted late.",
        kinds: &[Kind::Microphone, Kind::Reload],
        at_once: 3,
    },
    Scenario {
        name: "network-change",
        about: "Addresses change, with and without a word from the browser.",
        kinds: &[Kind::NetworkChange],
        at_once: 2,
    },
    Scenario {
        name: "one-way",
        about: "Media pass one way only, or checks pass and audio does not.",
        kinds: &[Kind::OneWay, Kind::Silence],
        at_once: 3,
    },
    Scenario {
        name: "partition",
        about: "The room falls into two halves that hear nothing of each other.",
        kinds: &[Kind::Partition, Kind::Cut],
        at_once: 2,
    },
    Scenario {
        name: "offline",
        about: "Clients lose their network, and get it back.",
        kinds: &[Kind::Offline],
        at_once: 3,
    },
    Scenario {
        name: "server-restart",
        about: "The server is restarted while people come and go.",
        kinds: &[Kind::Server, Kind::Leave, Kind::Reload],
        at_once: 3,
    },
    Scenario {
        name: "lost-messages",
        about: "Offers, answers, candidates and requests are lost or come twice.",
        kinds: &[Kind::Messages, Kind::Reload, Kind::Glare, Kind::Storm],
        at_once: 3,
    },
    Scenario {
        name: "slow",
        about: "Machines that cannot keep up.",
        kinds: &[Kind::Slow, Kind::Reload, Kind::Leave],
        at_once: 3,
    },
    Scenario {
        name: "throttled",
        about: "Pages in the background, whose timers ring once a second.",
        kinds: &[Kind::Throttled, Kind::Cut, Kind::Reload, Kind::Glare],
        at_once: 3,
    },
    Scenario {
        name: "stuck",
        about: "Browsers that do not begin to connect.",
        kinds: &[Kind::Stuck, Kind::Reload],
        at_once: 3,
    },
    Scenario {
        name: "glare",
        about: "Both ends restart ICE at the same moment.",
        kinds: &[Kind::Glare, Kind::ForeignRestart],
        at_once: 3,
    },
    Scenario {
        name: "glare-and-loss",
        about: "Both ends restart ICE while messages are lost and paths fail.",
        kinds: &[Kind::Glare, Kind::Messages, Kind::Cut],
        at_once: 3,
    },
    Scenario {
        name: "mixing",
        about: "Hosts at the same faders while sockets, pages and the server come and go.",
        kinds: &[
            Kind::Faders,
            Kind::Faders,
            Kind::Faders,
            Kind::Server,
            Kind::Offline,
            Kind::Reload,
            Kind::Crash,
            Kind::Leave,
            Kind::Sleep,
        ],
        at_once: 6,
    },
    Scenario {
        name: "calm",
        about: "Nothing happens; the room must stay as it is.",
        kinds: &[],
        at_once: 1,
    },
];

/// A trouble with its begin and its length.
pub(crate) type Planned = (Duration, Trouble, Duration);

/// What is drawn for one episode.
#[derive(Debug)]
struct Draw<'a> {
    rng: &'a mut Rng,
    peers: usize,
    /// Who is met by a trouble already: at least one is left alone.
    busy: Vec<usize>,
}

impl Scenario {
    /// Returns the scenario of this name.
    pub fn named(name: &str) -> Option<Self> {
        SCENARIOS.into_iter().find(|scenario| scenario.name == name)
    }

    /// Draws the troubles of one episode.
    pub(crate) fn draw(&self, rng: &mut Rng, peers: usize) -> Vec<Planned> {
        let count = rng.between(1, self.at_once);
        let mut draw = Draw { rng, peers, busy: Vec::new() };
        let mut planned = Vec::new();
        for _ in 0..count {
            let last = u64::try_from(self.kinds.len()).unwrap_or(0).saturating_sub(1);
            let index = usize::try_from(draw.rng.between(0, last)).unwrap_or(0);
            if let Some(kind) = self.kinds.get(index) {
                draw.plan(*kind, &mut planned);
            }
        }
        planned
    }
}

impl Draw<'_> {
    fn plan(&mut self, kind: Kind, planned: &mut Vec<Planned>) {
        let begin = self.between(0, 3000);
        if kind == Kind::Storm {
            // Everybody who is free but one.
            let length = self.between(500, 4000);
            while let Some(c) = self.client() {
                planned.push((begin, Trouble::Leave(c), length));
            }
            return;
        }
        if let Some((trouble, length)) = self.trouble(kind) {
            planned.push((begin, trouble, length));
        }
    }

    fn trouble(&mut self, kind: Kind) -> Option<(Trouble, Duration)> {
        let moment = Duration::ZERO;
        Some(match kind {
            Kind::Storm => return None,
            Kind::Leave => (Trouble::Leave(self.client()?), self.between(200, 10_000)),
            Kind::Crash => (Trouble::Crash(self.client()?), self.between(100, 45_000)),
            Kind::PowerCut => (Trouble::PowerCut(self.client()?), self.between(500, 45_000)),
            Kind::Reload => (Trouble::Reload(self.client()?), moment),
            Kind::Sleep => (Trouble::Sleep(self.client()?), self.length()),
            Kind::Microphone => (Trouble::NoMicrophone(self.client()?), self.length()),
            Kind::NetworkChange => {
                let told = self.coin();
                (Trouble::NetworkChange { client: self.client()?, told }, moment)
            }
            Kind::OneWay => {
                let (a, b) = self.two();
                (Trouble::OneWay(a, b), self.length())
            }
            Kind::Cut => {
                let (a, b) = self.two();
                (Trouble::Cut(a, b), self.length())
            }
            Kind::Silence => {
                let (a, b) = self.two();
                (Trouble::Silence(a, b), self.length())
            }
            Kind::Partition => (Trouble::Partition(self.rng.next_u64()), self.length()),
            Kind::Offline => {
                let told = self.coin();
                (Trouble::Offline { client: self.client()?, told }, self.length())
            }
            Kind::Server => {
                (Trouble::ServerDown { graceful: self.coin() }, self.between(100, 12_000))
            }
            Kind::Messages => self.messages(),
            Kind::Slow => {
                let ms = self.rng.between(300, 2500);
                (Trouble::Slow(self.client()?, ms), self.length())
            }
            Kind::ClockJump => {
                let ms = self.rng.between(500, 60_000);
                (Trouble::ClockJump(self.client()?, ms), moment)
            }
            Kind::Throttled => (Trouble::Throttled(self.client()?), self.length()),
            Kind::Stuck => {
                let count = u32::try_from(self.rng.between(1, 3)).unwrap_or(1);
                (Trouble::Stuck(self.client()?, count), self.between(1000, 15_000))
            }
            Kind::ForeignRestart => (Trouble::ForeignRestart(self.any()), moment),
            Kind::Glare => {
                let (a, b) = self.two();
                (Trouble::Glare(a, b), moment)
            }
            Kind::Faders => {
                let (one, other) = self.two();
                let percent = u16::try_from(self.rng.between(0, 200)).unwrap_or(0);
                (Trouble::Faders { one, other, whose: self.any(), percent }, moment)
            }
        })
    }

    fn messages(&mut self) -> (Trouble, Duration) {
        let index = usize::try_from(self.rng.between(0, 3)).unwrap_or(0);
        let kind = Relayed::ALL.get(index).copied().unwrap_or(Relayed::Answer);
        let fate = if self.rng.between(0, 3) == 0 { Fate::Doubled } else { Fate::Lost };
        let count = u32::try_from(self.rng.between(1, 6)).unwrap_or(1);
        (Trouble::Messages(kind, fate, count), self.between(1000, 20_000))
    }

    // ----- parts

    fn between(&mut self, low_ms: u64, high_ms: u64) -> Duration {
        self.rng.duration_between(Duration::from_millis(low_ms), Duration::from_millis(high_ms))
    }

    /// Short, middling or long, each as likely.
    fn length(&mut self) -> Duration {
        match self.rng.between(1, 3) {
            1 => self.between(100, 3000),
            2 => self.between(3000, 20_000),
            _ => self.between(20_000, 60_000),
        }
    }

    fn coin(&mut self) -> bool {
        self.rng.between(0, 1) == 1
    }

    fn any(&mut self) -> usize {
        let last = u64::try_from(self.peers).unwrap_or(1).saturating_sub(1);
        usize::try_from(self.rng.between(0, last)).unwrap_or(0)
    }

    fn two(&mut self) -> (usize, usize) {
        let (a, b) = (self.any(), self.any());
        if a == b { (a, (b + 1) % self.peers.max(1)) } else { (a, b) }
    }

    /// Somebody whom no trouble has met; nobody if only one is left.
    fn client(&mut self) -> Option<usize> {
        let free: Vec<usize> = (0..self.peers).filter(|c| !self.busy.contains(c)).collect();
        if free.len() <= 1 {
            return None;
        }
        let last = u64::try_from(free.len()).unwrap_or(1).saturating_sub(1);
        let index = usize::try_from(self.rng.between(0, last)).unwrap_or(0);
        let chosen = free.get(index).copied()?;
        self.busy.push(chosen);
        Some(chosen)
    }
}
