//! Which port an endpoint inside gets outside (RFC 4787 §4.2.1).

use openstudio_units::Rng;

/// How ports are given out. No port is ever given to two endpoints ("overloading").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PortAssignment {
    /// The same port as inside, if it is free; any other if it is not.
    #[default]
    Preserve,
    /// Any.
    Random,
}

/// What a NAT gives out of its own accord: nothing that is well known (RFC 4787 §4.2.2).
const FIRST: u16 = 1024;

/// How often to draw before looking at one port after the other.
const DRAWS: u32 = 32;

/// Returns a free port, or `None` if there is none.
pub(crate) fn choose(
    assignment: PortAssignment,
    inside: u16,
    rng: &mut Rng,
    is_free: impl Fn(u16) -> bool,
) -> Option<u16> {
    if assignment == PortAssignment::Preserve && is_free(inside) {
        return Some(inside);
    }
    let mut drawn = FIRST;
    for _ in 0..DRAWS {
        drawn = u16::try_from(rng.between(FIRST.into(), u16::MAX.into())).unwrap_or(FIRST);
        if is_free(drawn) {
            return Some(drawn);
        }
    }
    (drawn..=u16::MAX).chain(FIRST..drawn).find(|port| is_free(*port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use openstudio_units::Seed;

    #[test]
    fn the_last_free_port_is_found_and_none_after_it() {
        let mut rng = Seed::from_number(1).rng();
        let last = choose(PortAssignment::Preserve, 5000, &mut rng, |port| port == 1024);
        assert_eq!(last, Some(1024));
        assert_eq!(choose(PortAssignment::Preserve, 5000, &mut rng, |_| false), None);
    }

    #[test]
    fn a_port_is_preserved_only_where_that_is_asked_for() {
        let mut rng = Seed::from_number(1).rng();
        assert_eq!(choose(PortAssignment::Preserve, 53, &mut rng, |_| true), Some(53));
        let other = choose(PortAssignment::Random, 53, &mut rng, |_| true);
        assert!(other.is_some_and(|port| port >= FIRST));
    }
}
