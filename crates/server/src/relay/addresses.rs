//! The machine's addresses: which ones relays are bound to, and which are the server's own.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::RelayConfig;
use super::driver::Driver;

/// How often the machine's addresses are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// The addresses that matter to a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addresses {
    /// What relays' sockets are bound to, by family: IPv4 and IPv6.
    pub(super) bound: (Option<IpAddr>, Option<IpAddr>),
    /// Whatever reaches this machine, which no packet may leave for.
    pub(super) own: BTreeSet<IpAddr>,
}

impl Addresses {
    /// Looks them up. Those of interfaces are missing where the machine does not tell them.
    pub(super) fn find(config: &RelayConfig) -> Self {
        let machine = Machine::look().unwrap_or_else(|error| {
            tracing::warn!(
                %error,
                "the addresses of this machine are unknown; the relay refuses to send to those \
                 alone that it listens at or sends from",
            );
            Machine { outward: outward(), ..Machine::default() }
        });
        Self::of(config, &machine)
    }

    /// Looks again; none where the machine does not tell.
    pub(super) fn find_again(config: &RelayConfig) -> Option<Self> {
        Some(Self::of(config, &Machine::look().ok()?))
    }

    fn of(config: &RelayConfig, machine: &Machine) -> Self {
        let bound = bound(config.listen.ip(), machine);
        let listen = [Some(config.listen), config.tls_listen].map(|at| at.map(|at| at.ip()));
        let known = [bound.0, bound.1, config.public_ip].into_iter().chain(listen);
        let own = known.flatten().chain(machine.all.iter().copied()).collect();
        Self { bound, own }
    }

    /// Whether relays of IPv4 and of IPv6 can be opened.
    pub(super) fn families(&self) -> (bool, bool) {
        (self.bound.0.is_some(), self.bound.1.is_some())
    }
}

/// What relays are bound to where clients come to `listen`.
fn bound(listen: IpAddr, machine: &Machine) -> (Option<IpAddr>, Option<IpAddr>) {
    match listen {
        IpAddr::V4(ip) if !ip.is_unspecified() => (Some(listen), None),
        IpAddr::V6(ip) if !ip.is_unspecified() => (None, Some(listen)),
        IpAddr::V4(_) | IpAddr::V6(_) => {
            let first =
                |is_wanted: fn(&IpAddr) -> bool| machine.usable.iter().copied().find(is_wanted);
            let v4 = machine.outward.0.or_else(|| first(IpAddr::is_ipv4));
            let v6 = machine.outward.1.or_else(|| first(IpAddr::is_ipv6));
            // A machine without a network still speaks with itself.
            let v4 = v4.or(Some(Ipv4Addr::LOCALHOST.into()));
            (v4, v6.filter(|_| listen.is_ipv6()))
        }
    }
}

/// What a machine says of its addresses.
#[derive(Debug, Default)]
struct Machine {
    /// Those of all interfaces.
    all: BTreeSet<IpAddr>,
    /// Those that other machines may reach, as the system orders its interfaces.
    usable: Vec<IpAddr>,
    /// Where packets to the internet leave from, by IPv4 and by IPv6.
    outward: (Option<IpAddr>, Option<IpAddr>),
}

impl Machine {
    fn look() -> io::Result<Self> {
        let interfaces = if_addrs::get_if_addrs()?;
        let usable = interfaces
            .iter()
            .filter(|one| one.is_oper_up() && !one.is_loopback() && !one.is_link_local());
        Ok(Self {
            all: interfaces.iter().map(if_addrs::Interface::ip).collect(),
            usable: usable.map(if_addrs::Interface::ip).collect(),
            outward: outward(),
        })
    }
}

/// Returns the addresses that packets to the internet leave from, where there is a way.
fn outward() -> (Option<IpAddr>, Option<IpAddr>) {
    let (v4, v6) = (openstudio_tls::outward_v4(), openstudio_tls::outward_v6());
    (v4.map(IpAddr::V4), v6.map(IpAddr::V6))
}

