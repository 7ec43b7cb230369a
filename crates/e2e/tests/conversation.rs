//! Whole conversations with a real server: a JavaScript-style client that knows only
//! the baseline messages, and ours.
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

use anyhow::Result;
use openstudio_e2e::{Client, Closed, Server, TempDir, peer_id};
use serde_json::{Value, json};

#[tokio::test]
async fn a_client_of_the_baseline_messages_registers_creates_joins_relays_and_leaves() -> Result<()>
{
    let data = TempDir::new()?;
    let server = Server::start(data.path(), &["--grace-seconds=1"]).await?;
    let (a, b) = (peer_id(1), peer_id(2));
    let mut host = Client::register(&server, &a).await?;
    host.send(json!({"type": "ping"})).await?;
    assert!(host.expect("pong").await?["timestamp"].as_u64() > Some(1_600_000_000_000));
    host.send(json!({"type": "create-room"})).await?;
    let created = host.expect("room-created").await?;
    assert_eq!(created["hostId"], json!(a));
    let room = created["roomId"].clone();

    // The root is the endpoint of older clients.
    let mut guest = Client::open(&server.ws().replace("/ws", "/"), None).await?;
    guest.expect("welcome").await?;
    guest.send(json!({"type": "register", "peerId": b})).await?;
    assert_eq!(guest.expect("registered").await?["peerId"], json!(b));
    guest.send(json!({"type": "join-room", "roomId": room})).await?;
    let joined = guest.expect("room-joined").await?;
    let roles: Vec<_> = joined["participants"].as_array().unwrap().iter().collect();
    assert_eq!(roles.len(), 2);
    assert_eq!((&roles[0]["peerId"], &roles[0]["role"]), (&json!(a), &json!("host")));
    assert_eq!((&roles[1]["peerId"], &roles[1]["role"]), (&json!(b), &json!("caller")));
    let news = host.expect("peer-joined").await?;
    assert_eq!((&news["peerId"], &news["role"]), (&json!(b), &json!("caller")));

    let offer = json!({"type": "offer", "from": a, "to": b, "sdp": "v=0\r\n"});
    host.send(offer.clone()).await?;
    assert_eq!(guest.next().await?, offer);
    let answer = json!({"type": "answer", "from": b, "to": a, "sdp": "v=0\r\n"});
    guest.send(answer.clone()).await?;
    assert_eq!(host.next().await?, answer);
    let candidate = json!({"candidate": "candidate:1 1 udp 1 127.0.0.1 9 typ host",
                           "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "abcd"});
    let message = json!({"type": "ice-candidate", "from": a, "to": b, "candidate": candidate});
    host.send(message.clone()).await?;
    assert_eq!(guest.next().await?, message);

    guest.send(json!({"type": "mute", "muted": true})).await?;
    for client in [&mut host, &mut guest] {
        let mute = client.expect("mute").await?;
        assert_eq!((&mute["peerId"], &mute["muted"]), (&json!(b), &json!(true)));
    }
    host.send(json!({"type": "request-invite", "inviteRole": "guest"})).await?;
    let invite = host.expect("invite-token").await?;
    assert_eq!((&invite["roomId"], &invite["role"]), (&room, &json!("caller")));
    let code = guest.refused(json!({"type": "request-invite", "inviteRole": "host"})).await?;
    assert_eq!(code, "forbidden");

    guest.close().await?;
    assert_eq!(host.expect("peer-updated").await?["present"], json!(false));
    assert_eq!(host.expect("peer-left").await?["peerId"], json!(b));

    let mut invited = Client::register(&server, &peer_id(3)).await?;
    invited
        .send(json!({"type": "create-or-join-room", "roomId": room, "role": "host",
                     "inviteToken": invite["inviteToken"]}))
        .await?;
    let joined = invited.expect("room-joined").await?;
    assert_eq!(joined["role"], json!("caller"));
    assert!(joined["token"].is_string() && joined["ice"]["stun"].is_array());
    Ok(())
}

#[tokio::test]
async fn a_second_tab_takes_the_seat_over() -> Result<()> {
    let data = TempDir::new()?;
    let server = Server::start(data.path(), &[]).await?;
    let mut first = Client::register(&server, &peer_id(1)).await?;
    first.send(json!({"type": "create-or-join-room", "name": "Ada"})).await?;
    let created = first.expect("room-created").await?;
    let mut guest = Client::register(&server, &peer_id(2)).await?;
    guest.send(json!({"type": "join-room", "roomId": created["roomId"]})).await?;
    guest.expect("room-joined").await?;

    let mut second = Client::connect(&server).await?;
    second.send(json!({"type": "resume", "token": created["token"], "fresh": true})).await?;
    let resumed = second.expect("resumed").await?;
    assert_eq!((&resumed["peerId"], &resumed["role"]), (&json!(peer_id(1)), &json!("host")));
    assert_eq!(second.expect("snapshot").await?["complete"], json!(true));
    assert_eq!(first.closed().await?, Closed(Some(4001)));
    let update = guest.expect("peer-updated").await?;
    assert!(update["incarnation"].as_u64() > created["incarnation"].as_u64());
    assert_eq!((&update["present"], &update["name"]), (&json!(true), &json!("Ada")));
    let mut third = Client::connect(&server).await?;
    let code = third.refused(json!({"type": "register", "peerId": peer_id(1)})).await?;
    assert_eq!(code, "peer-id-taken");
    Ok(())
}

#[tokio::test]
async fn a_killed_server_comes_back_with_roles_and_names_and_takes_in_new_callers() -> Result<()> {
    let data = TempDir::new()?;
    let port = openstudio_e2e::free_port()?;
    let server = Server::start_on(port, data.path(), &["--grace-seconds=2"]).await?;
    let mut host = Client::register(&server, &peer_id(1)).await?;
    host.send(json!({"type": "create-or-join-room", "name": "Ada"})).await?;
    let created = host.expect("room-created").await?;
    let room = created["roomId"].clone();
    let mut caller = Client::register(&server, &peer_id(2)).await?;
    caller.send(json!({"type": "create-or-join-room", "roomId": room, "name": "Bo"})).await?;
    let joined = caller.expect("room-joined").await?;

    server.kill().await?;
    assert_eq!(host.closed().await?, Closed(None));
    let server = Server::start_on(port, data.path(), &["--grace-seconds=2"]).await?;

    let mut early = Client::register(&server, &peer_id(3)).await?;
    let code = early.refused(json!({"type": "join-room", "roomId": room})).await?;
    assert_eq!(code, "room-not-back");

    let resume = |token: &Value| json!({"type": "resume", "token": token, "fresh": false});
    let mut caller = Client::connect(&server).await?;
    caller.send(resume(&joined["token"])).await?;
    let resumed = caller.expect("resumed").await?;
    assert_eq!(resumed["role"], json!("caller"));
    assert_eq!(resumed["incarnation"], joined["incarnation"]);
    assert_eq!(caller.expect("snapshot").await?["complete"], json!(false));

    early.send(json!({"type": "join-room", "roomId": room})).await?;
    assert_eq!(early.expect("room-joined").await?["role"], json!("caller"));

    let mut host = Client::connect(&server).await?;
    host.send(resume(&created["token"])).await?;
    assert_eq!(host.expect("resumed").await?["role"], json!("host"));
    let names = |snapshot: &Value| {
        let list = snapshot["participants"].as_array().unwrap().iter();
        list.map(|p| (p["name"].clone(), p["role"].clone())).collect::<Vec<_>>()
    };
    let expected = [
        (json!("Ada"), json!("host")),
        (json!("Bo"), json!("caller")),
        (Value::Null, json!("caller")),
    ];
    assert_eq!(names(&host.expect("snapshot").await?), expected);
    let complete = host.until("snapshot").await?;
    assert_eq!(complete["complete"], json!(true));
    assert_eq!(names(&complete), expected);
    Ok(())
}

#[tokio::test]
async fn an_ended_session_stays_ended_over_a_restart() -> Result<()> {
    let data = TempDir::new()?;
    let server = Server::start(data.path(), &[]).await?;
    let mut host = Client::register(&server, &peer_id(1)).await?;
    host.send(json!({"type": "create-room"})).await?;
    let created = host.expect("room-created").await?;
    host.send(json!({"type": "end-room"})).await?;
    assert_eq!(host.expect("room-ended").await?["roomId"], created["roomId"]);
    assert_eq!(host.closed().await?, Closed(Some(4002)));
    server.terminate().await?;
    assert_eq!(server.wait().await?, Some(0));

    let server = Server::start(data.path(), &[]).await?;
    let mut back = Client::connect(&server).await?;
    let code = back.refused(json!({"type": "resume", "token": created["token"]})).await?;
    assert_eq!(code, "room-ended");
    Ok(())
}

#[tokio::test]
async fn a_stopping_server_says_when_to_come_back() -> Result<()> {
    let data = TempDir::new()?;
    let server = Server::start(data.path(), &[]).await?;
    let mut host = Client::register(&server, &peer_id(1)).await?;
    let mut silent = Client::connect(&server).await?;
    server.terminate().await?;
    for client in [&mut host, &mut silent] {
        assert!(client.expect("going-away").await?["retryAfterMs"].is_u64());
        assert_eq!(client.closed().await?, Closed(Some(1001)));
    }
    assert_eq!(server.wait().await?, Some(0));
    Ok(())
}

#[tokio::test]
async fn fifteen_join_at_once_from_one_address_and_nobody_is_limited() -> Result<()> {
    const SEATS: u32 = 15;
    const BATCHES: u32 = 4;
    let data = TempDir::new()?;
    let server = Server::start(data.path(), &[]).await?;
    let mut host = Client::register(&server, &peer_id(0)).await?;
    host.send(json!({"type": "create-room"})).await?;
    let room = host.expect("room-created").await?["roomId"].clone();
    let mut clients = vec![host];
    for n in 1..SEATS {
        let mut client = Client::register(&server, &peer_id(n)).await?;
        client.send(json!({"type": "join-room", "roomId": room})).await?;
        client.expect("room-joined").await?;
        clients.push(client);
    }
    // Each pair: an offer or an answer and four batches from each side, ten messages.
    let sdp = "a=x\r\n".repeat(600);
    let candidate = json!({"candidate": "candidate:1 1 udp 1 127.0.0.1 9 typ host"});
    for from in 0..SEATS {
        for to in (0..SEATS).filter(|to| *to != from) {
            let (sender, receiver) = (peer_id(from), peer_id(to));
            let client = &mut clients[from as usize];
            let kind = if from > to { "offer" } else { "answer" };
            let description = json!({"type": kind, "from": sender, "to": receiver, "sdp": sdp,
                                     "generation": 65537, "offerId": 1});
            client.feed(&description.to_string()).await?;
            for _ in 0..BATCHES {
                let batch = json!({"type": "ice-candidates", "from": sender, "to": receiver,
                                   "generation": 65537, "offerId": 1,
                                   "candidates": [candidate, candidate]});
                client.feed(&batch.to_string()).await?;
            }
            client.flush().await?;
        }
    }
    for client in &mut clients {
        let mut relayed = 0;
        while relayed < (SEATS - 1) * (1 + BATCHES) {
            let message = client.next().await?;
            assert_ne!(message["type"], "error", "{message}");
            if message["from"].is_string() {
                relayed += 1;
            }
        }
    }
    let mut sixteenth = Client::register(&server, &peer_id(99)).await?;
    sixteenth.send(json!({"type": "join-room", "roomId": room})).await?;
    let error = sixteenth.expect("error").await?;
    assert_eq!(error["code"], "room-full");
    assert!(error["message"].as_str().unwrap().contains("15 seats"), "{error}");
    Ok(())
}
