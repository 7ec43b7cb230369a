//! What NATs do, in the words of RFC 4787, and which of two ends reaches the other.

/// On what of the other end a mapping or a filter depends (RFC 4787 §4.1 and §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Dependence {
    /// On nothing: endpoint-independent.
    #[default]
    Independent,
    /// On its address.
    Address,
    /// On its address and its port.
    AddressAndPort,
}

impl Dependence {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Independent, Self::Address, Self::AddressAndPort];

    /// Returns the name in the standard.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Independent => "endpoint-independent",
            Self::Address => "address-dependent",
            Self::AddressAndPort => "address-and-port-dependent",
        }
    }

    /// Returns what has this name in the standard.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dependence| dependence.as_str() == name)
    }
}

/// What a NAT does with UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Behaviour {
    /// When an endpoint inside gets another address and port outside (RFC 4787 §4.1).
    pub mapping: Dependence,
    /// Who is let in (RFC 4787 §5).
    pub filtering: Dependence,
}

impl Behaviour {
    /// Returns whether the address that a STUN server saw is the one that everybody sees.
    pub fn has_steady_mapping(self) -> bool {
        self.mapping == Dependence::Independent
    }

    /// Returns whether packets to the address that a STUN server saw come in.
    ///
    /// `sender` is what stands before the sender, if there are packets on their way to the
    /// address that a STUN server saw of it; `None` if nothing was sent there.
    pub fn admits(self, sender: Option<Self>) -> bool {
        match self.filtering {
            Dependence::Independent => true,
            // The mapping that the STUN server saw is open to the STUN server alone.
            _ if !self.has_steady_mapping() => false,
            Dependence::Address => sender.is_some(),
            Dependence::AddressAndPort => sender.is_some_and(Self::has_steady_mapping),
        }
    }

    /// Returns whether connectivity checks find a direct way between two ends behind these. Each
    /// knows of the other what a STUN server saw, and whence checks came (peer-reflexive
    /// candidates, RFC 8445 §7.3.1.3). A check counts only if its answer comes from where it was
    /// sent to (§7.2.5.2.1): to be let in is not enough.
    ///
    /// It is at least one steady mapping that most pairs need (RFC 5128 §3.3). The rule:
    /// - Two steady mappings: each lets in the address that it sends to.
    /// - One: its filter must let in an address of the other that nobody could foretell.
    /// - None: one filter must let in everybody, the other whoever has a known address; and one
    ///   mapping must not change with the port, or each check comes from yet another address.
    pub fn finds_direct(self, other: Self) -> bool {
        let by_port = Dependence::AddressAndPort;
        let opens = |one: Self, to: Self| {
            one.filtering == Dependence::Independent && to.filtering != by_port
        };
        match (self.has_steady_mapping(), other.has_steady_mapping()) {
            (true, true) => true,
            (true, false) => self.filtering != by_port,
            (false, true) => other.filtering != by_port,
            (false, false) => {
                let settles = self.mapping != by_port || other.mapping != by_port;
                settles && (opens(self, other) || opens(other, self))
            }
        }
    }
}

/// What often stands between a machine and the public network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NatKind {
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

impl NatKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Open,
        Self::FullCone,
        Self::AddressRestricted,
        Self::PortRestricted,
        Self::Symmetric,
        Self::UdpBlocked,
    ];

    /// Returns what it does with UDP; `None` if it lets none pass.
    pub fn behaviour(self) -> Option<Behaviour> {
        let (mapping, filtering) = match self {
            Self::Open | Self::FullCone => (Dependence::Independent, Dependence::Independent),
            Self::AddressRestricted => (Dependence::Independent, Dependence::Address),
            Self::PortRestricted => (Dependence::Independent, Dependence::AddressAndPort),
            Self::Symmetric => (Dependence::AddressAndPort, Dependence::AddressAndPort),
            Self::UdpBlocked => return None,
        };
        Some(Behaviour { mapping, filtering })
    }

    /// Returns whether UDP passes at all.
    pub fn has_udp(self) -> bool {
        self != Self::UdpBlocked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_standard() {
        for one in Dependence::ALL {
            assert_eq!(Dependence::named(one.as_str()), Some(one));
        }
        assert_eq!(Dependence::named("symmetric"), None);
    }
}
