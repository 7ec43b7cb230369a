//! What the window, the document and the devices tell the driver of their own accord.

use wasm_bindgen::JsCast;
use web_sys::{Document, EventTarget, MediaDevices, Window};

use crate::driver::browser;
use crate::driver::event::{Event, Sender};
use crate::driver::listener::Listener;

/// Listens to all of it, until the listeners are dropped.
pub(crate) fn listen(
    window: &Window,
    document: &Document,
    devices: Option<&MediaDevices>,
    sender: &Sender,
) -> Vec<Listener> {
    let on = |target: &EventTarget, kind, make: fn() -> Event| {
        let sender = sender.clone();
        Listener::new(target, kind, move |_: web_sys::Event| {
            drop(sender.unbounded_send(make()));
        })
    };
    let mut listeners = vec![
        on(window, "popstate", || Event::AddressChanged),
        on(window, "hashchange", || Event::AddressChanged),
        on(window, "online", || Event::Online),
        on(document, "visibilitychange", || Event::VisibilityChanged),
    ];
    listeners.extend(devices.map(|devices| on(devices, "devicechange", || Event::DevicesChanged)));
    let connection = browser::navigator(window).connection();
    listeners.extend(connection.map(|connection| listen_to_network(connection, sender.clone())));
    listeners
}

/// `change` also fires for new estimates of speed. Where a browser names the kind of network, only
/// another kind counts; where it does not, as on desktops, the paths are looked at.
fn listen_to_network(connection: EventTarget, sender: Sender) -> Listener {
    let kind = |connection: &EventTarget| {
        js_sys::Reflect::get(connection, &"type".into()).ok().and_then(|kind| kind.as_string())
    };
    let watched = connection.clone();
    let mut before = kind(&connection);
    Listener::new(connection.unchecked_ref(), "change", move |_: web_sys::Event| {
        let after = kind(&watched);
        let event = if after != before { Event::NetworkChanged } else { Event::NetworkHint };
        if after != before || after.is_none() {
            before = after;
            drop(sender.unbounded_send(event));
        }
    })
}
