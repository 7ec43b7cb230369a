//! What a server did, for metrics.

/// What happened since the start, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Allocations that were opened.
    pub opened: u64,
    /// Packets from clients to peers. One from relay to relay is counted here and below.
    pub packets_out: u64,
    /// Their payload, bytes.
    pub bytes_out: u64,
    /// Packets from peers to clients.
    pub packets_in: u64,
    /// Their payload, bytes.
    pub bytes_in: u64,
    /// Packets that were dropped: no permission, no allocation, refused by the policy.
    pub dropped: u64,
    /// Messages of strangers that got no answer at once, for the limits' sake.
    pub limited: u64,
    /// Requests that were refused.
    pub refused: Refused,
}

impl Counts {
    pub(super) fn went_out(&mut self, bytes: usize) {
        self.packets_out = self.packets_out.saturating_add(1);
        self.bytes_out = self.bytes_out.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    pub(super) fn came_in(&mut self, bytes: usize) {
        self.packets_in = self.packets_in.saturating_add(1);
        self.bytes_in = self.bytes_in.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

/// Requests that were refused, by the reason. Challenges are none: every client gets one first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused {
    /// Wrong or expired credentials (401).
    pub credentials: u64,
    /// Peers that the policy does not allow (403).
    pub peer: u64,
    /// Too many allocations, permissions or channels, or no port (486, 508).
    pub quota: u64,
    /// Requests that are wrong or come at the wrong time (400, 420, 437, 440 to 443).
    pub request: u64,
}

impl Refused {
    pub(super) fn count(&mut self, code: u16) {
        let count = match code {
            401 => &mut self.credentials,
            403 => &mut self.peer,
            486 | 508 => &mut self.quota,
            _ => &mut self.request,
        };
        *count = count.saturating_add(1);
    }
}
