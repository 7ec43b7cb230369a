//! What strangers may cost: messages a second, and bytes in answers for bytes in requests.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;
use std::time::Duration;

use openstudio_units::Timestamp;

use crate::server::Client;

/// What strangers may cost a [`TurnServer`](crate::TurnServer).
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

/// Answers of one source that wait for credit, at most: enough for a browser that opens twelve
/// connections at once.
const MAX_WAITING: usize = 8;

/// Bytes of an answer that may wait, at most. A Binding's success has fewer, and a challenge if
/// its realm is short.
const MAX_WAITING_BYTES: usize = 64;

/// How long an answer waits. Its client has asked again by then.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where a message has its transaction (RFC 8489 §5).
const TRANSACTION: Range<usize> = 8..20;

/// What a stranger by UDP, who may be somebody else than it says, is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Whom to.
    pub(crate) client: Client,
    /// A whole message.
    pub(crate) bytes: Vec<u8>,
    /// Whether it asks for credentials. The request that comes of it earns more than its own
    /// answer takes, so all others wait for it.
    pub(crate) challenges: bool,
}

impl Answer {
    fn transaction(&self) -> Option<&[u8]> {
        self.bytes.get(TRANSACTION)
    }

    /// What it takes, in tenths of bytes.
    fn cost(&self) -> u64 {
        count(self.bytes.len()).saturating_mul(10)
    }

    fn is_to_the_same(&self, other: &Self) -> bool {
        self.client == other.client && self.transaction() == other.transaction()
    }
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
    waiting: VecDeque<(Timestamp, Answer)>,
}

impl Source {
    fn new(now: Timestamp, tokens: u64) -> Self {
        Self { tokens, at: now, credit: 0, waiting: VecDeque::new() }
    }

    fn earn(&mut self, asked: usize, answered: usize) {
        let credit = self.credit.saturating_add(count(asked).saturating_mul(TENTHS));
        self.credit = credit.saturating_sub(count(answered).saturating_mul(10)).min(MAX_CREDIT);
    }

    fn forget_late(&mut self, now: Timestamp) {
        self.waiting.retain(|(since, _)| now.since(*since) < PATIENCE);
    }

    fn may_send(&self, answer: &Answer) -> bool {
        let goes_first =
            answer.challenges || !self.waiting.iter().any(|(_, other)| other.challenges);
        goes_first && self.credit >= answer.cost()
    }
}

/// Counts strangers, by IPv4 address or /64 of IPv6, in a table of bounded size.
///
/// # Invariants
/// The answers that [`Self::may_answer`] and [`Self::due`] allowed a source, and those that
/// [`Self::earn`] was told of, have 1.2 times the bytes of its requests at most, as long as each
/// that [`Self::earn`] is told of has 1.2 times those of its own request at most. That holds
/// whatever is forgotten: a source that comes back has lost its credit.
#[derive(Debug)]
pub(crate) struct Limiter {
    config: LimiterConfig,
    /// Heard of since the tables changed places.
    young: BTreeMap<IpAddr, Source>,
    /// Not heard of since. Forgotten at the next change.
    old: BTreeMap<IpAddr, Source>,
}

impl Limiter {
    /// Makes an empty table.
    pub(crate) fn new(config: LimiterConfig) -> Self {
        Self { config, young: BTreeMap::new(), old: BTreeMap::new() }
    }

    /// A stranger sent `bytes`. Returns false if it sends too often; then ignore it.
    pub(crate) fn admit(&mut self, now: Timestamp, from: IpAddr, bytes: usize) -> bool {
        let most = self.most();
        let rate = u64::from(self.config.per_second);
        let source = self.source(now, from);
        let elapsed = u64::try_from(now.since(source.at).as_micros()).unwrap_or(u64::MAX);
        source.tokens = source.tokens.saturating_add(elapsed.saturating_mul(rate)).min(most);
        source.at = now;
        source.earn(bytes, 0);
        match source.tokens.checked_sub(MESSAGE) {
            Some(rest) => {
                source.tokens = rest;
                true
            }
            None => false,
        }
    }

    /// A request of `asked` bytes by UDP, whose sender is no stranger, is answered with `answered`
    /// bytes: what it brought beyond them is earned.
    pub(crate) fn earn(&mut self, now: Timestamp, from: IpAddr, (asked, answered): (usize, usize)) {
        self.source(now, from).earn(asked, answered);
    }

    /// Returns whether an answer may be sent, and takes its bytes from what its source has earned.
    /// One that waited for the same request is forgotten.
    pub(crate) fn may_answer(&mut self, now: Timestamp, answer: &Answer) -> bool {
        let source = self.source(now, answer.client.address.ip());
        source.forget_late(now);
        source.waiting.retain(|(_, other)| !other.is_to_the_same(answer));
        let may = source.may_send(answer);
        if may {
            source.credit = source.credit.saturating_sub(answer.cost());
        }
        may
    }

    /// Keeps an answer that [`Self::may_answer`] did not allow until it is [`Self::due`]. It is
    /// dropped if it is long, and so is the oldest if there are many.
    pub(crate) fn keep(&mut self, now: Timestamp, mut answer: Answer) {
        if answer.bytes.len() > MAX_WAITING_BYTES {
            return;
        }
        answer.bytes.shrink_to_fit();
        let waiting = &mut self.source(now, answer.client.address.ip()).waiting;
        if waiting.len() >= MAX_WAITING {
            waiting.pop_front();
        }
        waiting.push_back((now, answer));
    }

