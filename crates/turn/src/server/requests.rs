//! Allocate, Refresh, CreatePermission, ChannelBind (RFC 8656 §7 to §12).

use std::net::SocketAddr;
use std::time::Duration;

use openstudio_units::Timestamp;
use stun_types::AddressFamily;
use stun_types::attribute::{
    AttributeStaticType as _, AttributeType, Fingerprint, MessageIntegrity, MessageIntegritySha256,
    Nonce, Realm, Username, XorMappedAddress,
};
use stun_types::message::MessageClass;
use turn_types::attribute::{
    ChannelNumber, Lifetime, RequestedAddressFamily, RequestedTransport, XorPeerAddress,
    XorRelayedAddress,
};
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH};

use super::allocation::{Allocation, BindError, Relay};
use super::auth::{Request, with_error};
use super::{Family, RelayId, TurnServer};
use crate::secret::parse_username;
use crate::stun::{self, Writer, attribute};

/// How long an allocation lives where nothing is asked for, and how long at most.
const LIFETIME: (u32, u32) = (600, 3600);

/// UDP, the only transport to peers.
const UDP: u8 = 17;

/// Channels that may be bound (RFC 8656 §12).
const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x4FFF;

/// What all requests may have.
const COMMON: [AttributeType; 6] = [
    Username::TYPE,
    Realm::TYPE,
    Nonce::TYPE,
    MessageIntegrity::TYPE,
    MessageIntegritySha256::TYPE,
    Fingerprint::TYPE,
];

impl TurnServer {
    pub(super) fn handle_request(&mut self, now: Timestamp, request: &Request<'_>) {
        let own: &[AttributeType] = match request.method() {
            ALLOCATE => &[RequestedTransport::TYPE, Lifetime::TYPE, RequestedAddressFamily::TYPE],
            REFRESH => &[Lifetime::TYPE, RequestedAddressFamily::TYPE],
            CREATE_PERMISSION => &[XorPeerAddress::TYPE],
            _ => &[XorPeerAddress::TYPE, ChannelNumber::TYPE],
        };
        let known: Vec<_> = own.iter().chain(&COMMON).copied().collect();
        let unknown = stun::unknown(request.message, &known);
        if !unknown.is_empty() {
            return self.refuse_unknown(now, request, &unknown);
        }
        let outcome = match request.method() {
            ALLOCATE => self.allocate(now, request),
            REFRESH => self.refresh(now, request),
            CREATE_PERMISSION => self.create_permission(now, request),
            CHANNEL_BIND => self.bind_channel(now, request),
            _ => Ok(()),
        };
        if let Err(code) = outcome {
            self.refuse(now, request, code);
        }
    }

    fn allocate(&mut self, now: Timestamp, request: &Request<'_>) -> Result<(), u16> {
        if let Some(id) = self.clients.get(&request.client) {
            return self.allocate_again(now, *id, request);
        }
        let expired = parse_username(&request.username)
            .is_none_or(|(expiry, _)| expiry <= self.unix_seconds(now));
        if expired {
            let writer = with_error(request.writer(MessageClass::Error), 401);
            let writer = self.challenge(now, request.client, writer);
            self.counts.refused.count(401);
            self.answer(now, request, writer);
            return Ok(());
        }
        match attribute::<RequestedTransport>(request.message) {
            None => return Err(400),
            Some(transport) if transport.protocol() != UDP => return Err(442),
            Some(_) => {}
        }
        let family = requested_family(request)?.unwrap_or(Family::V4);
        let (v4, v6) = self.config.families;
        let is_there = match family {
            Family::V4 => v4,
            Family::V6 => v6,
        };
        if !is_there {
            return Err(440);
        }
        let user = parse_username(&request.username).map_or("", |(_, user)| user);
        if !self.make_room(now, user) {
            return Err(486);
        }
        if self.allocations.len() >= self.config.allocations {
            return Err(508);
        }
        let lifetime = Duration::from_secs(lifetime(request).into());
        self.insert(Allocation::new(now, request, family, lifetime));
        Ok(())
    }

    /// The client has an allocation: this is the same request again, or a mistake.
    fn allocate_again(
        &mut self,
        now: Timestamp,
        id: RelayId,
        request: &Request<'_>,
    ) -> Result<(), u16> {
        let allocation = self.allocations.get(&id).ok_or(437_u16)?;
        let same = allocation.transaction == request.message.transaction_id()
            && allocation.username == request.username
            && !request.client.transport.is_stream();
        match &allocation.relay {
            Relay::Open { answer, .. } if same => {
                let answer = answer.clone();
                self.send_signed(now, request.client, request.len(), answer);
                Ok(())
            }
            // The answer comes when the socket is there.
            Relay::Opening { .. } if same => Ok(()),
            Relay::Open { .. } | Relay::Opening { .. } => Err(437),
        }
    }

