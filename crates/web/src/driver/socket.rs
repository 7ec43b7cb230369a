//! One WebSocket to the server.

use openstudio_session::{Input, SocketId};
use wasm_bindgen::JsValue;
use web_sys::{CloseEvent, Event, MessageEvent, WebSocket};

use crate::driver::event::Port;
use crate::driver::listener::Listener;

/// A socket. Dropping it removes the listeners, then closes it.
#[derive(Debug)]
pub(crate) struct Socket {
    /// Its name.
    pub(crate) id: SocketId,
    native: WebSocket,
    listeners: Vec<Listener>,
}

impl Socket {
    /// Begins to open a socket.
    pub(crate) fn open(port: &Port, id: SocketId, url: &str) -> Result<Self, JsValue> {
        let native = WebSocket::new(url)?;
        let (opened, received, closed) = (port.clone(), port.clone(), port.clone());
        let listeners = vec![
            Listener::new(&native, "open", move |_: Event| opened.input(Input::SocketOpened(id))),
            Listener::new(&native, "message", move |event: MessageEvent| {
                // The protocol is text; anything else is not for this version.
                if let Some(text) = event.data().as_string() {
                    received.input(Input::MessageReceived { socket: id, text });
                }
            }),
            Listener::new(&native, "close", move |event: CloseEvent| {
                // 1005 and 1006 stand for "no close frame" (RFC 6455 §7.4.1).
                let code = Some(event.code()).filter(|code| !matches!(code, 1005 | 1006));
                closed.input(Input::SocketClosed { socket: id, code });
            }),
        ];
        Ok(Self { id, native, listeners })
    }

    /// Sends a text. What cannot be sent is lost: the socket is closing, and its `close`
    /// event follows.
    pub(crate) fn send(&self, text: &str) {
        if self.native.ready_state() == WebSocket::OPEN {
            drop(self.native.send_with_str(text));
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.listeners.clear();
        drop(self.native.close());
    }
}
