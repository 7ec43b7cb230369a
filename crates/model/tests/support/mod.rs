//! Runs the scripts of `scripts/` on the model: the language, and what can be seen of a
//! peer connection. Line by line as `e2e/page/peer-scripts.js` runs them on real ones;
//! the language is described in `scripts/README.md`.

mod peer;
pub(crate) mod scripts;

use std::collections::BTreeMap;

use openstudio_model::{
    Call, Candidate, Credentials, Description, Direction, Msid, SignalingState, StreamId,
};

use peer::Peer;
use scripts::{Case, Traces};

/// Messages of one `exchange`: more is an exchange without an end.
const LIMIT: usize = 40;

/// Runs a script.
pub(crate) fn run(case: &Case) -> Traces {
    let mut run = Run::new(case);
    for step in &case.steps {
        run.step(step);
    }
    run.settle();
    let peers = run.peers.into_iter().map(|(name, mut peer)| {
        peer.end();
        (name, peer.trace)
    });
    peers.collect()
}

struct Run {
    peers: BTreeMap<String, Peer>,
    saved: BTreeMap<String, Description>,
    streams: Vec<String>,
    seen: BTreeMap<String, String>,
}

impl Run {
    fn new(case: &Case) -> Self {
        let peer = |(number, name): (usize, &String)| {
            let polite = case.polite.as_ref().map(|polite| polite == name);
            (name.clone(), Peer::new(u64::try_from(number).unwrap(), polite))
        };
        Self {
            peers: case.peers.iter().enumerate().map(peer).collect(),
            saved: BTreeMap::new(),
            streams: Vec::new(),
            seen: BTreeMap::new(),
        }
    }

    fn peer(&mut self, name: &str) -> &mut Peer {
        self.peers.get_mut(name).unwrap_or_else(|| panic!("nobody is called {name}"))
    }

    // ----- the language

    fn step(&mut self, text: &str) {
        let (text, goes_on) = text.strip_suffix(" &").map_or((text, false), |text| (text, true));
        let words: Vec<&str> = text.split(' ').collect();
        match words.as_slice() {
            ["await"] => return self.go_on(|peer| peer.awaits()),
            ["save", name, source] => {
                let description = self.description(source);
                self.saved.insert((*name).to_owned(), description);
                return;
            }
            ["settle"] => {}
            ["exchange"] => self.exchange(),
            ["deliver", from] => self.deliver(from),
            [name, operation, args @ ..] => {
                let text = words[1..].join(" ");
                if !self.synchronous(name, (operation, args), &text) {
                    self.asynchronous(name, (operation, args), &text);
                }
            }
            [_] | [] => panic!("no step: {text}"),
        }
        if !goes_on {
            self.settle();
        }
    }

    fn synchronous(&mut self, name: &str, step: (&str, &[&str]), text: &str) -> bool {
        let (operation, args) = step;
        let stream = match (operation, args) {
            ("addTransceiver", [_, _, stream]) | ("addTrack" | "setStreams", [_, stream]) => {
                Some(self.stream(stream))
            }
            _ => None,
        };
        let peer = self.peer(name);
        let pc = &mut peer.pc;
        let result = match (operation, args) {
            ("addTransceiver", [kind, rest @ ..]) => {
                let direction =
                    rest.first().map_or(Direction::Sendrecv, |word| word.parse().unwrap());
                let index = pc.transceivers().len();
                pc.add_transceiver(kind.parse().unwrap(), direction)
                    .and_then(|()| pc.set_streams(index, stream))
            }
            ("addTrack", [kind, ..]) => {
                pc.add_track(kind.parse().unwrap()).and_then(|index| pc.set_streams(index, stream))
            }
            ("setDirection", [index, direction]) => {
                pc.set_direction(index.parse().unwrap(), direction.parse().unwrap())
            }
            ("setStreams", [index, ..]) => pc.set_streams(index.parse().unwrap(), stream),
            ("restartIce", []) => {
                pc.restart_ice();
                Ok(())
            }
            ("close", []) => {
                pc.close();
                Ok(())
            }
            _ => return false,
        };
        peer.attempt(text, result);
        true
    }

    fn asynchronous(&mut self, name: &str, (operation, args): (&str, &[&str]), text: &str) {
        let call = match (operation, args) {
            ("createOffer", []) => Call::CreateOffer,
            ("createAnswer", []) => Call::CreateAnswer,
            ("setLocalDescription", []) => Call::SetLocal,
            ("setLocalDescription", ["rollback"]) => Call::RollbackLocal,
            ("setLocalDescription", [source]) => {
                Call::SetLocalTo(self.description(source).to_string())
            }
            ("setRemoteDescription", ["rollback"]) => Call::RollbackRemote,
            ("setRemoteDescription", ["garbage"]) => Call::SetRemote("garbage".to_owned()),
            ("setRemoteDescription", [source]) => {
                Call::SetRemote(self.description(source).to_string())
            }
            ("addIceCandidate", [of, rest @ ..]) => {
                let mid = rest.first().map(|mid| mid.parse().unwrap());
                let line = format!("candidate {}", self.peers[name].trace.len());
                Call::AddCandidate(Candidate { line, mid, credentials: self.credentials(of) })
            }
            ("replaceTrack", [index, kind]) => {
                let has_track = *kind != "none";
                let peer = self.peer(name);
                let result = peer.pc.replace_track(index.parse().unwrap(), has_track);
                return peer.call_at_once(text, result);
            }
            _ => panic!("no such operation: {text}"),
        };
        self.peer(name).call(text, call);
    }

