//! Says which pairs can be connected, and compares that with which are.

use openstudio_model::SignalingState;
use openstudio_session::Session;
use openstudio_session::mesh::{ConnectionState, LinkSnapshot};
use openstudio_units::PeerId;

use crate::world::World;

impl World {
    /// Who is in the room, awake and reachable.
    fn present(&self) -> Vec<(usize, PeerId)> {
        let clients = self.clients.iter().enumerate();
        let inside = clients.filter(|(_, client)| client.is_inside() && !client.asleep);
        inside.filter_map(|(c, client)| client.me.map(|me| (c, me))).collect()
    }

    /// Whether exactly those pairs are connected, stable and heard that can be. Says what
    /// is wrong.
    pub(crate) fn judge(&self) -> Result<(), String> {
        let open = self.clients.iter().enumerate().filter(|(_, client)| client.is_open());
        for (c, client) in open {
            if !client.is_inside() {
                return Err(format!("client {c} is not in the room"));
            }
        }
        let present = self.present();
        for (a, _) in &present {
            let links = self.clients[*a].session.as_ref().map(Session::links).unwrap_or_default();
            for (b, peer) in present.iter().filter(|(b, _)| b != a) {
                let link = links.iter().find(|link| link.peer == *peer);
                let link = link.ok_or_else(|| format!("client {a} does not know of {b}"))?;
                self.judge_link(*a, *b, link)?;
            }
        }
        Ok(())
    }

    fn judge_link(&self, a: usize, b: usize, link: &LinkSnapshot) -> Result<(), String> {
        let possible = self.network.can_connect(self.clients[a].site, self.clients[b].site);
        let connected = link.state == ConnectionState::Connected;
        if connected != possible {
            let words = if possible { "can be connected and is" } else { "cannot be, and is" };
            return Err(format!("the link of {a} to {b} {words} {}", link.state));
        }
        if !possible {
            return Ok(());
        }
        let pc = self.clients[a].by_peer.get(&link.peer);
        let sim = pc.and_then(|pc| self.clients[a].pcs.get(pc));
        let (Some(pc), Some(sim)) = (pc, sim) else {
            return Err(format!("the link of {a} to {b} has no peer connection"));
        };
        if sim.model.signaling_state() != SignalingState::Stable || link.signaling_state != "stable"
        {
            return Err(format!("the link of {a} to {b} is not stable"));
        }
        if self.clients[b].microphone && !self.is_heard(a, *pc) {
            return Err(format!("client {a} does not hear {b}, though the link says connected"));
        }
        Ok(())
    }

    /// Whether everybody's list of participants is the same, and without ghosts.
    pub(crate) fn judge_rosters(&self) -> Result<(), String> {
        let present = self.present();
        let mut expected: Vec<PeerId> = present.iter().map(|(_, peer)| *peer).collect();
        expected.sort_unstable();
        for (c, _) in present {
            let session = self.clients[c].session.as_ref();
            let listed: Vec<PeerId> = session
                .map(|session| session.participants().map(|p| p.peer_id).collect())
                .unwrap_or_default();
            if listed != expected {
                let (seen, real) = (listed.len(), expected.len());
                return Err(format!("client {c} sees {seen} participants, there are {real}"));
            }
        }
        Ok(())
    }

    /// Whether the desk is the same on every page.
    pub(crate) fn judge_strips(&self) -> Result<(), String> {
        let present = self.present();
        for (b, peer) in &present {
            let strips = present.iter().filter_map(|(a, _)| {
                let session = self.clients[*a].session.as_ref()?;
                Some((*a, session.strip(*peer)))
            });
            let strips: Vec<_> = strips.collect();
            let Some((first, expected)) = strips.first() else { continue };
            if let Some((a, strip)) = strips.iter().find(|(_, strip)| strip != expected) {
                return Err(format!(
                    "the strip of {b} is {strip:?} at {a}, and {expected:?} at {first}"
                ));
            }
        }
        Ok(())
    }

    /// The size of what a page remembers, printed; a leak shows here.
    pub(crate) fn largest_page(&self) -> usize {
        let sessions = self.clients.iter().filter_map(|client| client.session.as_ref());
        sessions.map(|session| format!("{session:?}").len()).max().unwrap_or(0)
    }
}
