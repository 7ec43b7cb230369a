//! The few lines of HTTP that tests need.

use anyhow::Context as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{PATIENCE, Server};

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// What followed.
    pub body: Vec<u8>,
}

impl Reply {
    /// Returns the value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// Sends a GET with more header lines and reads the answer to its end.
///
/// # Errors
/// The server does not answer properly.
pub async fn get(server: &Server, path: &str, headers: &[&str]) -> anyhow::Result<Reply> {
    let stream = TcpStream::connect(("127.0.0.1", server.port())).await?;
    get_over(stream, &format!("127.0.0.1:{}", server.port()), (path, headers)).await
}

/// Does the same over a connection that is there already, as to this host.
///
/// # Errors
/// The server does not answer properly.
pub async fn get_over(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    (path, headers): (&str, &[&str]),
) -> anyhow::Result<Reply> {
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n");
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.context("no answer")??;
    parse(&answer).context("no HTTP answer")
}

fn parse(answer: &[u8]) -> Option<Reply> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = answer.split_at_checked(end)?;
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Some(Reply { status, headers, body: body.get(4..)?.to_vec() })
}
