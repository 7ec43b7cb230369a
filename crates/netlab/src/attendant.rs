//! The loop around a [`Lab`]: waits for packets, orders, due times and signals.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use openstudio_units::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use crate::lab::Lab;

/// What an order is long at most.
const MAX_ORDER_BYTES: usize = 65_536;

/// Serves until standard input ends, or a signal asks to stop.
pub(crate) fn run(mut lab: Lab) -> anyhow::Result<()> {
    let (stop, stopper) = UnixStream::pair().context("cannot make a pipe for signals")?;
    for signal in [SIGTERM, SIGINT] {
        pipe::register(signal, stopper.try_clone()?).context("cannot listen for signals")?;
    }
    let (begun, mut buffer, mut orders) = (Instant::now(), vec![0; 65_536], Orders::default());
    let now = || Timestamp::ZERO + begun.elapsed();
    loop {
        lab.deliver(now());
        let Some(ready) = wait(&lab, &stop, now())? else { continue };
        if ready.stops {
            return Ok(());
        }
        for device in ready.devices {
            lab.read(now(), device, &mut buffer);
        }
        if ready.orders && !orders.read(&mut buffer)? {
            return Ok(());
        }
        while let Some(order) = orders.next() {
            say(&obey(&mut lab, &order))?;
        }
    }
}

/// What can be read.
#[derive(Debug)]
struct Ready {
    stops: bool,
    orders: bool,
    devices: Vec<usize>,
}

/// Waits until something can be read or is due; `None` if a signal came between.
fn wait(lab: &Lab, stop: &UnixStream, now: Timestamp) -> anyhow::Result<Option<Ready>> {
    let stdin = io::stdin();
    let mut all = vec![PollFd::new(stop, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
    all.extend(lab.devices().map(|device| PollFd::from_borrowed_fd(device.as_fd(), PollFlags::IN)));
    let left = lab.poll_timeout().map(|due| timespec(due.since(now)));
    match poll(&mut all, left.as_ref()) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(None),
        Err(error) => return Err(error).context("cannot wait for packets"),
    }
    let is_ready: Vec<bool> = all.iter().map(|one| !one.revents().is_empty()).collect();
    let devices = is_ready.iter().skip(2).enumerate();
    Ok(Some(Ready {
        stops: is_ready.first().copied().unwrap_or(false),
        orders: is_ready.get(1).copied().unwrap_or(false),
        devices: devices.filter(|(_, ready)| **ready).map(|(index, _)| index).collect(),
    }))
}

fn timespec(left: Duration) -> Timespec {
    let seconds = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
    Timespec { tv_sec: seconds, tv_nsec: left.subsec_nanos().into() }
}

/// Standard input, cut into lines.
#[derive(Debug, Default)]
struct Orders {
    text: Vec<u8>,
}

impl Orders {
    /// Reads what there is; `false` at its end.
    fn read(&mut self, buffer: &mut [u8]) -> anyhow::Result<bool> {
        let length = match rustix::io::read(io::stdin(), &mut *buffer) {
            Ok(length) => length,
            Err(Errno::INTR | Errno::AGAIN) => return Ok(true),
            Err(error) => return Err(error).context("cannot read orders"),
        };
        self.text.extend(buffer.get(..length).unwrap_or_default());
        anyhow::ensure!(self.text.len() <= MAX_ORDER_BYTES * 2, "an order is too long");
        Ok(length > 0)
    }

    /// The next whole line.
    fn next(&mut self) -> Option<Vec<u8>> {
        let end = self.text.iter().position(|byte| *byte == b'\n')?;
        let rest = self.text.split_off(end.saturating_add(1));
        Some(std::mem::replace(&mut self.text, rest))
    }
}

/// Obeys an order; what is wrong with it is the answer.
fn obey(lab: &mut Lab, order: &[u8]) -> Value {
    let parsed = serde_json::from_slice(order).context("this is no order");
    match parsed.and_then(|command| lab.perform(command)) {
        Ok(mut answer) => {
            if let Some(fields) = answer.as_object_mut() {
                fields.insert("ok".to_owned(), Value::Bool(true));
            }
            answer
        }
        Err(error) => json!({ "ok": false, "error": format!("{error:#}") }),
    }
}

/// Writes a line on standard output.
pub(crate) fn say(what: &Value) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{what}").and_then(|()| out.flush()).context("nobody reads the answers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_whole_lines() {
        let mut orders = Orders { text: b"one\ntwo\nthr".to_vec() };
        assert_eq!(orders.next(), Some(b"one\n".to_vec()));
        assert_eq!(orders.next(), Some(b"two\n".to_vec()));
        assert_eq!(orders.next(), None);
        orders.text.extend(b"ee\n");
        assert_eq!(orders.next(), Some(b"three\n".to_vec()));
    }
}
