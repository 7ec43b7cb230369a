//! Texts of candidates and descriptions, from a counterpart and from the own browser, on their
//! way through a seated `Session`: JSON, limits, conversion, and the bounds of the trickle.
//!
//! Invariants checked, besides those of [`Page`]: a candidate that is added is one that came,
//! unchanged, and added once; those of one message are added in their order; what waits is
//! bounded, however much comes; candidates of this side go out unchanged and in order.

use std::collections::BTreeMap;
use std::time::Duration;

use arbitrary::Arbitrary;
use openstudio_session::Input;
use openstudio_session::mesh::{self, IceCandidate, PcId};
use openstudio_units::{Generation, OfferId, PeerId};
use openstudio_wire::{
    Candidate, CandidateBatch, CandidateMessage, ClientMessage, Description, ServerMessage,
};

use crate::driver::{Fact, GATHERED};
use crate::people::Who;
use crate::said::{Age, Round};
use crate::server::{Grant, Says, Scene, Seats};
use crate::world::Page;

const MAX_STEPS: usize = 200;

/// The most that may wait on one link: candidates before their offer, those before their
/// description is applied, and those behind an operation.
const WAITING: usize = 64 + 64 + 128;

/// As much text as a browser may put in each field of a candidate.
const LOCAL_BYTES: usize = 80;

#[derive(Arbitrary, Debug, Clone)]
enum Step {
    Description { from: Who, answer: bool, age: Age, round: Round, text: Text },
    Batch { from: Who, age: Age, round: Round, copies: u8, text: Text },
    Single { from: Who, age: Age, round: Round, text: Text },
    Local { pc: u8, text: Text },
    Fact(Fact),
    Pass(u16),
}

/// A text and how often it is repeated; its fields may be missing.
#[derive(Arbitrary, Debug, Clone)]
struct Text {
    text: String,
    times: u8,
    mid: Option<String>,
    fragment: Option<String>,
}

/// Feeds texts.
///
/// # Panics
/// A rule of the module's list is broken.
pub fn candidates(data: &[u8]) {
    let mut world = World {
        page: Page::new(),
        came: Vec::new(),
        messages: 0,
        added: BTreeMap::new(),
        local: 0,
    };
    world.enter();
    for step in crate::steps::<Step>(data, MAX_STEPS) {
        world.apply(step);
        world.check_sent();
    }
    world.finish();
}

struct World {
    page: Page,
    /// What came and in which message; each has its place here as its index of a media
    /// section.
    came: Vec<(u32, Candidate)>,
    messages: u32,
    /// The last place of each message whose candidate was added.
    added: BTreeMap<u32, usize>,
    /// Candidates that this side's browser gathered.
    local: u16,
}

