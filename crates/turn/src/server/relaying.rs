//! Packets between clients and peers (RFC 8656 §11, §12.4 to §12.6).

use std::net::SocketAddr;

use openstudio_units::{Rng, Timestamp};
use stun_types::attribute::{AttributeStaticType as _, Fingerprint};
use stun_types::message::Message;
use turn_types::attribute::{Data, XorPeerAddress};
use turn_types::message::DATA;

use super::allocation::Allocation;
use super::{Client, Family, Output, RelayId, TurnServer};
use crate::stun::{self, attribute};

impl TurnServer {
    pub(super) fn handle_send(&mut self, now: Timestamp, client: Client, message: &Message<'_>) {
        let known = [XorPeerAddress::TYPE, Data::TYPE, Fingerprint::TYPE];
        let raw = message.raw_attribute(Data::TYPE);
        let peer =
            attribute::<XorPeerAddress>(message).map(|peer| peer.addr(message.transaction_id()));
        let (Some(raw), Some(peer), true) = (raw, peer, stun::unknown(message, &known).is_empty())
        else {
            return self.drop_packet();
        };
        self.send(now, client, peer, &raw.value);
    }

    pub(super) fn handle_channel_data(&mut self, now: Timestamp, client: Client, bytes: &[u8]) {
        let Some((channel, data)) = stun::parse_channel_data(bytes) else {
            return self.drop_packet();
        };
        let peer = self
            .open_allocation(now, client)
            .and_then(|(_, allocation)| allocation.peer_of(now, channel));
        match peer {
            Some(peer) => self.send(now, client, peer, data),
            None => self.drop_packet(),
        }
    }

    /// A packet came from a peer to a relay. IPv4 addresses must not be written as IPv6.
    pub fn relayed(&mut self, now: Timestamp, id: RelayId, peer: SocketAddr, bytes: &[u8]) {
        let transactions = &mut self.transactions;
        let wrapped = self.allocations.get(&id).and_then(|allocation| {
            let is_open = allocation.expires().is_some_and(|expires| expires > now);
            (is_open && allocation.permits(now, peer.ip())).then_some(())?;
            let bytes = wrap(now, allocation, (peer, bytes), transactions)?;
            Some((allocation.client, bytes))
        });
        match wrapped {
            Some((client, wrapped)) => {
                self.counts.came_in(bytes.len());
                self.outputs.push_back(Output::Reply { client, bytes: wrapped });
            }
            None => self.drop_packet(),
        }
    }

    /// Sends a packet from a client's relay, if it may.
    fn send(&mut self, now: Timestamp, client: Client, peer: SocketAddr, bytes: &[u8]) {
        let permitted = self.open_allocation(now, client).and_then(|(id, allocation)| {
            let fits = Family::of(peer.ip()) == allocation.family && peer.port() != 0;
            let permitted = fits && allocation.permits(now, peer.ip());
            permitted.then_some((id, allocation.address()?))
        });
        let Some((id, from)) = permitted else { return self.drop_packet() };
        if let Some(other) = self.relayed.get(&peer).copied() {
            // From relay to relay nothing has to leave, so the policy has no say; and it works
            // where the public address cannot be reached from inside.
            self.counts.went_out(bytes.len());
            return self.relayed(now, other, from, bytes);
        }
        // The permission may be of a time when the peer was a relay of ours.
        if !self.config.policy.allows(peer.ip()) {
            return self.drop_packet();
        }
        self.counts.went_out(bytes.len());
        self.outputs.push_back(Output::SendFromRelay { id, peer, bytes: bytes.to_vec() });
    }

    /// The open allocation of a client that sent something.
    fn open_allocation(
        &mut self,
        now: Timestamp,
        client: Client,
    ) -> Option<(RelayId, &Allocation)> {
        let id = *self.clients.get(&client)?;
        let allocation = self.allocations.get_mut(&id)?;
        allocation.heard = now;
        allocation.expires().is_some_and(|expires| expires > now).then_some((id, allocation))
    }
}

/// Makes of a peer's packet what its client understands.
fn wrap(
    now: Timestamp,
    allocation: &Allocation,
    (peer, bytes): (SocketAddr, &[u8]),
    transactions: &mut Rng,
) -> Option<Vec<u8>> {
    /// What a message can carry beside its address.
    const MOST: usize = 65_000;
    if bytes.len() > MOST {
        return None;
    }
    match allocation.channel_of(now, peer) {
        Some(channel) => {
            stun::channel_data(channel, bytes, allocation.client.transport.is_stream())
        }
        None => Some(stun::indication(DATA, stun::draw(transactions), peer, bytes)),
    }
}
