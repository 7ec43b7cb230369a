//! What strangers may cost: messages a second, and bytes in answers for bytes in requests.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
#[cfg(test)]
use std::time::Duration;

use openstudio_units::Timestamp;

/// The limits of a [`Limiter`].
#[derive(Debug, Clone, Copy)]
pub struct LimiterConfig {
    /// Unauthenticated messages a second from one source, sustained.
    pub per_second: u32,
    /// Unauthenticated messages at once from one source.
    pub burst: u32,
    /// Sources that are remembered, at most. Below 2 means 2.
    pub sources: usize,
}

impl Default for LimiterConfig {
    /// A studio of 15 behind one address, each with a few interfaces and three transports,
    /// asks some 200 times when it opens.
    fn default() -> Self {
        Self { per_second: 50, burst: 500, sources: 1 << 14 }
    }
}

/// Answers may have this many tenths of the bytes that were asked with.
const TENTHS: u64 = 12;

/// Bytes, in tenths, that a source may save up. What is above is lost.
const MAX_CREDIT: u64 = 40_960;

#[derive(Debug, Clone, Copy)]
struct Source {
    /// Micro-messages that may still come; one message is a million.
    tokens: u64,
    /// When `tokens` was right.
    at: Timestamp,
    /// Bytes of answers that were earned, in tenths.
    credit: u64,
}

/// Counts strangers, by IPv4 address or /64 of IPv6, in a table of bounded size.
///
/// # Invariants
/// The answers that [`Self::may_answer`] allowed a source have 1.2 times the bytes that
/// [`Self::admit`] was told of at most, whatever is forgotten: a source that comes back has
/// lost its credit.
#[derive(Debug)]
pub struct Limiter {
    config: LimiterConfig,
    /// Heard of since the tables changed places.
    young: BTreeMap<IpAddr, Source>,
    /// Not heard of since. Forgotten at the next change.
    old: BTreeMap<IpAddr, Source>,
}

impl Limiter {
    /// Makes an empty table.
    pub fn new(config: LimiterConfig) -> Self {
        Self { config, young: BTreeMap::new(), old: BTreeMap::new() }
    }

    /// A stranger sent `bytes`. Returns false if it sends too often; then ignore it.
    pub fn admit(&mut self, now: Timestamp, from: IpAddr, bytes: usize) -> bool {
        const MESSAGE: u64 = 1_000_000;
        let most = u64::from(self.config.burst).saturating_mul(MESSAGE);
        let rate = u64::from(self.config.per_second);
        let source = self.source(from, Source { tokens: most, at: now, credit: 0 });
        let elapsed = u64::try_from(now.since(source.at).as_micros()).unwrap_or(u64::MAX);
        source.tokens = source.tokens.saturating_add(elapsed.saturating_mul(rate)).min(most);
        source.at = now;
        let earned = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(TENTHS);
        source.credit = source.credit.saturating_add(earned).min(MAX_CREDIT);
        match source.tokens.checked_sub(MESSAGE) {
            Some(rest) => {
                source.tokens = rest;
                true
            }
            None => false,
        }
    }

    /// Returns whether a stranger by UDP, who may be somebody else than it says, may get an
    /// answer of `bytes`, and takes them from what it has earned.
    pub fn may_answer(&mut self, now: Timestamp, to: IpAddr, bytes: usize) -> bool {
        let cost = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(10);
        let source = self.source(to, Source { tokens: 0, at: now, credit: 0 });
        match source.credit.checked_sub(cost) {
            Some(rest) => {
                source.credit = rest;
                true
            }
            None => false,
        }
    }

    /// Returns how many sources are remembered.
    pub fn len(&self) -> usize {
        self.young.len().saturating_add(self.old.len())
    }

    /// Returns whether nobody is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn source(&mut self, address: IpAddr, fresh: Source) -> &mut Source {
        let key = key(address);
        let known = self.old.remove(&key);
        let half = self.config.sources.div_euclid(2).max(1);
        if self.young.len() >= half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.entry(key).or_insert(known.unwrap_or(fresh))
    }
}

/// An IPv6 host owns its whole /64, so counting single addresses would count nothing.
fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// How long an exhausted source needs for its whole burst, for tests and documentation.
#[cfg(test)]
fn recovery(config: LimiterConfig) -> Duration {
    Duration::from_secs(u64::from(config.burst).div_ceil(u64::from(config.per_second)))
}

#[cfg(test)]
mod tests {
    use openstudio_units::Seed;

    use super::*;

    const NOW: Timestamp = Timestamp::ZERO;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_that_sends_too_often_is_ignored_until_it_has_waited() {
        let config = LimiterConfig { per_second: 2, burst: 4, sources: 8 };
        let mut limiter = Limiter::new(config);
        let admitted = (0..10).filter(|_| limiter.admit(NOW, ip("192.0.2.1"), 20)).count();
        assert_eq!(admitted, 4);
        assert!(limiter.admit(NOW, ip("192.0.2.2"), 20), "another source is none of its business");
        let later = NOW + recovery(config);
        let admitted = (0..10).filter(|_| limiter.admit(later, ip("192.0.2.1"), 20)).count();
        assert_eq!(admitted, 4);
    }

    #[test]
    fn an_ipv6_source_is_its_64() {
        let config = LimiterConfig { per_second: 1, burst: 1, sources: 8 };
        let mut limiter = Limiter::new(config);
        assert!(limiter.admit(NOW, ip("2001:db8::1"), 20));
        assert!(!limiter.admit(NOW, ip("2001:db8::ffff:2"), 20));
        assert!(limiter.admit(NOW, ip("2001:db8:0:1::1"), 20));
        assert!(limiter.admit(NOW, ip("::ffff:192.0.2.1"), 20));
        assert!(!limiter.admit(NOW, ip("192.0.2.1"), 20));
    }

    #[test]
    fn answers_have_never_more_than_1_2_times_the_bytes_and_the_table_never_grows() {
        let number = 17;
        println!("seed {number}");
        let mut rng = Seed::from_number(number).rng();
        let mut limiter = Limiter::new(LimiterConfig { per_second: 1, burst: 9, sources: 16 });
        let mut sums = BTreeMap::<u64, (usize, usize)>::new();
        for step in 0..20_000 {
            let now = Timestamp::from_millis(step);
            let host = rng.between(1, 40);
            let address = IpAddr::from([192, 0, 2, u8::try_from(host).unwrap()]);
            let (asked, answer) = (rng.between(20, 100), rng.between(20, 200));
            let (asked, answer) =
                (usize::try_from(asked).unwrap(), usize::try_from(answer).unwrap());
            let sum = sums.entry(host).or_default();
            sum.0 += asked;
            if limiter.admit(now, address, asked) && limiter.may_answer(now, address, answer) {
                sum.1 += answer;
            }
            assert!(sum.1 * 10 <= sum.0 * 12, "host {host}: {sum:?}");
            assert!(limiter.len() <= 16);
        }
        assert!(sums.values().all(|sum| sum.1 > 0), "{sums:?}");
    }
}
