//! Asks all URLs of the relays at once: a peer connection with nobody at its other end, which
//! gathers relayed candidates and tells which came. What follows from it is `model::relay`'s.

use js_sys::{Object, Reflect};
use openstudio_session::wire::IceConfig;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{RtcPeerConnection, RtcPeerConnectionIceEvent};

use crate::driver::event::{Port, Report};
use crate::driver::externs::ImplicitPeerConnection;
use crate::driver::listener::Listener;
use crate::driver::peer_connection::configuration;
use crate::driver::stats;

/// A probe under way. Dropping it gives its allocations back.
#[derive(Debug)]
pub(crate) struct Probe {
    native: ImplicitPeerConnection,
    listener: Option<Listener>,
}

impl Probe {
    /// Begins to ask.
    pub(crate) fn begin(port: &Port, number: u32, named: &IceConfig) -> Result<Self, JsValue> {
        let relays = IceConfig { stun: Vec::new(), turn: named.turn.clone() };
        let configuration = configuration(&relays, true);
        let native: ImplicitPeerConnection =
            RtcPeerConnection::new_with_configuration(&configuration)?.unchecked_into();
        let (reports, asked) = (port.clone(), native.clone());
        let listener =
            Listener::new(&native, "icecandidate", move |event: RtcPeerConnectionIceEvent| {
                let Some((url, protocol)) = answer(&event) else {
                    return reports.report(Report::RelaysGathered { probe: number });
                };
                if url.is_none() && protocol.is_none() {
                    return ask(reports.clone(), number, &asked);
                }
                reports.report(Report::RelayAnswered { probe: number, url, protocol });
            });
        let probe = Self { native, listener: Some(listener) };
        // Without something to carry nothing is gathered.
        drop(probe.native.create_data_channel("probe"));
        let offer = probe.native.set_local_description_implicit()?;
        spawn_local(async move {
            // Fails only on a connection that is closed meanwhile.
            drop(JsFuture::from(offer).await);
        });
        Ok(probe)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.listener = None;
        self.native.close();
    }
}

/// Reports what the statistics know, for browsers whose candidates do not say how they came.
fn ask(port: Port, probe: u32, native: &ImplicitPeerConnection) {
    let promise = native.get_stats();
    spawn_local(async move {
        let read = JsFuture::from(promise).await;
        let mut protocols = match read {
            Ok(report) => stats::relay_protocols(&report.unchecked_into()),
            Err(_) => Vec::new(),
        };
        if protocols.is_empty() {
            protocols.push(None);
        }
        for protocol in protocols {
            port.report(Report::RelayAnswered { probe, url: None, protocol });
        }
    });
}

/// By which URL and which protocol a candidate came, as far as it says; none at the end of all.
fn answer(event: &RtcPeerConnectionIceEvent) -> Option<(Option<String>, Option<String>)> {
    let candidate = event.candidate().filter(|candidate| !candidate.candidate().is_empty())?;
    let text = |object: &Object, key: &str| {
        Reflect::get(object, &key.into()).ok().and_then(|value| value.as_string())
    };
    let url = text(&candidate, "url").or_else(|| text(event, "url"));
    Some((url, text(&candidate, "relayProtocol")))
}
