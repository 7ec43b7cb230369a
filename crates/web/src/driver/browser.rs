//! Small things of the browser: storage, address, history, randomness, time.

use js_sys::Date;
use openstudio_units::{RoomId, Seed};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Performance, Window};

use crate::driver::externs::MaybeNavigator;
use crate::model::address::{Address, room_path};
use crate::model::seat::KeptSeat;

/// Where the tab keeps its seat.
const SEAT_KEY: &str = "openstudio.seat";

/// Marks a history entry that was made on entering a room.
const INSIDE: &str = "inside";

/// Returns `navigator` with what insecure pages lack as options.
pub(crate) fn navigator(window: &Window) -> MaybeNavigator {
    window.navigator().unchecked_into()
}

/// Returns the monotonic and the wall clock, milliseconds.
pub(crate) fn clocks(performance: Option<&Performance>) -> (f64, f64) {
    let wall = Date::now();
    (performance.map_or(wall, Performance::now), wall)
}

/// Draws a seed from the browser's cryptographic source.
pub(crate) fn seed(window: &Window) -> Seed {
    let mut bytes = [0; 32];
    let drawn = window.crypto().and_then(|c| c.get_random_values_with_u8_array(&mut bytes));
    if drawn.is_err() {
        tracing::warn!("no source of randomness");
    }
    Seed(bytes)
}

/// Returns the address of the server's socket.
pub(crate) fn socket_url(window: &Window) -> String {
    let location = window.location();
    let scheme = if location.protocol().is_ok_and(|p| p == "https:") { "wss" } else { "ws" };
    format!("{scheme}://{}/ws", location.host().unwrap_or_default())
}

/// Returns scheme and host of the page, for links.
pub(crate) fn origin() -> String {
    web_sys::window().and_then(|w| w.location().origin().ok()).unwrap_or_default()
}

/// Returns whether browsers give a microphone to this page (a *secure context*): it came by
/// `https://`, or from this machine.
pub(crate) fn is_secure() -> bool {
    web_sys::window().is_some_and(|window| window.is_secure_context())
}

/// Returns what the page's address leads to.
pub(crate) fn address(window: &Window) -> Address {
    Address::parse(&window.location().hash().unwrap_or_default())
}

/// Returns whether the current history entry was made on entering a room.
pub(crate) fn is_inside_entry(window: &Window) -> bool {
    let state = window.history().and_then(|history| history.state());
    state.is_ok_and(|state| state.as_string().as_deref() == Some(INSIDE))
}

/// Makes the address the room's, without an invitation in it, and adds a history entry
/// so that *back* leads to the entry page.
pub(crate) fn enter_address(window: &Window, room: RoomId) {
    let Ok(history) = window.history() else { return };
    let path = room_path(room);
    if address(window).room() == Some(room) {
        let state = history.state().unwrap_or(JsValue::NULL);
        drop(history.replace_state_with_url(&state, "", Some(&path)));
        if is_inside_entry(window) {
            return;
        }
    }
    drop(history.push_state_with_url(&JsValue::from_str(INSIDE), "", Some(&path)));
}

/// Removes an invitation that the server refused from the address.
pub(crate) fn drop_invite(window: &Window) {
    let (Ok(history), Some(room)) = (window.history(), address(window).room()) else { return };
    let state = history.state().unwrap_or(JsValue::NULL);
    drop(history.replace_state_with_url(&state, "", Some(&room_path(room))));
}

/// Makes the address the page's own, without a room.
pub(crate) fn clear_address(window: &Window) {
    if let Ok(history) = window.history() {
        drop(history.push_state_with_url(&JsValue::NULL, "", Some("/")));
    }
}

/// Returns the seat that this tab keeps.
pub(crate) fn kept_seat(window: &Window) -> Option<KeptSeat> {
    let storage = window.session_storage().ok().flatten()?;
    let text = storage.get_item(SEAT_KEY).ok().flatten()?;
    KeptSeat::parse(&text)
}

/// Returns the seat that this tab keeps of the room at its address.
pub(crate) fn kept_seat_here(window: &Window) -> Option<KeptSeat> {
    let room = address(window).room();
    kept_seat(window).filter(|seat| Some(seat.room) == room)
}

/// Keeps a seat for this tab's reload, or forgets it.
pub(crate) fn keep_seat(window: &Window, seat: Option<&KeptSeat>) {
    let Some(storage) = window.session_storage().ok().flatten() else { return };
    let result = match seat {
        Some(seat) => storage.set_item(SEAT_KEY, &seat.to_text()),
        None => storage.remove_item(SEAT_KEY),
    };
    if result.is_err() {
        tracing::warn!("this tab cannot keep its seat for a reload");
    }
}

/// Returns something that this browser remembers.
pub(crate) fn remembered(key: &str) -> Option<String> {
    let storage = web_sys::window()?.local_storage().ok().flatten()?;
    storage.get_item(key).ok().flatten()
}

/// Remembers something in this browser, where that is allowed.
pub(crate) fn remember(key: &str, value: &str) {
    let storage = web_sys::window().and_then(|w| w.local_storage().ok().flatten());
    if let Some(storage) = storage {
        drop(storage.set_item(key, value));
    }
}

/// Copies a text; returns whether the browser allowed it.
pub(crate) async fn copy_text(text: String) -> bool {
    let clipboard = web_sys::window().and_then(|window| navigator(&window).clipboard());
    match clipboard {
        Some(clipboard) => JsFuture::from(clipboard.write_text(&text)).await.is_ok(),
        None => false,
    }
}

/// Returns a moment, milliseconds since 1970, as the person writes it.
pub(crate) fn local_time(unix_ms: u64) -> String {
    let date = Date::new(&JsValue::from_f64(unix_ms as f64));
    let language = web_sys::window().and_then(|window| window.navigator().language());
    let options = js_sys::Object::new();
    for (name, form) in [("dateStyle", "medium"), ("timeStyle", "short")] {
        // A plain object takes any property.
        drop(js_sys::Reflect::set(&options, &name.into(), &form.into()));
    }
    String::from(date.to_locale_string(language.as_deref().unwrap_or("en"), &options))
}
