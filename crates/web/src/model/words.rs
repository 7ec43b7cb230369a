//! Every sentence that says what happened and what to do.

use openstudio_session::EndReason;
use openstudio_session::wire::ErrorCode;

/// A button under a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Take the seat again.
    Rejoin,
    /// Take the seat from the other tab.
    UseThisTab,
    /// Leave this link behind and make a session.
    StartAnew,
}

impl Remedy {
    /// Returns the words on the button.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Rejoin => "Rejoin",
            Self::UseThisTab => "Use this tab",
            Self::StartAnew => "Start a new session",
        }
    }
}

/// How grave a sentence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As wished.
    Calm,
    /// Something to see to.
    Warning,
}

/// A sentence on the entry page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    /// How grave it is.
    pub(crate) tone: Tone,
    /// What happened, and what to do.
    pub(crate) text: String,
    /// A way on, besides the page's own button.
    pub(crate) remedy: Option<Remedy>,
}

impl Notice {
    fn new(tone: Tone, text: impl Into<String>, remedy: Option<Remedy>) -> Self {
        Self { tone, text: text.into(), remedy }
    }

    /// For a link that leads to no session.
    pub(crate) fn broken_link() -> Self {
        let text = "This link is incomplete, so it leads to no session. Ask for it again, or start a session of your own.";
        Self::new(Tone::Warning, text, Some(Remedy::StartAnew))
    }

    /// For somebody who went back in their browser's history.
    pub(crate) fn went_back() -> Self {
        let text = "You left the session by going back. Your place is kept for you in this tab.";
        Self::new(Tone::Calm, text, Some(Remedy::Rejoin))
    }

    /// For somebody whose browser is in the session already.
    pub(crate) fn other_tab() -> Self {
        let text =
            "You are in this session in another tab already. Joining here adds you a second time.";
        Self::new(Tone::Warning, text, None)
    }

    /// For the end of a session.
    pub(crate) fn ended(reason: &EndReason) -> Self {
        match reason {
            EndReason::Left => Self::new(Tone::Calm, "You have left the session.", None),
            EndReason::RoomEnded => Self::new(
                Tone::Calm,
                "The session has ended: a host closed it for everybody.",
                Some(Remedy::StartAnew),
            ),
            EndReason::TakenOver => Self::new(
                Tone::Warning,
                "This session continues in another tab.",
                Some(Remedy::UseThisTab),
            ),
            EndReason::Refused { code, message } => refused(*code, message),
        }
    }
}

fn refused(code: ErrorCode, message: &str) -> Notice {
    let warn = |text: &str, remedy| Notice::new(Tone::Warning, text, remedy);
    match code {
        ErrorCode::RoomNotFound | ErrorCode::RoomNotBack => warn(
            "This session does not exist, or it has ended. Ask for a new link, or start a session of your own.",
            Some(Remedy::StartAnew),
        ),
        ErrorCode::RoomEnded => warn(
            "This session has ended. Ask for a new link, or start a session of your own.",
            Some(Remedy::StartAnew),
        ),
        ErrorCode::RoomFull => {
            warn("This session is full. Try again when somebody has left.", None)
        }
        ErrorCode::ServerFull => {
            warn("The studio server carries no more sessions. Try again later.", None)
        }
        ErrorCode::InvalidToken | ErrorCode::WrongToken => warn(
            "This invitation is not valid for this session. Ask for a new link, or join as a caller.",
            None,
        ),
        ErrorCode::ExpiredToken => {
            warn("This invitation has expired. Ask for a new link, or join as a caller.", None)
        }
        ErrorCode::InvalidName => warn("This name cannot be shown. Choose another.", None),
        ErrorCode::RateLimited => {
            warn("Too many attempts from here. Wait half a minute, then try again.", None)
        }
        ErrorCode::AlreadyInRoom | ErrorCode::PeerIdTaken | ErrorCode::AlreadyRegistered => {
            warn("You are in another session already. Leave it first.", None)
        }
        ErrorCode::MalformedJson
        | ErrorCode::DuplicateKey
        | ErrorCode::TooLarge
        | ErrorCode::UnknownType
        | ErrorCode::MissingField
        | ErrorCode::InvalidField
        | ErrorCode::NotText
        | ErrorCode::NoEngine
        | ErrorCode::RecordingNotFound
        | ErrorCode::NotRegistered
        | ErrorCode::NotInRoom
        | ErrorCode::ForgedSender
        | ErrorCode::PeerNotFound
        | ErrorCode::Forbidden
        | ErrorCode::Internal => Notice::new(
            Tone::Warning,
            format!("The studio server refused: {message}. Reload the page and try again."),
            None,
        ),
    }
}

/// Returns whether a refusal concerns the token that was shown, so that the next attempt
/// must do without it.
pub(crate) fn spends_token(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::InvalidToken | ErrorCode::ExpiredToken | ErrorCode::WrongToken)
}

/// For somebody whose kept seat the server does not take any more.
pub(crate) const SEAT_LOST: &str = "Your place was not kept any longer. Join again.";

