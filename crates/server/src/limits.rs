//! Token buckets per socket and per address. Told the time; performs nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openstudio_units::Timestamp;

use crate::address::AddressKey;
use crate::config::Limits;

/// Tokens are counted in millionths, so that a rate a second is a rate a microsecond.
const MILLION: u64 = 1_000_000;

/// How many addresses are known before those that count nothing are forgotten.
const ADDRESSES_BEFORE_SWEEP: usize = 1024;

/// A bucket that fills with time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenBucket {
    per_second: u64,
    capacity: u64,
    /// Millionths of a token.
    level: u64,
    filled_until: Timestamp,
}

impl TokenBucket {
    /// Makes a full bucket.
    pub(crate) fn new(per_second: u32, burst: u32, now: Timestamp) -> Self {
        let capacity = u64::from(burst) * MILLION;
        Self { per_second: per_second.into(), capacity, level: capacity, filled_until: now }
    }

    /// Takes `amount` tokens; takes none and returns `false` if there are too few.
    pub(crate) fn take(&mut self, now: Timestamp, amount: u32) -> bool {
        self.fill(now);
        match self.level.checked_sub(u64::from(amount) * MILLION) {
            Some(level) => {
                self.level = level;
                true
            }
            None => false,
        }
    }

    fn is_full(&mut self, now: Timestamp) -> bool {
        self.fill(now);
        self.level == self.capacity
    }

    fn fill(&mut self, now: Timestamp) {
        let micros = now.as_micros().saturating_sub(self.filled_until.as_micros());
        let gained = micros.saturating_mul(self.per_second);
        self.level = self.level.saturating_add(gained).min(self.capacity);
        self.filled_until = self.filled_until.max(now);
    }
}

/// What one socket may send.
#[derive(Debug)]
pub(crate) struct SocketLimit {
    messages: TokenBucket,
    bytes: TokenBucket,
    address: AddressLease,
}

impl SocketLimit {
    pub(crate) fn new(limits: &Limits, address: AddressLease, now: Timestamp) -> Self {
        let (rate, burst) = (limits.socket_messages_per_second, limits.socket_message_burst);
        let (byte_rate, byte_burst) = (limits.socket_bytes_per_second, limits.socket_byte_burst);
        Self {
            messages: TokenBucket::new(rate, burst, now),
            bytes: TokenBucket::new(byte_rate, byte_burst, now),
            address,
        }
    }

    /// Counts a message; returns whether it may be read. The address is asked last, so
    /// that a socket above its own limits uses up nothing of its neighbours'.
    pub(crate) fn admit(&mut self, now: Timestamp, bytes: usize) -> bool {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.messages.take(now, 1)
            && self.bytes.take(now, bytes)
            && lock(&self.address.account).messages.take(now, 1)
    }
}

/// What is counted for one address.
#[derive(Debug)]
struct Account {
    connections: u32,
    sockets: u32,
    connects: TokenBucket,
    messages: TokenBucket,
}

/// All addresses.
#[derive(Debug)]
pub(crate) struct AddressBook {
    limits: Limits,
    accounts: Mutex<BTreeMap<AddressKey, Arc<Mutex<Account>>>>,
}

/// One socket's place in its address's account; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct AddressLease {
    account: Arc<Mutex<Account>>,
}

impl Drop for AddressLease {
    fn drop(&mut self) {
        let mut account = lock(&self.account);
        account.sockets = account.sockets.saturating_sub(1);
    }
}

/// One TCP connection's place in its address's account; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct ConnectionLease {
    account: Arc<Mutex<Account>>,
}

impl Drop for ConnectionLease {
    fn drop(&mut self) {
        let mut account = lock(&self.account);
        account.connections = account.connections.saturating_sub(1);
    }
}

