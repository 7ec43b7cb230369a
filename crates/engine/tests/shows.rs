//! The engine in real rooms: a real server, native participants with tones, listeners over HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop at the first thing that is wrong"
)]

mod support;

use std::time::Duration;

use openstudio_peer::session::Order;
use openstudio_peer::session::wire::Line;
use openstudio_units::RoomId;
use support::sound::{decode, level, unchunked};
use support::{Studio, air, finished, gone, hertz, leave, listen, order, room, text, until};

/// What a room that everybody has left is given, where the test is about something else.
const PATIENCE: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn listeners_hear_who_is_on_air_and_read_the_title() {
    let studio = Studio::open("air").await;
    let (room, all) = room(&studio, 3).await;
    let page = format!("/listen/{room}");
    assert!(text(&studio.get(&format!("{page}.ogg")).await).starts_with("HTTP/1.1 404"));
    assert!(text(&studio.get(&format!("{page}.json")).await).contains("\"onAir\":false"));

    order(&all[0], air(true, "The <late> show"));
    let told = support::told(&all[2], "a caller knows", |engine| engine.air.is_some()).await;
    assert_eq!(told.air.unwrap().title.as_deref(), Some("The <late> show"));
    let samples = listen(&studio, room, 4).await;
    let latest = &samples[samples.len() - 48_000..];
    for index in 0..3 {
        let level = level(latest, hertz(index));
        assert!((level + 20.0).abs() < 2.0, "tone {index} has {level} dBFS");
    }
    assert!(text(&studio.get(&page).await).contains("<audio"));
    assert!(text(&studio.get(&format!("{page}.json")).await).contains("The <late> show"));

    order(&all[0], air(false, ""));
    support::told(&all[2], "off air", |engine| engine.air.is_none()).await;
    assert!(text(&studio.get(&format!("{page}.ogg")).await).starts_with("HTTP/1.1 404"));
    leave(all).await;
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listening_goes_on_when_a_host_is_gone_without_a_word() {
    let studio = Studio::open("crash").await;
    let (room, mut all) = room(&studio, 2).await;
    order(&all[0], air(true, "Show"));
    support::told(&all[1], "on air", |engine| engine.air.is_some()).await;
    let host = all.remove(0);
    let leaving = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        drop(host);
    };
    let (samples, ()) = tokio::join!(listen(&studio, room, 6), leaving);
    let steady = samples.chunks_exact(4_800).skip(20).map(|piece| level(piece, hertz(1)));
    let quietest = steady.fold(0.0, f32::min);
    assert!(quietest > -26.0, "the caller was at {quietest} dBFS for a tenth of a second");
    leave(all).await;
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_has_everybody_and_marks_and_can_be_downloaded() {
    let studio = Studio::open("record").await;
    let (room, all) = room(&studio, 2).await;
    order(&all[0], Order::Record(true));
    let told = support::told(&all[1], "a caller knows", |engine| {
        engine.recording.as_ref().is_some_and(|recording| recording.length_ms > 3_000)
    })
    .await;
    let id = told.recording.unwrap().id;
    order(&all[0], Order::DeleteRecording(id.clone()));
    until(&all[0], "what is under way is not deleted", |now| {
        now.refusal.as_deref().is_some_and(|words| words.contains("under way"))
    })
    .await;
    order(&all[0], Order::Mark(Line::new("the jingle").unwrap()));
    order(&all[0], Order::Record(false));
    support::told(&all[1], "it has stopped", |engine| engine.recording.is_none()).await;

    let library = studio.library();
    let summary = finished(&library, room).await;
    assert_eq!(summary.id, id);
    let file = |name: &str| library.file(&id, name).unwrap();
    let journal = std::fs::read_to_string(file("session.json")).unwrap();
    assert!(journal.contains("the jingle") && journal.contains("Native 1"), "{journal}");
    let voices: Vec<_> = summary.tracks.iter().filter(|t| t.file.ends_with(".opus")).collect();
    assert_eq!(voices.len(), 2);
    for voice in voices {
        let samples = decode(&std::fs::read(file(&voice.file)).unwrap());
        let middle = &samples[72_000..120_000];
        let own = level(middle, hertz(0)).max(level(middle, hertz(1)));
        assert!((own + 20.0).abs() < 1.0, "{} has {own} dBFS", voice.file);
    }
    downloads_want_a_token(&studio, room, &id).await;

    order(&all[0], Order::DeleteRecording(id.clone()));
    gone(&library, &id).await;
    leave(all).await;
    studio.close().await;
}

async fn downloads_want_a_token(studio: &Studio, room: RoomId, id: &str) {
    let token = studio.line.sign_download(room).unwrap().0;
    let path = format!("/recordings/{id}/programme.wav");
    assert!(text(&studio.get(&path).await).starts_with("HTTP/1.1 403"));
    let other = studio.line.sign_download(RoomId::from_random_bytes([9; 16])).unwrap().0;
    let answer = studio.get(&format!("{path}?token={other}")).await;
    assert!(text(&answer).starts_with("HTTP/1.1 403"));
    let answer = studio.get(&format!("{path}?token={token}")).await;
    let whole = std::fs::read(studio.library().file(id, "programme.wav").unwrap()).unwrap();
    assert!(answer.ends_with(&whole), "{} bytes of {}", answer.len(), whole.len());
    let answer = studio.get(&format!("/recordings/{id}.zip?token={token}")).await;
    let zip = unchunked(&answer);
    assert!(zip.starts_with(b"PK") && zip.len() > whole.len(), "{} bytes", zip.len());
    let outside = format!("/recordings/{id}/..%2Fx?token={token}");
    assert!(text(&studio.get(&outside).await).starts_with("HTTP/1.1 404"));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_the_same_recording_and_programme_go_on() {
    let studio = Studio::open("restart").await;
    let (room, all) = room(&studio, 2).await;
    order(&all[0], Order::Record(true));
    order(&all[0], air(true, "Show"));
    let before = support::told(&all[1], "both are under way", |engine| {
        engine.air.is_some()
            && engine.recording.as_ref().is_some_and(|recording| recording.length_ms > 1_000)
    })
    .await;
    let (id, length) = before.recording.map(|now| (now.id, now.length_ms)).unwrap();
    let (data, port) = studio.shut().await;
    let studio = Studio::on(data, port, PATIENCE).await;
    support::told(&all[1], "the recording goes on, and so does the programme", |engine| {
        let recording = engine.recording.as_ref();
        engine.air.as_ref().is_some_and(|air| air.title.as_deref() == Some("Show"))
            && recording.is_some_and(|now| now.id == id && now.length_ms > length + 3_000)
    })
    .await;
    let samples = listen(&studio, room, 3).await;
    let level = level(&samples[samples.len() - 24_000..], hertz(1));
    assert!(level > -23.0, "{level} dBFS");
    order(&all[0], Order::Record(false));
    let summary = finished(&studio.library(), room).await;
    assert_eq!(summary.id, id);
    assert_eq!(summary.tracks.iter().filter(|track| track.file.ends_with(".opus")).count(), 2);
    leave(all).await;
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_everybody_has_left_is_not_recorded_for_ever() {
    let (data, port) = Studio::open("deserted").await.shut().await;
    let studio = Studio::on(data, port, Duration::from_millis(500)).await;
    let (room, all) = room(&studio, 2).await;
    order(&all[0], Order::Record(true));
    support::told(&all[1], "it records", |engine| engine.recording.is_some()).await;
    leave(all).await;
    finished(&studio.library(), room).await;
    studio.close().await;
}
