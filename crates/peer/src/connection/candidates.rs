//! Candidates of one peer connection: its own as they are found, the other side's as they come.

use openstudio_session::mesh::{Completion, IceCandidate, Input, OpId};
use str0m::{Candidate, CandidateKind};

use super::Connection;

/// What was told of the own candidates.
#[derive(Debug)]
pub(super) struct Candidates {
    /// Whether relayed ones alone are used and told.
    relay_only: bool,
    /// Whether more are to be waited for.
    gathering: bool,
    /// Whether the end of candidates was told since the last description.
    ended: bool,
    /// The credentials of the last description.
    fragment: Option<String>,
    /// Lines that stand in no description, and were not told yet.
    untold: Vec<String>,
}

impl Candidates {
    pub(super) fn new(relay_only: bool, gathering: bool) -> Self {
        Self { relay_only, gathering, ended: false, fragment: None, untold: Vec::new() }
    }

    /// A description was made: all candidates that there are stand in it.
    pub(super) fn described(&mut self, sdp: &str) {
        self.fragment = fragment_of(sdp).map(str::to_owned);
        self.untold.clear();
        self.ended = false;
    }
}

impl Connection {
    /// There is another way to this side.
    pub(crate) fn add_local_candidate(&mut self, candidate: &Candidate) {
        if self.candidates.relay_only && candidate.kind() != CandidateKind::Relayed {
            return;
        }
        let Some(added) = self.rtc.add_local_candidate(candidate.clone()) else { return };
        let line = added.to_sdp_string();
        if self.candidates.fragment.is_some() {
            self.candidates.untold.push(without_fragment(&line).to_owned());
        }
        self.tell_candidates();
    }

    /// A way to this side is gone.
    pub(crate) fn remove_local_candidate(&mut self, candidate: &Candidate) {
        self.rtc.direct_api().invalidate_candidate(candidate);
    }

    /// More candidates are to be waited for, or not.
    pub(crate) fn set_gathering(&mut self, gathering: bool) {
        self.candidates.gathering = gathering;
        self.tell_candidates();
    }

    /// Tells the candidates that stand in no description, once it is the turn of those of the
    /// last one.
    pub(super) fn tell_candidates(&mut self) {
        let Some(fragment) = &self.candidates.fragment else { return };
        if self.answer.is_some() {
            return;
        }
        let pc = self.pc;
        for candidate in self.candidates.untold.drain(..) {
            let candidate = Some(IceCandidate {
                candidate,
                sdp_mid: None,
                sdp_m_line_index: Some(0),
                username_fragment: Some(fragment.clone()),
            });
            self.reports.push_back(Input::LocalCandidateGathered { pc, candidate });
        }
        if !self.candidates.gathering && !std::mem::replace(&mut self.candidates.ended, true) {
            self.reports.push_back(Input::LocalCandidateGathered { pc, candidate: None });
        }
    }

    /// `addIceCandidate(…)` for each.
    pub(crate) fn add_ice_candidates(&mut self, op: OpId, candidates: &[IceCandidate]) {
        let mut refused = 0;
        for candidate in candidates.iter().filter(|candidate| !candidate.candidate.is_empty()) {
            match Candidate::from_sdp_string(&candidate.candidate) {
                Ok(candidate) => self.rtc.add_remote_candidate(candidate),
                Err(_) => refused += 1,
            }
        }
        self.complete(op, Ok(Completion::CandidatesAdded { refused }));
    }
}

/// Returns the user name fragment of a description (RFC 8839 §5.4). Everything is bundled, so
/// that there is but one.
pub(super) fn fragment_of(sdp: &str) -> Option<&str> {
    sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:"))
}

/// Returns a candidate without its user name fragment: with an ICE restart on offer, str0m has
/// still the one before.
fn without_fragment(line: &str) -> &str {
    line.split_once(" ufrag ").map_or(line, |(line, _)| line)
}

/// Takes candidates out whose address is a name: str0m refuses the whole description for one.
pub(super) fn without_names(sdp: &str) -> String {
    let named = |line: &&str| line.starts_with("a=candidate:") && line.contains(".local ");
    sdp.lines().filter(|line| !named(line)).flat_map(|line| [line, "\r\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_out_of_a_description_and_nothing_else() {
        let sdp = "v=0\r\na=candidate:1 1 udp 1 x-y.local 9 typ host\r\na=candidate:2 1 udp 1 192.0.2.1 9 typ host\r\na=mid:0\r\n";
        let kept = "v=0\r\na=candidate:2 1 udp 1 192.0.2.1 9 typ host\r\na=mid:0\r\n";
        assert_eq!(without_names(sdp), kept);
        assert_eq!(without_names(kept), kept);
    }
}
