//! The request to an Icecast server, and the first of its answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::trouble::Trouble;
use crate::text::one_line;
use crate::{IcecastConfig, SAMPLE_RATE};

/// Bytes of an answer that are read at most.
const ANSWER_BYTES: usize = 8_192;

/// What the server is told about the station.
#[derive(Debug, Clone)]
pub(crate) struct Introduction {
    pub(crate) station: String,
    pub(crate) description: String,
    pub(crate) bitrate: u32,
}

impl Introduction {
    /// Returns the request, up to its body.
    pub(crate) fn request(&self, server: &IcecastConfig) -> Vec<u8> {
        let IcecastConfig { host, port, mount, user, password } = server;
        let login = STANDARD.encode(format!("{user}:{password}"));
        let audio = format!(
            "ice-samplerate={SAMPLE_RATE};ice-bitrate={};ice-channels=2",
            self.bitrate / 1_000
        );
        let mut lines = vec![
            format!("PUT {mount} HTTP/1.1"),
            format!("Host: {host}:{port}"),
            format!("Authorization: Basic {login}"),
            format!("User-Agent: OpenStudio/{}", env!("CARGO_PKG_VERSION")),
            "Content-Type: application/ogg".to_owned(),
            "Ice-Public: 0".to_owned(),
            format!("Ice-Audio-Info: {audio}"),
        ];
        let texts = [("Ice-Name", &self.station), ("Ice-Description", &self.description)];
        for (name, text) in texts {
            let text = one_line(text);
            if !text.is_empty() {
                lines.push(format!("{name}: {text}"));
            }
        }
        lines.push("Expect: 100-continue\r\n\r\n".to_owned());
        lines.join("\r\n").into_bytes()
    }
}

/// An answer, as far as it was read.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    /// What came behind its head.
    rest: Vec<u8>,
}

impl Answer {
    /// Reads the head of an answer.
    pub(super) async fn read(socket: &mut (impl AsyncRead + Unpin)) -> Result<Self, Trouble> {
        let mut bytes = Vec::new();
        loop {
            if let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
                let rest = bytes.split_off(end + 4);
                let status = status(&bytes).ok_or(Trouble::NotIcecast)?;
                return Ok(Self { status, rest });
            }
            if bytes.len() >= ANSWER_BYTES {
                return Err(Trouble::NotIcecast);
            }
            if !more(socket, &mut bytes).await {
                return Err(Trouble::HungUp);
            }
        }
    }

    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// Whether the server wants to have the stream.
    pub(super) fn goes_on(&self) -> bool {
        matches!(self.status, 100 | 200)
    }

    /// Reads the rest of the answer as text, up to its end or to where it gets too long.
    pub(super) async fn body(&self, socket: &mut (impl AsyncRead + Unpin)) -> String {
        let mut bytes = self.rest.clone();
        while bytes.len() < ANSWER_BYTES && more(socket, &mut bytes).await {}
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Reads on; returns whether anything came.
async fn more(socket: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> bool {
    let mut piece = [0; 1_024];
    let Ok(length @ 1..) = socket.read(&mut piece).await else { return false };
    bytes.extend(piece.iter().take(length));
    true
}

fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_who_and_what() {
        let server = IcecastConfig::new("http://radio.example:8000/live", "source", "hackme");
        let introduction = Introduction {
            station: "Rädio\r\nIce-Public: 1".to_owned(),
            description: "\n".to_owned(),
            bitrate: 128_000,
        };
        let request = String::from_utf8(introduction.request(&server.unwrap())).unwrap();
        assert!(request.starts_with("PUT /live HTTP/1.1\r\nHost: radio.example:8000\r\n"));
        assert!(request.ends_with("\r\nExpect: 100-continue\r\n\r\n"));
        let lines: Vec<_> = request.split("\r\n").collect();
        assert!(lines.contains(&"Authorization: Basic c291cmNlOmhhY2ttZQ=="));
        assert!(lines.contains(&"Content-Type: application/ogg"));
        assert!(lines.contains(&"Ice-Name: Rädio Ice-Public: 1"));
        assert!(!request.contains("Ice-Description"));
        assert_eq!(lines.iter().filter(|line| line.starts_with("Ice-Public")).count(), 1);
    }

    #[test]
    fn only_http_has_a_status() {
        assert_eq!(status(b"HTTP/1.1 100 Continue\r\n\r\n"), Some(100));
        assert_eq!(status(b"HTTP/1.0 403 Forbidden\r\nA: b\r\n\r\n"), Some(403));
        for strange in ["", "\r\n", "HTTP/1.1", "HTTP/1.1 x y", "SSH-2.0 100 z", "HTTP/1.1 70000"] {
            assert_eq!(status(strange.as_bytes()), None);
        }
        assert_eq!(status(&[0xff, 0xfe, 0x00]), None);
    }
}
