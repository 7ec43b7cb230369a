//! What strangers may cost: messages a second, and bytes in answers for bytes in requests.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use openstudio_units::Timestamp;

use crate::server::Client;

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

/// Tokens that a message takes.
const MESSAGE: u64 = 1_000_000;

/// Bytes, in tenths, that a source may save up. What is above is lost.
const MAX_CREDIT: u64 = 40_960;

/// Answers of one source that wait for credit, at most, and bytes of each: a challenge, or a
/// Binding's success, has fewer.
const MAX_WAITING: (usize, usize) = (8, 64);

/// How long an answer waits. Its client has asked again and again by then.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes that tell what an answer is to: the header of a message (RFC 8489 §5).
const HEADER: usize = 20;

/// An answer that was not earned yet when it was written.
#[derive(Debug, Clone)]
struct Waiting {
    since: Timestamp,
    client: Client,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Source {
    /// [`MESSAGE`] for each message that may still come.
    tokens: u64,
    /// When `tokens` was right.
    at: Timestamp,
    /// Bytes of answers that were earned, in tenths.
    credit: u64,
    /// What a browser asks first is shorter than the answer, and it gathers for so short a time
    /// that asking again may be too late.
    waiting: VecDeque<Waiting>,
}

impl Source {
    fn new(now: Timestamp, tokens: u64) -> Self {
        Self { tokens, at: now, credit: 0, waiting: VecDeque::new() }
    }

    fn earn(&mut self, tenths: u64) {
        self.credit = self.credit.saturating_add(tenths).min(MAX_CREDIT);
    }

    fn spend(&mut self, bytes: usize) -> bool {
        let rest = self.credit.checked_sub(count(bytes).saturating_mul(10));
        self.credit = rest.unwrap_or(self.credit);
        rest.is_some()
    }

