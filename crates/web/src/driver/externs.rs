//! What `web-sys` has no binding for.

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use web_sys::{MediaStream, RtcPeerConnection, RtcRtpSender};

#[wasm_bindgen]
extern "C" {
    /// `RTCPeerConnection` with its parameterless calls (webrtc-pc §4.4.2).
    #[wasm_bindgen(extends = RtcPeerConnection, extends = web_sys::EventTarget, js_name = RTCPeerConnection)]
    #[derive(Clone, Debug)]
    pub(crate) type ImplicitPeerConnection;

    /// `setLocalDescription()`: an offer or an answer, as the signalling state calls for.
    #[wasm_bindgen(method, catch, js_name = setLocalDescription)]
    pub(crate) fn set_local_description_implicit(
        this: &ImplicitPeerConnection,
    ) -> Result<Promise, JsValue>;

    /// `restartIce()`.
    #[wasm_bindgen(method, catch, js_name = restartIce)]
    pub(crate) fn restart_ice(this: &ImplicitPeerConnection) -> Result<(), JsValue>;

    /// `RTCRtpSender` with `setStreams()`, which a few browsers lack.
    #[wasm_bindgen(extends = RtcRtpSender, js_name = RTCRtpSender)]
    #[derive(Clone, Debug)]
    pub(crate) type StreamSender;

    /// `setStreams(stream)`: names the stream for clients that look at `event.streams`.
    #[wasm_bindgen(method, catch, js_name = setStreams)]
    pub(crate) fn set_streams(this: &StreamSender, stream: &MediaStream) -> Result<(), JsValue>;

    /// `getParameters()`.
    #[wasm_bindgen(method, js_name = getParameters)]
    pub(crate) fn parameters(this: &StreamSender) -> js_sys::Object;

    /// `setParameters(parameters)`, with what `getParameters()` gave, changed.
    #[wasm_bindgen(method, catch, js_name = setParameters)]
    pub(crate) fn set_parameters(
        this: &StreamSender,
        parameters: &js_sys::Object,
    ) -> Result<Promise, JsValue>;

    /// An `AudioContext` that plays where it is told, or a media element: few browsers have
    /// either.
    #[derive(Clone, Debug)]
    pub(crate) type Sink;

    /// `setSinkId(id)`.
    #[wasm_bindgen(method, catch, js_name = setSinkId)]
    pub(crate) fn set_sink_id(this: &Sink, id: &str) -> Result<Promise, JsValue>;

    /// `RTCRtpSynchronizationSource`, as far as it is read.
    #[derive(Clone, Debug)]
    pub(crate) type SynchronizationSource;

    /// The RTP time of the newest packet that was played.
    #[wasm_bindgen(method, getter, js_name = rtpTimestamp)]
    pub(crate) fn rtp_timestamp(this: &SynchronizationSource) -> f64;

    /// `MediaStreamTrack`'s owner of devices, absent on pages that are not secure.
    #[wasm_bindgen(js_name = Navigator)]
    #[derive(Clone, Debug)]
    pub(crate) type MaybeNavigator;

    /// `navigator.mediaDevices`, which insecure pages lack.
    #[wasm_bindgen(method, getter, js_name = mediaDevices)]
    pub(crate) fn media_devices(this: &MaybeNavigator) -> Option<web_sys::MediaDevices>;

    /// `navigator.clipboard`, which insecure pages lack.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn clipboard(this: &MaybeNavigator) -> Option<web_sys::Clipboard>;

    /// `navigator.connection`, which few browsers have.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn connection(this: &MaybeNavigator) -> Option<web_sys::EventTarget>;
}
