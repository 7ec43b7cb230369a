//! What a link does to packets, by count and by time.

#![allow(clippy::unwrap_used, reason = "a broken test stops")]

use std::collections::BTreeSet;
use std::time::Duration;

use openstudio_net::{
    Chance, Delay, GilbertElliott, Link, LinkConfig, Loss, LossProcess, MAX_IN_FLIGHT,
};
use openstudio_units::{Seed, Timestamp};
use proptest::prelude::*;

const MS: fn(u64) -> Duration = Duration::from_millis;
const AT: fn(u64) -> Timestamp = Timestamp::from_millis;

fn link(config: LinkConfig, seed: u64) -> Link<u64> {
    Link::new(config, Seed::from_number(seed))
}

/// Everything that arrives, with its time.
fn drain(link: &mut Link<u64>) -> Vec<(Timestamp, u64)> {
    let mut arrived = Vec::new();
    while let Some(at) = link.poll_timeout() {
        while let Some(packet) = link.poll(at) {
            arrived.push((at, packet));
        }
    }
    arrived
}

/// Whether packets are lost, one after the other.
fn losses(loss: Loss, seed: u64, count: usize) -> Vec<bool> {
    let mut process = LossProcess::new(loss, Seed::from_number(seed).rng());
    (0..count).map(|_| process.next_is_lost()).collect()
}

#[test]
fn a_link_that_does_nothing_delivers_at_once_and_in_order() {
    let mut link = link(LinkConfig::default(), 1);
    (0..100).for_each(|n| link.send(AT(5), 1_200, n));
    let expected: Vec<_> = (0..100).map(|n| (AT(5), n)).collect();
    assert_eq!(drain(&mut link), expected);
}

#[test]
fn random_loss_is_within_five_standard_deviations() {
    let (seeds, each) = (20, 20_000);
    for share in [0.005, 0.05, 0.3] {
        let loss = Loss::Random(Chance::from_probability(share).unwrap());
        let lost: usize =
            (1..=seeds).map(|s| losses(loss, s, each).iter().filter(|l| **l).count()).sum();
        let count = 20.0 * 20_000.0;
        let bound = 5.0 * (share * (1.0 - share) / count).sqrt();
        let measured = f64::from(u32::try_from(lost).unwrap()) / count;
        assert!((measured - share).abs() < bound, "{share}: {measured} of {seeds} seeds");
    }
}

/// Lengths of runs of lost packets.
fn bursts(lost: &[bool]) -> Vec<usize> {
    lost.split(|lost| !lost).map(<[bool]>::len).filter(|length| *length > 0).collect()
}

#[test]
fn bursts_have_the_share_and_the_mean_length_that_were_asked_for() {
    for (share, mean) in [(0.02, 4.0), (0.1, 8.0), (0.2, 1.0)] {
        let chance = Chance::from_probability(share).unwrap();
        let loss = Loss::Bursts(GilbertElliott::bursts(chance, mean));
        let count = 20.0 * 50_000.0;
        let (mut lost, mut runs) = (0_u32, 0_u32);
        for seed in 1..=20 {
            let lengths = bursts(&losses(loss, seed, 50_000));
            lost += u32::try_from(lengths.iter().sum::<usize>()).unwrap();
            runs += u32::try_from(lengths.len()).unwrap();
        }
        let (lost, runs) = (f64::from(lost), f64::from(runs));
        // Packets of one burst go together: a share varies as that of `count / (2 mean)` would.
        let bound = 5.0 * (share * (1.0 - share) * 2.0 * mean / count).sqrt();
        assert!((lost / count - share).abs() < bound, "{share}, {mean}: {}", lost / count);
        // A geometric length with this mean has a deviation below it.
        let bound = 5.0 * mean / runs.sqrt();
        assert!((lost / runs - mean).abs() < bound, "{share}, {mean}: {}", lost / runs);
    }
}

#[test]
fn a_good_state_may_lose_and_a_bad_one_deliver() {
    let half = Chance::from_probability(0.5).unwrap();
    let channel = GilbertElliott {
        worsen: Chance::NEVER,
        recover: Chance::NEVER,
        loss_in_good: half,
        loss_in_bad: Chance::NEVER,
    };
    let lost = losses(Loss::Bursts(channel), 1, 10_000).iter().filter(|l| **l).count();
    assert!((4_700..5_300).contains(&lost), "{lost}");
    let always_bad = GilbertElliott { worsen: Chance::ALWAYS, ..channel };
    assert!(losses(Loss::Bursts(always_bad), 1, 100).iter().all(|lost| !lost));
}

