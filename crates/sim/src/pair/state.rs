//! The state of the pair, and what may happen in it.

use openstudio_session::mesh::{ConnectionState, Input, PeerConnectionState};
use openstudio_units::Incarnation;

use super::hasher::RelativeHasher;
use super::side::{Message, Side, SidePc};

/// How much of each trouble there is on one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Signals that are lost.
    pub losses: u8,
    /// Signals that come twice.
    pub doubles: u8,
    /// `restartIce()` by another hand: renegotiations, and glare. The low four bits are for
    /// the polite end, the high ones for the impolite.
    pub restarts: u8,
    /// Timers that fire, or ICE that fails, while something is under way.
    pub hurries: u8,
    /// Pages that crash and come back as new ones.
    pub crashes: u8,
    /// Times that the path between the two is cut.
    pub cuts: u8,
}

impl Bounds {
    /// No trouble at all.
    pub const NONE: Self =
        Self { losses: 0, doubles: 0, restarts: 0, hurries: 0, crashes: 0, cuts: 0 };
}

/// The searches that are complete, by name: quick ones first.
pub const SEARCHES: [(&str, Bounds); 13] = [
    ("nothing goes wrong", Bounds::NONE),
    ("a crash", Bounds { crashes: 1, ..Bounds::NONE }),
    ("a restart", Bounds { restarts: 0x01, ..Bounds::NONE }),
    ("two crashes", Bounds { crashes: 2, ..Bounds::NONE }),
    ("a hurry", Bounds { hurries: 1, ..Bounds::NONE }),
    ("a loss and a double", Bounds { losses: 1, doubles: 1, ..Bounds::NONE }),
    ("a crash and a loss", Bounds { crashes: 1, losses: 1, ..Bounds::NONE }),
    ("a restart at each end", Bounds { restarts: 0x11, ..Bounds::NONE }),
    ("a restart and a loss", Bounds { restarts: 0x10, losses: 1, ..Bounds::NONE }),
    ("two hurries", Bounds { hurries: 2, ..Bounds::NONE }),
    ("two losses", Bounds { losses: 2, ..Bounds::NONE }),
    ("a crash and restarts", Bounds { crashes: 1, restarts: 0x11, ..Bounds::NONE }),
    ("two restarts against one", Bounds { restarts: 0x12, ..Bounds::NONE }),
];

/// Searches too large to be completed: as many states as are asked for, nearest first.
pub const OPEN_SEARCHES: [(&str, Bounds); 2] = [
    ("the path is cut", Bounds { cuts: 1, ..Bounds::NONE }),
    (
        "everything",
        Bounds { losses: 2, doubles: 1, restarts: 0x22, hurries: 2, crashes: 1, cuts: 1 },
    ),
];

/// One thing that happens. The number is the end that it happens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The oldest signal arrives.
    Deliver(u8),
    /// The oldest signal is lost.
    Lose(u8),
    /// The oldest signal arrives, and will arrive again.
    Double(u8),
    /// The operation under way ends.
    Finish(u8),
    /// The browser's oldest fact is told.
    Tell(u8),
    /// The next timer fires.
    Timer(u8),
    /// ICE and DTLS succeed.
    Connect(u8),
    /// Packets stay away.
    Disconnect(u8),
    /// ICE gives up.
    Fail(u8),
    /// `restartIce()` by another hand than the mesh's.
    Restart(u8),
    /// The page crashes and comes back as a new one.
    Crash(u8),
    /// The path between the two is cut.
    Cut,
    /// It is mended.
    Mend,
}

/// The pair.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) sides: [Side; 2],
    pub(super) is_cut: bool,
    pub(super) left: Bounds,
}

impl Pair {
    pub(super) fn new(bounds: Bounds) -> Result<Self, String> {
        let sides = [Side::new(0, Incarnation(1)), Side::new(1, Incarnation(2))];
        let mut pair = Self { sides, is_cut: false, left: bounds };
        for n in 0..2 {
            let (peer, incarnation) = (pair.sides[1 - n].id, pair.sides[1 - n].incarnation);
            pair.sides[n].see(peer, incarnation)?;
        }
        pair.after()?;
        Ok(pair)
    }

    /// The fingerprint, with what may still happen or without.
    pub(super) fn fingerprint(&self, with_bounds: bool) -> u128 {
        let mut hasher = RelativeHasher::new();
        self.sides.iter().for_each(|side| side.hash_into(&mut hasher));
        std::hash::Hash::hash(&self.is_cut, &mut hasher);
        if with_bounds {
            std::hash::Hash::hash(&self.left, &mut hasher);
        }
        hasher.fingerprint()
    }

    fn pcs(&self, n: usize) -> (Option<&SidePc>, Option<&SidePc>) {
        (self.sides[n].pc.as_ref(), self.sides[1 - n].pc.as_ref())
    }

    fn fits(&self, n: usize) -> bool {
        let (ours, theirs) = self.pcs(n);
        ours.zip(theirs).is_some_and(|(ours, theirs)| ours.fits(theirs))
    }

