//! What can be ordered on standard input, a JSON object a line, and how it is answered.
//!
//! The crate's documentation (`main.rs`) has the list for people.

use std::time::Duration;

use openstudio_net::{
    Behaviour, Chance, Delay, Dependence, GilbertElliott, LinkConfig, Loss, NatConfig,
    PortAssignment, Translation,
};
use serde::Deserialize;

/// An order.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum Command {
    /// Makes a home.
    Home(HomeOrder),
    /// Gives a home another NAT.
    Nat(HomeOrder),
    /// Asks whether two homes can find a direct way to each other.
    Direct(DirectOrder),
    /// Changes a home's line.
    Link(LinkOrder),
    /// Cuts a home's line, or mends it.
    Outage(OutageOrder),
    /// Gives a home another address.
    Renumber(RenumberOrder),
    /// Starts a STUN server in the public namespace.
    Stun(StunOrder),
    /// Asks what happened to packets.
    Counters(CountersOrder),
}

/// How a home is, and its name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HomeOrder {
    pub(crate) name: String,
    #[serde(default)]
    kind: HomeKind,
    #[serde(default)]
    mapping: Rule,
    #[serde(default)]
    filtering: Rule,
    #[serde(default = "yes")]
    preserve_ports: bool,
    #[serde(default = "yes")]
    hairpinning: bool,
    #[serde(default)]
    blocks_udp: bool,
    #[serde(default)]
    inbound_refresh: bool,
    udp_life_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum HomeKind {
    #[default]
    Nat,
    Firewall,
    Open,
}

/// A [`Dependence`] by its name.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(try_from = "String")]
struct Rule(Dependence);

impl TryFrom<String> for Rule {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let names = || Dependence::ALL.map(Dependence::as_str).join(", ");
        Dependence::named(&name).map(Self).ok_or_else(|| format!("`{name}` is none of {}", names()))
    }
}

/// How the two directions of a home's line are. A direction that is left out stays as it is;
/// what is left out of a direction does nothing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LinkOrder {
    pub(crate) home: String,
    pub(crate) up: Option<Line>,
    pub(crate) down: Option<Line>,
}

