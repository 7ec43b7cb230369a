//! Listeners over HTTP, as far as this crate goes: what they get, decoded.

mod common;

use std::future::poll_fn;
use std::pin::Pin;

use bytes::Bytes;
use common::{HERTZ, Scratch, Tone, assert_tone, drain, ffmpeg, has, hear, tone};
use futures_core::Stream;
use openstudio_cast::{Cast, CastConfig, CastError};

#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn cast(title: &str) -> Cast {
    let mut config = CastConfig::new("Radio Probe");
    config.title = title.to_owned();
    config.description = "What is tested".to_owned();
    Cast::start(config).unwrap()
}

#[tokio::test]
async fn a_listener_hears_the_programme() {
    let mut cast = cast("Morning");
    let mut listener = cast.air().listen();
    let head = listener.next().await.unwrap();
    assert!(head.starts_with(b"OggS") && head.windows(8).any(|at| at == b"OpusTags"));
    let mut all = head.to_vec();
    let mut sound = Tone::new();
    for _ in 0..10 {
        sound.push(&mut cast, 50);
        all.extend(drain(&mut listener).await);
    }
    cast.finish().await;
    all.extend(drain(&mut listener).await);
    assert!(listener.next().await.is_none());

    let streams = hear(&all);
    assert_eq!(streams.len(), 1);
    let heard = &streams[0];
    assert!(heard.ended);
    assert_eq!(heard.title(), "Morning");
    assert!(heard.tags.contains("ORGANIZATION=Radio Probe"));
    assert!(heard.tags.contains("DESCRIPTION=What is tested"));
    // Not a frame is missing, and none is there twice.
    assert_eq!(heard.sound[0].len(), 500 * 960);
    assert_tone(&heard.sound);
}

#[tokio::test]
async fn who_comes_late_hears_the_last_seconds_at_once() {
    let mut cast = cast("Morning");
    let mut sound = Tone::new();
    sound.push(&mut cast, 1_000);
    let mut listener = cast.air().listen();
    let burst = drain(&mut listener).await;
    let streams = hear(&burst);
    let heard = &streams[0];
    assert_eq!((heard.title(), heard.pre_skip), ("Morning", 312));
    assert_eq!(heard.sound[0].len(), 8 * 10 * 960 - 312);
    assert_eq!(heard.positions, [930 * 960, 1_000 * 960]);
    // From the second page on; a decoder that begins in mid-programme has to settle.
    assert_tone(&heard.sound.clone().map(|side| side[9_600..].to_vec()));

    sound.push(&mut cast, 10);
    assert!(!drain(&mut listener).await.is_empty());
}

#[tokio::test]
async fn another_title_is_another_stream_and_no_frame_is_lost() {
    let mut cast = cast("First");
    let mut listener = cast.air().listen();
    let mut sound = Tone::new();
    let mut all = Vec::new();
    sound.push(&mut cast, 103);
    cast.set_title("Second\nwith a break");
    all.extend(drain(&mut listener).await);
    sound.push(&mut cast, 100);
    assert_eq!(cast.air().status().title, "Second with a break");
    cast.set_title("Third");
    all.extend(drain(&mut listener).await);
    sound.push(&mut cast, 97);
    // The same again is nothing new.
    cast.set_title("Third");
    all.extend(drain(&mut listener).await);
    sound.push(&mut cast, 60);
    cast.finish().await;
    all.extend(drain(&mut listener).await);

    let streams = hear(&all);
    let titles: Vec<_> = streams.iter().map(|heard| heard.title()).collect();
    assert_eq!(titles, ["First", "Second with a break", "Third"]);
    let lengths: Vec<_> = streams.iter().map(|heard| heard.sound[0].len()).collect();
    assert_eq!(lengths, [103 * 960, 100 * 960, 157 * 960]);
    for (side, hertz) in HERTZ.into_iter().enumerate() {
        let whole: Vec<f32> = streams.iter().flat_map(|heard| heard.sound[side].clone()).collect();
        // Once the codec has settled, it is the same tone all along, at the seams too.
        let worst = whole
            .iter()
            .enumerate()
            .skip(4_800)
            .take(whole.len() - 9_600)
            .map(|(frame, sample)| (sample - tone(hertz, frame as u64)).abs())
            .fold(0.0, f32::max);
        println!("side {side}: off by {worst} at most");
        assert!(worst < 0.03, "side {side}: off by {worst}");
    }
}

