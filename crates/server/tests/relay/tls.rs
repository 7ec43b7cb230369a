//! The relay by TLS.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use openstudio_server::tls::{Source, Tls, TlsConfig, Trust};
use openstudio_turn::{ClientEvent, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::{Caller, PATIENCE, Studio, folder, two_seats};

const SELF_SIGNED: Source = Source::SelfSigned { names: Vec::new() };

#[tokio::test]
async fn participants_speak_through_the_relay_by_tls() {
    let all = async {
        for (name, place, prefix) in
            [("tls-v4", "127.0.0.1:0", "127.0.0.0/8"), ("tls-v6", "[::1]:0", "::1/128")]
        {
            let studio = Studio::start(name, |config| {
                config.tls = Some(SELF_SIGNED);
                config.listen = place.parse().unwrap();
                let relay = config.relay.as_mut().unwrap();
                (relay.listen, relay.tls_listen) = (config.listen, Some(config.listen));
                relay.allowed = vec![prefix.parse().unwrap()];
            })
            .await;
            let (_host, [first, second]) = two_seats(&studio).await;
            let place = studio.relay_tls.unwrap();
            assert_eq!(first.turn[0].urls[2], format!("turns:{place}?transport=tcp"));
            for transport in [Transport::Tls, Transport::Udp] {
                for with_channel in [false, true] {
                    let ada = Caller::new(&studio, &first, Transport::Tls).await;
                    let bob = Caller::new(&studio, &second, transport).await;
                    speak(ada, bob, with_channel).await;
                }
            }
        }
    };
    timeout(PATIENCE, all).await.unwrap();
}

/// Both allocate, and each hears the other.
async fn speak(mut ada: Caller, mut bob: Caller, with_channel: bool) {
    let (of_ada, of_bob) = (ada.allocated().await, bob.allocated().await);
    let permitted = |peer| ClientEvent::Permitted { peer };
    assert_eq!(ada.permit(of_bob, with_channel).await, permitted(of_bob));
    assert_eq!(bob.permit(of_ada, with_channel).await, permitted(of_ada));
    for text in ["hello", "and on"] {
        ada.say(of_bob, text).await;
        let heard = ClientEvent::Received { peer: of_ada, bytes: text.into() };
        assert_eq!(bob.next().await, heard);
        bob.say(of_ada, text).await;
        let heard = ClientEvent::Received { peer: of_bob, bytes: text.into() };
        assert_eq!(ada.next().await, heard);
    }
}

/// Returns the files of a new certificate.
fn certificate(folder: &Path) -> [PathBuf; 2] {
    let made = TlsConfig { source: SELF_SIGNED, data_dir: folder.to_owned() };
    Tls::open(&made).unwrap();
    ["pem", "key"].map(|kind| folder.join(format!("tls/self-signed.{kind}")))
}

/// The certificate that the relay shows.
async fn shown(place: SocketAddr) -> Vec<u8> {
    let tls = Trust::Everybody.load().unwrap();
    let stream = tls.connect(&place.to_string()).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart() {
    let (files, new) = (folder("tls-files"), folder("tls-files-new"));
    let [certificate_path, key] = certificate(&files);
    let studio = Studio::start("tls-reload", |config| {
        let certificate = certificate_path.clone();
        config.tls = Some(Source::Files { certificate, key: key.clone() });
    })
    .await;
    let place = studio.relay_tls.unwrap();
    let before = shown(place).await;
    for (from, to) in certificate(&new).iter().zip([&certificate_path, &key]) {
        std::fs::copy(from, to).unwrap();
    }
    studio.reload.as_ref().unwrap().now();
    let replaced = async { while shown(place).await == before {} };
    timeout(PATIENCE, replaced).await.unwrap();
    for folder in [files, new] {
        let _ = std::fs::remove_dir_all(folder);
    }
}

#[tokio::test]
async fn a_handshake_takes_a_place_and_one_without_tls_is_closed() {
    let studio = Studio::start("tls-places", |config| {
        config.tls = Some(SELF_SIGNED);
        config.relay.as_mut().unwrap().address_streams = 1;
    })
    .await;
    let (plain, encrypted) = (studio.relay.unwrap(), studio.relay_tls.unwrap());
    let all = async {
        // The beginning of a handshake: the relay waits for the rest of it.
        let mut first = TcpStream::connect(encrypted).await.unwrap();
        first.write_all(&[22]).await.unwrap();
        for place in [encrypted, plain] {
            let mut second = TcpStream::connect(place).await.unwrap();
            assert!(is_closed(&mut second).await, "{place}: no place is left");
        }
        drop(first);
        // Its place is free as soon as the relay has seen that.
        loop {
            let mut stream = TcpStream::connect(encrypted).await.unwrap();
            // A Binding request, without TLS: whoever had a place would get an answer.
            stream.write_all(b"\x00\x01\x00\x00\x21\x12\xA4\x42twelve bytes").await.unwrap();
            assert!(is_closed(&mut stream).await, "it is no TLS");
            if Trust::Everybody.load().unwrap().connect(&encrypted.to_string()).await.is_ok() {
                return;
            }
        }
    };
    timeout(PATIENCE, all).await.unwrap();
}

/// Whether the other side closes a stream without a word.
async fn is_closed(stream: &mut TcpStream) -> bool {
    // What it did not read makes it a reset.
    !matches!(stream.read(&mut [0]).await, Ok(1..))
}

#[tokio::test]
async fn a_port_of_tls_that_is_taken_leaves_the_relay_open_without() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let studio = Studio::start("tls-taken", |config| {
        config.tls = Some(SELF_SIGNED);
        config.relay.as_mut().unwrap().tls_listen = Some(taken.local_addr().unwrap());
    })
    .await;
    assert!(studio.relay.is_some());
    assert_eq!(studio.relay_tls, None);
    let (_host, [first, _]) = timeout(PATIENCE, two_seats(&studio)).await.unwrap();
    assert_eq!(first.turn[0].urls.len(), 2, "by UDP and TCP");
    let mut caller = Caller::new(&studio, &first, Transport::Tcp).await;
    timeout(PATIENCE, caller.allocated()).await.unwrap();
}

#[tokio::test]
async fn without_a_certificate_there_is_no_tls() {
    let studio = Studio::start("tls-none", |_| {}).await;
    assert!(studio.relay.is_some());
    assert_eq!(studio.relay_tls, None);
}