/// One direction.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Line {
    delay_ms: f64,
    jitter_ms: f64,
    /// The share of all packets that is lost.
    loss: f64,
    /// In how many packets at once, on average. Without it, each is lost on its own.
    burst: Option<f64>,
    duplicate: f64,
    reorder: f64,
    reorder_ms: Option<f64>,
    rate_kbit: Option<u64>,
    queue_bytes: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DirectOrder {
    pub(crate) homes: (String, String),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OutageOrder {
    pub(crate) home: String,
    pub(crate) on: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RenumberOrder {
    pub(crate) home: String,
    #[serde(default)]
    pub(crate) what: Renumbered,
}

/// Whose address changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Renumbered {
    /// That of the NAT: its machine notices nothing but silence.
    #[default]
    Public,
    /// That of the machine: its link goes down and comes up again.
    Own,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StunOrder {
    /// Which of the public namespace's addresses, from 0.
    #[serde(default)]
    pub(crate) host: u8,
    #[serde(default = "stun_port")]
    pub(crate) port: u16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CountersOrder {}

fn yes() -> bool {
    true
}

/// RFC 8489 §4.
fn stun_port() -> u16 {
    3478
}

impl HomeOrder {
    pub(crate) fn config(&self) -> NatConfig {
        let mut config = NatConfig {
            translation: match self.kind {
                HomeKind::Nat => Translation::Nat,
                HomeKind::Firewall => Translation::Firewall,
                HomeKind::Open => Translation::Open,
            },
            behaviour: Behaviour { mapping: self.mapping.0, filtering: self.filtering.0 },
            hairpinning: self.hairpinning,
            blocks_udp: self.blocks_udp,
            inbound_refresh: self.inbound_refresh,
            ..NatConfig::default()
        };
        if !self.preserve_ports {
            config.ports = PortAssignment::Random;
        }
        if let Some(ms) = self.udp_life_ms {
            config.udp_life = Duration::from_millis(ms);
        }
        config
    }
}

impl Line {
    /// Returns the link that is meant.
    ///
    /// # Errors
    /// A number is out of its range.
    pub(crate) fn config(&self) -> anyhow::Result<LinkConfig> {
        let default = LinkConfig::default();
        anyhow::ensure!(self.rate_kbit != Some(0), "a line of 0 kbit/s is an outage");
        let share = Chance::from_probability(self.loss)?;
        let loss = match self.burst {
            _ if share == Chance::NEVER => Loss::None,
            None => Loss::Random(share),
            Some(length) => Loss::Bursts(GilbertElliott::bursts(share, length)),
        };
        Ok(LinkConfig {
            delay: Delay { base: time(self.delay_ms)?, jitter: time(self.jitter_ms)? },
            loss,
            duplicate: Chance::from_probability(self.duplicate)?,
            reorder: Chance::from_probability(self.reorder)?,
            reorder_by: self.reorder_ms.map_or(Ok(default.reorder_by), time)?,
            rate: self.rate_kbit.map(|kbit| kbit.saturating_mul(1_000)),
            queue_bytes: self.queue_bytes.unwrap_or(default.queue_bytes),
        })
    }
}

fn time(ms: f64) -> anyhow::Result<Duration> {
    Duration::try_from_secs_f64(ms / 1_000.0).map_err(|_| anyhow::anyhow!("{ms} ms is no time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Command, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    fn home(text: &str) -> NatConfig {
        match parse(text) {
            Ok(Command::Home(order)) => order.config(),
            other => panic!("{other:?}"),
        }
    }

    fn link(text: &str) -> anyhow::Result<LinkConfig> {
        match parse(text) {
            Ok(Command::Link(order)) => order.down.unwrap().config(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_home_is_a_nat_that_lets_in_unless_it_is_said_otherwise() {
        assert_eq!(home(r#"{"do":"home","name":"a"}"#), NatConfig::default());
        let symmetric = home(
            r#"{"do":"home","name":"a","mapping":"address-and-port-dependent",
                "filtering":"address-dependent","preservePorts":false,"udpLifeMs":30000}"#,
        );
        assert_eq!(symmetric.behaviour.mapping, Dependence::AddressAndPort);
        assert_eq!(symmetric.behaviour.filtering, Dependence::Address);
        assert_eq!(symmetric.ports, PortAssignment::Random);
        assert_eq!(symmetric.udp_life, Duration::from_secs(30));
        let wall = home(r#"{"do":"home","name":"a","kind":"firewall","blocksUdp":true}"#);
        assert_eq!((wall.translation, wall.blocks_udp), (Translation::Firewall, true));
    }

    #[test]
    fn a_line_does_what_is_said_and_nothing_else() {
        let config = link(
            r#"{"do":"link","home":"a","down":{"delayMs":20.5,"jitterMs":3,"loss":0.02,"burst":4,
                "rateKbit":512,"queueBytes":9000,"reorder":0.01,"duplicate":0.001}}"#,
        )
        .unwrap();
        assert_eq!(config.delay.base, Duration::from_micros(20_500));
        let share = Chance::from_probability(0.02).unwrap();
        assert_eq!(config.loss, Loss::Bursts(GilbertElliott::bursts(share, 4.0)));
        assert_eq!((config.rate, config.queue_bytes), (Some(512_000), 9_000));
        let nothing = link(r#"{"do":"link","home":"a","down":{}}"#).unwrap();
        assert_eq!(nothing, LinkConfig::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            (r#"{"do":"hom","name":"a"}"#, "hom"),
            (r#"{"do":"home","name":"a","maping":"x"}"#, "maping"),
            (r#"{"do":"home","name":"a","mapping":"symmetric"}"#, "endpoint-independent"),
            (r#"{"do":"link","home":"a","down":{"delay":1}}"#, "delay"),
            (r#"{"do":"counters","home":"a"}"#, "home"),
            (r#"{"do":"outage","home":"a"}"#, "on"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
        for line in [r#""loss":1.5"#, r#""delayMs":-1"#, r#""reorderMs":1e300"#, r#""rateKbit":0"#]
        {
            let text = format!(r#"{{"do":"link","home":"a","down":{{{line}}}}}"#);
            assert!(link(&text).is_err(), "{text}");
        }
    }
}
