//! Looking at a connection: cheaply by the newest RTP time that was played, and by
//! `getStats` where that says nothing or more is wanted.

use std::time::Duration;

use js_sys::{Array, Promise, Reflect};
use openstudio_session::mesh::{OpError, OpId, PcId, StatsSample};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{RtcRtpReceiver, RtcRtpTransceiver, RtcStatsReport};

use crate::driver::event::{Port, Report};
use crate::driver::externs::SynchronizationSource;
use crate::driver::peer_connection::op_error;

/// What one look at the statistics of a receiver says, and of its sender.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reading {
    packets: f64,
    lost: f64,
    round_trip_s: Option<f64>,
    /// The newest receiver report: when it came, and the loss that it tells.
    reported: Option<(f64, f64)>,
}

/// What is known of a connection's inbound packets.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    /// Rises whenever packets arrived.
    count: u64,
    /// The newest RTP time seen.
    rtp_time: Option<f64>,
    /// Packets at the latest reading; none once packets were seen in another way since,
    /// as a comparison would then count those a second time.
    packets: Option<f64>,
    /// Packets and losses at the latest detailed reading.
    detailed: Option<(f64, f64)>,
    /// When the latest receiver report came that was taken.
    reported_at: Option<f64>,
}

impl Progress {
    /// Looks at the newest RTP time; returns whether packets arrived since the last look.
    pub(crate) fn look(&mut self, receiver: &RtcRtpReceiver) -> bool {
        let newest = receiver
            .get_synchronization_sources()
            .get(0)
            .dyn_into::<js_sys::Object>()
            .ok()
            .map(|source| source.unchecked_into::<SynchronizationSource>().rtp_timestamp());
        let moved = newest.is_some() && newest != self.rtp_time;
        if moved {
            self.rtp_time = newest;
            self.packets = None;
            self.count += 1;
        }
        moved
    }

    /// Returns the sample of a look that found packets.
    pub(crate) fn sample(&self) -> StatsSample {
        StatsSample { inbound_progress: self.count, ..StatsSample::default() }
    }

    /// Returns the sample of a reading.
    pub(crate) fn take(&mut self, reading: Reading, detailed: bool) -> StatsSample {
        if self.packets.is_some_and(|packets| reading.packets > packets) {
            self.count += 1;
        }
        self.packets = Some(reading.packets);
        let mut sample = self.sample();
        if detailed {
            sample.round_trip =
                reading.round_trip_s.and_then(|s| Duration::try_from_secs_f64(s).ok());
            sample.inbound_loss = self.detailed.and_then(|before| loss(before, reading));
            self.detailed = Some((reading.packets, reading.lost));
            let report = reading.reported.filter(|(at, _)| self.reported_at != Some(*at));
            self.reported_at = report.map(|(at, _)| at).or(self.reported_at);
            sample.outbound_loss = report.map(|(_, loss)| loss);
        }
        sample
    }
}

fn loss((packets, lost): (f64, f64), now: Reading) -> Option<f64> {
    let arrived = (now.packets - packets).max(0.0);
    let missing = (now.lost - lost).max(0.0);
    let expected = arrived + missing;
    (expected > 0.0).then(|| missing / expected)
}

/// Reads the statistics of a receiver, and those of the sender if more is wanted, and reports
/// them.
pub(crate) fn read(
    port: Port,
    (op, pc): (OpId, PcId),
    transceiver: &RtcRtpTransceiver,
    detailed: bool,
) {
    let promises = Array::of1(&transceiver.receiver().get_stats());
    if detailed {
        promises.push(&transceiver.sender().get_stats());
    }
    spawn_local(async move {
        let reading = match JsFuture::from(Promise::all(&promises)).await {
            Ok(reports) => Ok(parse(&Array::from(&reports))),
            Err(error) => Err(op_error(&error)),
        };
        port.report(Report::StatsRead { op, pc, reading, detailed });
    });
}

/// Reports that there is nothing to read yet.
pub(crate) fn nothing(port: &Port, op: OpId, pc: PcId, detailed: bool) {
    let reading = Ok::<_, OpError>(Reading::default());
    port.report(Report::StatsRead { op, pc, reading, detailed });
}

fn parse(reports: &Array) -> Reading {
    let mut reading = Reading::default();
    let mut selected = None;
    let mut nominated = None;
    let reports: Vec<RtcStatsReport> = reports.iter().map(JsCast::unchecked_into).collect();
    for entry in reports.iter().flat_map(|report| report.values().into_iter().flatten()) {
        match text(&entry, "type").as_deref() {
            Some("inbound-rtp") => {
                reading.packets += number(&entry, "packetsReceived").unwrap_or(0.0);
                reading.lost += number(&entry, "packetsLost").unwrap_or(0.0);
            }
            Some("remote-inbound-rtp") => {
                reading.reported = number(&entry, "timestamp").zip(number(&entry, "fractionLost"));
            }
            Some("transport") => selected = text(&entry, "selectedCandidatePairId"),
            Some("candidate-pair") if flag(&entry, "nominated") => {
                nominated = number(&entry, "currentRoundTripTime").or(nominated);
            }
            _ => {}
        }
    }
    // Several pairs can be nominated after an ICE restart; the transport knows which counts.
    reading.round_trip_s = selected
        .and_then(|id| reports.iter().find_map(|report| report.get(&id)))
        .and_then(|pair| number(&pair, "currentRoundTripTime"))
        .or(nominated);
    reading
}

/// Returns by which protocols the relayed candidates in a report came, as far as it says.
pub(crate) fn relay_protocols(report: &RtcStatsReport) -> Vec<Option<String>> {
    let entries = report.values().into_iter().flatten();
    let relayed = entries.filter(|entry| {
        text(entry, "type").as_deref() == Some("local-candidate")
            && text(entry, "candidateType").as_deref() == Some("relay")
    });
    relayed.map(|entry| text(&entry, "relayProtocol")).collect()
}

fn field(entry: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(entry, &JsValue::from_str(name)).ok()
}

fn text(entry: &JsValue, name: &str) -> Option<String> {
    field(entry, name)?.as_string()
}

fn number(entry: &JsValue, name: &str) -> Option<f64> {
    field(entry, name)?.as_f64()
}

fn flag(entry: &JsValue, name: &str) -> bool {
    field(entry, name).is_some_and(|value| value.is_truthy())
}
