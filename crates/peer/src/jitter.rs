//! An adaptive jitter buffer for one stream of Opus packets. Pure: it is told when packets
//! came, and asked for the next piece every time one is to be played.
//!
//! The delay follows what the network does: it is what most of the latest packets needed over
//! the fastest of them. A sender whose clock runs faster fills the buffer, which then merges
//! two packets into the time of one; one that runs slower empties it, and a gap is concealed.
//! What a listener that was held up finds waiting is played faster in the same way, or left
//! out if it is much: who speaks live is heard live.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use openstudio_units::Timestamp;

use crate::PACKET_FRAMES;

/// One packet's time, in frames.
const PACKET: u64 = PACKET_FRAMES as u64;

/// A stream that jumps farther than this is a new one: 2 s.
const JUMP: u64 = 96_000;

/// Nothing for this long, and the stream begins anew: 1 s.
const STALL_LIMIT: u64 = 48_000;

/// Packets that are kept at most: those of 2 s.
const CAPACITY: usize = 100;

/// The delay is at most this: 400 ms.
const DELAY_LIMIT: u64 = 19_200;

/// How many of the latest packets are looked at: those of 5 s.
const HISTORY: usize = 250;

/// How many pieces the buffer must have been too full by one packet before it gives one up:
/// 2 s. By two packets, half of that.
const PATIENCE: u64 = 100;

/// More than this beyond the delay that is aimed at is left out at once: 200 ms.
const EXCESS: u64 = 9_600;

/// What to do for the next piece of sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Decode this.
    Packet(Arc<[u8]>),
    /// Decode both, and fade from the first to the second within one packet's time.
    Merge(Arc<[u8]>, Arc<[u8]>),
    /// The piece is lost, but the packet after it may carry it (in-band FEC, RFC 6716 §2.1.7).
    Recover(Arc<[u8]>),
    /// The piece is lost, or late.
    Conceal,
    /// The stream has not begun.
    Silence,
}

/// What happened so far, in packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JitterCounters {
    /// Came and fitted.
    pub received: u64,
    /// Never came, or too late.
    pub lost: u64,
    /// Came after their time.
    pub late: u64,
    /// Pieces of a packet's time that were made up.
    pub concealed: u64,
    /// Pieces that the packet after them carried (in-band FEC).
    pub recovered: u64,
    /// Were merged, because the buffer was too full.
    pub merged: u64,
    /// Were left out, because the buffer was much too full.
    pub skipped: u64,
}

impl JitterCounters {
    /// Returns what happened since an earlier look.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            received: self.received.saturating_sub(earlier.received),
            lost: self.lost.saturating_sub(earlier.lost),
            late: self.late.saturating_sub(earlier.late),
            concealed: self.concealed.saturating_sub(earlier.concealed),
            recovered: self.recovered.saturating_sub(earlier.recovered),
            merged: self.merged.saturating_sub(earlier.merged),
            skipped: self.skipped.saturating_sub(earlier.skipped),
        }
    }
}

#[derive(Debug)]
struct Packet {
    frames: u64,
    data: Arc<[u8]>,
}

/// The buffer. See the module.
#[derive(Debug, Default)]
pub struct Jitter {
    packets: BTreeMap<u64, Packet>,
    /// The RTP time of the next piece, once the stream has begun.
    next: Option<u64>,
    /// What was made up while the buffer was empty, in frames.
    stalled: u64,
    delays: VecDeque<i64>,
    /// The delay that is aimed at, in frames.
    target: u64,
    too_full: u64,
    counters: JitterCounters,
}

impl Jitter {
    /// Returns what happened so far.
    pub fn counters(&self) -> JitterCounters {
        self.counters
    }

    /// Returns the delay that is aimed at, in frames.
    pub fn target(&self) -> u64 {
        self.target.max(2 * PACKET)
    }

