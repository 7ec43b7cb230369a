//! From the session to the screen: cards, announcements, *Connection details*.

use std::collections::BTreeMap;

use leptos::prelude::{GetUntracked as _, Set as _, WithUntracked as _};
use openstudio_session as session;
use openstudio_session::mesh::LinkSnapshot;
use openstudio_units::{PeerId, Role};

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
        self.draw_engine();
    }

    /// Writes the cards, and says what changed.
    fn draw_cards(&self) {
        let Some(session) = self.running.as_ref().map(|running| &running.session) else { return };
        let mut links: BTreeMap<PeerId, Link> =
            session.links().into_iter().map(|link| (link.peer, link.into())).collect();
        let microphone = &self.desk.microphone;
        let open = microphone.state() == MicrophoneState::Live;
        let own = if open { microphone.mark() } else { MicrophoneMark::Absent };
        let solos = &self.desk.solos;
        let make = |participant: &session::wire::Participant| {
            let peer = participant.peer_id;
            let (strip, solo) = (session.strip(peer), solos.contains(&peer));
            let seen = session::wire::Participant { strip, ..participant.clone() };
            if session.me() == Some(peer) {
                return Card { microphone: own, solo, ..Card::new(&seen, None) };
            }
            let link = links.remove(&peer).unwrap_or_default();
            Card { solo, ..Card::new(&seen, Some(&link)) }
        };
        let mut cards: Vec<Card> = card::people(session.participants()).map(make).collect();
        card::sort(&mut cards);
        let news = self.view.cards.with_untracked(|shown| card::announcement(shown, &cards));
        if let Some(news) = news {
            self.view.announcement.set(news);
        }
        put(self.view.cards, cards);
    }

    /// Writes what the studio's engine does, and says what began or ended.
    fn draw_engine(&mut self) {
        let now = self.now();
        let Some(running) = &mut self.running else { return };
        let state = running.engine.follow(now, running.session.engine());
        if self.view.engine.with_untracked(|shown| shown.as_ref() != state) {
            self.view.engine.set(state.cloned());
        }
        if let Some(news) = running.engine.news(now) {
            self.view.engine_news.set(news);
        }
    }

    /// Writes *Connection details*.
    pub(crate) fn draw_details(&self) {
        let Some(session) = self.running.as_ref().map(|running| &running.session) else { return };
        let cards = self.view.cards.get_untracked();
        let name = |peer| {
            let card = cards.iter().find(|card| card.peer == peer);
            let role = session.participants().find(|seat| seat.peer_id == peer).map(|s| s.role);
            match (card, role) {
                (Some(card), _) => card.name.clone(),
                (None, Some(Role::Engine)) => card::role_label(Role::Engine).to_owned(),
                (None, _) => peer.to_string(),
            }
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
    if link.is_redundant {
        facts.push_str(" · redundancy");
    }
    if let Some(trouble) = &link.trouble {
        facts.push_str(&format!(" · {trouble}"));
    }
    facts
}
