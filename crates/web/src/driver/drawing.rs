//! From the session to the screen: cards, announcements, *Connection details*.

use std::collections::BTreeMap;

use leptos::prelude::{GetUntracked as _, Set as _, WithUntracked as _};
use openstudio_session as session;
use openstudio_session::mesh::LinkSnapshot;
use openstudio_units::PeerId;

use crate::driver::browser;
use crate::driver::studio::Studio;
use crate::model::card::{self, Card, Link, MicrophoneMark};
use crate::model::words::MicrophoneState;
use crate::view::{Entering, LinkRow, Screen, put};

impl Studio {
    /// Brings the room to the screen. Called with every tick only: drawing at once would hold
    /// up the connections that a mass join is about, and draw after every message.
    pub(crate) fn draw(&mut self) {
        if !self.running.as_ref().is_some_and(|running| running.entered) {
            return;
        }
        if self.view.screen.get_untracked() != Screen::Room {
            self.show(Screen::Room);
            put(self.view.entering, Entering::Idle);
            put(self.view.address, browser::address(&self.window));
        }
        if std::mem::take(&mut self.stale) {
            self.draw_cards();
        }
    }

    /// Writes the cards, and says what changed.
    fn draw_cards(&self) {
        let Some(session) = self.running.as_ref().map(|running| &running.session) else { return };
        let mut links: BTreeMap<PeerId, Link> =
            session.links().into_iter().map(|link| (link.peer, link.into())).collect();
        let microphone = &self.desk.microphone;
        let own = match (microphone.state() == MicrophoneState::Live, microphone.is_muted()) {
            (true, true) => MicrophoneMark::Muted,
            (true, false) => MicrophoneMark::Live,
            (false, _) => MicrophoneMark::Absent,
        };
        let make = |participant: &session::wire::Participant| {
            if session.me() == Some(participant.peer_id) {
                return Card { microphone: own, ..Card::new(participant, None) };
            }
            let link = links.remove(&participant.peer_id).unwrap_or_default();
            Card::new(participant, Some(&link))
        };
        let mut cards: Vec<Card> = session.participants().map(make).collect();
        card::sort(&mut cards);
        let news = self.view.cards.with_untracked(|shown| card::announcement(shown, &cards));
        if let Some(news) = news {
            self.view.announcement.set(news);
        }
        put(self.view.cards, cards);
    }

    /// Writes *Connection details*.
    pub(crate) fn draw_details(&self) {
        let Some(session) = self.running.as_ref().map(|running| &running.session) else { return };
        let cards = self.view.cards.get_untracked();
        let name = |peer| {
            let card = cards.iter().find(|card| card.peer == peer);
            card.map_or_else(|| peer.to_string(), |card| card.name.clone())
        };
        let row = |link: LinkSnapshot| LinkRow { name: name(link.peer), facts: facts(&link) };
        put(self.view.links, session.links().into_iter().map(row).collect());
    }

    /// Shows a page.
    pub(crate) fn show(&self, screen: Screen) {
        put(self.view.screen, screen);
    }
}

fn facts(link: &LinkSnapshot) -> String {
    let native = link
        .peer_connection_state
        .map_or_else(|| "none".to_owned(), |state| format!("{state:?}").to_lowercase());
    let mut facts = format!(
        "{} · generation {} · {} · signalling {} · peer connection {native}",
        link.state,
        link.generation,
        if link.polite { "polite" } else { "impolite" },
        link.signaling_state,
    );
    if link.relay_only {
        facts.push_str(" · relay only");
    }
    if link.attempts > 0 {
        facts.push_str(&format!(" · attempt {}", link.attempts));
    }
    if let Some(level) = link.level {
        facts.push_str(&format!(" · quality {}", format!("{level:?}").to_lowercase()));
    }
    if let Some(trouble) = &link.trouble {
        facts.push_str(&format!(" · {trouble}"));
    }
    facts
}