    /// Returns an answer that waited and is earned by now; call again until there is none.
    pub(crate) fn due(&mut self, now: Timestamp, of: IpAddr) -> Option<Answer> {
        let source = self.source(now, of);
        source.forget_late(now);
        let at = source.waiting.iter().position(|(_, answer)| source.may_send(answer))?;
        let (_, answer) = source.waiting.remove(at)?;
        source.credit = source.credit.saturating_sub(answer.cost());
        Some(answer)
    }

    /// Returns how many sources are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len().saturating_add(self.old.len())
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

    /// Of so many bytes to the message of a number.
    fn answer(client: Client, number: u8, bytes: usize) -> Answer {
        Answer { client, bytes: vec![number; bytes], challenges: false }
    }

    fn challenge(client: Client, number: u8) -> Answer {
        Answer { challenges: true, ..answer(client, number, 56) }
    }

    #[test]
    fn what_is_not_earned_waits_and_is_sent_once() {
        let mut limiter = Limiter::new(LimiterConfig::default());
        let one = client(1, 1);
        let (of, binding) = (one.address.ip(), answer(one, 1, 32));
        assert!(limiter.admit(NOW, of, 20) && !limiter.may_answer(NOW, &binding));
        limiter.keep(NOW, binding.clone());
        assert_eq!(limiter.due(NOW, of), None);
        assert!(limiter.admit(NOW, of, 28) && limiter.may_answer(NOW, &challenge(client(1, 2), 2)));
        assert_eq!(limiter.due(NOW, of), None, "1.6 bytes are left");
        limiter.earn(NOW, of, (112, 76));
        assert_eq!(limiter.due(NOW, of), Some(binding));
        limiter.earn(NOW, of, (112, 76));
        assert_eq!(limiter.due(NOW, of), None);
    }

    #[test]
    fn all_wait_for_a_challenge_that_waits() {
        let mut limiter = Limiter::new(LimiterConfig::default());
        let (first, second) = (challenge(client(1, 1), 1), answer(client(1, 2), 2, 32));
        let of = first.client.address.ip();
        for answer in [&second, &first] {
            assert!(limiter.admit(NOW, of, 20) && !limiter.may_answer(NOW, answer));
            limiter.keep(NOW, answer.clone());
        }
        assert!(!limiter.may_answer(NOW, &answer(client(1, 3), 3, 32)), "48 bytes are there");
        assert_eq!(limiter.due(NOW, of), None);
        limiter.earn(NOW, of, (40, 0));
        assert_eq!(limiter.due(NOW, of), Some(first));
        assert_eq!(limiter.due(NOW, of), Some(second));
    }

    #[test]
    fn what_waits_is_forgotten_if_it_is_asked_again_or_late_or_too_much() {
        let mut limiter = Limiter::new(LimiterConfig::default());
        let one = client(1, 1);
        let of = one.address.ip();
        limiter.keep(NOW, answer(one, 1, 32));
        assert!(!limiter.may_answer(NOW, &challenge(one, 1)), "it is not earned");
        limiter.earn(NOW, of, (1_000, 0));
        assert_eq!(limiter.due(NOW, of), None, "there is another answer to it");
        for (at, sent) in [(PATIENCE - Duration::from_millis(1), true), (PATIENCE, false)] {
            limiter.keep(NOW, answer(one, 2, 32));
            assert_eq!(limiter.due(NOW + at, of).is_some(), sent, "{at:?}");
        }
        limiter.keep(NOW, answer(one, 3, MAX_WAITING_BYTES + 1));
        assert_eq!(limiter.due(NOW, of), None);
        (0..10).for_each(|number| limiter.keep(NOW, answer(one, number, MAX_WAITING_BYTES)));
        let sent = std::iter::from_fn(|| limiter.due(NOW, of)).map(|answer| answer.bytes[0]);
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
                let size = size.min(asked * 12 / 10);
                limiter.earn(now, of, (asked, size));
                sum.1 += size;
            } else if limiter.admit(now, of, asked) {
                let number = u8::try_from(rng.between(0, 255)).unwrap();
                let answer = Answer { challenges: number % 4 == 0, ..answer(client, number, size) };
                if limiter.may_answer(now, &answer) {
                    sum.1 += size;
                } else {
                    limiter.keep(now, answer);
                }
            }
            while let Some(answer) = limiter.due(now, of) {
                assert_eq!(answer.client.address.ip(), of);
                sum.1 += answer.bytes.len();
                waited += 1;
            }
            assert!(sum.1 * 10 <= sum.0 * 12, "{of}: {sum:?}");
            assert!(limiter.len() <= 16);
            let waiting = limiter.young.values().chain(limiter.old.values());
            assert!(waiting.map(|source| source.waiting.len()).all(|len| len <= MAX_WAITING));
        }
        assert!(waited > 0 && sums.values().all(|sum| sum.1 > 0), "{waited} {sums:?}");
    }
}
