//! Anything that a person, a server and a browser may do, in any order, into a `Session`.
//!
//! What is checked is in [`Page`], which also plays the browser. Besides:
//! once the person left, everything is closed.

use std::time::Duration;

use arbitrary::Arbitrary;
use openstudio_session::mesh;
use openstudio_session::{Input, SocketId};
use openstudio_units::{Gain, Generation, PeerId, Role};
use openstudio_wire::{DisplayName, StripChange};

use crate::driver::Fact;
use crate::people::Who;
use crate::server::{Says, Scene, room, token};
use crate::world::Page;

const MAX_STEPS: usize = 300;

#[derive(Arbitrary, Debug, Clone)]
enum Step {
    Fact(Fact),
    Says {
        says: Says,
        late: bool,
    },
    /// A message of which a part is cut out and another byte put in.
    Mangled {
        says: Says,
        from: u16,
        length: u8,
        byte: Option<u8>,
    },
    Text(String),
    /// A text on a socket that is not open any more, or never was.
    Stray {
        socket: u8,
        says: Says,
    },
    Open,
    Close {
        code: Option<u8>,
    },
    StrayClose {
        socket: u8,
    },
    Wish(Wish),
    Retry(Who),
    NetworkChanged,
    Online,
    /// Time passes, milliseconds.
    Pass(u16),
    ToDeadline,
    /// The machine sleeps, minutes.
    Sleep(u8),
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Wish {
    Start,
    Join {
        invited: bool,
    },
    Resume,
    Leave,
    EndRoom,
    Mute(bool),
    Microphone(bool),
    Rename,
    Invite,
    /// Whose fader, and where to; beyond 200 puts on air.
    Strip(Who, u8),
}

/// Feeds a session.
///
/// # Panics
/// A rule is broken.
pub fn session_input(data: &[u8]) {
    let mut world = World { page: Page::new(), seq: 0 };
    for step in crate::steps::<Step>(data, MAX_STEPS) {
        world.apply(step);
        world.page.sent.clear();
        world.page.added.clear();
    }
    world.page.feed(Input::Leave);
    assert_eq!(world.page.driver.len(), 0, "peer connections are left open");
    assert_eq!(world.page.socket(), None, "the socket is left open");
    assert_eq!(world.page.session.poll_timeout(), None);
}

struct World {
    page: Page,
    seq: u64,
}

impl World {
    fn apply(&mut self, step: Step) {
        match step {
            Step::Fact(fact) => {
                if let Some(input) = self.page.driver.report(fact) {
                    self.page.feed(Input::Mesh(input));
                }
            }
            Step::Says { says, late } => {
                if !late {
                    self.seq += 1;
                }
                let text = self.text(says);
                self.page.hear(text);
            }
            Step::Mangled { says, from, length, byte } => {
                let text = mangled(self.text(says), from, length, byte);
                self.page.hear(text);
            }
            Step::Text(text) => self.page.hear(text),
            Step::Stray { socket, says } => {
                let (socket, text) = (SocketId(socket.into()), self.text(says));
                if self.page.socket() != Some(socket) {
                    self.page.feed(Input::MessageReceived { socket, text });
                }
            }
            Step::Open => self.page.open(),
            Step::Close { code } => self.page.close(code.map(close_code)),
            Step::StrayClose { socket } => {
                let socket = SocketId(socket.into());
                if self.page.socket() != Some(socket) {
                    self.page.feed(Input::SocketClosed { socket, code: None });
                    self.page.feed(Input::SocketOpened(socket));
                }
            }
            Step::Wish(wish) => self.page.feed(wish.input()),
            Step::Retry(who) => {
                let peer = who.id();
                self.page.feed(Input::Mesh(mesh::Input::RetryRequested { peer }));
            }
            Step::NetworkChanged => self.page.feed(Input::Mesh(mesh::Input::NetworkChanged)),
            Step::Online => self.page.feed(Input::Online),
            Step::Pass(millis) => self.page.pass(Duration::from_millis(millis.into())),
            Step::ToDeadline => self.pass_to_deadline(),
            Step::Sleep(minutes) => self.page.pass(Duration::from_secs(60) * minutes.into()),
        }
    }

    /// Waits for what is next. To wait for hours is to have given up without saying so.
    fn pass_to_deadline(&mut self) {
        let due = self.page.session.poll_timeout();
        let wait = due.map(|due| due.at.since(self.page.now)).unwrap_or_default();
        assert!(wait <= Duration::from_secs(3600), "the next step is in {wait:?}: {due:?}");
        self.page.pass(wait);
    }

    fn text(&self, says: Says) -> String {
        let scene = Scene { me: self.page.me(), seq: self.seq };
        says.message(scene, |peer| self.present(peer)).to_json()
    }

    fn present(&self, peer: PeerId) -> Generation {
        let links = self.page.session.links();
        let link = links.into_iter().find(|link| link.peer == peer);
        link.map_or(Generation(1), |link| link.generation)
    }
}

impl Wish {
    fn input(self) -> Input {
        let name = DisplayName::new("Ada").ok();
        match self {
            Self::Start => Input::Start { name },
            Self::Join { invited } => {
                Input::Join { room: room(), invite: invited.then(token), name }
            }
            Self::Resume => Input::Resume { token: token() },
            Self::Leave => Input::Leave,
            Self::EndRoom => Input::EndRoom,
            Self::Mute(muted) => Input::SetMuted(muted),
            Self::Microphone(available) => Input::SetMicrophone(available),
            Self::Rename => name.map_or(Input::Online, Input::Rename),
            Self::Invite => Input::RequestInvite(Role::Caller),
            Self::Strip(who, percent) => {
                let on_air = StripChange::on_air(percent.is_multiple_of(2));
                let change = Gain::from_percent(percent.into()).map_or(on_air, StripChange::gain);
                Input::SetStrip { peer: who.id(), change }
            }
        }
    }
}

fn close_code(n: u8) -> u16 {
    match n % 8 {
        0 => 1000,
        1 => 1001,
        2 => 1006,
        3 => 1008,
        4 => 1013,
        5 => 4001,
        6 => 4002,
        _ => u16::MAX,
    }
}

/// Cuts `length` characters out of `text` and puts `byte` in their place.
fn mangled(text: String, from: u16, length: u8, byte: Option<u8>) -> String {
    let from = usize::from(from).checked_rem(text.chars().count()).unwrap_or(0);
    let head = text.chars().take(from);
    let tail = text.chars().skip(from + usize::from(length));
    head.chain(byte.map(char::from)).chain(tail).collect()
}
