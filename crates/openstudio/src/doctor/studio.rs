//! The studio that runs already, if one does: what it answers at the address of the settings.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use openstudio_server::ServerConfig;
use openstudio_tls::{Facts, Trust};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long it may take to answer.
const LIMIT: Duration = Duration::from_secs(5);

/// The largest answer that is read, bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// How a studio begins its answer to those who come to its TLS port without TLS.
const LEADS_TO_TLS: &str = "This studio is at https://";

/// What a running studio says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Studio {
    /// None of a studio that has no certificate yet, and so says only that it is there.
    pub(crate) version: Option<String>,
    /// The moment of its `Date`, and how late it may be: what the answer took, and the second
    /// to which a `Date` is rounded.
    pub(crate) date: Option<(SystemTime, SystemTime)>,
    /// The certificate that it shows; none without TLS.
    pub(crate) shown: Option<Facts>,
    /// Whether it speaks TLS.
    pub(crate) is_encrypted: bool,
}

impl Studio {
    /// Asks at the address of the settings; none if no studio answers there.
    pub(crate) async fn look(config: &ServerConfig) -> Option<Self> {
        let address = reachable(config.listen);
        let mut speechless = None;
        // It may run with other settings than these.
        for is_encrypted in [config.tls.is_some(), config.tls.is_none()] {
            let asked = tokio::time::timeout(LIMIT, ask(address, is_encrypted)).await;
            let Ok(Ok(Some(studio))) = asked else { continue };
            if studio.version.is_some() {
                return Some(studio);
            }
            speechless = Some(studio);
        }
        speechless
    }
}

/// Where a program on this machine reaches who listens there.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(address: SocketAddr, is_encrypted: bool) -> io::Result<Option<Studio>> {
    if !is_encrypted {
        let stream = TcpStream::connect(address).await?;
        let answer = get_health(stream, address).await?;
        return Ok(answer.and_then(|answer| studio_of(&answer, None)));
    }
    // Whoever it is: what it shows is compared with what it should show.
    let tls = Trust::Everybody.load().map_err(io::Error::other)?;
    let stream = tls.connect(&address.to_string()).await.map_err(io::Error::other)?;
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let shown = shown.and_then(|der| Facts::of(der));
    let answer = get_health(stream, address).await?;
    Ok(answer.and_then(|answer| studio_of(&answer, shown)))
}

struct Answer {
    date: Option<SystemTime>,
    came: SystemTime,
    status: String,
    body: String,
}

fn studio_of(answer: &Answer, shown: Option<Facts>) -> Option<Studio> {
    let date = answer.date.map(|date| (date, answer.came));
    // It is 400 where the studio cannot tell its own address.
    if matches!(&*answer.status, "307" | "400") && answer.body.starts_with(LEADS_TO_TLS) {
        return Some(Studio { version: None, date, is_encrypted: true, shown });
    }
    let health: Value = serde_json::from_str(&answer.body).ok()?;
    if answer.status != "200" || health["status"] != "ok" {
        return None;
    }
    let version = Some(health["version"].as_str()?.to_owned());
    Some(Studio { version, date, is_encrypted: shown.is_some(), shown })
}

async fn get_health(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    address: SocketAddr,
) -> io::Result<Option<Answer>> {
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = Vec::new();
    let read = (&mut stream).take(MAX_ANSWER).read_to_end(&mut text).await;
    // A server may end the connection without the farewell of TLS.
    if let Err(error) = read
        && error.kind() != io::ErrorKind::UnexpectedEof
    {
        return Err(error);
    }
    Ok(parse(&String::from_utf8_lossy(&text), SystemTime::now()))
}

fn parse(text: &str, came: SystemTime) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.to_owned();
    let date = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("date"))
        .and_then(|(_, value)| httpdate::parse_http_date(value.trim()).ok());
    Some(Answer { date, came, status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Studio> {
        studio_of(&parse(text, SystemTime::UNIX_EPOCH)?, None)
    }

    #[test]
    fn only_a_studio_is_taken_for_one() {
        let answer = "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 1970 00:00:07 GMT\r\n\r\n\
                      {\"status\":\"ok\",\"version\":\"1.2.3\"}";
        let studio = of(answer).unwrap();
        assert_eq!(studio.version.as_deref(), Some("1.2.3"));
        assert!(!studio.is_encrypted);
        let (date, _) = studio.date.unwrap();
        assert_eq!(date, SystemTime::UNIX_EPOCH + Duration::from_secs(7));
        for other in [
            "",
            "SSH-2.0-OpenSSH",
            "HTTP/1.1 200 OK\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\"}",
            "HTTP/1.1 404 Not Found\r\n\r\n{\"status\":\"ok\",\"version\":\"1\"}",
        ] {
            assert!(of(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_studio_that_leads_to_tls_is_one() {
        for answer in [
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: https://a/\r\n\r\n\
             This studio is at https://a/health\n",
            "HTTP/1.1 400 Bad Request\r\n\r\n\
             This studio is at https:// and speaks no plain HTTP.\n",
        ] {
            let studio = of(answer).unwrap();
            assert_eq!((studio.version, studio.is_encrypted), (None, true), "{answer}");
        }
        let other = "HTTP/1.1 307 Temporary Redirect\r\nlocation: https://a/\r\n\r\nThere\n";
        assert!(of(other).is_none());
    }
}
