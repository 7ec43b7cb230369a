//! The check before going on air: the microphone as it comes, three seconds of it heard back,
//! and whether it hears the loudspeaker.

use js_sys::{ArrayBuffer, Promise};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    AnalyserNode, AudioBuffer, AudioContext, AudioContextOptions, AudioScheduledSourceNode,
    BlobEvent, MediaDevices, MediaRecorder, MediaStream, MediaStreamAudioSourceNode,
    OscillatorNode,
};

use crate::audio::graph::SAMPLE_RATE;
use crate::audio::let_run;
use crate::audio::microphone;
use crate::driver::{Event, Listener, Sender, Sink};
use crate::model::check::{Finding, Heard, Spoken};
use crate::model::meter;
use crate::model::processing::Processing;
use crate::model::words::MicrophoneState;

/// Samples behind one look: 85 ms at 48 kHz, longer than from one look to the next.
const WINDOW: u16 = 4096;

/// How long the person is recorded, milliseconds.
const RECORD_MS: f64 = 3000.0;

/// The tone that the loudspeaker plays, Hz, and how loud.
const TONE_HZ: f32 = 1_250.0;
const TONE_GAIN: f32 = 0.2;

/// It sounds and pauses in turn, this many milliseconds each, this many times.
const BEEP_MS: f64 = 600.0;
const BEEPS: u8 = 3;

/// What is measured in the first part of each is not used: sound takes its time.
const SETTLE_MS: f64 = 300.0;

/// What the check is at.
#[derive(Debug)]
enum Activity {
    Listening,
    Recording { began: f64, spoken: Spoken, recorder: MediaRecorder, listener: Listener },
    Playing { _recorder: MediaRecorder, _listener: Listener },
    Beeping { began: f64, heard: Heard, tone: OscillatorNode },
}

/// What a look at the check finds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Look {
    /// The highest sample, linear.
    pub(crate) peak: f32,
    /// What there is to say, when something has come to its end.
    pub(crate) findings: Option<Vec<Finding>>,
}

/// An open microphone under test. Dropping it switches everything off.
#[derive(Debug)]
pub(crate) struct Check {
    sender: Sender,
    context: AudioContext,
    stream: MediaStream,
    analyser: AnalyserNode,
    _source: MediaStreamAudioSourceNode,
    samples: Vec<f32>,
    spectrum: Vec<f32>,
    activity: Activity,
}

impl Check {
    /// Asks for a microphone as it comes; the outcome arrives as an event.
    pub(crate) fn ask(sender: &Sender, devices: Option<&MediaDevices>, device: &str, number: u32) {
        let opened = devices.map(|devices| microphone::open(devices, device, Processing::Music));
        let sender = sender.clone();
        spawn_local(async move {
            let result = match opened {
                Some(opened) => opened.await,
                None => Err(MicrophoneState::Insecure),
            };
            // The loop ends with the page only.
            drop(sender.unbounded_send(Event::CheckOpened { number, result }));
        });
    }

    /// Begins to listen to a microphone; sound goes to the loudspeaker `output`.
    pub(crate) fn new(sender: Sender, stream: MediaStream, output: &str) -> Result<Self, JsValue> {
        let options = AudioContextOptions::new();
        options.set_sample_rate(SAMPLE_RATE);
        let context = AudioContext::new_with_context_options(&options)?;
        if !output.is_empty() {
            let_run(context.unchecked_ref::<Sink>().set_sink_id(output));
        }
        let source = context.create_media_stream_source(&stream)?;
        let analyser = context.create_analyser()?;
        analyser.set_fft_size(WINDOW.into());
        analyser.set_smoothing_time_constant(0.0);
        source.connect_with_audio_node(&analyser)?;
        Ok(Self {
            sender,
            context,
            stream,
            analyser,
            _source: source,
            samples: vec![0.0; usize::from(WINDOW)],
            spectrum: vec![0.0; usize::from(WINDOW / 2)],
            activity: Activity::Listening,
        })
    }

    /// Records the person for three seconds; then they hear it.
    pub(crate) fn record(&mut self, now: f64) -> Result<(), JsValue> {
        self.stop_tone();
        let recorder = MediaRecorder::new_with_media_stream(&self.stream)?;
        let (sender, context) = (self.sender.clone(), self.context.clone());
        let listener = Listener::new(&recorder, "dataavailable", move |event: BlobEvent| {
            let Some(blob) = event.data() else { return };
            play(context.clone(), blob.array_buffer(), sender.clone());
        });
        recorder.start()?;
        let spoken = Spoken::default();
        self.activity = Activity::Recording { began: now, spoken, recorder, listener };
        Ok(())
    }