    /// Whether packets of the other end can arrive.
    fn flows(&self, n: usize) -> bool {
        use PeerConnectionState::{Connected, Connecting, Disconnected};
        let (_, theirs) = self.pcs(n);
        let lives =
            theirs.is_some_and(|pc| matches!(pc.state, Connected | Connecting | Disconnected));
        !self.is_cut && lives
    }

    /// Whether anything is on its way that needs no timer.
    pub(super) fn is_busy(&self) -> bool {
        (0..2).any(|n| {
            let side = &self.sides[n];
            let works = side.pc.as_ref().is_some_and(|pc| pc.under_way.is_some());
            works || !side.facts.is_empty() || !side.inbox.is_empty() || self.can_connect(n)
        })
    }

    fn can_connect(&self, n: usize) -> bool {
        use PeerConnectionState::{Connecting, Disconnected};
        let waits = self.sides[n]
            .pc
            .as_ref()
            .is_some_and(|pc| matches!(pc.state, Connecting | Disconnected));
        waits && self.fits(n) && self.flows(n)
    }

    fn can_disconnect(&self, n: usize) -> bool {
        let connected = |pc: &SidePc| pc.state == PeerConnectionState::Connected;
        self.sides[n].pc.as_ref().is_some_and(connected) && !self.flows(n)
    }

    fn can_fail(&self, n: usize) -> bool {
        use PeerConnectionState::{Connecting, Disconnected};
        let waits = self.sides[n]
            .pc
            .as_ref()
            .is_some_and(|pc| matches!(pc.state, Connecting | Disconnected));
        waits && !(self.fits(n) && self.flows(n))
    }

