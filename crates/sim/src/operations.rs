//! The driver's dealings with peer connections: commands, their operations on the model,
//! and how those end.

use std::time::Duration;

use openstudio_model::{self as model, Direction, Kind, StreamId, Value};
use openstudio_session::mesh::{
    self, Command, Completion, IceCandidate, OpError, OpId, PcId, StatsSample,
};

use crate::client::ToClient;
use crate::peer::{OpKind, SimPc, UnderWay, local_description_set, to_model};
use crate::world::World;

impl World {
    pub(crate) fn command(&mut self, c: usize, command: Command) {
        match command {
            Command::CreatePeerConnection { op, pc, peer, generation, offers, relay_only } => {
                let Some(other) = self.owners.get(&peer).copied() else {
                    return self.violation(format!("client {c} connects to nobody: {peer}"));
                };
                let sim = self.make_pc((peer, other), generation, relay_only, c);
                self.create(c, (op, pc), sim, offers);
            }
            Command::ClosePeerConnection { pc } => self.close_pc(c, pc),
            Command::SetLocalDescription { op, pc } => {
                self.call(c, (op, pc), OpKind::SetLocal, vec![model::Call::SetLocal]);
            }
            Command::SetRemoteDescription { op, pc, kind, sdp } => {
                self.call(c, (op, pc), kind.into(), vec![model::Call::SetRemote(sdp)]);
            }
            Command::AddIceCandidates { op, pc, candidates } => {
                self.check_candidates(c, pc, &candidates);
                let calls = candidates.iter().map(|c| model::Call::AddCandidate(to_model(c)));
                self.call(c, (op, pc), OpKind::AddCandidates, calls.collect());
            }
            Command::RestartIce { pc } => {
                if let Some(sim) = self.clients[c].pcs.get_mut(&pc) {
                    sim.model.restart_ice();
                    self.tell(Duration::ZERO, c, ToClient::Pump(pc));
                } else {
                    self.violation(format!("client {c}: restartIce() on a closed one"));
                }
            }
            Command::SampleStats { op, pc, .. } => {
                self.call(c, (op, pc), OpKind::Sample, Vec::new());
            }
            Command::SetRedundancy { .. } => self.violation("nobody reported a loss"),
            Command::SendSignal { .. } => self.violation("the session leaks a signal"),
        }
    }

    fn create(&mut self, c: usize, (op, pc): (OpId, PcId), mut sim: SimPc, offers: bool) {
        if offers {
            let made = sim.model.add_transceiver(Kind::Audio, Direction::Sendrecv);
            debug_assert!(made.is_ok(), "it is new");
            send_track(&mut sim.model, (0, c), self.clients[c].microphone);
        }
        sim.under_way = Some(UnderWay { op, kind: OpKind::Create });
        let client = &mut self.clients[c];
        let named_gone = client.gone.contains(&sim.peer);
        let doubled = client.by_peer.insert(sim.peer, pc).is_some();
        client.pcs.insert(pc, sim);
        if doubled {
            self.violation(format!("client {c} has two peer connections to one peer"));
        }
        if named_gone {
            self.violation(format!("client {c} connects to a peer that left"));
        }
        self.finish_later(c, pc, OpKind::Create);
    }

    fn close_pc(&mut self, c: usize, pc: PcId) {
        let Some(mut sim) = self.clients[c].pcs.remove(&pc) else {
            return self.violation(format!("client {c} closes {pc:?} twice"));
        };
        sim.model.close();
        self.clients[c].by_peer.remove(&sim.peer);
        self.look_at_mate(c, &sim);
    }

    /// Chains the calls of one operation. JSEP allows no other beside it.
    fn call(&mut self, c: usize, (op, pc): (OpId, PcId), kind: OpKind, calls: Vec<model::Call>) {
        let Some(sim) = self.clients[c].pcs.get_mut(&pc) else {
            return self.violation(format!("client {c}: {kind:?} on a closed peer connection"));
        };
        if sim.under_way.is_some() || sim.model.under_way().is_some() {
            return self.violation(format!("client {c}: {kind:?} beside another operation"));
        }
        for call in calls {
            sim.model.call(call);
        }
        sim.under_way = Some(UnderWay { op, kind });
        self.finish_later(c, pc, kind);
    }

    fn finish_later(&mut self, c: usize, pc: PcId, kind: OpKind) {
        let slowness = self.clients[c].slowness;
        let most = match kind {
            OpKind::Create | OpKind::AddCandidates => Duration::from_millis(3),
            OpKind::SetLocal | OpKind::ApplyOffer | OpKind::ApplyAnswer => {
                Duration::from_millis(25)
            }
            OpKind::Sample => Duration::from_millis(2),
        };
        let (least, most) = if slowness > most {
            (slowness / 2, slowness)
        } else {
            (Duration::from_micros(20), most)
        };
        let delay = self.delays.duration_between(least, most);
        self.tell(delay, c, ToClient::Finish(pc));
    }

