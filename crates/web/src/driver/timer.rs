//! `setTimeout` and `setInterval` that end with their owner.

use openstudio_units::Timestamp;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::Window;

/// One pending deadline.
#[derive(Debug)]
pub(crate) struct Alarm {
    window: Window,
    closure: Closure<dyn FnMut()>,
    pending: Option<(Timestamp, i32)>,
}

impl Alarm {
    /// Makes an alarm that calls `ring`.
    pub(crate) fn new(window: &Window, ring: impl FnMut() + 'static) -> Self {
        Self { window: window.clone(), closure: Closure::new(ring), pending: None }
    }

    /// Sets the alarm to `due`, or to never. Setting it to what it is set to is free.
    pub(crate) fn set(&mut self, now: Timestamp, due: Option<Timestamp>) {
        if self.pending.map(|(at, _)| at) == due {
            return;
        }
        self.clear();
        let Some(due) = due else { return };
        let millis = due.since(now).as_micros().div_ceil(1000);
        let millis = i32::try_from(millis).unwrap_or(i32::MAX);
        let function = self.closure.as_ref().unchecked_ref();
        let set =
            self.window.set_timeout_with_callback_and_timeout_and_arguments_0(function, millis);
        match set {
            Ok(handle) => self.pending = Some((due, handle)),
            Err(_) => tracing::warn!("a timer could not be set"),
        }
    }

    /// Takes note that the alarm rang.
    pub(crate) fn rang(&mut self) {
        self.pending = None;
    }

    fn clear(&mut self) {
        if let Some((_, handle)) = self.pending.take() {
            self.window.clear_timeout_with_handle(handle);
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Something that is called again and again.
#[derive(Debug)]
pub(crate) struct Ticker {
    window: Window,
    handle: Option<i32>,
    _closure: Closure<dyn FnMut()>,
}

impl Ticker {
    /// Calls `tick` every `millis` milliseconds.
    pub(crate) fn new(window: &Window, millis: i32, tick: impl FnMut() + 'static) -> Self {
        let closure = Closure::new(tick);
        let function = closure.as_ref().unchecked_ref();
        let handle =
            window.set_interval_with_callback_and_timeout_and_arguments_0(function, millis).ok();
        Self { window: window.clone(), handle, _closure: closure }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        if let Some(handle) = self.handle {
            self.window.clear_interval_with_handle(handle);
        }
    }
}
