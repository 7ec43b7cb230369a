//! Which of the machine's microphones and loudspeakers there are, and which microphone to
//! take when that changes.

use crate::model::words::MicrophoneState;

/// A device: its id in this browser, and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// The id.
    pub(crate) id: String,
    /// The name; empty before the microphone was allowed.
    pub(crate) label: String,
}

/// All devices for sound.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Devices {
    /// Microphones that may be named.
    pub(crate) inputs: Vec<Device>,
    /// Whether there is any microphone: before one is allowed, browsers name none.
    pub(crate) has_input: bool,
    /// Loudspeakers and headphones.
    pub(crate) outputs: Vec<Device>,
}

impl Devices {
    /// Returns whether another microphone is to be asked for now that these are the devices:
    /// the wished one has come (back), or there is one at all after there was none.
    ///
    /// `wished` is the chosen id, empty for the browser's choice; `open` the id of the
    /// microphone in use.
    pub(crate) fn calls_for(
        &self,
        wished: &str,
        open: Option<&str>,
        state: MicrophoneState,
    ) -> bool {
        let none = matches!(state, MicrophoneState::NotFound | MicrophoneState::Lost);
        let has = |id: &str| self.inputs.iter().any(|device| device.id == id);
        match open {
            Some(open) => !wished.is_empty() && open != wished && has(wished),
            None => none && self.has_input,
        }
    }

    /// Returns whether an output is there; the browser's own choice, empty, always is.
    pub(crate) fn has_output(&self, id: &str) -> bool {
        id.is_empty() || self.outputs.iter().any(|device| device.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(ids: &[&str]) -> Devices {
        let device = |id: &&str| Device { id: (*id).to_owned(), label: String::new() };
        let inputs: Vec<Device> = ids.iter().map(device).collect();
        Devices { has_input: !inputs.is_empty(), inputs, outputs: Vec::new() }
    }

    #[test]
    fn the_wished_microphone_is_taken_when_it_comes_back() {
        let both = devices(&["built-in", "headset"]);
        assert!(both.calls_for("headset", Some("built-in"), MicrophoneState::Live));
        assert!(!both.calls_for("headset", Some("headset"), MicrophoneState::Live));
        assert!(!devices(&["built-in"]).calls_for(
            "headset",
            Some("built-in"),
            MicrophoneState::Live
        ));
        assert!(!both.calls_for("", Some("built-in"), MicrophoneState::Live));
    }

    #[test]
    fn the_first_microphone_after_none_is_taken() {
        assert!(devices(&["usb"]).calls_for("", None, MicrophoneState::Lost));
        let unnamed = Devices { has_input: true, ..Devices::default() };
        assert!(unnamed.calls_for("other", None, MicrophoneState::NotFound));
        assert!(!devices(&[]).calls_for("", None, MicrophoneState::Lost));
        // Who refused it, or is being asked, is left in peace.
        assert!(!devices(&["usb"]).calls_for("", None, MicrophoneState::Asking));
    }

    #[test]
    fn the_browsers_own_output_is_always_there() {
        assert!(devices(&[]).has_output(""));
        assert!(!devices(&[]).has_output("hdmi"));
    }
}