#[tokio::test]
async fn titles_that_change_with_every_block_are_few_streams() {
    let mut cast = cast("First");
    let mut listener = cast.air().listen();
    let mut sound = Tone::new();
    let mut all = Vec::new();
    for number in 0..500 {
        cast.set_title(&format!("{number}"));
        sound.push(&mut cast, 1);
        all.extend(drain(&mut listener).await);
    }
    cast.finish().await;
    all.extend(drain(&mut listener).await);
    let streams = hear(&all);
    assert_eq!(streams.len(), 10);
    let length: usize = streams.iter().map(|heard| heard.sound[0].len()).sum();
    assert_eq!(length, 500 * 960);
}

#[tokio::test]
async fn one_that_does_not_read_holds_nobody_up_and_misses_what_went_by() {
    let mut cast = cast("Morning");
    let air = cast.air();
    let (mut slow, mut quick) = (air.listen(), air.listen());
    let mut sound = Tone::new();
    let mut all = Vec::new();
    let first = slow.next().await.unwrap();
    // One minute.
    for _ in 0..300 {
        sound.push(&mut cast, 10);
        all.extend(drain(&mut quick).await);
    }
    let status = air.status();
    assert_eq!((status.listeners, status.stalled, status.skipped), (2, 1, 0));
    assert_eq!(hear(&all)[0].sound[0].len(), 300 * 9_600 - 312);

    // There is no more for it than the last seconds, whole pages, and they fit its headers.
    let rest = drain(&mut slow).await;
    let heard = hear(&[&first[..], &rest].concat());
    assert_eq!(heard[0].sound[0].len(), 8 * 9_600 - 312);
    assert_eq!(heard[0].positions[1], 300 * 9_600);
    let status = air.status();
    assert_eq!((status.listeners, status.stalled, status.skipped), (2, 0, 300 - 8));
    assert_eq!(status.bytes as usize, all.len() + first.len() + rest.len());
}

