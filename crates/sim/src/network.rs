//! The network between the clients: addresses, NATs (RFC 4787), relays, outages, delays.
//!
//! It says whether packets pass between two ends, given what each knows of the other's
//! candidates. It makes no packet and keeps no time.

use std::collections::BTreeMap;
use std::time::Duration;

use openstudio_units::Rng;

/// What stands between a client and the public network, by mapping and filtering
/// (RFC 4787 §4.1 and §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nat {
    /// A public address without a filter.
    Open,
    /// Endpoint-independent mapping and filtering ("full cone").
    FullCone,
    /// Endpoint-independent mapping, address-dependent filtering.
    AddressRestricted,
    /// Endpoint-independent mapping, address- and port-dependent filtering.
    PortRestricted,
    /// Address- and port-dependent mapping and filtering ("symmetric").
    Symmetric,
    /// No UDP at all; a relay is reached over TCP.
    UdpBlocked,
}

impl Nat {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Open,
        Self::FullCone,
        Self::AddressRestricted,
        Self::PortRestricted,
        Self::Symmetric,
        Self::UdpBlocked,
    ];

    fn has_udp(self) -> bool {
        self != Self::UdpBlocked
    }

    /// Whether a packet from where nothing was sent to comes in.
    fn lets_strangers_in(self) -> bool {
        matches!(self, Self::Open | Self::FullCone)
    }

    /// Whether the address that a STUN server saw is the one that everybody sees.
    fn has_steady_mapping(self) -> bool {
        !matches!(self, Self::Symmetric | Self::UdpBlocked)
    }
}

/// Where a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// What stands before it.
    pub nat: Nat,
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
    pub(crate) relay: bool,
}

impl Known {
    pub(crate) fn add(&mut self, kind: CandidateType) {
        match kind {
            CandidateType::Host => self.host = true,
            CandidateType::Srflx => self.srflx = true,
            CandidateType::Relay => self.relay = true,
        }
    }

    /// An address that is seen from outside: it can be sent to, and be let in.
    fn public(self, nat: Nat) -> bool {
        self.srflx || (self.host && nat == Nat::Open)
    }

    fn any(self) -> bool {
        self.host || self.srflx || self.relay
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
    /// Directions in which no media pass, with how many troubles say so.
    cut: BTreeMap<(usize, usize), u32>,
    /// Clients without any network.
    isolated: BTreeMap<usize, u32>,
    /// One way from each client to the public network.
    delays: Vec<Duration>,
}

impl Network {
    pub(crate) fn new(has_stun: bool, has_relay: bool) -> Self {
        let (cut, isolated) = (BTreeMap::new(), BTreeMap::new());
        Self { has_stun, has_relay, cut, isolated, delays: Vec::new() }
    }

    pub(crate) fn add_client(&mut self, delay: Duration) {
        self.delays.push(delay);
    }

    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        *self.cut.entry((from, to)).or_default() += 1;
    }

    pub(crate) fn mend(&mut self, from: usize, to: usize) {
        lower(&mut self.cut, &(from, to));
    }

    pub(crate) fn isolate(&mut self, client: usize) {
        *self.isolated.entry(client).or_default() += 1;
    }

    pub(crate) fn reconnect(&mut self, client: usize) {
        lower(&mut self.isolated, &client);
    }

    pub(crate) fn is_isolated(&self, client: usize) -> bool {
        self.isolated.contains_key(&client)
    }

    /// Whether media pass one way.
    pub(crate) fn passes(&self, from: usize, to: usize) -> bool {
        !self.cut.contains_key(&(from, to)) && !self.is_isolated(from) && !self.is_isolated(to)
    }

    pub(crate) fn delay(&self, client: usize) -> Duration {
        self.delays.get(client).copied().unwrap_or_default()
    }