    fn refresh(&mut self, now: Timestamp, request: &Request<'_>) -> Result<(), u16> {
        let id = self.allocation_of(now, request)?;
        let family = requested_family(request)?;
        if family.is_some() && family != self.allocations.get(&id).map(|found| found.family) {
            return Err(443);
        }
        let seconds = match attribute::<Lifetime>(request.message) {
            Some(asked) if asked.seconds() == 0 => 0,
            Some(_) | None => lifetime(request),
        };
        if seconds == 0 {
            self.remove(id);
        } else {
            self.prolong(now, id, Duration::from_secs(seconds.into()));
        }
        let writer = request.writer(MessageClass::Success).add(&Lifetime::new(seconds));
        self.answer(now, request, writer);
        Ok(())
    }

    fn create_permission(&mut self, now: Timestamp, request: &Request<'_>) -> Result<(), u16> {
        let id = self.allocation_of(now, request)?;
        let peers =
            stun::peers(request.message).filter(|peers| !peers.is_empty()).ok_or(400_u16)?;
        for peer in &peers {
            self.check_peer(id, *peer)?;
        }
        let limit = self.config.peers;
        let allocation = self.allocations.get_mut(&id).ok_or(437_u16)?;
        if !allocation.permit(now, &peers, limit) {
            return Err(508);
        }
        self.answer(now, request, request.writer(MessageClass::Success));
        Ok(())
    }

    fn bind_channel(&mut self, now: Timestamp, request: &Request<'_>) -> Result<(), u16> {
        let id = self.allocation_of(now, request)?;
        let channel = attribute::<ChannelNumber>(request.message).ok_or(400_u16)?.channel();
        let peers = stun::peers(request.message).ok_or(400_u16)?;
        let [peer] = peers[..] else { return Err(400) };
        if !CHANNELS.contains(&channel) || peer.port() == 0 {
            return Err(400);
        }
        self.check_peer(id, peer)?;
        let limit = self.config.peers;
        let allocation = self.allocations.get_mut(&id).ok_or(437_u16)?;
        match allocation.bind(now, (channel, peer), limit) {
            Ok(()) => {}
            Err(BindError::Taken) => return Err(400),
            Err(BindError::Full) => return Err(508),
        }
        self.answer(now, request, request.writer(MessageClass::Success));
        Ok(())
    }

    /// The open allocation that a request is about, which must be the sender's.
    fn allocation_of(&mut self, now: Timestamp, request: &Request<'_>) -> Result<RelayId, u16> {
        let id = *self.clients.get(&request.client).ok_or(437_u16)?;
        let allocation = self.allocations.get_mut(&id).ok_or(437_u16)?;
        allocation.heard = now;
        match allocation.expires() {
            Some(expires) if expires > now => {}
            Some(_) | None => return Err(437),
        }
        if allocation.username == request.username { Ok(id) } else { Err(441) }
    }

    /// Whether an allocation may have to do with a peer.
    fn check_peer(&self, id: RelayId, peer: SocketAddr) -> Result<(), u16> {
        let family = self.allocations.get(&id).ok_or(437_u16)?.family;
        if family != Family::of(peer.ip()) {
            return Err(443);
        }
        if self.relayed.contains_key(&peer) || self.config.policy.allows(peer.ip()) {
            Ok(())
        } else {
            Err(403)
        }
    }

    fn unix_seconds(&self, now: Timestamp) -> u64 {
        self.config.zero_unix_seconds.saturating_add(now.as_millis().div_euclid(1000))
    }
}

/// The family that a request names.
fn requested_family(request: &Request<'_>) -> Result<Option<Family>, u16> {
    if !request.message.has_attribute(RequestedAddressFamily::TYPE) {
        return Ok(None);
    }
    let family = attribute::<RequestedAddressFamily>(request.message).ok_or(440_u16)?;
    Ok(Some(match family.family() {
        AddressFamily::IPV4 => Family::V4,
        AddressFamily::IPV6 => Family::V6,
    }))
}

/// The lifetime that a request gets, seconds.
fn lifetime(request: &Request<'_>) -> u32 {
    let (default, most) = LIFETIME;
    attribute::<Lifetime>(request.message)
        .map_or(default, |asked| asked.seconds().clamp(default, most))
}

/// The answer to an Allocate request whose relay is there.
pub(super) fn allocated(
    allocation: &Allocation,
    address: SocketAddr,
    lifetime: Duration,
) -> Vec<u8> {
    let transaction = allocation.transaction;
    let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
    Writer::new(MessageClass::Success, ALLOCATE, transaction)
        .add(&XorRelayedAddress::new(address, transaction))
        .add(&Lifetime::new(seconds))
        .add(&XorMappedAddress::new(allocation.client.address, transaction))
        .sign(Some(&allocation.key))
        .finish()
}

/// The answer to an Allocate request for which there is no socket.
pub(super) fn not_opened(allocation: &Allocation) -> Vec<u8> {
    let writer = Writer::new(MessageClass::Error, ALLOCATE, allocation.transaction);
    with_error(writer, 508).sign(Some(&allocation.key)).finish()
}
