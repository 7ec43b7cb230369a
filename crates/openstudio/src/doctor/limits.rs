//! What the system lets a program have: open files, and ports for sound.

use std::net::UdpSocket;
use std::ops::RangeInclusive;

use openstudio_server::{RelayConfig, ServerConfig};

use super::finding::Finding;

const FILES: &str = "open files";
const PORTS: &str = "ports";

/// What the studio has open beside connections: listeners, recordings, the engine's sockets.
const OWN_FILES: u64 = 64;

/// With fewer, a full room with its recording may not fit.
const FEW_FILES: u64 = 256;

/// Fewer ports for sound than that are soon used up: the engine takes some for each room.
const FEW_PORTS: u16 = 1_000;

pub(crate) fn check(config: &ServerConfig) -> Vec<Finding> {
    let mut found: Vec<Finding> = open_files(config).into_iter().collect();
    found.push(ports(config.relay.as_ref()));
    found
}

#[cfg(unix)]
fn open_files(config: &ServerConfig) -> Option<Finding> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let relay = config.relay.as_ref().map_or(0, relay_files);
    Some(judge_files(limit.current, config.limits.connections, relay))
}

/// What the relay may have open: a socket for each port, and streams.
fn relay_files(relay: &RelayConfig) -> u64 {
    let files = relay.ports.len().saturating_add(relay.streams);
    u64::try_from(files).unwrap_or(u64::MAX)
}

/// There is no such limit here.
#[cfg(not(unix))]
fn open_files(_: &ServerConfig) -> Option<Finding> {
    None
}

fn judge_files(limit: Option<u64>, connections: u32, relay: u64) -> Finding {
    let own = relay.saturating_add(OWN_FILES);
    let Some(limit) = limit.filter(|limit| *limit < own.saturating_add(connections.into())) else {
        let too = if relay == 0 { "" } else { " and all of the relay's ports and streams" };
        return Finding::ok(FILES, format!("enough for {connections} connections{too}"));
    };
    let fit = limit.saturating_sub(own);
    let words = if relay == 0 {
        format!("{limit} may be open, so {fit} connections at once fit")
    } else if fit == 0 {
        format!("{limit} may be open, and the relay alone may use {relay}")
    } else {
        format!("{limit} may be open, of which the relay may use {relay}, so {fit} connections fit")
    };
    if limit < FEW_FILES {
        let advice = "raise it (ulimit -n 65536, or LimitNOFILE=65536 for a service)";
        return Finding::fail(FILES, words, advice);
    }
    if fit < 500 {
        let advice = "for larger audiences raise it (ulimit -n 65536, or LimitNOFILE=65536)";
        return Finding::warn(FILES, words, advice);
    }
    Finding::ok(FILES, words)
}

fn ports(relay: Option<&RelayConfig>) -> Finding {
    if let Err(error) = UdpSocket::bind("0.0.0.0:0") {
        let advice = "without one the studio cannot record or go on air; see the system's limits";
        return Finding::fail(PORTS, format!("no UDP port can be opened ({error})"), advice);
    }
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
    judge_ports(range.as_deref().and_then(range_of), relay)
}

fn range_of(text: &str) -> Option<RangeInclusive<u16>> {
    let mut ends = text.split_whitespace().map(|end| end.parse().ok());
    Some(ends.next()??..=ends.next()??)
}

/// Where the two ranges overlap, neither is in the other's way: both pass over what is taken.
fn judge_ports(range: Option<RangeInclusive<u16>>, relay: Option<&RelayConfig>) -> Finding {
    let of_relay = relay.map_or(String::new(), |RelayConfig { ports, .. }| {
        format!("; {} to {} are for the relay (--turn-ports)", ports.start(), ports.end())
    });
    let Some(range) = range else {
        return Finding::ok(PORTS, format!("UDP ports for sound can be opened{of_relay}"));
    };
    let (first, last) = (range.start(), range.end());
    let words = format!("UDP ports {first} to {last} are for sound");
    if last.saturating_sub(*first) < FEW_PORTS {
        let advice = "give more with net.ipv4.ip_local_port_range";
        return Finding::warn(PORTS, format!("{words}, which is few"), advice);
    }
    Finding::ok(PORTS, format!("{words}{of_relay}"))
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Level, Report};
    use super::*;

    #[test]
    fn few_files_are_told() {
        let level = |limit, connections| judge_files(limit, connections, 0).level();
        assert_eq!(level(None, 10_000), Level::Ok);
        assert_eq!(level(Some(65_536), 10_000), Level::Ok);
        assert_eq!(level(Some(1_024), 10_000), Level::Ok);
        assert_eq!(level(Some(512), 10_000), Level::Warn);
        assert_eq!(level(Some(128), 10_000), Level::Fail);
        assert_eq!(level(Some(128), 50), Level::Ok, "that is what is wanted");
    }

    #[test]
    fn the_relay_has_its_share_of_files() {
        let relay = RelayConfig::new("0.0.0.0:3478".parse().unwrap());
        let files = relay_files(&relay);
        assert_eq!(files, 840 + 1_000);
        assert_eq!(judge_files(Some(2_000), 500, 0).level(), Level::Ok);
        assert_eq!(judge_files(Some(2_000), 500, files).level(), Level::Warn);
        assert_eq!(judge_files(Some(3_000), 500, files).level(), Level::Ok);
    }

    #[test]
    fn few_ports_are_told() {
        assert_eq!(judge_ports(None, None).level(), Level::Ok);
        assert_eq!(judge_ports(range_of("32768\t60999\n"), None).level(), Level::Ok);
        assert_eq!(judge_ports(range_of("50000 50100"), None).level(), Level::Warn);
        let relay = RelayConfig::new("0.0.0.0:3478".parse().unwrap());
        let said = Report(vec![judge_ports(range_of("32768 60999"), Some(&relay))]).as_text();
        assert!(said.contains("49160 to 49999") && said.contains("--turn-ports"), "{said}");
        assert_eq!(range_of("many"), None);
    }
}