#[tokio::test]
async fn one_that_missed_a_title_gets_its_headers_too() {
    let mut cast = cast("First");
    let mut slow = cast.air().listen();
    let mut sound = Tone::new();
    sound.push(&mut cast, 100);
    let first = drain(&mut slow).await;
    cast.set_title("Second");
    sound.push(&mut cast, 1_000);
    let streams = hear(&[first, drain(&mut slow).await].concat());
    let titles: Vec<_> = streams.iter().map(|heard| heard.title()).collect();
    assert_eq!(titles, ["First", "Second"]);
    assert!(streams[1].positions[0] > 900 * 960);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_listeners_get_the_same_bytes() {
    let mut cast = cast("Morning");
    let air = cast.air();
    let ears: Vec<_> = (0..1_000)
        .map(|_| {
            let mut listener = air.listen();
            tokio::spawn(async move {
                let (mut all, mut places) = (Vec::new(), Vec::new());
                while let Some(pages) = listener.next().await {
                    places.push(pages.as_ptr() as usize);
                    all.push(pages);
                }
                (all.concat(), places)
            })
        })
        .collect();
    let mut one_more = air.listen();
    assert_eq!(air.status().listeners, 1_001);
    let mut sound = Tone::new();
    let mut each = 0;
    for _ in 0..20 {
        sound.push(&mut cast, 50);
        each += drain(&mut one_more).await.len() as u64;
        // Nobody may fall behind by more than what is kept.
        while air.status().bytes < 1_001 * each {
            tokio::task::yield_now().await;
        }
    }
    drop(one_more);
    cast.finish().await;
    let mut first: Option<(Vec<u8>, Vec<usize>)> = None;
    for ear in ears {
        let heard = ear.await.unwrap();
        // The same memory even: nothing was copied for anybody.
        let first = first.get_or_insert_with(|| heard.clone());
        assert!(*first == heard);
    }
    let streams = hear(&first.unwrap().0);
    assert_eq!(streams[0].sound[0].len(), 1_000 * 960);
    assert_tone(&streams[0].sound);
    assert_eq!((air.status().listeners, air.status().skipped), (0, 0));
}

#[tokio::test]
async fn listeners_are_counted_while_they_are() {
    let cast = cast("Morning");
    let air = cast.air();
    let (one, two) = (air.listen(), air.clone().listen());
    assert_eq!(air.status().listeners, 2);
    drop(one);
    assert_eq!(air.status().listeners, 1);
    assert!(!air.status().ended);
    drop(cast);
    assert!(air.status().ended);
    drop(two);
    assert_eq!(air.status().listeners, 0);
    // Who comes after the end gets its last page, and no more.
    let mut late = air.listen();
    assert!(hear(&drain(&mut late).await)[0].ended);
    assert!(late.next().await.is_none());
}

#[tokio::test]
async fn a_waiting_listener_is_woken_by_the_end() {
    let cast = cast("Morning");
    let mut listener = cast.air().listen();
    let waiting = tokio::spawn(async move {
        let mut count = 0;
        while listener.next().await.is_some() {
            count += 1;
        }
        count
    });
    tokio::task::yield_now().await;
    drop(cast);
    assert_eq!(waiting.await.unwrap(), 2);
}

#[test]
fn what_cannot_be_cast_is_told() {
    let told = |bitrate| {
        let config = CastConfig { bitrate, ..CastConfig::new("Radio") };
        Cast::start(config).unwrap_err()
    };
    assert!(matches!(told(47_999), CastError::Bitrate(47_999)));
    assert!(told(256_001).to_string().contains("48000 to 256000"));
    assert!(matches!(told(48_000), CastError::NoRuntime));
}

#[tokio::test]
async fn ffmpeg_decodes_a_listeners_file_with_two_titles() {
    if !has("ffmpeg") {
        return;
    }
    let mut cast = cast("First");
    let mut listener = cast.air().listen();
    let mut sound = Tone::new();
    let mut all = Vec::new();
    for _ in 0..5 {
        sound.push(&mut cast, 50);
        all.extend(drain(&mut listener).await);
    }
    cast.set_title("Second");
    for _ in 0..5 {
        sound.push(&mut cast, 50);
        all.extend(drain(&mut listener).await);
    }
    cast.finish().await;
    all.extend(drain(&mut listener).await);
    let folder = Scratch::new("ffmpeg");
    let file = folder.0.join("listener.opus");
    std::fs::write(&file, all).unwrap();
    let (seconds, warnings) = ffmpeg("pipe:0", std::fs::File::open(&file).unwrap().into());
    println!("{seconds} s; warnings: {warnings:?}");
    assert!((seconds - 10.0).abs() < 0.15, "{seconds} s: {warnings}");
    assert_eq!(warnings, "");
}

#[tokio::test]
async fn a_listener_is_a_stream_for_the_body_of_an_answer() {
    let mut cast = cast("Morning");
    let mut body: Pin<Box<dyn Stream<Item = Bytes> + Send + Sync>> = Box::pin(cast.air().listen());
    Tone::new().push(&mut cast, 20);
    drop(cast);
    let mut all = Vec::new();
    while let Some(pages) = poll_fn(|context| body.as_mut().poll_next(context)).await {
        all.extend_from_slice(&pages);
    }
    assert_eq!(hear(&all)[0].sound[0].len(), 20 * 960);
}