#[test]
fn a_slow_line_sends_one_packet_after_the_other() {
    // 1000 bytes at 800 kbit/s: 10 ms each.
    let config = LinkConfig { rate: Some(800_000), ..LinkConfig::default() };
    let mut link = link(config, 1);
    (0..5).for_each(|n| link.send(AT(100), 1_000, n));
    let times: Vec<_> = drain(&mut link).into_iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(times, [110, 120, 130, 140, 150]);
}

#[test]
fn a_queue_drops_what_is_beyond_its_bound_and_takes_more_when_it_has_room() {
    let config = LinkConfig { rate: Some(800_000), queue_bytes: 3_000, ..LinkConfig::default() };
    let mut link = link(config, 1);
    (0..10).for_each(|n| link.send(AT(0), 1_000, n));
    assert_eq!(link.counters().overflowed, 7);
    assert_eq!(link.in_flight(), 3);
    // One has left by then.
    link.send(AT(10), 1_000, 10);
    link.send(AT(10), 1_000, 11);
    assert_eq!(link.counters().overflowed, 8);
    let arrived: Vec<_> = drain(&mut link).into_iter().map(|(_, n)| n).collect();
    assert_eq!(arrived, [0, 1, 2, 10]);
}

#[test]
fn what_is_under_way_is_bounded_without_a_rate() {
    let config = LinkConfig {
        delay: Delay { base: Duration::from_secs(3600), jitter: MS(0) },
        ..LinkConfig::default()
    };
    let mut link = link(config, 1);
    (0..20_000).for_each(|n| link.send(AT(0), 100, n));
    assert_eq!(link.in_flight(), MAX_IN_FLIGHT);
    assert_eq!(link.counters().overflowed, 20_000 - 16_384);
}

#[test]
fn jitter_keeps_the_order() {
    let config =
        LinkConfig { delay: Delay { base: MS(20), jitter: MS(30) }, ..LinkConfig::default() };
    let mut link = link(config, 3);
    (0..1_000).for_each(|n| link.send(AT(n), 100, n));
    let arrived = drain(&mut link);
    assert!(arrived.is_sorted());
    for (at, n) in &arrived {
        let took = at.since(AT(*n));
        assert!((MS(20)..=MS(50)).contains(&took), "{n} took {took:?}");
    }
    assert!(arrived.iter().any(|(at, n)| at.since(AT(*n)) > MS(30)));
}

#[test]
fn late_packets_are_overtaken_and_hold_up_nobody() {
    let config = LinkConfig {
        reorder: Chance::from_probability(0.1).unwrap(),
        reorder_by: MS(5),
        ..LinkConfig::default()
    };
    let mut link = link(config, 4);
    (0..1_000).for_each(|n| link.send(AT(n), 100, n));
    let arrived = drain(&mut link);
    let late = arrived.iter().filter(|(at, n)| *at != AT(*n)).count();
    assert_eq!(u64::try_from(late).unwrap(), link.counters().reordered);
    assert!((50..150).contains(&late), "{late}");
    assert!(arrived.iter().all(|(at, n)| at.since(AT(*n)) <= MS(5)));
    assert!(!arrived.iter().map(|(_, n)| n).is_sorted());
}

#[test]
fn doubled_packets_come_twice() {
    let config = LinkConfig { duplicate: Chance::ALWAYS, ..LinkConfig::default() };
    let mut link = link(config, 1);
    (0..3).for_each(|n| link.send(AT(0), 100, n));
    let arrived: Vec<_> = drain(&mut link).into_iter().map(|(_, n)| n).collect();
    assert_eq!(arrived, [0, 0, 1, 1, 2, 2]);
}

#[test]
fn an_outage_loses_what_is_under_way_and_what_comes() {
    let config =
        LinkConfig { delay: Delay { base: MS(50), jitter: MS(0) }, ..LinkConfig::default() };
    let mut link = link(config, 1);
    link.send(AT(0), 100, 0);
    link.set_outage(true);
    link.send(AT(10), 100, 1);
    link.set_outage(false);
    link.send(AT(20), 100, 2);
    assert_eq!(drain(&mut link), [(AT(70), 2)]);
    assert_eq!(link.counters().cut, 2);
}