    /// Takes a packet with its RTP time, which does not wrap, and its length, both in frames.
    pub fn push(&mut self, arrival: Timestamp, time: u64, frames: u64, data: Arc<[u8]>) {
        let newest = self.packets.last_key_value().map(|(time, _)| *time).or(self.next);
        if newest.is_some_and(|newest| newest.abs_diff(time) > JUMP) {
            self.begin_anew();
        }
        self.note_delay(arrival, time);
        if self.next.is_some_and(|next| time < next) {
            self.counters.late += 1;
            return;
        }
        self.counters.received += 1;
        self.packets.insert(time, Packet { frames: frames.max(1), data });
        while self.packets.len() > CAPACITY {
            self.packets.pop_first();
        }
    }

    /// Returns what to do for the next piece.
    pub fn pull(&mut self) -> Frame {
        let Some(&first) = self.packets.keys().next() else { return self.starve() };
        let next = match self.next {
            Some(next) => next,
            None if self.depth(first) < self.target() => return Frame::Silence,
            None => self.skip(first, PACKET),
        };
        let next = self.skip(next, EXCESS);
        let first = self.packets.first_key_value().map_or(next, |(time, _)| *time);
        // What was made up while nothing came counts for what never came.
        let made_up = self.stalled.min(first.saturating_sub(next));
        self.stalled = 0;
        let next = next + made_up;
        self.next = Some(next);
        if first > next {
            return self.lose(next, first);
        }
        let Some((_, packet)) = self.packets.pop_first() else { return Frame::Silence };
        self.next = Some(first + packet.frames);
        self.shorten(packet)
    }

    /// Leaves out what is more than `excess` beyond the delay that is aimed at. Returns where to
    /// go on instead of `next`.
    fn skip(&mut self, next: u64, excess: u64) -> u64 {
        if self.depth(next) <= self.target() + excess {
            return next;
        }
        while let Some((&time, _)) = self.packets.first_key_value() {
            if self.depth(time) <= self.target() + PACKET {
                return time;
            }
            self.packets.pop_first();
            self.counters.skipped += 1;
        }
        next
    }

    fn begin_anew(&mut self) {
        self.packets.clear();
        self.delays.clear();
        self.next = None;
        self.stalled = 0;
    }

    fn depth(&self, from: u64) -> u64 {
        self.packets
            .last_key_value()
            .map_or(0, |(time, last)| (time + last.frames).saturating_sub(from))
    }

    fn starve(&mut self) -> Frame {
        if self.next.is_none() {
            return Frame::Silence;
        }
        self.stalled += PACKET;
        if self.stalled > STALL_LIMIT {
            self.begin_anew();
            return Frame::Silence;
        }
        self.counters.concealed += 1;
        Frame::Conceal
    }

    fn lose(&mut self, next: u64, first: u64) -> Frame {
        self.counters.lost += 1;
        let after = (next + PACKET).min(first);
        self.next = Some(after);
        match self.packets.get(&after) {
            Some(packet) if carries_previous(&packet.data) => {
                self.counters.recovered += 1;
                Frame::Recover(packet.data.clone())
            }
            _ => {
                self.counters.concealed += 1;
                Frame::Conceal
            }
        }
    }

    /// Gives up a packet's time if there has been more than is needed for a while.
    fn shorten(&mut self, packet: Packet) -> Frame {
        let next = self.next.unwrap_or_default();
        let excess = self.depth(next).saturating_sub(self.target()) / PACKET;
        self.too_full = if excess > 1 { self.too_full + excess - 1 } else { 0 };
        if self.too_full > PATIENCE && packet.frames == PACKET {
            let second = self
                .packets
                .first_entry()
                .filter(|entry| *entry.key() == next && entry.get().frames == PACKET);
            if let Some(second) = second {
                let second = second.remove();
                self.too_full = 0;
                self.counters.merged += 1;
                self.next = Some(next + PACKET);
                return Frame::Merge(packet.data, second.data);
            }
        }
        Frame::Packet(packet.data)
    }

