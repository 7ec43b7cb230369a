//! One allocation: its relay, whom it may speak with, its channels.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use openstudio_units::Timestamp;
use stun_types::message::{IntegrityKey, TransactionId};

use super::auth::Request;
use super::{Client, Family};

/// How long a permission is good (RFC 8656 §9).
const PERMISSION: Duration = Duration::from_secs(300);

/// How long a channel is good (RFC 8656 §12).
const CHANNEL: Duration = Duration::from_secs(600);

/// The relay's socket.
#[derive(Debug)]
pub(super) enum Relay {
    /// The driver was asked for it.
    Opening { lifetime: Duration },
    /// It is there.
    Open { address: SocketAddr, expires: Timestamp, answer: Vec<u8> },
}

#[derive(Debug)]
struct Channel {
    peer: SocketAddr,
    expires: Timestamp,
}

/// Why a channel cannot be bound.
pub(super) enum BindError {
    /// The channel is another peer's, or the peer has another channel.
    Taken,
    /// There are too many.
    Full,
}

#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) client: Client,
    /// Of the Allocate request.
    pub(super) transaction: TransactionId,
    /// Bytes of that request.
    pub(super) asked: usize,
    pub(super) username: String,
    pub(super) key: IntegrityKey,
    pub(super) family: Family,
    pub(super) relay: Relay,
    /// When its client was last heard.
    pub(super) heard: Timestamp,
    permissions: BTreeMap<IpAddr, Timestamp>,
    channels: BTreeMap<u16, Channel>,
    /// Which channel is a peer's.
    numbers: BTreeMap<SocketAddr, u16>,
}

impl Allocation {
    pub(super) fn new(
        now: Timestamp,
        request: &Request<'_>,
        family: Family,
        lifetime: Duration,
    ) -> Self {
        Self {
            client: request.client,
            transaction: request.message.transaction_id(),
            asked: request.len(),
            username: request.username.clone(),
            key: request.key.clone(),
            family,
            relay: Relay::Opening { lifetime },
            heard: now,
            permissions: BTreeMap::new(),
            channels: BTreeMap::new(),
            numbers: BTreeMap::new(),
        }
    }

    /// The user behind the user name, whose quota counts.
    pub(super) fn user(&self) -> &str {
        crate::secret::parse_username(&self.username).map_or("", |(_, user)| user)
    }

    pub(super) fn expires(&self) -> Option<Timestamp> {
        match self.relay {
            Relay::Opening { .. } => None,
            Relay::Open { expires, .. } => Some(expires),
        }
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self.relay {
            Relay::Opening { .. } => None,
            Relay::Open { address, .. } => Some(address),
        }
    }

    /// Permits all of `peers`, or none if that were more than `limit`.
    pub(super) fn permit(&mut self, now: Timestamp, peers: &[SocketAddr], limit: usize) -> bool {
        self.permissions.retain(|_, expires| *expires > now);
        let mut new: Vec<IpAddr> = peers.iter().map(SocketAddr::ip).collect();
        new.sort_unstable();
        new.dedup();
        let added = new.iter().filter(|ip| !self.permissions.contains_key(ip)).count();
        if self.permissions.len().saturating_add(added) > limit {
            return false;
        }
        self.permissions.extend(new.into_iter().map(|ip| (ip, now + PERMISSION)));
        true
    }

    pub(super) fn permits(&self, now: Timestamp, peer: IpAddr) -> bool {
        self.permissions.get(&peer).is_some_and(|expires| *expires > now)
    }

    /// Binds or refreshes a channel, and permits its peer.
    pub(super) fn bind(
        &mut self,
        now: Timestamp,
        (channel, peer): (u16, SocketAddr),
        limit: usize,
    ) -> Result<(), BindError> {
        self.channels.retain(|_, channel| channel.expires > now);
        self.numbers.retain(|_, number| self.channels.contains_key(number));
        let taken = self.channels.get(&channel).is_some_and(|bound| bound.peer != peer)
            || self.numbers.get(&peer).is_some_and(|number| *number != channel);
        if taken {
            return Err(BindError::Taken);
        }
        let is_new = !self.channels.contains_key(&channel);
        if (is_new && self.channels.len() >= limit) || !self.permit(now, &[peer], limit) {
            return Err(BindError::Full);
        }
        self.channels.insert(channel, Channel { peer, expires: now + CHANNEL });
        self.numbers.insert(peer, channel);
        Ok(())
    }

    pub(super) fn peer_of(&self, now: Timestamp, channel: u16) -> Option<SocketAddr> {
        let channel = self.channels.get(&channel)?;
        (channel.expires > now).then_some(channel.peer)
    }

    pub(super) fn channel_of(&self, now: Timestamp, peer: SocketAddr) -> Option<u16> {
        let number = *self.numbers.get(&peer)?;
        (self.peer_of(now, number)? == peer).then_some(number)
    }
}
