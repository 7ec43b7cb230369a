//! The check in front of the room: opens a microphone for it, and closes it on entering.

use leptos::prelude::GetUntracked as _;
use web_sys::MediaStream;

use crate::audio::Check;
use crate::driver::browser;
use crate::driver::event::Event;
use crate::driver::studio::Studio;
use crate::driver::timer::Ticker;
use crate::model::meter::{self, Needle};
use crate::model::words::MicrophoneState;
use crate::view::{CheckStage, put};

/// How often the microphone is looked at, milliseconds.
const LOOK_MS: i32 = 50;

/// How many sixtieths of a second, by which a needle falls, that is.
const SPAN: u8 = 3;

/// The check, while it is open.
#[derive(Debug, Default)]
pub(crate) struct Checking {
    /// Counts requests, so that what an old one gives is thrown away.
    number: u32,
    open: Option<(Check, Ticker)>,
    needle: Needle,
}

impl Studio {
    /// The check is opened or closed by the person.
    pub(crate) fn set_checking(&mut self, wanted: bool) {
        if !wanted || self.running.is_some() {
            return self.close_check();
        }
        self.open_check();
    }

    fn open_check(&mut self) {
        self.close_check();
        let device = self.view.device.get_untracked();
        Check::ask(&self.sender, self.devices.as_ref(), &device, self.checking.number);
        put(self.view.check, CheckStage::Asking);
    }

    /// Switches the microphone under test off.
    pub(crate) fn close_check(&mut self) {
        self.checking.number = self.checking.number.wrapping_add(1);
        self.checking.open = None;
        put(self.view.check, CheckStage::Closed);
        put(self.view.findings, Vec::new());
        put(self.view.check_level, 0);
    }

    /// Another device was chosen: an open check begins anew with it.
    pub(crate) fn check_anew(&mut self) {
        if self.view.check.get_untracked() != CheckStage::Closed {
            self.open_check();
        }
    }

    pub(crate) fn check_opened(
        &mut self,
        number: u32,
        result: Result<MediaStream, MicrophoneState>,
    ) {
        let stream = match result {
            // Dropped unheard; the browser would show it as open for ever.
            Ok(stream) if number != self.checking.number => return crate::audio::stop(&stream),
            Err(_) if number != self.checking.number => return,
            Ok(stream) => stream,
            Err(state) => return put(self.view.check, CheckStage::Refused(state)),
        };
        let output = self.view.output.get_untracked();
        let Ok(check) = Check::new(self.sender.clone(), stream, &output) else {
            return put(self.view.check, CheckStage::Refused(MicrophoneState::Busy));
        };
        let sender = self.sender.clone();
        let ticker = Ticker::new(&self.window, LOOK_MS, move || {
            drop(sender.unbounded_send(Event::CheckTick));
        });
        self.checking.open = Some((check, ticker));
        put(self.view.check, CheckStage::Listening);
        // Names of devices are known once one of them is open.
        self.list_devices(false);
    }

    /// *Record 3 seconds*, or *Play a test tone*.
    pub(crate) fn begin_check(&mut self, stage: CheckStage) {
        let (now, _) = browser::clocks(self.performance());
        let Some((check, _)) = &mut self.checking.open else { return };
        let began = match stage {
            CheckStage::Recording => check.record(now),
            CheckStage::Beeping => check.beep(now),
            CheckStage::Closed
            | CheckStage::Asking
            | CheckStage::Refused(_)
            | CheckStage::Listening
            | CheckStage::Playing => Ok(()),
        };
        if began.is_err() {
            tracing::warn!("the check of the microphone could not begin");
        } else {
            put(self.view.findings, Vec::new());
            put(self.view.check, stage);
        }
    }

    /// Looks at the microphone under test.
    pub(crate) fn check_tick(&mut self) {
        let (now, _) = browser::clocks(self.performance());
        let Some((check, _)) = &mut self.checking.open else { return };
        let look = check.look(now);
        for _ in 1..SPAN {
            self.checking.needle.look(look.peak);
        }
        let shown = self.checking.needle.look(look.peak);
        put(self.view.check_level, meter::percent(shown.bar));
        if let Some(findings) = look.findings {
            let next = if check.is_idle() { CheckStage::Listening } else { CheckStage::Playing };
            put(self.view.findings, findings);
            put(self.view.check, next);
        }
    }

    pub(crate) fn check_played(&mut self) {
        let Some((check, _)) = &mut self.checking.open else { return };
        check.played();
        if check.is_idle() {
            put(self.view.check, CheckStage::Listening);
        }
    }
}
