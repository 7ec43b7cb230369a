//! The few pictures of the page, as strokes on a grid of 24.

use leptos::prelude::*;

/// A picture. Never carries meaning alone: words stand beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Picture {
    /// A microphone.
    Microphone,
    /// A microphone, crossed out.
    MicrophoneOff,
    /// A link.
    Link,
    /// A door with an arrow out.
    Leave,
    /// A square.
    Stop,
    /// A loudspeaker.
    Sound,
    /// Half a disc: light and dark.
    Theme,
    /// A keyboard.
    Keys,
}

impl Picture {
    fn path(self) -> &'static str {
        match self {
            Self::Microphone => {
                "M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM6 11a6 6 0 0 0 12 0M12 17v4M9 21h6"
            }
            Self::MicrophoneOff => {
                "M9 9v3a3 3 0 0 0 4.6 2.5M15 11V6a3 3 0 0 0-5.7-1.3M6 11a6 6 0 0 0 9.2 5.1M18 11a6 6 0 0 1-.7 2.8M12 17v4M9 21h6M4 4l16 16"
            }
            Self::Link => {
                "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7l-1.5 1.5M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7l1.5-1.5"
            }
            Self::Leave => "M14 4H6a1 1 0 0 0-1 1v14a1 1 0 0 0 1 1h8M10 12h10M16 8l4 4-4 4",
            Self::Stop => "M6 6h12v12H6Z",
            Self::Sound => "M4 10v4h3l5 4V6l-5 4ZM16 9a4 4 0 0 1 0 6M18.5 6.5a8 8 0 0 1 0 11",
            Self::Keys => {
                "M4 7h16a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1ZM7 10.5h.01M10.3 10.5h.01M13.6 10.5h.01M17 10.5h.01M8 13.8h8"
            }
            Self::Theme => "M12 3a9 9 0 1 0 0 18ZM12 3a9 9 0 0 1 0 18",
        }
    }
}

/// Draws a picture.
#[component]
pub(crate) fn Icon(#[prop(into)] picture: Signal<Picture>) -> impl IntoView {
    view! {
        <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
            <path d=move || picture.get().path()/>
        </svg>
    }
}
