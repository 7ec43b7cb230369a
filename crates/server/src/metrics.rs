//! What `/metrics` says, in the text format of Prometheus.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use openstudio_room::Stats;

use crate::hub::Counts;

/// The version of the format.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4";

/// Writes all of it: what the hub reports, and the relay if there is one.
pub(crate) fn text(
    (stats, counts, uptime): (Stats, Counts, Duration),
    relay: Option<([usize; 3], openstudio_turn::Counts)>,
) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut page = Page::default();
    page.gauge("openstudio_rooms", stats.rooms);
    page.gauge("openstudio_peers", stats.peers);
    page.gauge("openstudio_sockets", stats.connections);
    page.family(
        "gauge",
        "openstudio_start_time_seconds",
        &[("", now.saturating_sub(uptime).as_secs())],
    );
    page.counter("openstudio_sockets_opened_total", counts.sockets_opened);
    page.counter("openstudio_messages_received_total", counts.messages_in);
    page.counter("openstudio_messages_sent_total", counts.messages_out);
    page.counter("openstudio_messages_refused_total", counts.refused);
    page.counter("openstudio_rooms_opened_total", counts.rooms_opened);
    if let Some((allocations, counts)) = relay {
        page.relay(allocations, &counts);
    }
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn gauge(&mut self, name: &str, value: usize) {
        self.family("gauge", name, &[("", number(value))]);
    }

    fn counter(&mut self, name: &str, value: u64) {
        self.family("counter", name, &[("", value)]);
    }

    /// One metric, and its values by their labels.
    fn family(&mut self, kind: &str, name: &str, values: &[(&str, u64)]) {
        // Writing into a text does not fail.
        let _ = writeln!(self.0, "# TYPE {name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }

    fn relay(&mut self, [udp, tcp, tls]: [usize; 3], counts: &openstudio_turn::Counts) {
        self.family(
            "gauge",
            "openstudio_relay_allocations",
            &[
                (r#"{transport="udp"}"#, number(udp)),
                (r#"{transport="tcp"}"#, number(tcp)),
                (r#"{transport="tls"}"#, number(tls)),
            ],
        );
        self.counter("openstudio_relay_allocations_opened_total", counts.opened);
        let ways = [r#"{direction="to_peer"}"#, r#"{direction="to_client"}"#];
        let [out, back] = ways;
        let packets = [(out, counts.packets_out), (back, counts.packets_in)];
        self.family("counter", "openstudio_relay_packets_total", &packets);
        let bytes = [(out, counts.bytes_out), (back, counts.bytes_in)];
        self.family("counter", "openstudio_relay_bytes_total", &bytes);
        self.counter("openstudio_relay_packets_dropped_total", counts.dropped);
        self.family(
            "counter",
            "openstudio_relay_requests_refused_total",
            &[
                (r#"{reason="credentials"}"#, counts.refused.credentials),
                (r#"{reason="peer"}"#, counts.refused.peer),
                (r#"{reason="quota"}"#, counts.refused.quota),
                (r#"{reason="request"}"#, counts.refused.request),
                (r#"{reason="rate"}"#, counts.limited),
            ],
        );
    }
}

fn number(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