/// Tells a driver of other addresses, for ever. `look` returns those that are there; none if
/// that is unknown.
pub(super) async fn watch(
    driver: Arc<Driver>,
    mut known: Addresses,
    look: impl Fn() -> Option<Addresses>,
) {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Some(found) = look().filter(|found| *found != known) {
            tracing::debug!(bound = ?found.bound, "the relay's addresses are others");
            driver.follow(&found);
            known = found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn machine(all: &[&str], outward: [Option<&str>; 2]) -> Machine {
        let all: Vec<IpAddr> = all.iter().map(|text| ip(text)).collect();
        let outward = outward.map(|text| text.map(ip));
        let usable = all.iter().copied().filter(|ip| !ip.is_loopback()).collect();
        Machine { all: all.into_iter().collect(), usable, outward: outward.into() }
    }

    const LOOPBACK: [&str; 2] = ["127.0.0.1", "::1"];

    #[test]
    fn relays_are_bound_where_packets_can_leave() {
        let lan = ["127.0.0.1", "192.168.0.7", "10.0.0.7", "::1", "fd00::7", "fd01::7"];
        for (listen, all, outward, wanted) in [
            ("[::]:1", &lan[..], [Some("10.0.0.7"), Some("fd01::7")], ["10.0.0.7", "fd01::7"]),
            ("[::]:1", &lan, [None, None], ["192.168.0.7", "fd00::7"]),
            ("0.0.0.0:1", &lan, [None, None], ["192.168.0.7", ""]),
            ("[::]:1", &LOOPBACK, [None, None], ["127.0.0.1", ""]),
            ("10.0.0.7:1", &lan, [Some("192.168.0.7"), None], ["10.0.0.7", ""]),
            ("[fd00::7]:1", &lan, [Some("192.168.0.7"), None], ["", "fd00::7"]),
        ] {
            let config = RelayConfig::new(listen.parse().unwrap());
            let found = Addresses::of(&config, &machine(all, outward));
            let wanted = wanted.map(|text| text.parse().ok());
            assert_eq!(found.bound, wanted.into(), "{listen} {outward:?}");
            assert_eq!(found.families(), wanted.map(|ip| ip.is_some()).into());
        }
    }

    #[test]
    fn every_address_of_the_machine_is_its_own() {
        let mut config = RelayConfig::new("0.0.0.0:1".parse().unwrap());
        config.public_ip = Some(ip("1.1.1.1"));
        config.tls_listen = Some("2.2.2.2:1".parse().unwrap());
        let all = ["3.3.3.3", "4.4.4.4", "2600::5", "2600::6"];
        let found = Addresses::of(&config, &machine(&all, [Some("3.3.3.3"), Some("2600::5")]));
        let policy = super::super::policy(&config, &found);
        for own in all.iter().chain(&["1.1.1.1", "2.2.2.2"]) {
            assert!(!policy.allows(ip(own)), "{own}");
        }
        assert!(policy.allows(ip("4.4.4.5")) && policy.allows(ip("2600::7")));
        let real = Addresses::find(&config);
        for interface in if_addrs::get_if_addrs().unwrap() {
            assert!(real.own.contains(&interface.ip()), "{interface:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_that_come_later_are_refused_and_bound() {
        let bench = Bench::new();
        let allocated = bench.allocate(&mut bench.connect(1)).await;
        assert_eq!(allocated.ip(), ip("127.0.0.1"));
        let config = RelayConfig::new("0.0.0.0:1".parse().unwrap());
        // All of 127.0.0.0/8 is this machine's.
        let [before, after] = ["127.0.0.1", "127.0.0.2"]
            .map(|own| Addresses::of(&config, &machine(&[own, "4.4.4.4"], [Some(own), None])));
        let look = move || Some(after.clone());
        let watching = tokio::spawn(watch(Arc::clone(&bench.driver), before, look));
        tokio::time::sleep(LOOK + Duration::from_millis(1)).await;
        let mut later = bench.connect(2);
        assert_eq!(bench.allocate(&mut later).await.ip(), ip("127.0.0.2"));
        let peer = "4.4.4.4:4".parse().unwrap();
        assert!(later.is_refused(peer).await);
        watching.abort();
    }
}
