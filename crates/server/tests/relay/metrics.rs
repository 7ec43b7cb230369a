//! What `/metrics` says of the relay.

use std::collections::BTreeMap;

use openstudio_turn::{ClientError, ClientEvent, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Caller, PATIENCE, Studio, two_seats};

/// Reads the metrics of the relay.
async fn metrics(studio: &Studio) -> BTreeMap<String, u64> {
    let mut stream = TcpStream::connect(studio.address).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.contains("content-type: text/plain; version=0.0.4"), "{text}");
    let lines = text.lines().filter_map(|line| line.strip_prefix("openstudio_relay_"));
    let value = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    lines.map(value).collect()
}

#[tokio::test]
async fn allocations_packets_and_refusals_are_counted() {
    let all = async {
        let studio = Studio::start("counts", |_| {}).await;
        let begun = metrics(&studio).await;
        assert!(begun.len() > 10 && begun.values().all(|value| *value == 0), "{begun:?}");
        let (_host, [first, mut second]) = two_seats(&studio).await;
        let mut ada = Caller::new(&studio, &first, Transport::Udp).await;
        let mut bob = Caller::new(&studio, &second, Transport::Tcp).await;
        let (of_ada, of_bob) = (ada.allocated().await, bob.allocated().await);
        ada.permit(of_bob, true).await;
        bob.permit(of_ada, true).await;
        for text in ["four", "and seven"] {
            ada.say(of_bob, text).await;
            bob.next().await;
        }
        let private = "10.0.0.1:4000".parse().unwrap();
        let error = ClientError::Refused(403);
        let refused = ClientEvent::PeerRefused { peer: private, error };
        assert_eq!(ada.permit(private, false).await, refused);
        second.turn[0].credential.push('x');
        let mut stranger = Caller::new(&studio, &second, Transport::Udp).await;
        assert_eq!(stranger.next().await, ClientEvent::Failed(ClientError::Refused(401)));

        let counted = metrics(&studio).await;
        for (name, value) in [
            (r#"allocations{transport="udp"}"#, 1),
            (r#"allocations{transport="tcp"}"#, 1),
            (r#"allocations{transport="tls"}"#, 0),
            ("allocations_opened_total", 2),
            (r#"packets_total{direction="to_peer"}"#, 2),
            (r#"packets_total{direction="to_client"}"#, 2),
            (r#"bytes_total{direction="to_peer"}"#, 13),
            (r#"bytes_total{direction="to_client"}"#, 13),
            ("packets_dropped_total", 0),
            (r#"requests_refused_total{reason="credentials"}"#, 1),
            (r#"requests_refused_total{reason="peer"}"#, 1),
            (r#"requests_refused_total{reason="quota"}"#, 0),
            (r#"requests_refused_total{reason="request"}"#, 0),
            (r#"requests_refused_total{reason="rate"}"#, 0),
        ] {
            assert_eq!(counted.get(name), Some(&value), "{name}: {counted:?}");
        }
        ada.client.end(ada.now());
        assert_eq!(ada.next().await, ClientEvent::Ended);
        let ended = metrics(&studio).await;
        assert_eq!(ended.get(r#"allocations{transport="udp"}"#), Some(&0));
    };
    timeout(PATIENCE, all).await.unwrap();
}