    /// Everything that may happen next.
    pub(super) fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        let hurry = !self.is_busy() || self.left.hurries > 0;
        for (n, side) in (0_u8..).zip(&self.sides) {
            let index = usize::from(n);
            if let Some(message) = side.inbox.front() {
                actions.push(Action::Deliver(n));
                if matches!(message, Message::Signal(_)) {
                    actions.extend((self.left.losses > 0).then_some(Action::Lose(n)));
                    actions.extend((self.left.doubles > 0).then_some(Action::Double(n)));
                }
            }
            let pc = side.pc.as_ref();
            let works = pc.is_some_and(|pc| pc.under_way.is_some());
            actions.extend(works.then_some(Action::Finish(n)));
            actions.extend((!side.facts.is_empty()).then_some(Action::Tell(n)));
            actions.extend((hurry && side.timer_in().is_some()).then_some(Action::Timer(n)));
            actions.extend(self.can_connect(index).then_some(Action::Connect(n)));
            actions.extend((hurry && self.can_disconnect(index)).then_some(Action::Disconnect(n)));
            actions.extend((hurry && self.can_fail(index)).then_some(Action::Fail(n)));
            let restarts = (self.left.restarts >> (4 * n)) & 0xf;
            let renegotiates = restarts > 0 && pc.is_some_and(|pc| pc.credentials().is_some());
            actions.extend(renegotiates.then_some(Action::Restart(n)));
            actions.extend((self.left.crashes > 0).then_some(Action::Crash(n)));
        }
        actions.extend((self.left.cuts > 0 && !self.is_cut).then_some(Action::Cut));
        actions.extend(self.is_cut.then_some(Action::Mend));
        actions
    }

    /// Lets one thing happen. An error is a broken rule.
    pub(super) fn happen(&mut self, action: Action) -> Result<(), String> {
        let busy = self.is_busy();
        match action {
            Action::Deliver(n) => self.deliver(n.into(), 1)?,
            Action::Lose(n) => {
                self.left.losses -= 1;
                self.sides[usize::from(n)].inbox.pop_front();
            }
            Action::Double(n) => {
                self.left.doubles -= 1;
                self.deliver(n.into(), 2)?;
            }
            Action::Finish(n) => {
                self.check_answer(n.into())?;
                self.sides[usize::from(n)].finish()?;
            }
            Action::Tell(n) => {
                let side = &mut self.sides[usize::from(n)];
                if let Some(fact) = side.facts.pop_front() {
                    side.tell_fact(fact)?;
                }
            }
            Action::Timer(n) => {
                self.hurry(busy);
                self.sides[usize::from(n)].fire_timer()?;
            }
            Action::Connect(n) => self.enter(n, PeerConnectionState::Connected),
            Action::Disconnect(n) => {
                self.hurry(busy);
                self.enter(n, PeerConnectionState::Disconnected);
            }
            Action::Fail(n) => {
                self.hurry(busy);
                self.enter(n, PeerConnectionState::Failed);
            }
            Action::Restart(n) => {
                self.left.restarts -= 1 << (4 * n);
                self.sides[usize::from(n)].restart_ice();
            }
            Action::Crash(n) => self.crash(n)?,
            Action::Cut => {
                self.left.cuts -= 1;
                self.is_cut = true;
            }
            Action::Mend => self.is_cut = false,
        }
        self.after()
    }

    fn hurry(&mut self, busy: bool) {
        self.left.hurries = self.left.hurries.saturating_sub(u8::from(busy));
    }

    fn enter(&mut self, n: u8, state: PeerConnectionState) {
        self.sides[usize::from(n)].enter(state);
    }

    fn deliver(&mut self, n: usize, copies: usize) -> Result<(), String> {
        let from = self.sides[1 - n].id;
        let side = &mut self.sides[n];
        let Some(message) = side.inbox.pop_front() else { return Ok(()) };
        if copies > 1 {
            side.inbox.push_front(message.clone());
        }
        side.deliver(from, message)
    }

    /// The page is a new one; the other end hears of it after what was said before.
    fn crash(&mut self, n: u8) -> Result<(), String> {
        self.left.crashes -= 1;
        let highest = self.sides.iter().map(|side| side.incarnation.0).max().unwrap_or(0);
        let incarnation = Incarnation(highest + 1);
        let (here, there) = (usize::from(n), usize::from(1 - n));
        self.sides[here] = Side::new(n, incarnation);
        self.sides[there].inbox.push_back(Message::Seen(incarnation));
        let (peer, of) = (self.sides[there].id, self.sides[there].incarnation);
        self.sides[here].see(peer, of)
    }

    /// Brings signals on their way, and begins checks.
    fn after(&mut self) -> Result<(), String> {
        for n in 0..2 {
            for signal in std::mem::take(&mut self.sides[n].outbox) {
                self.sides[1 - n].inbox.push_back(Message::Signal(signal));
            }
            if self.sides[1 - n].inbox.len() > 40 {
                return Err("signals pile up without end".to_owned());
            }
        }
        for n in 0..2 {
            let fits = self.fits(n);
            self.sides[n].begin_checks(fits);
        }
        Ok(())
    }

    /// An answer is applied to the offer that it answers, and to no other.
    fn check_answer(&self, n: usize) -> Result<(), String> {
        let Some((answer, offered)) = self.sides[n].answer_under_way() else { return Ok(()) };
        let made = self.sides[1 - n].answered.iter().find(|(ours, _)| *ours == answer);
        match made {
            Some((_, to)) if *to != offered => {
                Err(format!("the answer to {to} is applied to the offer {offered}"))
            }
            Some(_) | None => Ok(()),
        }
    }

    // ----- liveness

    /// Whether both ends are connected and stable, and nothing is under way.
    pub(super) fn is_whole(&self) -> bool {
        !self.is_cut
            && self.sides.iter().all(|side| {
                let connected =
                    side.pc.as_ref().is_some_and(|pc| pc.state == PeerConnectionState::Connected);
                connected && side.is_settled() && side.state() == Some(ConnectionState::Connected)
            })
    }

    /// What happens next if no trouble happens any more; `None` if nothing is left.
    pub(super) fn next_in_peace(&self) -> Option<Action> {
        if self.is_cut {
            return Some(Action::Mend);
        }
        for n in 0..2_u8 {
            let side = &self.sides[usize::from(n)];
            if !side.facts.is_empty() {
                return Some(Action::Tell(n));
            }
            if side.pc.as_ref().is_some_and(|pc| pc.under_way.is_some()) {
                return Some(Action::Finish(n));
            }
            if !side.inbox.is_empty() {
                return Some(Action::Deliver(n));
            }
        }
        let ends = [0_u8, 1];
        if let Some(n) = ends.into_iter().find(|n| self.can_connect((*n).into())) {
            return Some(Action::Connect(n));
        }
        let timer = |n: &u8| self.sides[usize::from(*n)].timer_in();
        let soonest = ends.into_iter().filter(|n| timer(n).is_some()).min_by_key(timer);
        let soon = soonest.filter(|n| timer(n).is_some_and(|wait| wait.as_secs() < 600));
        soon.map(Action::Timer)
            .or_else(|| {
                ends.into_iter().find(|n| self.can_disconnect((*n).into())).map(Action::Disconnect)
            })
            .or_else(|| ends.into_iter().find(|n| self.can_fail((*n).into())).map(Action::Fail))
    }

    /// Lets it happen. In peace time passes at both ends alike.
    pub(super) fn happen_in_peace(&mut self, action: Action) -> Result<(), String> {
        if let Action::Timer(n) = action {
            let passes = self.sides[usize::from(n)].timer_in().unwrap_or_default();
            let other = &mut self.sides[usize::from(1 - n)];
            other.now = other.now + passes;
        }
        self.happen(action)
    }

    /// *Retry* at whichever end was given up; whether there was one.
    pub(super) fn press_retry(&mut self) -> Result<bool, String> {
        for n in 0..2 {
            if self.sides[n].state() == Some(ConnectionState::FailedPermanent) {
                let peer = self.sides[1 - n].id;
                self.sides[n].feed(Input::RetryRequested { peer })?;
                self.after()?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}
