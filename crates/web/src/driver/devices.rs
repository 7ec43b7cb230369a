//! Which microphone and loudspeaker are used, and what for: as chosen, as remembered, and as
//! devices come and go.

use leptos::prelude::GetUntracked as _;

use crate::driver::browser;
use crate::driver::studio::Studio;
use crate::model::devices::Devices;
use crate::model::processing::Processing;
use crate::view::put;

/// Where the browser remembers the chosen microphone.
const DEVICE_KEY: &str = "openstudio.microphone";

/// Where it remembers what the microphone is used for.
const PROCESSING_KEY: &str = "openstudio.processing";

/// Where it remembers the chosen loudspeaker.
const OUTPUT_KEY: &str = "openstudio.output";

impl Studio {
    /// Takes up what was chosen the last time.
    pub(crate) fn remember_devices(&mut self) {
        let remembered = |key| browser::remembered(key).unwrap_or_default();
        let processing = Processing::parse(&remembered(PROCESSING_KEY));
        put(self.view.device, remembered(DEVICE_KEY));
        put(self.view.processing, processing);
        put(self.view.output, remembered(OUTPUT_KEY));
        put(self.view.chooses_output, crate::audio::chooses_output(&self.window));
        self.desk.microphone.set_processing(processing);
    }

    /// Asks for the chosen microphone.
    pub(crate) fn ask_for_microphone(&mut self) {
        let device = self.view.device.get_untracked();
        self.desk.microphone.ask(&device);
        self.follow_microphone(false);
    }

    pub(crate) fn choose_microphone(&mut self, device: String) {
        browser::remember(DEVICE_KEY, &device);
        put(self.view.device, device);
        self.take_choice();
    }

    pub(crate) fn choose_processing(&mut self, processing: Processing) {
        browser::remember(PROCESSING_KEY, processing.value());
        put(self.view.processing, processing);
        self.desk.microphone.set_processing(processing);
        if let Some(running) = &mut self.running {
            running.set_processing(processing);
        }
        self.take_choice();
    }

    /// In front of the room a microphone is opened for the check alone.
    fn take_choice(&mut self) {
        if self.running.is_some() { self.ask_for_microphone() } else { self.check_anew() }
    }

    pub(crate) fn choose_output(&mut self, device: String) {
        browser::remember(OUTPUT_KEY, &device);
        put(self.view.output, device);
        self.follow_output();
        self.check_anew();
    }

    /// Plays to the chosen loudspeaker, or to the browser's choice while that is away.
    pub(crate) fn follow_output(&mut self) {
        let (wished, devices) =
            (self.view.output.get_untracked(), self.view.devices.get_untracked());
        let Some(graph) = &mut self.desk.graph else { return };
        // Before devices are named, the one of the last time is tried.
        let away = !devices.outputs.is_empty() && !devices.has_output(&wished);
        graph.set_output(if away { "" } else { &wished });
    }

    pub(crate) fn list_devices(&self, changed: bool) {
        crate::audio::list_devices(&self.sender, self.devices.as_ref(), changed);
    }

    /// These are the devices now.
    pub(crate) fn devices_listed(&mut self, devices: Devices, changed: bool) {
        let wished = self.view.device.get_untracked();
        let microphone = &self.desk.microphone;
        let calls = changed
            && devices.calls_for(&wished, microphone.device().as_deref(), microphone.state());
        put(self.view.devices, devices);
        self.follow_output();
        if calls {
            self.ask_for_microphone();
        }
    }
}