impl World {
    /// Takes a seat among all others.
    fn enter(&mut self) {
        self.page.feed(Input::Start { name: None });
        self.page.open();
        let scene = Scene { me: self.page.me(), seq: 1 };
        let created = Says::Created(Grant::first(), Seats::full());
        self.page.hear(created.message(scene, |_| Generation(1)).to_json());
        assert!(self.page.session.room().is_some(), "the seat is there");
        self.page.sent.clear();
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Description { from, answer, age, round, text } => {
                let (from, to) = (from.id(), self.page.me());
                let (generation, offer_id) = (age.generation(self.present(from)), round.offer());
                let sdp = text.text.repeat(usize::from(text.times) + 1);
                let description = Description { from, to, sdp, generation, offer_id };
                self.hear(if answer {
                    ServerMessage::Answer(description)
                } else {
                    ServerMessage::Offer(description)
                });
            }
            Step::Batch { from, age, round, copies, text } => {
                let (from, to) = (from.id(), self.page.me());
                let generation = age.generation(self.present(from)).unwrap_or_default();
                let offer_id = round.offer().unwrap_or(OfferId::FIRST_IMPOLITE);
                self.messages += 1;
                let candidates = (0..copies % 65).map(|_| self.next(&text)).collect();
                let batch = CandidateBatch { from, to, candidates, generation, offer_id };
                self.hear(ServerMessage::IceCandidates(batch));
            }
            Step::Single { from, age, round, text } => {
                self.messages += 1;
                let (from, to, candidate) = (from.id(), self.page.me(), self.next(&text));
                let (generation, offer_id) = (age.generation(self.present(from)), round.offer());
                let message = CandidateMessage { from, to, candidate, generation, offer_id };
                self.hear(ServerMessage::IceCandidate(message));
            }
            Step::Local { pc, text } => self.gather(pc, &text),
            Step::Fact(fact) => {
                if let Some(input) = self.page.driver.report(fact) {
                    self.page.feed(Input::Mesh(input));
                }
            }
            Step::Pass(millis) => self.page.pass(Duration::from_millis(millis.into())),
        }
        self.check_added();
    }

    fn hear(&mut self, message: ServerMessage) {
        self.page.hear(message.to_json());
    }

    fn present(&self, peer: PeerId) -> Generation {
        let links = self.page.session.links();
        let link = links.into_iter().find(|link| link.peer == peer);
        link.map_or(Generation(1), |link| link.generation)
    }

    fn next(&mut self, text: &Text) -> Candidate {
        let candidate = Candidate {
            candidate: text.text.repeat(usize::from(text.times % 4)),
            sdp_mid: text.mid.clone(),
            sdp_m_line_index: u16::try_from(self.came.len()).ok(),
            username_fragment: text.fragment.clone(),
        };
        self.came.push((self.messages, candidate.clone()));
        candidate
    }

    fn gather(&mut self, pc: u8, text: &Text) {
        self.local = self.local.saturating_add(1);
        let candidate = IceCandidate {
            candidate: local_text(&text.text),
            sdp_mid: text.mid.as_deref().map(local_text),
            sdp_m_line_index: Some(self.local),
            username_fragment: text.fragment.as_deref().map(local_text),
        };
        let (pc, candidate) = (PcId(u64::from(pc % 8)), Some(candidate));
        self.page.feed(Input::Mesh(mesh::Input::LocalCandidateGathered { pc, candidate }));
    }

    /// What is added came as it is, is added once, and in the order of its message.
    fn check_added(&mut self) {
        for added in std::mem::take(&mut self.page.added) {
            let place = added.sdp_m_line_index.map(usize::from);
            let came = place.and_then(|place| self.came.get(place).map(|came| (place, came)));
            assert!(came.is_some(), "{added:?} never came");
            let Some((place, (message, came))) = came else { continue };
            assert!(is_same(came, &added), "{came:?} became {added:?}");
            let before = self.added.insert(*message, place);
            assert!(before.is_none_or(|before| before < place), "{added:?} comes too late");
        }
    }

    fn check_sent(&mut self) {
        for message in std::mem::take(&mut self.page.sent) {
            let ClientMessage::IceCandidates(batch) = message else { continue };
            // The driver gathers, too, and counts by itself.
            let own = batch.candidates.iter().filter(|c| c.candidate != GATHERED);
            let places: Vec<_> = own.map(|c| c.sdp_m_line_index).collect();
            assert!(places.is_sorted(), "out of order: {places:?}");
        }
    }

    /// Lets the browser do all that it was given: no more comes of it than may wait.
    fn finish(&mut self) {
        let mut added = 0;
        for _ in 0..1000 {
            for input in self.page.driver.complete_all() {
                self.page.feed(Input::Mesh(input));
            }
            added += self.page.added.len();
            self.check_added();
            if self.page.driver.is_idle() {
                break;
            }
        }
        assert!(self.page.driver.is_idle(), "operations without end");
        let links = self.page.session.links().len();
        assert!(added <= WAITING * links, "{added} candidates were kept for {links} links");
        self.check_sent();
    }
}

fn is_same(came: &Candidate, added: &IceCandidate) -> bool {
    came.candidate == added.candidate
        && came.sdp_mid == added.sdp_mid
        && came.username_fragment == added.username_fragment
}

/// A browser's own texts have no control characters and are short.
fn local_text(text: &str) -> String {
    let mut kept: String = text.chars().filter(|c| !c.is_control()).collect();
    while kept.len() > LOCAL_BYTES {
        kept.pop();
    }
    kept
}