    /// Candidates of another generation than the connection's never reach it, nor such as
    /// its descriptions do not know yet. Those of before an ICE restart may: the browser
    /// refuses them.
    fn check_candidates(&mut self, c: usize, pc: PcId, candidates: &[IceCandidate]) {
        let Some(sim) = self.clients[c].pcs.get(&pc) else { return };
        let remote = sim.model.remote_description().map(|remote| remote.credentials);
        let expected = (sim.other, sim.generation);
        for of in candidates.iter().filter_map(|candidate| to_model(candidate).credentials) {
            let made = usize::try_from(of.owner).ok().and_then(|n| self.names.get(n)).copied();
            if made != Some(expected) {
                self.violation(format!("client {c}: candidates of {made:?} in {expected:?}"));
            } else if remote.is_none_or(|remote| of.count > remote.count) {
                self.violation(format!("client {c}: candidates of {of} after {remote:?}"));
            }
        }
    }

    // ----- completions

    pub(crate) fn finish(&mut self, c: usize, pc: PcId) {
        // Closed meanwhile: its promises never settle.
        let Some(sim) = self.clients[c].pcs.get_mut(&pc) else { return };
        let Some(UnderWay { op, kind }) = sim.under_way.take() else { return };
        let mut results = Vec::new();
        let mut inputs = Vec::new();
        while sim.model.under_way().is_some() {
            sim.model.finish();
        }
        while let Some(event) = sim.model.poll_event() {
            match event {
                model::Event::Settled(_, result) => results.push(result),
                other @ (model::Event::NegotiationNeeded
                | model::Event::SignalingStateChange(_)
                | model::Event::Track(_)
                | model::Event::Gather(_)) => inputs.push(other),
            }
        }
        let applied = kind == OpKind::ApplyOffer && results.iter().all(Result::is_ok);
        if applied {
            let microphone = self.clients[c].microphone;
            self.attach(c, pc, microphone);
        }
        let result = self.outcome(c, pc, kind, &results);
        self.feed_mesh(c, mesh::Input::Completed { op, result });
        for event in inputs {
            self.model_event(c, pc, event);
        }
        self.pump(c, pc);
        self.look(c, pc);
    }

    /// Takes the transceivers that an offer made, as the contract asks.
    fn attach(&mut self, c: usize, pc: PcId, microphone: bool) {
        if let Some(sim) = self.clients[c].pcs.get_mut(&pc) {
            for index in 0..sim.model.transceivers().len() {
                let set = sim.model.set_direction(index, Direction::Sendrecv);
                debug_assert!(set.is_ok(), "closed ones are taken out of the client");
                send_track(&mut sim.model, (index, c), microphone);
            }
        }
    }

    fn outcome(
        &mut self,
        c: usize,
        pc: PcId,
        kind: OpKind,
        results: &[Result<Value, model::DomError>],
    ) -> Result<Completion, OpError> {
        let refused = results.iter().filter(|result| result.is_err()).count();
        if refused > 0 && kind != OpKind::AddCandidates {
            self.violation(format!("client {c}: {kind:?} is refused: {results:?}"));
        }
        match kind {
            OpKind::SetLocal => {
                let sim = &self.clients[c].pcs[&pc];
                local_description_set(&sim.model).map(|(_, completion)| completion)
            }
            OpKind::AddCandidates => {
                let refused = u32::try_from(refused).unwrap_or(u32::MAX);
                Ok(Completion::CandidatesAdded { refused })
            }
            OpKind::Sample => Ok(Completion::Stats(self.sample(c, pc))),
            OpKind::Create | OpKind::ApplyOffer | OpKind::ApplyAnswer => Ok(Completion::Done),
        }
    }

    fn sample(&mut self, c: usize, pc: PcId) -> StatsSample {
        let heard = self.is_heard(c, pc);
        let now = self.now.as_micros();
        let progress = self.clients[c].pcs.get_mut(&pc).map_or(0, |sim| {
            if heard {
                sim.progress = now;
            }
            sim.progress
        });
        StatsSample { inbound_progress: progress, ..StatsSample::default() }
    }

    /// Delivers what the model fires by itself.
    pub(crate) fn pump(&mut self, c: usize, pc: PcId) {
        loop {
            let sim = self.clients[c].pcs.get_mut(&pc);
            let Some(event) = sim.and_then(|sim| sim.model.poll_event()) else { return };
            self.model_event(c, pc, event);
        }
    }

    fn model_event(&mut self, c: usize, pc: PcId, event: model::Event) {
        match event {
            model::Event::NegotiationNeeded => {
                self.feed_mesh(c, mesh::Input::NegotiationNeeded { pc });
            }
            model::Event::Track(_) => self.feed_mesh(c, mesh::Input::RemoteTrackAdded { pc }),
            model::Event::Gather(credentials) => self.gather(c, pc, credentials),
            model::Event::SignalingStateChange(state) => {
                self.trace.line(self.now, || format!("client {c} {pc:?} {}", state.as_str()));
            }
            model::Event::Settled(..) => self.violation("a promise settled by itself"),
        }
    }
}

/// Sends a client's microphone, if it has one, from a transceiver. It is in a stream of the
/// client's, the same one at every offer.
fn send_track(pc: &mut model::PeerConnection, (index, c): (usize, usize), microphone: bool) {
    let stream = u32::try_from(c).map(StreamId).ok();
    let set = pc.set_streams(index, stream).and_then(|()| pc.replace_track(index, microphone));
    debug_assert!(set.is_ok(), "closed ones are taken out of the client");
}
