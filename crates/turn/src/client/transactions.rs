//! Requests under way: what they say, who signs them, when they are repeated.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use openstudio_units::Timestamp;
use stun_types::AddressFamily;
use stun_types::attribute::{Nonce, Realm, Software, Username};
use stun_types::message::{IntegrityKey, Message, MessageClass, TransactionId};
use stun_types::prelude::AttributeWrite;
use turn_types::attribute::{
    ChannelNumber, Lifetime, RequestedAddressFamily, RequestedTransport, XorPeerAddress,
};
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH};

use crate::server::Family;
use crate::stun::{self, Writer, attribute};
use crate::{Credentials, Transport};

/// The first repetition comes after this (RFC 8489 §6.2.1), each further one after double.
const RTO: Duration = Duration::from_millis(500);

/// How often a request is sent by datagrams.
const SENDS: u32 = 7;

/// How long the last one is waited for, and a request in a stream (RFC 8489 §6.2.1, §6.2.2).
const LAST_WAIT: Duration = Duration::from_millis(16 * 500);
const STREAM_WAIT: Duration = Duration::from_millis(39_500);

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Allocate,
    Refresh,
    Permit(SocketAddr),
    Bind(SocketAddr),
    End,
}

/// Long-term credentials and what the server said about them.
#[derive(Debug)]
pub(super) struct Authentication {
    credentials: Credentials,
    challenge: Option<Challenge>,
}

#[derive(Debug)]
struct Challenge {
    realm: String,
    nonce: String,
    key: IntegrityKey,
}

impl Authentication {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, challenge: None }
    }

    /// Takes a 401 or 438. Returns whether it is worth trying again.
    pub(super) fn challenged(&mut self, code: Option<u16>, message: &Message<'_>) -> bool {
        let realm = attribute::<Realm>(message);
        let Some((realm, nonce)) = realm.zip(attribute::<Nonce>(message)) else { return false };
        let known = self.challenge.as_ref();
        // The same realm refused us with the key that we have.
        let refused = known.is_some_and(|known| code == Some(401) && known.realm == realm.realm());
        if refused {
            return false;
        }
        let Credentials { username, password } = &self.credentials;
        self.challenge = Some(Challenge {
            key: stun::key(username, realm.realm(), password),
            realm: realm.realm().to_owned(),
            nonce: nonce.nonce().to_owned(),
        });
        true
    }

    pub(super) fn verifies(&self, message: &Message<'_>) -> bool {
        self.challenge
            .as_ref()
            .is_some_and(|known| message.validate_integrity_with_key(&known.key).is_ok())
    }

    fn sign(&self, writer: Writer) -> Writer {
        let Some(known) = &self.challenge else {
            let software = Software::new(stun::SOFTWARE).ok();
            return writer
                .add_some(software.as_ref().map(|software| -> &dyn AttributeWrite { software }));
        };
        let username = Username::new(&self.credentials.username).ok();
        let realm = Realm::new(&known.realm).ok();
        let nonce = Nonce::new(&known.nonce).ok();
        writer
            .add_some(username.as_ref().map(|username| -> &dyn AttributeWrite { username }))
            .add_some(realm.as_ref().map(|realm| -> &dyn AttributeWrite { realm }))
            .add_some(nonce.as_ref().map(|nonce| -> &dyn AttributeWrite { nonce }))
            .sign(Some(&known.key))
    }
}

/// Writes a request; without its channel, a binding is a permission.
pub(super) fn write(
    id: TransactionId,
    (purpose, channel): (Purpose, Option<u16>),
    family: Family,
    authentication: &Authentication,
) -> Vec<u8> {
    let request = |method| Writer::new(MessageClass::Request, method, id);
    let writer = match purpose {
        Purpose::Allocate => {
            let writer = request(ALLOCATE).add(&RequestedTransport::new(17));
            match family {
                Family::V4 => writer,
                Family::V6 => writer.add(&RequestedAddressFamily::new(AddressFamily::IPV6)),
            }
        }
        Purpose::Refresh => request(REFRESH),
        Purpose::End => request(REFRESH).add(&Lifetime::new(0)),
        Purpose::Permit(peer) | Purpose::Bind(peer) => match channel {
            Some(channel) => request(CHANNEL_BIND).add(&ChannelNumber::new(channel)),
            None => request(CREATE_PERMISSION),
        }
        .add(&XorPeerAddress::new(peer, id)),
    };
    authentication.sign(writer).finish()
}

#[derive(Debug)]
struct Transaction {
    what: (Purpose, u8),
    bytes: Vec<u8>,
    sent: u32,
    due: Timestamp,
}

/// The requests without an answer.
#[derive(Debug)]
pub(super) struct Transactions {
    sends: u32,
    pending: BTreeMap<TransactionId, Transaction>,
}

impl Transactions {
    pub(super) fn new(transport: Transport) -> Self {
        let sends = if transport.is_stream() { 1 } else { SENDS };
        Self { sends, pending: BTreeMap::new() }
    }

    /// A request goes out for the first time.
    pub(super) fn start(
        &mut self,
        now: Timestamp,
        id: TransactionId,
        what: (Purpose, u8),
        bytes: Vec<u8>,
    ) {
        let wait = if self.sends == 1 { STREAM_WAIT } else { RTO };
        self.pending.insert(id, Transaction { what, bytes, sent: 1, due: now + wait });
    }

    pub(super) fn get(&self, id: TransactionId) -> Option<(Purpose, u8)> {
        self.pending.get(&id).map(|transaction| transaction.what)
    }

    pub(super) fn remove(&mut self, id: TransactionId) {
        self.pending.remove(&id);
    }

    pub(super) fn clear(&mut self) {
        self.pending.clear();
    }

    /// Returns what has to be sent again.
    pub(super) fn repeat(&mut self, now: Timestamp) -> Vec<Vec<u8>> {
        let sends = self.sends;
        let due = self.pending.values_mut().filter(|one| one.due <= now && one.sent < sends);
        due.map(|transaction| {
            let wait = RTO.saturating_mul(1_u32.wrapping_shl(transaction.sent));
            transaction.sent = transaction.sent.saturating_add(1);
            let is_last = transaction.sent == sends;
            transaction.due = now + if is_last { LAST_WAIT } else { wait };
            transaction.bytes.clone()
        })
        .collect()
    }

    /// Returns a request that nobody answers.
    pub(super) fn give_up(&mut self, now: Timestamp) -> Option<Purpose> {
        let (id, purpose) = self
            .pending
            .iter()
            .find(|(_, one)| one.due <= now && one.sent >= self.sends)
            .map(|(id, one)| (*id, one.what.0))?;
        self.pending.remove(&id);
        Some(purpose)
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.pending.values().map(|transaction| transaction.due).min()
    }
}
