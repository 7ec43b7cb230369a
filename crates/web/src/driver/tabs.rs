//! What the tabs of one browser tell each other: who is in which room.

use openstudio_units::RoomId;
use wasm_bindgen::JsValue;
use web_sys::{BroadcastChannel, MessageEvent};

use crate::driver::event::{Event, Sender};
use crate::driver::listener::Listener;

const CHANNEL: &str = "openstudio";
const ASK: &str = "anybody in ";
const HERE: &str = "here in ";
const GONE: &str = "gone from ";

/// What another tab says about a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TabMessage {
    /// It wants to know who is there.
    Ask(RoomId),
    /// It is there.
    Here(RoomId),
    /// It left.
    Gone(RoomId),
}

impl TabMessage {
    /// Reads what another tab said.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let room = |prefix| text.strip_prefix(prefix).and_then(|id: &str| id.parse().ok());
        room(ASK)
            .map(Self::Ask)
            .or_else(|| room(HERE).map(Self::Here))
            .or_else(|| room(GONE).map(Self::Gone))
    }

    fn to_text(self) -> String {
        match self {
            Self::Ask(room) => format!("{ASK}{room}"),
            Self::Here(room) => format!("{HERE}{room}"),
            Self::Gone(room) => format!("{GONE}{room}"),
        }
    }
}

/// The channel to the other tabs. Does nothing where the browser has none.
#[derive(Debug)]
pub(crate) struct Tabs {
    channel: Option<(BroadcastChannel, Listener)>,
}

impl Tabs {
    /// Opens the channel.
    pub(crate) fn new(sender: Sender) -> Self {
        let channel = BroadcastChannel::new(CHANNEL).ok().map(|channel| {
            let listener = Listener::new(&channel, "message", move |event: MessageEvent| {
                if let Some(text) = event.data().as_string() {
                    drop(sender.unbounded_send(Event::OtherTab(text)));
                }
            });
            (channel, listener)
        });
        Self { channel }
    }

    /// Tells the other tabs.
    pub(crate) fn say(&self, message: TabMessage) {
        if let Some((channel, _)) = &self.channel {
            // Fails only on a closed channel.
            drop(channel.post_message(&JsValue::from_str(&message.to_text())));
        }
    }
}
