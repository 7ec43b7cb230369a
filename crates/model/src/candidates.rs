//! Remote candidates (webrtc-pc §4.4.2, `addIceCandidate()`): which are refused, and which
//! are of use. What one says is the driver's affair.

use crate::chain::Value;
use crate::description::{Credentials, Description};
use crate::peer_connection::{DomError, PeerConnection};

/// A remote candidate. The line is the driver's affair.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Candidate {
    /// The line.
    pub line: String,
    /// For which media section; none for any.
    pub mid: Option<u32>,
    /// Of which credentials; none for the newest.
    pub credentials: Option<Credentials>,
}

/// How many remote candidates are kept; a browser has a bound of its own.
const MAX_CANDIDATES: usize = 256;

impl PeerConnection {
    /// Refuses those of unknown credentials, as webrtc-pc wants it. Chromium takes them, and
    /// they are of no use there.
    pub(crate) fn add_candidate(&mut self, candidate: Candidate) -> Result<Value, DomError> {
        let (current, pending) = (&self.current_remote, &self.pending_remote);
        let known = [current, pending].into_iter().flatten();
        let newest = self.remote_description().ok_or(DomError::InvalidState)?.credentials;
        let fits = |description: &Description| {
            candidate.credentials.is_none_or(|of| of == description.credentials)
                && candidate.mid.is_none_or(|mid| description.sections.iter().any(|s| s.mid == mid))
        };
        if !known.into_iter().any(fits) {
            return Err(DomError::Operation);
        }
        // Those of older credentials are taken, and of no use.
        let credentials = candidate.credentials.unwrap_or(newest);
        let candidate = Candidate { credentials: Some(credentials), ..candidate };
        if credentials == newest
            && self.candidates.len() < MAX_CANDIDATES
            && !self.candidates.contains(&candidate)
        {
            self.candidates.push(candidate);
        }
        Ok(Value::Undefined)
    }

    /// New remote credentials: the candidates of older ones are of no use any more.
    pub(crate) fn forget_candidates_but(&mut self, newest: Option<Credentials>) {
        self.candidates.retain(|candidate| candidate.credentials == newest);
    }
}