#[test]
fn a_change_of_one_chance_leaves_the_draws_of_others() {
    let lossy = LinkConfig {
        loss: Loss::Random(Chance::from_probability(0.2).unwrap()),
        ..LinkConfig::default()
    };
    let jittery = LinkConfig {
        delay: Delay { base: MS(1), jitter: MS(9) },
        duplicate: Chance::from_probability(0.3).unwrap(),
        ..lossy
    };
    let arrived = |config| {
        let mut link = link(config, 9);
        (0..1_000).for_each(|n| link.send(AT(n), 100, n));
        drain(&mut link).into_iter().map(|(_, n)| n).collect::<BTreeSet<_>>()
    };
    assert_eq!(arrived(lossy), arrived(jittery));
}

fn any_chance() -> impl Strategy<Value = Chance> {
    (0_u32..=1_000_000).prop_map(Chance::from_millionths)
}

fn any_loss() -> impl Strategy<Value = Loss> {
    let bursts = (any_chance(), 1.0..50.0_f64)
        .prop_map(|(share, length)| Loss::Bursts(GilbertElliott::bursts(share, length)));
    prop_oneof![Just(Loss::None), any_chance().prop_map(Loss::Random), bursts]
}

fn any_config() -> impl Strategy<Value = LinkConfig> {
    let delay = (0_u64..200, 0_u64..100)
        .prop_map(|(base, jitter)| Delay { base: MS(base), jitter: MS(jitter) });
    let rate = prop_oneof![Just(None), (0_u64..10_000_000).prop_map(Some)];
    (delay, any_loss(), any_chance(), any_chance(), rate, 0_usize..20_000).prop_map(
        |(delay, loss, duplicate, reorder, rate, queue_bytes)| LinkConfig {
            delay,
            loss,
            duplicate,
            reorder,
            reorder_by: MS(7),
            rate,
            queue_bytes,
        },
    )
}

#[derive(Debug, Clone)]
enum TestOp {
    /// A packet of this size, this much later than the last operation.
    Send { bytes: usize, after_us: u64 },
    /// An outage begins or ends.
    Outage(bool),
    /// Another configuration.
    Change(Box<LinkConfig>),
}

fn any_op() -> impl Strategy<Value = TestOp> {
    prop_oneof![
        20 => (0_usize..2_000, 0_u64..5_000)
            .prop_map(|(bytes, after_us)| TestOp::Send { bytes, after_us }),
        1 => any::<bool>().prop_map(TestOp::Outage),
        1 => any_config().prop_map(Box::new).prop_map(TestOp::Change),
    ]
}

proptest! {
    /// Every packet is somewhere, nothing comes before it was sent, and the same seed does the
    /// same.
    #[test]
    fn packets_are_accounted_for(
        config in any_config(),
        ops in proptest::collection::vec(any_op(), 0..200),
        seed in any::<u64>(),
    ) {
        let run = || {
            let (mut link, mut now, mut sent) = (link(config, seed), AT(0), Vec::new());
            let mut history = Vec::new();
            for op in &ops {
                match op {
                    TestOp::Send { bytes, after_us } => {
                        now = now + Duration::from_micros(*after_us);
                        let n = u64::try_from(sent.len()).unwrap();
                        sent.push(now);
                        link.send(now, *bytes, n);
                    }
                    TestOp::Outage(is_out) => link.set_outage(*is_out),
                    TestOp::Change(config) => link.set_config(**config),
                }
                while let Some(n) = link.poll(now) {
                    history.push((now, n));
                }
                let c = link.counters();
                let known = c.delivered + c.lost + c.overflowed + c.cut;
                let in_flight = u64::try_from(link.in_flight()).unwrap();
                assert_eq!(c.sent + c.doubled, known + in_flight);
            }
            history.extend(drain(&mut link));
            for (at, n) in &history {
                assert!(*at >= sent[usize::try_from(*n).unwrap()]);
            }
            history
        };
        prop_assert_eq!(run(), run());
    }
}
