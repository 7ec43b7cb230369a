//! The local microphone: asking for it, noticing its end, choosing another.

use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    MediaDevices, MediaStream, MediaStreamConstraints, MediaStreamTrack, MediaTrackConstraints,
};

use crate::driver::{Event, Listener, Sender};
use crate::model::card::MicrophoneMark;
use crate::model::processing::Processing;
use crate::model::words::MicrophoneState;

/// An open microphone. Dropping it switches it off.
#[derive(Debug)]
struct Open {
    /// Which request gave it.
    request: u32,
    stream: MediaStream,
    track: MediaStreamTrack,
    _ended: Listener,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.track.stop();
    }
}

/// The microphone, and where asking for it stands.
#[derive(Debug)]
pub(crate) struct Microphone {
    sender: Sender,
    devices: Option<MediaDevices>,
    /// The latest request; what earlier ones give is switched off at once.
    request: u32,
    open: Option<Open>,
    processing: Processing,
    state: MicrophoneState,
    muted: bool,
    /// Whether a host muted it.
    held: bool,
    /// Whether its owner coughs.
    coughing: bool,
    /// Whether the latest request is unanswered.
    asking: bool,
    /// Whether the latest request stands in for a microphone that was lost.
    replaces_lost: bool,
}

impl Microphone {
    /// Makes a microphone that is not asked for; `devices` is none on insecure pages.
    pub(crate) fn new(sender: Sender, devices: Option<MediaDevices>) -> Self {
        let state = MicrophoneState::Idle;
        Self {
            sender,
            devices,
            request: 0,
            open: None,
            processing: Processing::default(),
            state,
            muted: false,
            held: false,
            coughing: false,
            asking: false,
            replaces_lost: false,
        }
    }

    /// Returns where it stands.
    pub(crate) fn state(&self) -> MicrophoneState {
        self.state
    }

    /// Returns the track to send.
    pub(crate) fn track(&self) -> Option<&MediaStreamTrack> {
        self.open.as_ref().map(|open| &open.track)
    }

    /// Returns the stream to measure.
    pub(crate) fn stream(&self) -> Option<&MediaStream> {
        self.open.as_ref().map(|open| &open.stream)
    }

    /// Returns the id of the device in use, where the browser tells it.
    pub(crate) fn device(&self) -> Option<String> {
        let settings = self.track()?.get_settings();
        js_sys::Reflect::get(&settings, &"deviceId".into()).ok()?.as_string()
    }

    /// What the next request is for.
    pub(crate) fn set_processing(&mut self, processing: Processing) {
        self.processing = processing;
    }

    /// Returns whether its owner muted it.
    pub(crate) fn is_muted(&self) -> bool {
        self.muted
    }

    /// Mutes or unmutes: a muted track sends silence, so the link stays measurably alive.
    pub(crate) fn set_muted(&mut self, muted: bool) {
        self.muted = muted;
        self.follow();
    }

    /// A host mutes it, or lifts that. Returns whether it is another state.
    pub(crate) fn set_held(&mut self, held: bool) -> bool {
        let other = std::mem::replace(&mut self.held, held) != held;
        self.follow();
        other
    }

    /// Silent while its owner coughs; the room is told nothing of it.
    pub(crate) fn set_coughing(&mut self, coughing: bool) {
        self.coughing = coughing;
        self.follow();
    }

    /// Returns how an open microphone is named on its owner's card.
    pub(crate) fn mark(&self) -> MicrophoneMark {
        match (self.held, self.muted, self.coughing) {
            (true, ..) => MicrophoneMark::Held,
            (_, true, _) => MicrophoneMark::Muted,
            (_, _, true) => MicrophoneMark::Coughing,
            (false, false, false) => MicrophoneMark::Live,
        }
    }

    fn is_silent(&self) -> bool {
        self.muted || self.held || self.coughing
    }

    fn follow(&self) {
        if let Some(open) = &self.open {
            open.track.set_enabled(!self.is_silent());
        }
    }