    fn note_delay(&mut self, arrival: Timestamp, time: u64) {
        // Frames at 48 kHz are 3/62500 of a microsecond's count.
        let arrival = arrival.as_micros().saturating_mul(6) / 125;
        let transit = arrival as i64 - time as i64;
        if self.delays.len() == HISTORY {
            self.delays.pop_front();
        }
        self.delays.push_back(transit);
        let mut delays: Vec<i64> = self.delays.iter().copied().collect();
        let place = delays.len() * 97 / 100;
        let (faster, most, _) = delays.select_nth_unstable(place);
        let (most, fastest) = (*most, faster.iter().copied().min().unwrap_or(*most));
        self.target = (most - fastest).unsigned_abs().saturating_add(PACKET).min(DELAY_LIMIT);
    }
}

/// Whether an Opus packet carries the piece before it: the LBRR flag, which follows one voice
/// flag for each 20 ms (RFC 6716 §4.2.3). Of packets with several frames, those of equal length
/// that come in twos are looked at; browsers send single ones.
pub(crate) fn carries_previous(packet: &[u8]) -> bool {
    let &[toc, first, ..] = packet else { return false };
    let config = toc >> 3;
    let pieces = match config {
        0..=11 if config % 4 == 2 => 2,
        0..=11 if config % 4 == 3 => 3,
        0..=15 => 1,
        _ => return false, // CELT alone has none
    };
    let is_stereo = toc & 0b100 != 0;
    let flag = |place: u8| (first << place) & 0x80 != 0;
    toc & 0b11 <= 1 && (flag(pieces) || (is_stereo && flag(2 * pieces + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use openstudio_units::Seed;

    /// As a packet of SILK that carries the piece before it.
    fn data(n: u64) -> Arc<[u8]> {
        Arc::from([&[1 << 3, 0x40], &n.to_be_bytes()[..]].concat())
    }

    fn at(n: u64, delay_ms: u64) -> Timestamp {
        Timestamp::from_millis(n * 20 + delay_ms)
    }

    fn push(jitter: &mut Jitter, n: u64, delay_ms: u64) {
        jitter.push(at(n, delay_ms), n * PACKET, PACKET, data(n));
    }

    /// Plays a stream packet by packet: packet `n` comes `delays[n]` ms late, or never.
    fn play(delays: &[Option<u64>]) -> (Vec<Frame>, Jitter) {
        let mut arrivals: Vec<(u64, u64)> = delays
            .iter()
            .enumerate()
            .filter_map(|(n, delay)| delay.map(|delay| (n as u64 * 20 + delay, n as u64)))
            .collect();
        arrivals.sort_unstable();
        let mut arrivals = arrivals.into_iter().peekable();
        let mut jitter = Jitter::default();
        let mut frames = Vec::new();
        for tick in 0..delays.len() as u64 {
            while let Some((ms, n)) = arrivals.next_if(|(ms, _)| *ms <= tick * 20 + 10) {
                jitter.push(Timestamp::from_millis(ms), n * PACKET, PACKET, data(n));
            }
            frames.push(jitter.pull());
        }
        (frames, jitter)
    }

    fn numbers(frames: &[Frame]) -> Vec<u64> {
        let number = |data: &Arc<[u8]>| u64::from_be_bytes(data[2..].try_into().unwrap());
        frames
            .iter()
            .flat_map(|frame| match frame {
                Frame::Packet(data) => vec![number(data)],
                Frame::Merge(first, second) => vec![number(first), number(second)],
                Frame::Recover(_) | Frame::Conceal | Frame::Silence => vec![],
            })
            .collect()
    }

    /// Plays a minute of a stream that begins undisturbed, and then loses `lost` of 1,000 packets,
    /// each of which carries the one before again. They come `bundle` at once. Returns how many
    /// were made up, and how many were lost with their copies.
    fn play_with_copies(seed: u64, lost: u64, bundle: u64) -> (u64, u64) {
        let mut rng = Seed::from_number(seed).rng();
        let mut jitter = Jitter::default();
        let mut arrivals = VecDeque::new();
        let (mut missing, mut twice) = (false, 0);
        for n in 0..3_000 {
            let arrival = (n / bundle + 1) * bundle * 20 + rng.between(0, 3);
            let is_lost = n > 100 && rng.between(0, 999) < lost;
            if is_lost {
                twice += u64::from(missing);
            } else {
                if missing {
                    arrivals.push_back((arrival, n - 1));
                }
                arrivals.push_back((arrival, n));
            }
            missing = is_lost;
            let now = n * 20 + 19;
            while let Some((ms, n)) = arrivals.pop_front_if(|(ms, _)| *ms <= now) {
                jitter.push(Timestamp::from_millis(ms), n * PACKET, PACKET, data(n));
            }
            jitter.pull();
        }
        (jitter.counters().concealed, twice)
    }

    #[test]
    fn where_each_packet_carries_the_one_before_no_more_is_made_up_than_is_lost_with_its_copy() {
        for (lost, bundle) in [(30, 1), (100, 1), (50, 2), (100, 2)] {
            for seed in 1..6 {
                let (made_up, twice) = play_with_copies(seed, lost, bundle);
                assert!(made_up <= twice, "{lost} in {bundle}, seed {seed}: {made_up} of {twice}");
            }
        }
    }

    #[test]
    fn a_steady_stream_is_played_in_order_after_two_packets() {
        let (frames, jitter) = play(&[Some(0); 50]);
        assert_eq!(frames[0], Frame::Silence);
        assert_eq!(numbers(&frames), (0..49).collect::<Vec<_>>());
        assert_eq!(jitter.counters().lost, 0);
        assert_eq!(jitter.counters().concealed, 0);
    }

    #[test]
    fn a_stream_that_begins_with_a_burst_is_not_late_for_ever() {
        let mut jitter = Jitter::default();
        for n in 0..60 {
            jitter.push(at(59, 0), n * PACKET, PACKET, data(n));
        }
        for n in 60..62 {
            push(&mut jitter, n, 0);
        }
        jitter.pull();
        let depth = jitter.depth(jitter.next.unwrap());
        assert!(depth <= jitter.target() + PACKET, "{depth} frames of {}", jitter.target());
    }

    /// A listener that was held up finds what came meanwhile, again and again.
    #[test]
    fn who_is_held_up_time_and_again_is_not_late_for_ever() {
        let mut jitter = Jitter::default();
        let mut n = 0;
        let mut say = |jitter: &mut Jitter, count: u64| {
            for _ in 0..count {
                push(jitter, n, 0);
                n += 1;
            }
        };
        say(&mut jitter, 3);
        for _ in 0..20 {
            say(&mut jitter, 15);
            for _ in 0..50 {
                say(&mut jitter, 1);
                jitter.pull();
            }
        }
        let concealed = jitter.counters().concealed;
        for _ in 0..50 {
            say(&mut jitter, 1);
            let frame = jitter.pull();
            assert!(matches!(frame, Frame::Packet(_) | Frame::Merge(..)), "{frame:?}");
        }
        let depth = jitter.depth(jitter.next.unwrap());
        assert!(depth <= jitter.target() + EXCESS, "{depth} frames of {}", jitter.target());
        assert_eq!(jitter.counters().concealed, concealed);
        assert!(jitter.counters().skipped > 0);
    }

    #[test]
    fn packets_that_overtake_each_other_are_put_in_order() {
        let mut jitter = Jitter::default();
        let mut frames = Vec::new();
        for pair in [[2, 1], [4, 3]] {
            if frames.is_empty() {
                push(&mut jitter, 0, 30);
            }
            for n in pair {
                push(&mut jitter, n, 30);
            }
            frames.extend([jitter.pull(), jitter.pull()]);
        }
        frames.push(jitter.pull());
        assert_eq!(numbers(&frames), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_lost_packet_is_recovered_from_the_one_after_it() {
        let mut delays = vec![Some(0); 50];
        delays[20] = None;
        let (frames, jitter) = play(&delays);
        assert!(frames.contains(&Frame::Recover(data(21))), "{frames:?}");
        assert_eq!(numbers(&frames).len(), 48);
        let counters = jitter.counters();
        assert_eq!((counters.lost, counters.recovered, counters.concealed), (1, 1, 0));
    }

    #[test]
    fn of_a_long_gap_the_last_piece_is_recovered_and_no_time_is_lost() {
        let mut delays = vec![Some(0); 60];
        delays[20..25].fill(None);
        let (frames, jitter) = play(&delays);
        assert_eq!((jitter.counters().concealed, jitter.counters().recovered), (4, 1));
        // What comes after the gap is played at its time: the delay has not grown.
        let first_after = frames.iter().position(|f| *f == Frame::Packet(data(25))).unwrap();
        let before = frames.iter().position(|f| *f == Frame::Packet(data(19))).unwrap();
        assert_eq!(first_after - before, 6);
    }

    #[test]
    fn a_bad_network_makes_the_delay_grow_and_a_good_one_shrink() {
        let mut rng = Seed::from_number(7).rng();
        let mut delays: Vec<Option<u64>> = (0..500).map(|_| Some(rng.between(0, 120))).collect();
        delays.extend([Some(0); 1500]);
        let (frames, jitter) = play(&delays);
        let heard = numbers(&frames[100..500]);
        assert!(heard.len() >= 380, "of 400 pieces {} were heard", heard.len());
        assert!(heard.is_sorted());
        assert_eq!(jitter.target(), 2 * PACKET, "the delay is small again");
        assert!(jitter.counters().merged >= 3, "{:?}", jitter.counters());
        assert!(jitter.depth(jitter.next.unwrap()) <= 3 * PACKET);
    }

    /// As on a line that loses a tenth, where each packet carries the two before it.
    #[test]
    fn what_comes_again_with_later_packets_comes_in_time() {
        for seed in 1..=10 {
            let mut rng = Seed::from_number(seed).rng();
            let lost: Vec<bool> = (0..3_000).map(|_| rng.between(0, 9) == 0).collect();
            let delays: Vec<Option<u64>> = lost
                .windows(3)
                .map(|three| three.iter().position(|lost| !lost).map(|later| later as u64 * 20))
                .collect();
            let (_, jitter) = play(&delays);
            let counters = jitter.counters();
            let never = delays.iter().filter(|delay| delay.is_none()).count() as u64;
            let made_up = counters.concealed + counters.recovered;
            assert!(made_up <= never + 10, "seed {seed}: {never} never came, {counters:?}");
        }
    }

    #[test]
    fn a_sender_with_a_faster_clock_is_followed() {
        let mut jitter = Jitter::default();
        // 1 % faster: 101 packets in the time of 100.
        for tick in 0..5_000_u64 {
            let from = tick * 101 / 100;
            for n in from..((tick + 1) * 101 / 100) {
                jitter.push(at(tick, 0), n * PACKET, PACKET, data(n));
            }
            jitter.pull();
        }
        let depth = jitter.depth(jitter.next.unwrap());
        assert!(depth <= jitter.target() + 4 * PACKET, "{depth} frames, {:?}", jitter.counters());
        assert!(jitter.counters().merged > 30);
        assert_eq!(jitter.counters().lost, 0);
    }

    #[test]
    fn silence_of_the_network_ends_the_stream_and_another_begins() {
        let mut jitter = Jitter::default();
        for n in 0..4 {
            push(&mut jitter, n, 0);
        }
        let frames: Vec<Frame> = (0..80).map(|_| jitter.pull()).collect();
        assert_eq!(frames.last(), Some(&Frame::Silence));
        assert!(jitter.counters().concealed <= 50, "it does not make up sound for ever");
        for n in 5_000..5_010 {
            push(&mut jitter, n, 0);
        }
        assert_eq!(jitter.pull(), Frame::Packet(data(5_007)), "the latest of a burst");
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let seed = 11;
        let mut rng = Seed::from_number(seed).rng();
        let mut jitter = Jitter::default();
        for n in 0..20_000 {
            let time = rng.between(0, 1 << 33);
            jitter.push(Timestamp::from_millis(n), time, rng.between(0, 5_760), data(n));
            if n % 3 == 0 {
                jitter.pull();
            }
            assert!(jitter.packets.len() <= CAPACITY && jitter.delays.len() <= HISTORY);
        }
        for n in 0..20_000 {
            jitter.push(Timestamp::from_millis(n), n * 3, 3, data(n));
            assert!(jitter.packets.len() <= CAPACITY);
        }
    }
}