impl AddressBook {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, accounts: Mutex::default() }
    }

    /// Counts a new TCP connection; `None` if the address has too many.
    pub(crate) fn admit_connection(
        &self,
        now: Timestamp,
        address: AddressKey,
    ) -> Option<ConnectionLease> {
        let account = self.account(now, address);
        let mut entry = lock(&account);
        if entry.connections >= self.limits.address_connections {
            return None;
        }
        entry.connections += 1;
        drop(entry);
        Some(ConnectionLease { account })
    }

    /// Counts a new socket; `None` if the address has too many, or opens them too fast.
    pub(crate) fn admit(&self, now: Timestamp, address: AddressKey) -> Option<AddressLease> {
        let account = self.account(now, address);
        let mut entry = lock(&account);
        if entry.sockets >= self.limits.address_sockets || !entry.connects.take(now, 1) {
            return None;
        }
        entry.sockets += 1;
        drop(entry);
        Some(AddressLease { account })
    }

    fn account(&self, now: Timestamp, address: AddressKey) -> Arc<Mutex<Account>> {
        let mut accounts = lock(&self.accounts);
        if accounts.len() >= ADDRESSES_BEFORE_SWEEP {
            accounts.retain(|_, account| {
                let mut account = lock(account);
                account.connections > 0 || account.sockets > 0 || !account.connects.is_full(now)
            });
        }
        let limits = &self.limits;
        let account = accounts.entry(address).or_insert_with(|| {
            let (rate, burst) = (limits.address_connects_per_second, limits.address_connect_burst);
            let connects = TokenBucket::new(rate, burst, now);
            let (rate, burst) = (limits.address_messages_per_second, limits.address_message_burst);
            let messages = TokenBucket::new(rate, burst, now);
            Arc::new(Mutex::new(Account { connections: 0, sockets: 0, connects, messages }))
        });
        Arc::clone(account)
    }
}

/// Locks, also after a panic elsewhere: counters are never left half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn key(text: &str) -> AddressKey {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = TokenBucket::new(10, 3, at(0));
        assert!((0..3).all(|_| bucket.take(at(0), 1)));
        assert!(!bucket.take(at(99), 1));
        assert!(bucket.take(at(100), 1));
        assert!(!bucket.take(at(100), 1));
        assert!(bucket.take(at(60_000), 3));
        assert!(!bucket.take(at(60_000), 1), "it never holds more than its burst");
        assert!(!bucket.take(at(0), 1), "time that runs backwards gives nothing");
    }

    #[test]
    fn a_flood_of_one_socket_leaves_its_neighbour_untouched() {
        let book = AddressBook::new(Limits::default());
        let lease = || book.admit(at(0), key("192.0.2.1")).unwrap();
        let mut flood = SocketLimit::new(&book.limits, lease(), at(0));
        let mut neighbour = SocketLimit::new(&book.limits, lease(), at(0));
        let admitted = (0..100_000).filter(|_| flood.admit(at(0), 100)).count();
        assert_eq!(admitted, 1_000);
        assert!((0..1_000).all(|_| neighbour.admit(at(0), 100)));
    }

    #[test]
    fn an_address_has_so_many_sockets_and_gets_them_back() {
        let limits = Limits { address_sockets: 2, ..Limits::default() };
        let book = AddressBook::new(limits);
        let first = book.admit(at(0), key("2001:db8::1")).unwrap();
        let _second = book.admit(at(0), key("2001:db8::2")).unwrap();
        assert!(book.admit(at(0), key("2001:db8::3")).is_none());
        assert!(book.admit(at(0), key("2001:db8:0:1::3")).is_some());
        drop(first);
        assert!(book.admit(at(0), key("2001:db8::3")).is_some());
    }

    #[test]
    fn addresses_that_count_nothing_are_forgotten() {
        let book = AddressBook::new(Limits::default());
        for n in 0..10_000u64 {
            let address = IpAddr::from([10, 0, (n >> 8) as u8, n as u8]);
            drop(book.admit(at(n * 1_000), address.into()));
        }
        assert!(lock(&book.accounts).len() <= ADDRESSES_BEFORE_SWEEP);
    }
}