    /// Asks for the microphone with this id, or for the browser's choice if it is empty.
    pub(crate) fn ask(&mut self, device: &str) {
        self.replaces_lost = false;
        self.request(device);
    }

    fn request(&mut self, device: &str) {
        self.request = self.request.wrapping_add(1);
        let Some(devices) = &self.devices else {
            self.state = MicrophoneState::Insecure;
            return;
        };
        if self.open.is_none() {
            self.state = MicrophoneState::Asking;
        }
        self.asking = true;
        let opened = open(devices, device, self.processing);
        let (sender, request) = (self.sender.clone(), self.request);
        spawn_local(async move {
            let result = opened.await;
            drop(sender.unbounded_send(Event::Microphone { request, result }));
        });
    }

    /// Takes what a request gave. Returns whether the track to send is another one.
    pub(crate) fn answered(
        &mut self,
        request: u32,
        result: Result<MediaStream, MicrophoneState>,
    ) -> bool {
        self.asking &= request != self.request;
        let stream = match result {
            Ok(stream) => stream,
            Err(_) if request != self.request => return false,
            Err(state) => {
                // An open microphone stays when another one cannot be had.
                if self.open.is_none() {
                    self.state = if self.replaces_lost { MicrophoneState::Lost } else { state };
                }
                return false;
            }
        };
        let Ok(track) = stream.get_audio_tracks().get(0).dyn_into::<MediaStreamTrack>() else {
            return false;
        };
        if request != self.request {
            track.stop();
            return false;
        }
        track.set_enabled(!self.is_silent());
        let sender = self.sender.clone();
        let ended = Listener::new(&track, "ended", move |_: web_sys::Event| {
            drop(sender.unbounded_send(Event::MicrophoneEnded { request }));
        });
        self.open = Some(Open { request, stream, track, _ended: ended });
        self.state = MicrophoneState::Live;
        true
    }

    /// The track of a request ended by itself: tries the browser's choice instead.
    /// Returns whether the track to send is another one (none).
    pub(crate) fn ended(&mut self, request: u32) -> bool {
        if self.open.as_ref().is_none_or(|open| open.request != request) {
            return false;
        }
        self.open = None;
        self.replaces_lost = true;
        if request == self.request || !self.asking {
            self.request("");
        } else {
            self.state = MicrophoneState::Asking;
        }
        true
    }

    /// Switches the microphone off and forgets what was asked.
    pub(crate) fn close(&mut self) {
        self.request = self.request.wrapping_add(1);
        self.open = None;
        self.state = MicrophoneState::Idle;
        (self.muted, self.held, self.coughing) = (false, false, false);
    }
}

/// Asks the browser for a microphone, at once.
pub(crate) fn open(
    devices: &MediaDevices,
    device: &str,
    processing: Processing,
) -> impl Future<Output = Result<MediaStream, MicrophoneState>> + use<> {
    let promise = devices.get_user_media_with_constraints(&constraints(device, processing));
    async move {
        let result = match promise {
            Ok(promise) => JsFuture::from(promise).await,
            Err(error) => Err(error),
        };
        result.map(JsCast::unchecked_into).map_err(|error| refusal(&error))
    }
}

fn constraints(device: &str, processing: Processing) -> MediaStreamConstraints {
    let audio = MediaTrackConstraints::new();
    let cleans = processing.cleans();
    audio.set_echo_cancellation_bool(cleans);
    audio.set_noise_suppression_bool(cleans);
    audio.set_auto_gain_control_bool(cleans);
    audio.set_channel_count_i32(if processing.is_stereo() { 2 } else { 1 });
    if !device.is_empty() {
        // A preference: if that microphone is gone, any other is better than none.
        audio.set_device_id_str(device);
    }
    let constraints = MediaStreamConstraints::new();
    constraints.set_audio_media_track_constraints(&audio);
    constraints
}

fn refusal(error: &JsValue) -> MicrophoneState {
    let name = js_sys::Reflect::get(error, &"name".into()).ok().and_then(|name| name.as_string());
    MicrophoneState::of_error(name.as_deref().unwrap_or_default())
}
