//! What a broken or hostile client may send: a clear refusal, and nobody else is hurt.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unwrap_in_result,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use anyhow::Result;
use openstudio_e2e::{Client, Closed, Server, TempDir, peer_id};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

/// A room with a host and a witness, who must be able to talk at the end of each test.
struct Scene {
    server: Server,
    host: Client,
    witness: Client,
    room: Value,
    token: Value,
    _data: TempDir,
}

impl Scene {
    async fn new(args: &[&str]) -> Result<Self> {
        let data = TempDir::new()?;
        let server = Server::start(data.path(), args).await?;
        let mut host = Client::register(&server, &peer_id(1)).await?;
        host.send(json!({"type": "create-room"})).await?;
        let created = host.expect("room-created").await?;
        let (room, token) = (created["roomId"].clone(), created["token"].clone());
        let mut witness = Client::register(&server, &peer_id(2)).await?;
        witness.send(json!({"type": "join-room", "roomId": room})).await?;
        witness.expect("room-joined").await?;
        host.expect("peer-joined").await?;
        Ok(Self { server, host, witness, room, token, _data: data })
    }

    /// A further participant, who will misbehave.
    async fn villain(&mut self) -> Result<Client> {
        let mut villain = Client::register(&self.server, &peer_id(6)).await?;
        villain.send(json!({"type": "join-room", "roomId": self.room})).await?;
        villain.expect("room-joined").await?;
        self.host.until("peer-joined").await?;
        self.witness.until("peer-joined").await?;
        Ok(villain)
    }

