//! Which addresses there are: a public prefix, and a private one for each home.
//!
//! None of them is ever seen outside of the namespaces, so that the public ones may be anybody's.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// How many homes there are at most.
pub(crate) const MAX_HOMES: u8 = 12;

/// How many addresses the public namespace has.
pub(crate) const PUBLIC_HOSTS: u8 = 4;

/// How often a home gets a new address before it gets the first one again.
const ROUND: u32 = 250;

/// The public prefix.
///
/// # Units and range
/// A length of 8 to 16: a home has 256 addresses, and there is room for all homes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    base: Ipv4Addr,
    length: u8,
}

/// A text is no prefix that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("write it as ADDRESS/LENGTH, such as 11.0.0.0/16")]
    Form,
    #[error("the length must be between 8 and 16")]
    Length,
    #[error("the address has bits beyond the prefix")]
    Bits,
    #[error("these addresses are private or have another meaning")]
    Reserved,
}

impl Plan {
    /// One of the addresses of the public namespace, from 0.
    pub(crate) fn public_host(&self, index: u8) -> Ipv4Addr {
        self.address(0, u32::from(index) + 1)
    }

    /// The public address of a home (from 0) after it was changed so often.
    pub(crate) fn home(&self, home: u8, changes: u32) -> Ipv4Addr {
        self.address(u32::from(home) + 1, changes % ROUND + 1)
    }

    /// The private address of a home's machine after it was changed so often.
    pub(crate) fn private(home: u8, changes: u32) -> Ipv4Addr {
        let last = u8::try_from(changes % ROUND + 2).unwrap_or(2);
        Ipv4Addr::new(192, 168, home.saturating_add(1), last)
    }

    pub(crate) fn length(&self) -> u8 {
        self.length
    }

    fn address(&self, net: u32, host: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base) | net << 8 | host)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.length)
    }
}

impl FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let (base, length) = text.split_once('/').ok_or(PlanError::Form)?;
        let base: Ipv4Addr = base.parse().map_err(|_| PlanError::Form)?;
        let length: u8 = length.parse().map_err(|_| PlanError::Form)?;
        if !(8..=16).contains(&length) {
            return Err(PlanError::Length);
        }
        if u32::from(base) & (u32::MAX >> length) != 0 {
            return Err(PlanError::Bits);
        }
        let [first, ..] = base.octets();
        let shared = first == 100;
        let special = base.is_private() || base.is_loopback() || base.is_link_local();
        // 192.168.0.0/16 is the homes' own, and lies in shorter prefixes of 192.
        if special || shared || first == 0 || first == 192 || first >= 224 {
            return Err(PlanError::Reserved);
        }
        Ok(Self { base, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn addresses_differ() {
        let plan: Plan = "11.0.0.0/16".parse().unwrap();
        let mut all: Vec<_> = (0..PUBLIC_HOSTS).map(|n| plan.public_host(n)).collect();
        for home in 0..MAX_HOMES {
            all.extend((0..ROUND).map(|n| plan.home(home, n)));
            all.extend((0..ROUND).map(|n| Plan::private(home, n)));
        }
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert_eq!(plan.home(0, 0), Ipv4Addr::new(11, 0, 1, 1));
        assert_eq!(Plan::private(0, 0), Ipv4Addr::new(192, 168, 1, 2));
        assert_eq!(plan.home(0, ROUND), plan.home(0, 0));
    }

    #[test]
    fn prefixes_that_cannot_be_used_are_refused() {
        for (text, error) in [
            ("11.0.0.0", PlanError::Form),
            ("11.0.0/16", PlanError::Form),
            ("11.0.0.0/24", PlanError::Length),
            ("11.0.1.0/16", PlanError::Bits),
            ("10.0.0.0/16", PlanError::Reserved),
            ("127.0.0.0/8", PlanError::Reserved),
            ("192.0.0.0/8", PlanError::Reserved),
            ("240.0.0.0/16", PlanError::Reserved),
        ] {
            assert_eq!(text.parse::<Plan>(), Err(error), "{text}");
        }
        assert_eq!("11.0.0.0/8".parse::<Plan>().unwrap().to_string(), "11.0.0.0/8");
    }
}