    /// `a.local`, `a.created`, or the name of what was saved.
    fn description(&self, source: &str) -> Description {
        let found = match source.split_once('.') {
            Some((owner, "local")) => self.peers[owner].pc.local_description(),
            Some((owner, "created")) => self.peers[owner].created.as_ref(),
            Some(_) | None => self.saved.get(source),
        };
        found.unwrap_or_else(|| panic!("there is no {source}")).clone()
    }

    /// `a.1`: of the first credentials of a; `a.none`: of those that are in force.
    fn credentials(&self, text: &str) -> Option<Credentials> {
        let Some((owner, number)) = text.split_once('.') else { panic!("whose is {text}?") };
        if number == "none" {
            return None;
        }
        let Ok(number) = number.parse::<usize>() else { panic!("no number: {text}") };
        let known = self.peers[owner].credentials.get(number - 1).copied();
        Some(known.unwrap_or(Credentials { owner: u64::MAX, count: 0 }))
    }

    fn stream(&mut self, name: &str) -> StreamId {
        let index = self.streams.iter().position(|known| known == name).unwrap_or_else(|| {
            self.streams.push(name.to_owned());
            self.streams.len() - 1
        });
        StreamId(u32::try_from(index).unwrap())
    }

    // ----- running

    /// Runs everything for as long as `wanted` says so.
    fn go_on(&mut self, wanted: impl Fn(&Peer) -> bool) {
        let streams = self.streams.clone();
        for peer in self.peers.values_mut() {
            while wanted(peer) && peer.run() {
                name_stream(peer, &streams);
            }
        }
    }

    fn settle(&mut self) {
        self.go_on(|_| true);
        for peer in self.peers.values_mut() {
            let local = [peer.pc.current_local_description(), peer.pc.pending_local_description()];
            let new: Vec<Credentials> =
                local.into_iter().flatten().map(|d| d.credentials).collect();
            for credentials in new {
                if !peer.credentials.contains(&credentials) {
                    peer.credentials.push(credentials);
                }
            }
        }
        let looks: Vec<(String, String)> =
            self.peers.iter().map(|(name, peer)| (name.clone(), self.look(peer))).collect();
        for (name, look) in looks {
            if self.seen.get(&name) != Some(&look) {
                self.peer(&name).log(look.clone());
                self.seen.insert(name, look);
            }
        }
    }

    fn deliver(&mut self, from: &str) {
        let message = self.peer(from).outbox.pop_front().expect("something was sent");
        let mut others = self.peers.iter_mut().filter(|(name, _)| *name != from);
        others.next().expect("the other side").1.receive(&message);
    }

    fn exchange(&mut self) {
        let names: Vec<String> = self.peers.keys().cloned().collect();
        let mut count = 0;
        while self.peers.values().any(|peer| !peer.outbox.is_empty()) {
            assert!(count < LIMIT, "an exchange without an end");
            count += 1;
            for name in &names {
                if !self.peers[name].outbox.is_empty() {
                    self.deliver(name);
                }
                self.settle();
            }
        }
    }

    // ----- what can be seen

    fn look(&self, peer: &Peer) -> String {
        let pc = &peer.pc;
        let pair = |local, remote| format!("{} / {}", self.describe(local), self.describe(remote));
        let current = pair(pc.current_local_description(), pc.current_remote_description());
        let pending = pair(pc.pending_local_description(), pc.pending_remote_description());
        let mut seen = vec![
            format!("= {}", pc.signaling_state().as_str()),
            format!("current {current}"),
            format!("pending {pending}"),
        ];
        if pc.signaling_state() != SignalingState::Closed {
            for transceiver in pc.transceivers() {
                let mid = transceiver.mid.map_or("-".to_owned(), |mid| mid.to_string());
                let current = transceiver.current_direction.map_or("-", Direction::as_str);
                let (kind, wanted) = (transceiver.kind.as_str(), transceiver.direction.as_str());
                seen.push(format!("{kind} {mid} {wanted} {current}"));
            }
        }
        seen.join(" | ")
    }

    fn describe(&self, description: Option<&Description>) -> String {
        let Some(description) = description else {
            return "none".to_owned();
        };
        let mut words = vec![description.kind.as_str().to_owned(), self.label(description)];
        for section in &description.sections {
            let stream = match section.msid {
                Msid::Absent => String::new(),
                Msid::NoStream => ":-".to_owned(),
                Msid::Of(stream) => format!(":{}", stream_name(&self.streams, stream)),
            };
            words.push(format!("{}:{}{stream}", section.mid, section.direction.as_str()));
        }
        words.join(" ")
    }

    fn label(&self, description: &Description) -> String {
        let of = |(name, peer): (&String, &Peer)| {
            let index = peer.credentials.iter().position(|of| *of == description.credentials)?;
            Some(format!("{name}{}", index + 1))
        };
        self.peers.iter().find_map(of).unwrap_or_else(|| "?".to_owned())
    }
}

/// Adds to a `track` line what stream the remote description says.
fn name_stream(peer: &mut Peer, streams: &[String]) {
    let Some(line) = peer.trace.last_mut().filter(|line| !line.ends_with(']')) else { return };
    let Some(mid) = line.strip_prefix("track ").and_then(|mid| mid.parse::<u32>().ok()) else {
        return;
    };
    let remote = peer.pc.remote_description().expect("a track comes by a description");
    let section = remote.sections.iter().find(|section| section.mid == mid);
    let stream = section.and_then(|section| section.msid.stream());
    let name = stream.map_or("", |stream| stream_name(streams, stream));
    line.push_str(&format!(" [{name}]"));
}

fn stream_name(streams: &[String], StreamId(id): StreamId) -> &str {
    &streams[usize::try_from(id).unwrap()]
}
