//! An event listener that ends with its owner.

use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::EventTarget;

/// Keeps a closure registered with a target; dropping it removes the listener.
#[derive(Debug)]
pub(crate) struct Listener {
    target: EventTarget,
    kind: &'static str,
    closure: Closure<dyn FnMut(web_sys::Event)>,
}

impl Listener {
    /// Registers `on` for events `kind` of `target`, which are of type `E`.
    pub(crate) fn new<E: JsCast>(
        target: &EventTarget,
        kind: &'static str,
        mut on: impl FnMut(E) + 'static,
    ) -> Self {
        let closure = Closure::new(move |event: web_sys::Event| on(event.unchecked_into()));
        let function = closure.as_ref().unchecked_ref();
        if target.add_event_listener_with_callback(kind, function).is_err() {
            tracing::warn!(kind, "a listener could not be added");
        }
        Self { target: target.clone(), kind, closure }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let function = self.closure.as_ref().unchecked_ref();
        // Only a target that is no target throws.
        drop(self.target.remove_event_listener_with_callback(self.kind, function));
    }
}
