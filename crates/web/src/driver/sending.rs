//! How finely a peer connection sends: the bitrate of Opus, whether it has two channels, and
//! whether with redundancy.
//!
//! The bitrate belongs to this side alone, and so does redundancy, which follows from the order
//! in which this side reads the other's description (see `model::redundancy`). Two channels are agreed on in the descriptions (see
//! `model::opus`), which are spelled out for that; between people who speak
//! `setLocalDescription()` makes them by itself.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Array, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::{
    Event, RtcPeerConnection, RtcRtpTransceiver, RtcRtpTransceiverInit, RtcSdpType,
    RtcSessionDescriptionInit, RtcSignalingState,
};

use crate::audio::let_run;
use crate::driver::externs::{ImplicitPeerConnection, StreamSender};
use crate::driver::listener::Listener;
use crate::model::opus::{self, Stereo};
use crate::model::processing::Processing;
use crate::model::redundancy;

/// What one peer connection is to send, and what it hears.
#[derive(Debug)]
pub(crate) struct Sending {
    native: ImplicitPeerConnection,
    processing: Cell<Processing>,
    /// Whether the other side sends two channels.
    hears_stereo: Cell<bool>,
    /// Whether redundancy is wanted.
    redundant: Cell<bool>,
}

impl Sending {
    /// Makes it for a new peer connection.
    pub(crate) fn new(native: ImplicitPeerConnection, processing: Processing) -> Self {
        Self {
            native,
            processing: Cell::new(processing),
            hears_stereo: Cell::new(false),
            redundant: Cell::new(false),
        }
    }

    /// Brings the bitrate to the sender whenever a round is over. In the middle of one,
    /// `setParameters()` would stand in the way of descriptions.
    pub(crate) fn follow(self: &Rc<Self>) -> Listener {
        let sending = Rc::clone(self);
        Listener::new(&self.native, "signalingstatechange", move |_: Event| sending.apply())
    }

    /// Sends for another purpose; returns whether that takes a round of negotiation.
    pub(crate) fn set_processing(&self, processing: Processing) -> bool {
        let before = self.processing.replace(processing);
        self.apply();
        before.is_stereo() != processing.is_stereo() && self.native.local_description().is_some()
    }

    /// Sends with redundancy or without; returns whether that takes a round of negotiation.
    pub(crate) fn set_redundant(&self, redundant: bool) -> bool {
        let changed = self.redundant.replace(redundant) != redundant;
        let theirs = self.native.remote_description();
        changed && theirs.is_some_and(|theirs| redundancy::is_offered(&theirs.sdp()))
    }

    /// Returns the other side's description as this side reads it.
    pub(crate) fn read(&self, sdp: &str) -> String {
        redundancy::ordered(sdp, self.redundant.get())
    }

    /// The other side's description was applied; returns whether two channels come that this
    /// side has not said it wants.
    pub(crate) fn hear(&self, stereo: bool) -> bool {
        self.hears_stereo.set(stereo);
        let said = self.native.local_description();
        stereo && !said.is_some_and(|said| opus::stereo_of(&said.sdp()).receives)
    }

    /// `setLocalDescription()`, with two channels in it where there are any.
    pub(crate) fn set_local_description(&self) -> Result<Promise, JsValue> {
        let sends = self.processing.get().is_stereo();
        let stereo = Stereo { sends, receives: self.hears_stereo.get() };
        if stereo == Stereo::default() {
            return self.native.set_local_description_implicit();
        }
        let native = self.native.clone();
        Ok(future_to_promise(async move {
            if spell_out(&native, stereo).await.is_ok() {
                return Ok(JsValue::UNDEFINED);
            }
            // One channel is better than no connection.
            JsFuture::from(native.set_local_description_implicit()?).await
        }))
    }

    fn apply(&self) {
        if self.native.signaling_state() != RtcSignalingState::Stable {
            return;
        }
        for transceiver in audio_transceivers(&self.native) {
            let sender: StreamSender = transceiver.sender().unchecked_into();
            set_bitrate(&sender, self.processing.get().max_bitrate());
        }
    }
}

/// The audio transceivers: a client of another kind may offer more than that.
pub(crate) fn audio_transceivers(
    native: &RtcPeerConnection,
) -> impl Iterator<Item = RtcRtpTransceiver> {
    native
        .get_transceivers()
        .into_iter()
        .map(JsCast::unchecked_into::<RtcRtpTransceiver>)
        .filter(|transceiver| transceiver.receiver().track().kind() == "audio")
}

/// `createOffer()` or `createAnswer()`, then `setLocalDescription(…)`: the same as the
/// parameterless call (webrtc-pc §4.4.2), with other parameters of Opus.
async fn spell_out(native: &ImplicitPeerConnection, stereo: Stereo) -> Result<(), JsValue> {
    let answers = native.signaling_state() == RtcSignalingState::HaveRemoteOffer;
    let made = if answers { native.create_answer() } else { native.create_offer() };
    let made = JsFuture::from(made).await?;
    let sdp = Reflect::get(&made, &"sdp".into())?.as_string().unwrap_or_default();
    let kind = if answers { RtcSdpType::Answer } else { RtcSdpType::Offer };
    let description = RtcSessionDescriptionInit::new(kind);
    description.set_sdp(&opus::with_stereo(&sdp, stereo));
    JsFuture::from(native.set_local_description(&description)).await?;
    Ok(())
}

/// Makes a transceiver begin with the right bitrate.
pub(crate) fn limit(init: &RtcRtpTransceiverInit, processing: Processing) {
    let encoding = Object::new();
    // Setting a property of a plain object cannot fail.
    drop(Reflect::set(&encoding, &"maxBitrate".into(), &processing.max_bitrate().into()));
    drop(Reflect::set(init, &"sendEncodings".into(), &Array::of1(&encoding)));
}

fn set_bitrate(sender: &StreamSender, bitrate: u32) {
    let parameters = sender.parameters();
    let encoding = Reflect::get(&parameters, &"encodings".into())
        .map(|encodings| Array::from(&encodings).get(0))
        .unwrap_or_default();
    let before = Reflect::get(&encoding, &"maxBitrate".into()).ok();
    // A sender that is not negotiated yet has no encoding to change.
    if !encoding.is_object() || before.and_then(|b| b.as_f64()) == Some(f64::from(bitrate)) {
        return;
    }
    drop(Reflect::set(&encoding, &"maxBitrate".into(), &bitrate.into()));
    let_run(sender.set_parameters(&parameters));
}
