//! The relay with real sockets: credentials from a seat, allocations by UDP, TCP and TLS, packets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod metrics;
mod support;
mod tls;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openstudio_server::{RelayConfig, SharedTurn};
use openstudio_turn::{ClientError, ClientEvent, Transport};
use openstudio_wire::{IceConfig, ServerMessage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use support::{Caller, PATIENCE, Studio, two_seats};

#[tokio::test]
async fn participants_speak_through_the_relay_by_udp_and_tcp() {
    let all = async {
        let studio = Studio::start("relays", |config| {
            config.relay.as_mut().unwrap().allowed = vec!["127.0.0.0/8".parse().unwrap()];
        })
        .await;
        let relay = studio.relay.unwrap();
        let (_host, [first, second]) = two_seats(&studio).await;
        assert_eq!(first.turn[0].urls[0], format!("turn:{relay}?transport=udp"));
        assert_eq!(first.stun, [format!("stun:{relay}")]);
        assert_ne!(first.turn[0].username, second.turn[0].username);
        let sink = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let outside = sink.local_addr().unwrap();
        for with_channel in [false, true] {
            let mut ada = Caller::new(&studio, &first, Transport::Udp).await;
            let mut bob = Caller::new(&studio, &second, Transport::Tcp).await;
            let (of_ada, of_bob) = (ada.allocated().await, bob.allocated().await);
            let permitted = |peer| ClientEvent::Permitted { peer };
            assert_eq!(ada.permit(of_bob, with_channel).await, permitted(of_bob));
            assert_eq!(bob.permit(of_ada, with_channel).await, permitted(of_ada));
            ada.say(of_bob, "hello").await;
            let heard = ClientEvent::Received { peer: of_ada, bytes: "hello".into() };
            assert_eq!(bob.next().await, heard);
            bob.say(of_ada, "and back").await;
            let heard = ClientEvent::Received { peer: of_bob, bytes: "and back".into() };
            assert_eq!(ada.next().await, heard);
            for (caller, relayed) in [(&mut ada, of_ada), (&mut bob, of_bob)] {
                assert_eq!(caller.permit(outside, with_channel).await, permitted(outside));
                caller.say(outside, "out").await;
                let mut buffer = [0; 64];
                let (length, from) = sink.recv_from(&mut buffer).await.unwrap();
                assert_eq!((&buffer[..length], from), (b"out".as_slice(), relayed));
                sink.send_to(b"in", relayed).await.unwrap();
                let heard = ClientEvent::Received { peer: outside, bytes: b"in".to_vec() };
                assert_eq!(caller.next().await, heard);
                caller.client.end(caller.now());
                assert_eq!(caller.next().await, ClientEvent::Ended);
            }
        }
    };
    timeout(PATIENCE, all).await.unwrap();
}

/// When credentials run out, seconds since 1970.
fn expiry(ice: &IceConfig) -> u64 {
    ice.turn[0].username.split_once(':').unwrap().0.parse().unwrap()
}

#[tokio::test]
async fn credentials_are_renewed_and_what_the_older_ones_made_goes_on() {
    let all = async {
        let studio = Studio::start("renews", |config| {
            let relay = config.relay.as_mut().unwrap();
            relay.allowed = vec!["127.0.0.0/8".parse().unwrap()];
            config.turn_lifetime = Duration::from_secs(2);
        })
        .await;
        let (mut host, [first, _]) = two_seats(&studio).await;
        let mut running = Caller::new(&studio, &first, Transport::Udp).await;
        running.allocated().await;
        // These were given out at least a second after the first ones had run out.
        let newest = loop {
            if let ServerMessage::IceServers { ice } = host.next().await
                && expiry(&ice) >= expiry(&first) + 3
            {
                break ice;
            }
        };
        assert_eq!(newest.turn[0].urls, first.turn[0].urls);
        let peer = "127.0.0.1:9".parse().unwrap();
        assert_eq!(running.permit(peer, true).await, ClientEvent::Permitted { peer });
        let mut late = Caller::new(&studio, &first, Transport::Udp).await;
        assert_eq!(late.next().await, ClientEvent::Failed(ClientError::Refused(401)));
        Caller::new(&studio, &newest, Transport::Udp).await.allocated().await;
    };
    timeout(PATIENCE, all).await.unwrap();
}

#[tokio::test]
async fn without_leave_nothing_reaches_the_machines_own_network() {
    let all = async {
        let studio = Studio::start("refuses", |_| {}).await;
        let (_host, [first, _]) = two_seats(&studio).await;
        let sink = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let outside = sink.local_addr().unwrap();
        for transport in [Transport::Udp, Transport::Tcp] {
            for with_channel in [false, true] {
                let mut ada = Caller::new(&studio, &first, transport).await;
                ada.allocated().await;
                let error = ClientError::Refused(403);
                let refused = ClientEvent::PeerRefused { peer: outside, error };
                assert_eq!(ada.permit(outside, with_channel).await, refused);
                ada.client.end(ada.now());
                assert_eq!(ada.next().await, ClientEvent::Ended);
            }
        }
        // The first that arrives is what was sent past the relay.
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        other.send_to(b"marker", outside).await.unwrap();
        let mut buffer = [0; 64];
        let (length, _) = sink.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"marker");
    };
    timeout(PATIENCE, all).await.unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_leaves_the_studio_open_without_a_relay() {
    let taken = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let studio = Studio::start("taken", |config| {
        config.relay = Some(RelayConfig::new(address));
        let urls = vec!["turn:elsewhere.example:3478".to_owned()];
        config.turn_shared = vec![SharedTurn { urls, secret: "north".to_owned() }];
    })
    .await;
    assert_eq!(studio.relay, None);
    let (_host, [first, second]) = timeout(PATIENCE, two_seats(&studio)).await.unwrap();
    assert!(first.stun.is_empty());
    assert_eq!(first.turn.len(), 1, "the one that shares a secret");
    assert_ne!(first.turn[0].credential, second.turn[0].credential);
}

#[tokio::test]
async fn credentials_for_others_last_as_long_as_is_said_without_a_relay_here() {
    let studio = Studio::start("others", |config| {
        config.relay = None;
        let urls = vec!["turn:elsewhere.example:3478".to_owned()];
        config.turn_shared = vec![SharedTurn { urls, secret: "north".to_owned() }];
        config.turn_lifetime = Duration::from_secs(9_000);
    })
    .await;
    let (_host, [first, _]) = timeout(PATIENCE, two_seats(&studio)).await.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!((now + 8_900..=now + 9_000).contains(&expiry(&first)));
}

#[tokio::test]
async fn a_stream_of_something_else_is_closed() {
    let studio = Studio::start("nonsense", |_| {}).await;
    let mut stream = TcpStream::connect(studio.relay.unwrap()).await.unwrap();
    stream.write_all(b"\xFF\xFF\xFF\xFF").await.unwrap();
    let mut rest = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty() && read.is_ok());
}