    /// Host and witness still have their sockets and still hear each other.
    async fn must_be_unhurt(mut self) -> Result<()> {
        let [a, b] = [peer_id(1), peer_id(2)];
        let there = json!({"type": "offer", "from": a, "to": b, "sdp": "there"});
        self.host.send(there.clone()).await?;
        assert_eq!(self.witness.until("offer").await?, there);
        let back = json!({"type": "answer", "from": b, "to": a, "sdp": "back"});
        self.witness.send(back.clone()).await?;
        assert_eq!(self.host.until("answer").await?, back);
        Ok(())
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_by_its_code_and_the_socket_stays() -> Result<()> {
    let mut scene = Scene::new(&[]).await?;
    let mut villain = scene.villain().await?;
    let [villain_id, host_id] = [peer_id(6), peer_id(1)];
    let deep = format!(r#"{{"type":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
    let long_sdp = "x".repeat(49 * 1024);
    let long_candidate = "x".repeat(2000);
    let markup = format!("<script>alert(1)</script>{}", "x".repeat(275));
    for (text, code) in [
        ("{".to_owned(), "malformed-json"),
        ("nonsense".to_owned(), "malformed-json"),
        (String::new(), "malformed-json"),
        ("[]".to_owned(), "malformed-json"),
        (r#"{"type":"ping"}{"type":"ping"}"#.to_owned(), "malformed-json"),
        (deep, "too-large"),
        (r#"{"type":"dance"}"#.to_owned(), "unknown-type"),
        (r#"{"type":7}"#.to_owned(), "invalid-field"),
        (r#"{}"#.to_owned(), "missing-field"),
        (r#"{"type":"register"}"#.to_owned(), "missing-field"),
        (r#"{"type":"join-room","roomId":"x"}"#.to_owned(), "invalid-field"),
        (r#"{"type":"ping","type":"leave"}"#.to_owned(), "duplicate-key"),
        (json!({"type": "offer", "from": villain_id, "to": host_id}).to_string(), "missing-field"),
        (
            json!({"type": "offer", "from": villain_id, "to": host_id, "sdp": long_sdp})
                .to_string(),
            "too-large",
        ),
        (
            json!({"type": "ice-candidate", "from": villain_id, "to": host_id,
                   "candidate": {"candidate": long_candidate}})
            .to_string(),
            "too-large",
        ),
        (
            json!({"type": "ice-candidate", "from": villain_id, "to": host_id,
                   "candidate": "candidate:1"})
            .to_string(),
            "invalid-field",
        ),
        (json!({"type": "rename", "name": markup}).to_string(), "invalid-name"),
        (json!({"type": "rename", "name": "a\u{202e}b"}).to_string(), "invalid-name"),
        (json!({"type": "rename", "name": " "}).to_string(), "invalid-name"),
    ] {
        villain.send_raw(Message::text(text.clone())).await?;
        assert_eq!(villain.expect_error().await?, code, "{text:.100}");
    }
    villain.send_raw(Message::binary(vec![1, 2, 3])).await?;
    assert_eq!(villain.expect_error().await?, "not-text");
    villain.send(json!({"type": "ping"})).await?;
    villain.expect("pong").await?;
    scene.must_be_unhurt().await
}

#[tokio::test]
async fn a_name_with_markup_stays_text() -> Result<()> {
    let mut scene = Scene::new(&[]).await?;
    let mut villain = scene.villain().await?;
    let name = "<img src=x onerror=alert(1)>";
    villain.send(json!({"type": "rename", "name": name})).await?;
    assert_eq!(scene.host.until("peer-updated").await?["name"], json!(name));
    scene.must_be_unhurt().await
}

#[tokio::test]
async fn a_message_of_a_mebibyte_is_refused_and_its_socket_closed() -> Result<()> {
    let mut scene = Scene::new(&[]).await?;
    let mut villain = scene.villain().await?;
    let huge = json!({"type": "offer", "from": peer_id(6), "to": peer_id(1),
                      "sdp": "x".repeat(1024 * 1024)});
    // The server does not read it to its end, so sending may fail.
    let _ = villain.send(huge).await;
    let mut got_reason = false;
    let closed = loop {
        match villain.next_text().await {
            Ok(text) => got_reason |= text.contains("too-large"),
            Err(closed) => break closed,
        }
    };
    assert!(got_reason && closed == Closed(Some(1009)) || closed == Closed(None), "{closed:?}");
    let update = scene.host.until("peer-updated").await?;
    assert_eq!(update["present"], json!(false));
    scene.must_be_unhurt().await
}

#[tokio::test]
async fn a_message_just_above_the_limit_is_told_why() -> Result<()> {
    let scene = Scene::new(&[]).await?;
    let mut villain = Client::connect(&scene.server).await?;
    villain.send_raw(Message::text("x".repeat(64 * 1024 + 1))).await?;
    assert_eq!(villain.expect_error().await?, "too-large");
    assert_eq!(villain.closed().await?, Closed(Some(1009)));
    scene.must_be_unhurt().await
}

#[tokio::test]
async fn nobody_speaks_for_another_or_into_another_room() -> Result<()> {
    let mut scene = Scene::new(&[]).await?;
    let mut villain = scene.villain().await?;
    let mut stranger = Client::register(&scene.server, &peer_id(9)).await?;
    stranger.send(json!({"type": "create-room"})).await?;
    stranger.expect("room-created").await?;
    let forged = json!({"type": "offer", "from": peer_id(1), "to": peer_id(2), "sdp": "x"});
    assert_eq!(villain.refused(forged).await?, "forged-sender");
    let abroad = json!({"type": "offer", "from": peer_id(6), "to": peer_id(9), "sdp": "x"});
    villain.send(abroad).await?;
    let error = villain.expect("error").await?;
    assert_eq!((&error["code"], &error["to"]), (&json!("peer-not-found"), &json!(peer_id(9))));
    stranger.send(json!({"type": "ping"})).await?;
    stranger.expect("pong").await?;
    scene.must_be_unhurt().await
}

#[tokio::test]
async fn a_description_of_garbage_is_carried_and_harms_nobody() -> Result<()> {
    let mut scene = Scene::new(&[]).await?;
    let mut villain = scene.villain().await?;
    let garbage = "\u{0}\u{fffd}\u{202e}</script>'\"\\".repeat(100);
    let offer = json!({"type": "offer", "from": peer_id(6), "to": peer_id(1), "sdp": garbage});
    villain.send(offer.clone()).await?;
    assert_eq!(scene.host.until("offer").await?, offer);
    scene.must_be_unhurt().await
}

#[tokio::test]
async fn ten_thousand_candidates_are_limited_then_closed_and_memory_stays() -> Result<()> {
    let mut scene = Scene::new(&[]).await?;
    let mut villain = scene.villain().await?;
    let before = resident_kib(&scene.server)?;
    let candidate = json!({"type": "ice-candidate", "from": peer_id(6), "to": peer_id(1),
                           "candidate": {"candidate": "x".repeat(1000)}})
    .to_string();
    for _ in 0..10_000 {
        if villain.feed(&candidate).await.is_err() {
            break;
        }
    }
    let _ = villain.flush().await;
    let mut limited = 0;
    let closed = loop {
        match villain.next_text().await {
            Ok(text) => limited += u32::from(text.contains("rate-limited")),
            Err(closed) => break closed,
        }
    };
    assert!(limited > 0 && closed == Closed(Some(1008)) || closed == Closed(None), "{closed:?}");
    let grown = resident_kib(&scene.server)?.saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KiB");
    scene.must_be_unhurt().await
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_dropped_and_memory_stays() -> Result<()> {
    let mut scene = Scene::new(&[
        "--socket-message-burst=100000",
        "--socket-byte-burst=100000000",
        "--address-message-burst=100000",
    ])
    .await?;
    let _deaf = scene.villain().await?;
    let before = resident_kib(&scene.server)?;
    let offer = json!({"type": "offer", "from": peer_id(1), "to": peer_id(6),
                       "sdp": "x".repeat(32 * 1024)})
    .to_string();
    // The witness tells when the server has had enough of the deaf one.
    let mut gone = false;
    for _ in 0..1000 {
        scene.host.feed(&offer).await?;
        scene.host.flush().await?;
        if let Ok(text) =
            tokio::time::timeout(Duration::from_millis(1), scene.witness.next_text()).await
        {
            gone = text.is_ok_and(|text| text.contains("\"present\":false"));
            break;
        }
    }
    if !gone {
        let update = scene.witness.until("peer-updated").await?;
        assert_eq!(update["present"], json!(false));
    }
    let grown = resident_kib(&scene.server)?.saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KiB");
    scene.must_be_unhurt().await
}

#[tokio::test]
async fn rooms_and_tokens_that_are_none_are_refused() -> Result<()> {
    let mut scene = Scene::new(&[]).await?;
    let mut villain = Client::register(&scene.server, &peer_id(6)).await?;
    let nowhere = json!({"type": "join-room", "roomId": peer_id(7)});
    assert_eq!(villain.refused(nowhere).await?, "room-not-back");

    let token = scene.token.as_str().unwrap_or_default().to_owned();
    let parts: Vec<&str> = token.split('.').collect();
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
    let altered = format!("{}.{}.{}", parts[0], parts[1].replacen('a', "b", 1), parts[2]);
    let with_invite = |token: &str| json!({"type": "create-or-join-room", "roomId": scene.room, "inviteToken": token});
    for (token, code) in [
        (unsigned.as_str(), "invalid-token"),
        (altered.as_str(), "invalid-token"),
        ("", "invalid-token"),
        (token.as_str(), "wrong-token"),
        (&"x".repeat(3000), "too-large"),
    ] {
        assert_eq!(villain.refused(with_invite(token)).await?, code, "{token:.80}");
    }
    scene.host.send(json!({"type": "request-invite", "inviteRole": "host"})).await?;
    let invite = scene.host.expect("invite-token").await?["inviteToken"].clone();
    let mut other = Client::register(&scene.server, &peer_id(7)).await?;
    let code = other.refused(json!({"type": "resume", "token": invite})).await?;
    assert_eq!(code, "wrong-token");
    other.send(json!({"type": "create-room"})).await?;
    let elsewhere = other.expect("room-created").await?["roomId"].clone();
    let abroad = json!({"type": "create-or-join-room", "roomId": elsewhere, "inviteToken": invite});
    assert_eq!(villain.refused(abroad).await?, "wrong-token");
    scene.must_be_unhurt().await
}

#[tokio::test]
async fn a_flood_is_limited_then_closed_and_its_neighbours_go_on() -> Result<()> {
    let mut scene = Scene::new(&[]).await?;
    let mut villain = scene.villain().await?;
    let ping = json!({"type": "ping"}).to_string();
    for _ in 0..5_000 {
        if villain.feed(&ping).await.is_err() {
            break;
        }
    }
    let _ = villain.flush().await;
    let (mut pongs, mut limited) = (0, 0);
    let closed = loop {
        match villain.next_text().await {
            Ok(text) if text.contains("pong") => pongs += 1,
            Ok(text) => limited += u32::from(text.contains("rate-limited")),
            Err(closed) => break closed,
        }
    };
    assert!((900..2_000).contains(&pongs), "{pongs}");
    assert!(limited > 0);
    assert!(matches!(closed, Closed(Some(1008) | None)), "{closed:?}");
    scene.must_be_unhurt().await
}

#[tokio::test]
async fn sockets_of_one_address_are_counted() -> Result<()> {
    let mut scene = Scene::new(&["--address-sockets=4"]).await?;
    let third = Client::connect(&scene.server).await?;
    let _fourth = Client::connect(&scene.server).await?;
    let refused = Client::open(&scene.server.ws(), None).await.unwrap_err();
    assert!(format!("{refused:#}").contains("429"), "{refused:#}");
    third.close().await?;
    // The server notes the close when it has answered it, so this ends.
    let back = loop {
        if let Ok(client) = Client::open(&scene.server.ws(), None).await {
            break client;
        }
        tokio::task::yield_now().await;
    };
    drop(back);
    scene.host.send(json!({"type": "ping"})).await?;
    scene.host.expect("pong").await?;
    scene.must_be_unhurt().await
}

fn resident_kib(server: &Server) -> Result<u64> {
    let pid = server.pid().unwrap_or_default();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