    /// The time for a message one way, with what jitter and a lost segment add to it.
    pub(crate) fn signalling_delay(&self, client: usize, rng: &mut Rng) -> Duration {
        let jitter = rng.duration_between(Duration::ZERO, Duration::from_millis(12));
        let is_lost = rng.between(1, 200) == 1;
        let resent =
            if is_lost { Duration::from_millis(rng.between(200, 900)) } else { Duration::ZERO };
        self.delay(client) + jitter + resent
    }

    /// Which types of candidate a client can gather.
    pub(crate) fn can_gather(&self, kind: CandidateType, nat: Nat) -> bool {
        match kind {
            CandidateType::Host => true,
            CandidateType::Srflx => self.has_stun && nat.has_udp() && nat != Nat::Open,
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
            kinds.filter(|kind| self.can_gather(*kind, site.nat)).for_each(|kind| known.add(kind));
            End { site, known, relay_only: false }
        };
        Self::route(end(a), end(b)).is_some()
    }
}

fn lower<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn direct(a: End, b: End) -> bool {
    let same_lan = a.site.lan == b.site.lan && (a.known.host || b.known.host);
    same_lan || reaches(a, b) || reaches(b, a)
}

/// Whether the checks of `a` come in at `b`: the rest follows from the first that does.
fn reaches(a: End, b: End) -> bool {
    let (nat, has_udp) = (b.site.nat, a.site.nat.has_udp() && b.site.nat.has_udp());
    // `b` lets in whom it sends to, and it sends to the addresses that it knows.
    let invited = a.known.public(a.site.nat);
    let let_in = match nat {
        nat if nat.lets_strangers_in() => true,
        Nat::AddressRestricted => invited,
        Nat::PortRestricted => invited && a.site.nat.has_steady_mapping(),
        // The address that is known of it is open to the STUN server alone.
        Nat::Symmetric | Nat::Open | Nat::FullCone | Nat::UdpBlocked => false,
    };
    has_udp && b.known.public(nat) && let_in
}

/// Through the relay of one of the two, who lets in only whom it knows.
fn relayed(a: End, b: End) -> bool {
    let through = |ours: End, theirs: End| {
        let reaches = theirs.site.nat.has_udp() && !theirs.relay_only;
        ours.known.relay && theirs.known.any() && (reaches || theirs.known.relay)
    };
    through(a, b) || through(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(nat: Nat, lan: u32) -> Site {
        Site { nat, lan, epoch: 0 }
    }

    fn connects(network: &Network, a: Nat, b: Nat) -> bool {
        let (a, b) = (site(a, 1), site(b, 2));
        assert_eq!(network.can_connect(a, b), network.can_connect(b, a), "{a:?} {b:?}");
        network.can_connect(a, b)
    }

    #[test]
    fn without_a_relay_the_matrix_is_that_of_rfc_4787() {
        let network = Network::new(true, false);
        let refused: Vec<(Nat, Nat)> = Nat::ALL
            .into_iter()
            .flat_map(|a| Nat::ALL.into_iter().map(move |b| (a, b)))
            .filter(|(a, b)| a <= b && !connects(&network, *a, *b))
            .collect();
        let mut expected =
            vec![(Nat::PortRestricted, Nat::Symmetric), (Nat::Symmetric, Nat::Symmetric)];
        expected.extend(Nat::ALL.map(|nat| (nat, Nat::UdpBlocked)));
        expected.sort_unstable();
        let mut refused = refused;
        refused.sort_unstable();
        assert_eq!(refused, expected);
    }

    #[test]
    fn with_a_relay_everybody_is_reached() {
        let network = Network::new(true, true);
        for (a, b) in Nat::ALL.into_iter().flat_map(|a| Nat::ALL.map(|b| (a, b))) {
            assert!(connects(&network, a, b), "{a:?} {b:?}");
        }
    }

    #[test]
    fn in_one_lan_nothing_stands_between() {
        let network = Network::new(false, false);
        assert!(network.can_connect(site(Nat::Symmetric, 1), site(Nat::UdpBlocked, 1)));
        assert!(!network.can_connect(site(Nat::Symmetric, 1), site(Nat::Symmetric, 2)));
    }
}