    fn forget(&mut self, client: Client, answer: &[u8]) {
        let header = answer.get(..HEADER);
        self.waiting.retain(|one| one.client != client || one.bytes.get(..HEADER) != header);
    }
}

/// Counts strangers, by IPv4 address or /64 of IPv6, in a table of bounded size.
///
/// # Invariants
/// The answers that [`Self::may_answer`] and [`Self::due`] allowed a source, and those that
/// [`Self::earn`] was told of, have 1.2 times the bytes of its requests at most, whatever is
/// forgotten: a source that comes back has lost its credit.
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
        let most = self.most();
        let rate = u64::from(self.config.per_second);
        let source = self.source(now, from);
        let elapsed = u64::try_from(now.since(source.at).as_micros()).unwrap_or(u64::MAX);
        source.tokens = source.tokens.saturating_add(elapsed.saturating_mul(rate)).min(most);
        source.at = now;
        source.earn(count(bytes).saturating_mul(TENTHS));
        match source.tokens.checked_sub(MESSAGE) {
            Some(rest) => {
                source.tokens = rest;
                true
            }
            None => false,
        }
    }

    /// A request of `asked` bytes by UDP, whose sender is none of the strangers, is answered with
    /// `answered` bytes: what it brought beyond them is earned.
    pub fn earn(&mut self, now: Timestamp, from: IpAddr, (asked, answered): (usize, usize)) {
        let (brought, taken) = (count(asked).saturating_mul(TENTHS), count(answered));
        self.source(now, from).earn(brought.saturating_sub(taken.saturating_mul(10)));
    }

    /// Returns whether a stranger by UDP, who may be somebody else than it says, may get an
    /// answer, and takes its bytes from what the stranger has earned.
    pub fn may_answer(&mut self, now: Timestamp, client: Client, answer: &[u8]) -> bool {
        let source = self.source(now, client.address.ip());
        source.forget(client, answer);
        source.spend(answer.len())
    }

    /// Keeps an answer that [`Self::may_answer`] did not allow until it is [`Self::due`]. Returns
    /// false if one is given up: this one if it is long, or the oldest if there are many.
    pub fn wait(&mut self, now: Timestamp, client: Client, bytes: Vec<u8>) -> bool {
        let (most, longest) = MAX_WAITING;
        if bytes.len() > longest {
            return false;
        }
        let waiting = &mut self.source(now, client.address.ip()).waiting;
        waiting.push_back(Waiting { since: now, client, bytes });
        waiting.len() <= most || waiting.pop_front().is_none()
    }

    /// Returns an answer that waited and is earned by now; call again until there is none.
    pub fn due(&mut self, now: Timestamp, of: IpAddr) -> Option<(Client, Vec<u8>)> {
        let source = self.source(now, of);
        source.waiting.retain(|one| now.since(one.since) < PATIENCE);
        for at in 0..source.waiting.len() {
            let bytes = source.waiting.get(at)?.bytes.len();
            if source.spend(bytes) {
                return source.waiting.remove(at).map(|one| (one.client, one.bytes));
            }
        }
        None
    }

    /// Returns how many sources are remembered.
    pub fn len(&self) -> usize {
        self.young.len().saturating_add(self.old.len())
    }

    /// Returns whether nobody is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tokens of a source that has been silent.
    fn most(&self) -> u64 {
        u64::from(self.config.burst).saturating_mul(MESSAGE)
    }

    fn source(&mut self, now: Timestamp, address: IpAddr) -> &mut Source {
        let key = key(address);
        let known = self.old.remove(&key);
        let half = self.config.sources.div_euclid(2).max(1);
        if self.young.len() >= half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        let most = self.most();
        let fresh = || known.unwrap_or_else(|| Source::new(now, most));
        self.young.entry(key).or_insert_with(fresh)
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
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
    use crate::Transport;

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

    fn client(host: u8, port: u16) -> Client {
        let address = (IpAddr::from([192, 0, 2, host]), port).into();
        Client { transport: Transport::Udp, address, local: (IpAddr::from([9, 9, 9, 9]), 1).into() }
    }

    /// An answer of so many bytes to the message of a number.
    fn answer(number: u8, bytes: usize) -> Vec<u8> {
        vec![number; bytes]
    }

    #[test]
    fn what_is_not_earned_waits_and_is_sent_once() {
        let mut limiter = Limiter::new(LimiterConfig::default());
        let (one, other) = (client(1, 1), client(1, 2));
        let of = one.address.ip();
        assert!(limiter.admit(NOW, of, 20) && !limiter.may_answer(NOW, one, &answer(1, 32)));
        assert!(limiter.wait(NOW, one, answer(1, 32)));
        assert_eq!(limiter.due(NOW, of), None);
        assert!(limiter.admit(NOW, of, 28) && limiter.may_answer(NOW, other, &answer(2, 56)));
        assert_eq!(limiter.due(NOW, of), None, "1.6 bytes are left");
        limiter.earn(NOW, of, (112, 76));
        assert_eq!(limiter.due(NOW, of), Some((one, answer(1, 32))));
        limiter.earn(NOW, of, (112, 76));
        assert_eq!(limiter.due(NOW, of), None);
    }

    #[test]
    fn what_waits_is_forgotten_if_it_is_asked_again_or_late_or_too_much() {
        let mut limiter = Limiter::new(LimiterConfig::default());
        let one = client(1, 1);
        let of = one.address.ip();
        assert!(limiter.wait(NOW, one, answer(1, 32)));
        assert!(!limiter.may_answer(NOW, one, &answer(1, 36)), "it is not earned");
        limiter.earn(NOW, of, (1_000, 0));
        assert_eq!(limiter.due(NOW, of), None, "the same was asked again");
        assert!(limiter.wait(NOW, one, answer(2, 32)));
        assert_eq!(limiter.due(NOW + PATIENCE, of), None);
        let (most, longest) = MAX_WAITING;
        assert!(!limiter.wait(NOW, one, answer(3, longest + 1)));
        let kept = (0..10).map(|number| limiter.wait(NOW, one, answer(number, longest)));
        assert_eq!(kept.filter(|kept| *kept).count(), most);
        let sent = std::iter::from_fn(|| limiter.due(NOW, of)).map(|(_, bytes)| bytes[0]);
        assert_eq!(sent.collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn answers_have_never_more_than_1_2_times_the_bytes_and_the_table_never_grows() {
        let number = 17;
        println!("seed {number}");
        let mut rng = Seed::from_number(number).rng();
        let mut limiter = Limiter::new(LimiterConfig { per_second: 1, burst: 9, sources: 16 });
        let mut sums = BTreeMap::<IpAddr, (usize, usize)>::new();
        let mut waited = 0;
        for step in 0..20_000 {
            let now = Timestamp::from_millis(step);
            let host = u8::try_from(rng.between(1, 40)).unwrap();
            let client = client(host, u16::try_from(rng.between(1, 4)).unwrap());
            let of = client.address.ip();
            let (asked, size) = (rng.between(20, 100), rng.between(20, 200));
            let (asked, size) = (usize::try_from(asked).unwrap(), usize::try_from(size).unwrap());
            let sum = sums.entry(of).or_default();
            sum.0 += asked;
            if rng.between(0, 3) == 0 {
                let size = size.min(asked);
                limiter.earn(now, of, (asked, size));
                sum.1 += size;
            } else if limiter.admit(now, of, asked) {
                let answer = answer(u8::try_from(rng.between(0, 255)).unwrap(), size);
                if limiter.may_answer(now, client, &answer) {
                    sum.1 += size;
                } else {
                    limiter.wait(now, client, answer);
                }
            }
            while let Some((to, bytes)) = limiter.due(now, of) {
                assert_eq!(to.address.ip(), of);
                sum.1 += bytes.len();
                waited += 1;
            }
            assert!(sum.1 * 10 <= sum.0 * 12, "{of}: {sum:?}");
            assert!(limiter.len() <= 16);
            let waiting = limiter.young.values().chain(limiter.old.values());
            assert!(waiting.map(|source| source.waiting.len()).all(|len| len <= MAX_WAITING.0));
        }
        assert!(waited > 0 && sums.values().all(|sum| sum.1 > 0), "{waited} {sums:?}");
    }
}