/// In front of the room, on a page to which browsers give no microphone.
pub(crate) const INSECURE_PAGE: &str = "This page came without encryption, so your browser will not give it a microphone: here you can only listen. Ask the station for its https:// address. If you run the station, start the studio with --tls acme (it has a public name) or --tls self-signed (a local network), or put a proxy with a certificate in front; on the studio's own machine http://localhost works, too.";

/// While the first socket cannot be opened.
pub(crate) const UNREACHABLE: &str =
    "The studio server cannot be reached. Trying again… Check your network if this goes on.";

/// While the seat is being resumed.
pub(crate) const RECONNECTING: &str = "to the studio server. The conversation goes on.";

/// While the browser does not let the page be heard.
pub(crate) const SOUND_HELD: &str = "Your browser holds the sound back.";

/// For a page whose sound does without the desk.
pub(crate) const DESK_MISSING: &str = "This browser plays the voices without the desk: the programme and all levels are missing here. Everybody hears everything as it is set.";

/// For a browser without Web Audio.
pub(crate) const SOUND_IMPOSSIBLE: &str =
    "This browser cannot play the session's sound. Use a current Chromium, Firefox or Safari.";

/// For a browser without WebRTC.
pub(crate) const UNSUPPORTED: &str = "This browser cannot take part in calls: it has no WebRTC. Use a current Chromium, Firefox or Safari, or switch WebRTC on.";

/// The microphone, as the person in front of the screen has to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MicrophoneState {
    /// Not asked for.
    Idle,
    /// The browser is asking.
    Asking,
    /// It is there.
    Live,
    /// The person, or a rule, said no.
    Refused,
    /// There is none.
    NotFound,
    /// Another program has it, or the hardware failed.
    Busy,
    /// It was there and is gone.
    Lost,
    /// The page was not loaded securely.
    Insecure,
}

impl MicrophoneState {
    /// Returns why there is nothing to check.
    pub(crate) fn check_sentence(self) -> &'static str {
        match self {
            Self::Refused => {
                "This page may not use your microphone. Allow it in the address bar, at the icon left of the address. You can join without one, too."
            }
            Self::NotFound => "No microphone was found. You can join without one, too.",
            Self::Insecure => {
                "Browsers give a microphone to pages with https:// alone. Ask the station for its secure address."
            }
            Self::Busy | Self::Lost | Self::Idle | Self::Asking | Self::Live => {
                "The microphone could not be opened. Another program may be using it."
            }
        }
    }

    /// Returns what happened and what to do; none while there is nothing to say.
    pub(crate) fn sentence(self) -> Option<&'static str> {
        match self {
            Self::Idle | Self::Live => None,
            Self::Asking => Some(
                "Your browser asks whether this page may use your microphone. You can listen already.",
            ),
            Self::Refused => Some(
                "You are listening only: this page may not use your microphone. Allow it in the address bar, at the icon left of the address, then try again.",
            ),
            Self::NotFound => Some(
                "You are listening only: no microphone was found. Plug one in, then try again.",
            ),
            Self::Busy => Some(
                "You are listening only: the microphone could not be opened. Another program may be using it. Close that, then try again.",
            ),
            Self::Lost => Some(
                "Your microphone is gone, and nobody hears you. Plug it in again or choose another, then try again.",
            ),
            Self::Insecure => Some(
                "You are listening only: browsers give a microphone to pages with https:// alone. Ask the station for its secure address.",
            ),
        }
    }

    /// Returns whether *Try microphone again* could help.
    pub(crate) fn may_retry(self) -> bool {
        matches!(self, Self::Refused | Self::NotFound | Self::Busy | Self::Lost)
    }

    /// Reads the name of the exception that `getUserMedia` threw.
    pub(crate) fn of_error(name: &str) -> Self {
        match name {
            "NotAllowedError" | "SecurityError" => Self::Refused,
            "NotFoundError" | "OverconstrainedError" => Self::NotFound,
            _ => Self::Busy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_a_sentence_and_dead_links_a_way_on() {
        let refused = |code| EndReason::Refused { code, message: "no".into() };
        for reason in [
            EndReason::Left,
            EndReason::RoomEnded,
            EndReason::TakenOver,
            refused(ErrorCode::RoomFull),
        ] {
            assert!(Notice::ended(&reason).text.ends_with('.'), "{reason:?}");
        }
        let gone = Notice::ended(&refused(ErrorCode::RoomNotFound));
        assert_eq!(gone.remedy, Some(Remedy::StartAnew));
        assert_eq!(Notice::ended(&EndReason::TakenOver).remedy, Some(Remedy::UseThisTab));
    }

    #[test]
    fn whoever_has_no_microphone_is_told_how_to_get_one() {
        for name in ["NotAllowedError", "NotFoundError", "NotReadableError", "AbortError"] {
            let state = MicrophoneState::of_error(name);
            assert!(state.sentence().is_some() && state.may_retry(), "{name}");
        }
        assert!(!MicrophoneState::Insecure.may_retry());
        assert!(MicrophoneState::Live.sentence().is_none());
    }
}
