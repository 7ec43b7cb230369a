//! The network between the clients: addresses, NATs, relays, outages, delays.
//!
//! It says whether packets pass between two ends, given what each knows of the other's
//! candidates. It makes no packet and keeps no time. What NATs and lines do is
//! `openstudio-net`'s.

use std::time::Duration;

use openstudio_net::{Chance, Delay, NatKind, Outages, StreamDelay};
use openstudio_units::Rng;

/// What is added to the delay of a line at most.
const JITTER: Duration = Duration::from_millis(12);

/// One segment of a socket in two hundred is lost.
const SEGMENT_LOSS: Chance = Chance::from_millionths(5_000);

/// How long it takes until it is sent again.
const RESENT_MS: (u64, u64) = (200, 900);

/// Where a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// What stands before it.
    pub nat: NatKind,
    /// Clients with the same number reach each other directly.
    pub lan: u32,
    /// Rises when the addresses change.
    pub epoch: u32,
}

/// One kind of candidate (RFC 8445 §5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CandidateType {
    /// An address of the machine.
    Host,
    /// The address that a STUN server saw.
    Srflx,
    /// An address at the relay.
    Relay,
}

impl CandidateType {
    pub(crate) const ALL: [Self; 3] = [Self::Host, Self::Srflx, Self::Relay];

    /// Returns the name in the standard.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Srflx => "srflx",
            Self::Relay => "relay",
        }
    }
}

/// Which candidates of one end the other one knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Known {
    pub(crate) host: bool,
    pub(crate) srflx: bool,
    /// The address at a relay, and which one it is of those that have been.
    pub(crate) relay: Option<u32>,
}

impl Known {
    /// Takes note of a candidate; `relay` says of which relay, if it is of one.
    pub(crate) fn add(&mut self, kind: CandidateType, relay: u32) {
        match kind {
            CandidateType::Host => self.host = true,
            CandidateType::Srflx => self.srflx = true,
            CandidateType::Relay => self.relay = self.relay.max(Some(relay)),
        }
    }

    /// An address that is seen from outside: it can be sent to, and be let in.
    fn public(self, nat: NatKind) -> bool {
        self.srflx || (self.host && nat == NatKind::Open)
    }

    fn any(self) -> bool {
        self.host || self.srflx || self.relay.is_some()
    }
}

/// One end of a pair for [`Network::route`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) site: Site,
    /// What the other end knows of this one.
    pub(crate) known: Known,
    pub(crate) relay_only: bool,
}

/// How packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Route {
    Direct,
    Relayed,
}

/// The network.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) has_stun: bool,
    pub(crate) has_relay: bool,
    /// How many relays there were before: each ends with its server.
    relays_before: u32,
    is_relay_up: bool,
    /// Directions in which no media pass.
    cut: Outages<(usize, usize)>,
    /// Clients without any network.
    isolated: Outages<usize>,
    /// One way from each client to the public network.
    delays: Vec<Duration>,
}

impl Network {
    pub(crate) fn new(has_stun: bool, has_relay: bool) -> Self {
        let (cut, isolated) = (Outages::default(), Outages::default());
        Self {
            has_stun,
            has_relay,
            relays_before: 0,
            is_relay_up: has_relay,
            cut,
            isolated,
            delays: Vec::new(),
        }
    }

    pub(crate) fn add_client(&mut self, delay: Duration) {
        self.delays.push(delay);
    }

    /// The relay is gone, and with it every address there.
    pub(crate) fn end_relay(&mut self) {
        if std::mem::take(&mut self.is_relay_up) {
            self.relays_before += 1;
        }
    }

    /// There is a relay again, another one.
    pub(crate) fn begin_relay(&mut self) {
        self.is_relay_up = self.has_relay;
    }

