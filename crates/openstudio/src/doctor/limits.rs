//! What the system lets a program have: open files, and ports for sound.

use std::net::UdpSocket;
use std::ops::RangeInclusive;

use openstudio_server::ServerConfig;

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
    found.push(ports());
    found
}

#[cfg(unix)]
fn open_files(config: &ServerConfig) -> Option<Finding> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    Some(judge_files(limit.current, config.limits.connections))
}

/// There is no such limit here.
#[cfg(not(unix))]
fn open_files(_: &ServerConfig) -> Option<Finding> {
    None
}

fn judge_files(limit: Option<u64>, connections: u32) -> Finding {
    let Some(limit) = limit.filter(|limit| *limit < u64::from(connections) + OWN_FILES) else {
        return Finding::ok(FILES, format!("enough for {connections} connections"));
    };
    let fit = limit.saturating_sub(OWN_FILES);
    let words = format!("{limit} may be open, so {fit} connections at once fit");
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

fn ports() -> Finding {
    if let Err(error) = UdpSocket::bind("0.0.0.0:0") {
        let advice = "without one the studio cannot record or go on air; see the system's limits";
        return Finding::fail(PORTS, format!("no UDP port can be opened ({error})"), advice);
    }
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
    judge_ports(range.as_deref().and_then(range_of))
}

fn range_of(text: &str) -> Option<RangeInclusive<u16>> {
    let mut ends = text.split_whitespace().map(|end| end.parse().ok());
    Some(ends.next()??..=ends.next()??)
}

fn judge_ports(range: Option<RangeInclusive<u16>>) -> Finding {
    let Some(range) = range else {
        return Finding::ok(PORTS, "UDP ports for sound can be opened");
    };
    let (first, last) = (range.start(), range.end());
    let words = format!("UDP ports {first} to {last} are for sound");
    if last.saturating_sub(*first) < FEW_PORTS {
        let advice = "give more with net.ipv4.ip_local_port_range";
        return Finding::warn(PORTS, format!("{words}, which is few"), advice);
    }
    Finding::ok(PORTS, words)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn few_files_are_told() {
        assert_eq!(judge_files(None, 10_000).level(), Level::Ok);
        assert_eq!(judge_files(Some(65_536), 10_000).level(), Level::Ok);
        assert_eq!(judge_files(Some(1_024), 10_000).level(), Level::Ok);
        assert_eq!(judge_files(Some(512), 10_000).level(), Level::Warn);
        assert_eq!(judge_files(Some(128), 10_000).level(), Level::Fail);
        assert_eq!(judge_files(Some(128), 50).level(), Level::Ok, "that is what is wanted");
    }

    #[test]
    fn few_ports_are_told() {
        assert_eq!(judge_ports(None).level(), Level::Ok);
        assert_eq!(judge_ports(range_of("32768\t60999\n")).level(), Level::Ok);
        assert_eq!(judge_ports(range_of("50000 50100")).level(), Level::Warn);
        assert_eq!(range_of("many"), None);
    }
}
