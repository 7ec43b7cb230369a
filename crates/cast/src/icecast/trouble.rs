//! What goes wrong with an Icecast server, in words for a host.

use std::io::ErrorKind;

use crate::IcecastConfig;
use crate::status::State;
use crate::text::one_line;

/// Why there is no stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No address is known for the host.
    UnknownHost,
    /// Nobody listens at the port.
    Refused,
    /// There is no way there, or something else that the system says.
    Unreachable(ErrorKind),
    /// The connection took too long to be made.
    ConnectTimedOut,
    /// The server took too long to answer.
    NoAnswer,
    /// What answers speaks something else.
    NotIcecast,
    /// User or password are wrong.
    Login,
    /// Somebody else streams there.
    MountInUse,
    /// The server has another reason.
    Status(u16, String),
    /// The server closed the connection.
    HungUp,
    /// The server takes nothing any more.
    Stalled,
}

impl Trouble {
    /// Makes one of why a connection could not be made.
    pub(super) fn of_connecting(kind: ErrorKind) -> Self {
        if kind == ErrorKind::ConnectionRefused {
            return Self::Refused;
        }
        if kind == ErrorKind::TimedOut { Self::ConnectTimedOut } else { Self::Unreachable(kind) }
    }

    /// Makes one of an answer that is not the wanted one.
    pub(super) fn of(status: u16, body: &str) -> Self {
        match status {
            401 => Self::Login,
            403 if body.to_ascii_lowercase().contains("mountpoint in use") => Self::MountInUse,
            _ => Self::Status(status, said(body)),
        }
    }

    /// Returns whether it may pass by itself.
    pub(super) fn state(&self) -> State {
        match self {
            Self::Login | Self::NotIcecast | Self::Status(..) => State::Failed,
            Self::UnknownHost
            | Self::Refused
            | Self::Unreachable(_)
            | Self::ConnectTimedOut
            | Self::NoAnswer
            | Self::MountInUse
            | Self::HungUp
            | Self::Stalled => State::Retrying,
        }
    }

    /// Returns a sentence or two for a host.
    pub(super) fn words(&self, server: &IcecastConfig) -> String {
        let IcecastConfig { host, port, mount, .. } = server;
        let place = format!("{host}:{port}");
        match self {
            Self::UnknownHost => format!(
                "There is no Icecast server called {host}, as far as this machine knows: check the \
                 address and the network. It is tried again all the time."
            ),
            Self::Refused => format!(
                "Nothing answers at {place}: start the Icecast server, or correct the port. It is \
                 tried again all the time."
            ),
            Self::Unreachable(kind) => format!(
                "There is no way to the Icecast server at {place} ({kind}): check the network and \
                 the address. It is tried again all the time."
            ),
            Self::ConnectTimedOut => format!(
                "The Icecast server at {place} cannot be reached, as no answer comes: check the \
                 address, and whether a firewall is in between. It is tried again all the time."
            ),
            Self::NoAnswer => format!(
                "Something at {place} takes connections, but does not answer: check that it is an \
                 Icecast server, and that it is not overloaded. It is tried again all the time."
            ),
            Self::NotIcecast => format!(
                "What answers at {place} is no Icecast server: correct the address. It is tried \
                 again every few seconds."
            ),
            Self::Login => format!(
                "The Icecast server at {place} refuses user or password: correct them in the \
                 settings. It is tried again every few seconds."
            ),
            Self::MountInUse => format!(
                "Somebody else streams to {mount} at {place} already: end that stream, or choose \
                 another mount. It is tried again all the time."
            ),
            Self::Status(status, said) => {
                let said = if said.is_empty() { String::new() } else { format!(", “{said}”") };
                format!(
                    "The Icecast server at {place} refuses the stream (status {status}{said}): \
                     check its settings for {mount}. It is tried again every few seconds."
                )
            }
            Self::HungUp => format!(
                "The Icecast server at {place} has closed the connection: if this lasts, look in \
                 its log. It is tried again all the time."
            ),
            Self::Stalled => format!(
                "The Icecast server at {place} takes the stream too slowly or not at all: check \
                 the network. It is tried again all the time."
            ),
        }
    }
}

/// Returns what a page says, without its markup.
fn said(body: &str) -> String {
    let mut tag = false;
    let text = body.chars().map(|letter| match letter {
        '<' => {
            tag = true;
            ' '
        }
        '>' => {
            tag = false;
            ' '
        }
        _ if tag => ' ',
        _ => letter,
    });
    one_line(&text.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let in_use = "<html><body><b>Mountpoint in use</b></body></html>";
        assert_eq!(Trouble::of(403, in_use), Trouble::MountInUse);
        assert_eq!(Trouble::of(401, ""), Trouble::Login);
        let full = Trouble::of(403, "<b>too many sources\r\n connected</b>");
        assert_eq!(full, Trouble::Status(403, "too many sources connected".to_owned()));
    }

    #[test]
    fn each_trouble_has_words_of_its_own() {
        let server = IcecastConfig::new("http://radio.example:8000/live", "me", "geheim").unwrap();
        let troubles = [
            Trouble::UnknownHost,
            Trouble::Refused,
            Trouble::Unreachable(ErrorKind::NetworkUnreachable),
            Trouble::ConnectTimedOut,
            Trouble::NoAnswer,
            Trouble::NotIcecast,
            Trouble::Login,
            Trouble::MountInUse,
            Trouble::Status(403, "no".to_owned()),
            Trouble::HungUp,
            Trouble::Stalled,
        ];
        let words: Vec<_> = troubles.iter().map(|trouble| trouble.words(&server)).collect();
        for (place, sentence) in words.iter().enumerate() {
            assert!(sentence.contains("radio.example") && sentence.contains("tried again"));
            assert!(!sentence.contains("geheim"));
            assert!(!words[..place].contains(sentence));
        }
    }
}