    /// Which relay there is.
    pub(crate) fn relay(&self) -> Option<u32> {
        self.is_relay_up.then_some(self.relays_before)
    }

    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.cut.begin((from, to));
    }

    pub(crate) fn mend(&mut self, from: usize, to: usize) {
        self.cut.end(&(from, to));
    }

    pub(crate) fn isolate(&mut self, client: usize) {
        self.isolated.begin(client);
    }

    pub(crate) fn reconnect(&mut self, client: usize) {
        self.isolated.end(&client);
    }

    pub(crate) fn is_isolated(&self, client: usize) -> bool {
        self.isolated.is_out(&client)
    }

    /// Whether media pass one way.
    pub(crate) fn passes(&self, from: usize, to: usize) -> bool {
        !self.cut.is_out(&(from, to)) && !self.is_isolated(from) && !self.is_isolated(to)
    }

    pub(crate) fn delay(&self, client: usize) -> Duration {
        self.delays.get(client).copied().unwrap_or_default()
    }

    /// The time for a message one way, with what jitter and a lost segment add to it.
    pub(crate) fn signalling_delay(&self, client: usize, rng: &mut Rng) -> Duration {
        let delay = Delay { base: self.delay(client), jitter: JITTER };
        StreamDelay { delay, loss: SEGMENT_LOSS, resent_ms: RESENT_MS }.draw(rng)
    }

    /// Which types of candidate a client can gather.
    pub(crate) fn can_gather(&self, kind: CandidateType, nat: NatKind) -> bool {
        match kind {
            CandidateType::Host => true,
            CandidateType::Srflx => self.has_stun && nat.has_udp() && nat != NatKind::Open,
            CandidateType::Relay => self.has_relay,
        }
    }

    /// Whether connectivity checks between two ends succeed, and which way.
    pub(crate) fn route(a: End, b: End) -> Option<Route> {
        if !a.relay_only && !b.relay_only && direct(a, b) {
            return Some(Route::Direct);
        }
        relayed(a, b).then_some(Route::Relayed)
    }

    /// Whether two clients can be connected at all, once every candidate is known.
    pub(crate) fn can_connect(&self, a: Site, b: Site) -> bool {
        let end = |site: Site| {
            let mut known = Known::default();
            let kinds = CandidateType::ALL.into_iter();
            kinds
                .filter(|kind| self.can_gather(*kind, site.nat))
                .for_each(|kind| known.add(kind, 0));
            End { site, known, relay_only: false }
        };
        Self::route(end(a), end(b)).is_some()
    }
}

fn direct(a: End, b: End) -> bool {
    let same_lan = a.site.lan == b.site.lan && (a.known.host || b.known.host);
    same_lan || reaches(a, b) || reaches(b, a)
}

/// Whether the checks of `a` come in at `b`: the rest follows from the first that does.
fn reaches(a: End, b: End) -> bool {
    let (Some(ours), Some(theirs)) = (a.site.nat.behaviour(), b.site.nat.behaviour()) else {
        return false;
    };
    // `b` lets in whom it sends to, and it sends to the addresses that it knows.
    let invited = a.known.public(a.site.nat);
    b.known.public(b.site.nat) && theirs.admits(invited.then_some(ours))
}

/// Through the relay of one of the two, who lets in only whom it knows.
fn relayed(a: End, b: End) -> bool {
    let through = |ours: End, theirs: End| {
        let reaches = theirs.site.nat.has_udp() && !theirs.relay_only;
        ours.known.relay.is_some()
            && theirs.known.any()
            && (reaches || theirs.known.relay.is_some())
    };
    through(a, b) || through(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(nat: NatKind, lan: u32) -> Site {
        Site { nat, lan, epoch: 0 }
    }

    fn connects(network: &Network, a: NatKind, b: NatKind) -> bool {
        let (a, b) = (site(a, 1), site(b, 2));
        assert_eq!(network.can_connect(a, b), network.can_connect(b, a), "{a:?} {b:?}");
        network.can_connect(a, b)
    }

    #[test]
    fn without_a_relay_the_matrix_is_that_of_rfc_4787() {
        let network = Network::new(true, false);
        let refused: Vec<(NatKind, NatKind)> = NatKind::ALL
            .into_iter()
            .flat_map(|a| NatKind::ALL.into_iter().map(move |b| (a, b)))
            .filter(|(a, b)| a <= b && !connects(&network, *a, *b))
            .collect();
        let mut expected = vec![
            (NatKind::PortRestricted, NatKind::Symmetric),
            (NatKind::Symmetric, NatKind::Symmetric),
        ];
        expected.extend(NatKind::ALL.map(|nat| (nat, NatKind::UdpBlocked)));
        expected.sort_unstable();
        let mut refused = refused;
        refused.sort_unstable();
        assert_eq!(refused, expected);
    }

    #[test]
    fn with_a_relay_everybody_is_reached() {
        let network = Network::new(true, true);
        for (a, b) in NatKind::ALL.into_iter().flat_map(|a| NatKind::ALL.map(|b| (a, b))) {
            assert!(connects(&network, a, b), "{a:?} {b:?}");
        }
    }

    #[test]
    fn in_one_lan_nothing_stands_between() {
        let network = Network::new(false, false);
        assert!(network.can_connect(site(NatKind::Symmetric, 1), site(NatKind::UdpBlocked, 1)));
        assert!(!network.can_connect(site(NatKind::Symmetric, 1), site(NatKind::Symmetric, 2)));
    }
}
