//! The machine's devices for sound, as far as the browser names them.

use js_sys::Reflect;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{MediaDeviceInfo, MediaDeviceKind, MediaDevices, Window};

use crate::driver::{Event, Sender};
use crate::model::devices::{Device, Devices};

/// Lists the devices and reports them; `changed` says whether one came or went.
///
/// Ids are empty before permission is given, and such entries are left out, as are the
/// pseudo-devices for the browser's own choice.
pub(crate) fn list_devices(sender: &Sender, devices: Option<&MediaDevices>, changed: bool) {
    let Some(Ok(promise)) = devices.map(MediaDevices::enumerate_devices) else { return };
    let sender = sender.clone();
    spawn_local(async move {
        let Ok(list) = JsFuture::from(promise).await else { return };
        let mut devices = Devices::default();
        for device in js_sys::Array::from(&list) {
            let device: MediaDeviceInfo = device.unchecked_into();
            let kind = device.kind();
            devices.has_input |= kind == MediaDeviceKind::Audioinput;
            let named = Device { id: device.device_id(), label: device.label() };
            if matches!(named.id.as_str(), "" | "default" | "communications") {
                continue;
            }
            match kind {
                MediaDeviceKind::Audioinput => devices.inputs.push(named),
                MediaDeviceKind::Audiooutput => devices.outputs.push(named),
                // Cameras, and what a browser may think of.
                MediaDeviceKind::Videoinput | _ => {}
            }
        }
        // The loop ends with the page only.
        drop(sender.unbounded_send(Event::DevicesListed { devices, changed }));
    });
}

/// Returns whether this browser lets a page choose where its sound is played.
pub(crate) fn chooses_output(window: &Window) -> bool {
    let prototype = Reflect::get(window, &"AudioContext".into())
        .and_then(|context| Reflect::get(&context, &"prototype".into()));
    prototype.is_ok_and(|prototype| Reflect::has(&prototype, &"setSinkId".into()).unwrap_or(false))
}