    /// Plays a tone now and then, and listens for it at the microphone.
    pub(crate) fn beep(&mut self, now: f64) -> Result<(), JsValue> {
        self.stop_tone();
        let tone = self.context.create_oscillator()?;
        tone.frequency().set_value(TONE_HZ);
        let gain = self.context.create_gain()?;
        let start = self.context.current_time();
        let period = BEEP_MS / 1000.0;
        gain.gain().set_value(0.0);
        for beep in 0..BEEPS {
            let at = start + 2.0 * period * f64::from(beep);
            gain.gain().set_target_at_time(TONE_GAIN, at, 0.01)?;
            gain.gain().set_target_at_time(0.0, at + period, 0.01)?;
        }
        tone.connect_with_audio_node(&gain)?;
        gain.connect_with_audio_node(&self.context.destination())?;
        tone.start()?;
        self.activity = Activity::Beeping { began: now, heard: Heard::default(), tone };
        Ok(())
    }

    /// The recording was heard to its end.
    pub(crate) fn played(&mut self) {
        if matches!(self.activity, Activity::Playing { .. }) {
            self.activity = Activity::Listening;
        }
    }

    /// Returns whether the check waits for the person.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.activity, Activity::Listening)
    }

    /// Looks at the microphone.
    pub(crate) fn look(&mut self, now: f64) -> Look {
        self.analyser.get_float_time_domain_data(&mut self.samples);
        let peak = meter::peak(&self.samples);
        let mut findings = None;
        match &mut self.activity {
            Activity::Listening | Activity::Playing { .. } => {}
            Activity::Recording { began, spoken, .. } => {
                self.analyser.get_float_frequency_data(&mut self.spectrum);
                spoken.take(&self.samples, &self.spectrum, self.context.sample_rate());
                if now - *began >= RECORD_MS {
                    findings = Some(spoken.findings());
                }
            }
            Activity::Beeping { began, heard, .. } => {
                self.analyser.get_float_frequency_data(&mut self.spectrum);
                let since = now - *began;
                let bin = TONE_HZ / self.context.sample_rate() * f32::from(WINDOW);
                let level = self.spectrum.get(bin.round() as usize).copied().unwrap_or(-200.0);
                if since % BEEP_MS > SETTLE_MS {
                    heard.take(level, since % (2.0 * BEEP_MS) < BEEP_MS);
                }
                if since >= 2.0 * f64::from(BEEPS) * BEEP_MS {
                    findings = Some(vec![std::mem::take(heard).finding()]);
                    self.stop_tone();
                }
            }
        }
        if findings.is_some() && matches!(self.activity, Activity::Recording { .. }) {
            self.stop_recording();
        }
        Look { peak, findings }
    }

    /// What was recorded comes as an event, for which its recorder stays.
    fn stop_recording(&mut self) {
        let before = std::mem::replace(&mut self.activity, Activity::Listening);
        if let Activity::Recording { recorder, listener, .. } = before
            && recorder.stop().is_ok()
        {
            self.activity = Activity::Playing { _recorder: recorder, _listener: listener };
        }
    }

    fn stop_tone(&mut self) {
        if let Activity::Beeping { tone, .. } = &self.activity {
            // Fails only for tones that never began.
            drop(tone.stop());
        }
        self.activity = Activity::Listening;
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        crate::audio::stop(&self.stream);
        let_run(self.context.close());
    }
}

/// Plays a recording to its end, and reports that.
fn play(context: AudioContext, bytes: Promise, sender: Sender) {
    spawn_local(async move {
        let played = async {
            let bytes: ArrayBuffer = JsFuture::from(bytes).await?.unchecked_into();
            let buffer = JsFuture::from(context.decode_audio_data(&bytes)?).await?;
            let source = context.create_buffer_source()?;
            source.set_buffer(Some(buffer.unchecked_ref::<AudioBuffer>()));
            source.connect_with_audio_node(&context.destination())?;
            source.start()?;
            let ended = Promise::new(&mut |resolve, _| {
                source.unchecked_ref::<AudioScheduledSourceNode>().set_onended(Some(&resolve))
            });
            JsFuture::from(ended).await
        };
        let played: Result<JsValue, JsValue> = played.await;
        if played.is_err() {
            tracing::warn!("the recording could not be played");
        }
        // The loop ends with the page only.
        drop(sender.unbounded_send(Event::CheckPlayed));
    });
}
