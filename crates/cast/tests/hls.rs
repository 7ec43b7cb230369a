//! The programme as HLS, as a player finds it.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Scratch, Tone, ffmpeg, has};
use openstudio_cast::{Cast, CastConfig, Kind, State};

#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn cast(folder: &Path) -> Cast {
    let mut config = CastConfig::new("Radio Probe");
    config.title = "First".to_owned();
    config.hls = Some(folder.to_owned());
    Cast::start(config).unwrap()
}

/// Pushes whole segments, each as soon as the one before is written.
async fn segments(cast: &mut Cast, sound: &mut Tone, count: usize) {
    let air = cast.air();
    let bytes = || air.status().destinations[0].bytes;
    for _ in 0..count {
        let before = bytes();
        sound.push(cast, 150);
        while bytes() == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test]
async fn ffmpeg_decodes_a_playlist_to_its_end() {
    let scratch = Scratch::new("hls");
    let folder = scratch.0.join("a").join("b");
    let mut cast = cast(&folder);
    let air = cast.air();
    let mut sound = Tone::new();
    assert_eq!(air.status().destinations[0].state, State::Connecting);
    segments(&mut cast, &mut sound, 2).await;
    let status = air.status().destinations.remove(0);
    assert_eq!((status.kind, status.state), (Kind::Hls, State::OnAir));
    cast.set_title("Second\n#EXT-X-ENDLIST");
    segments(&mut cast, &mut sound, 2).await;
    sound.push(&mut cast, 25);
    cast.finish().await;
    assert_eq!(air.status().destinations[0].state, State::Ended);

    let playlist = folder.join("index.m3u8");
    let text = fs::read_to_string(&playlist).unwrap();
    let titles: Vec<_> = text.lines().filter(|line| line.starts_with("#EXTINF")).collect();
    assert_eq!(titles[1], "#EXTINF:3.000000,First");
    assert_eq!(titles[4], "#EXTINF:0.500000,Second #EXT-X-ENDLIST");
    if !has("ffmpeg") {
        return;
    }
    let (seconds, warnings) = ffmpeg(&playlist.display().to_string(), Stdio::null());
    println!("{seconds} s; warnings: {warnings:?}");
    assert!((seconds - 12.5).abs() < 0.05, "{seconds}");
    assert_eq!(warnings, "");
}

#[tokio::test]
async fn ffmpeg_decodes_across_a_restart() {
    let scratch = Scratch::new("hls-restart");
    let mut first = cast(&scratch.0);
    segments(&mut first, &mut Tone::new(), 2).await;
    first.finish().await;
    let mut second = cast(&scratch.0);
    segments(&mut second, &mut Tone::new(), 2).await;
    second.finish().await;
    let playlist = scratch.0.join("index.m3u8");
    let text = fs::read_to_string(&playlist).unwrap();
    assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{text}");
    assert_eq!(text.matches("#EXT-X-ENDLIST").count(), 1, "{text}");
    if !has("ffmpeg") {
        return;
    }
    let (seconds, warnings) = ffmpeg(&playlist.display().to_string(), Stdio::null());
    println!("{seconds} s; warnings: {warnings:?}");
    assert!((seconds - 12.0).abs() < 0.05, "{seconds}");
}

#[tokio::test]
async fn ffprobe_finds_opus_at_its_place() {
    if !has("ffprobe") {
        return;
    }
    let scratch = Scratch::new("hls-probe");
    let mut cast = cast(&scratch.0);
    segments(&mut cast, &mut Tone::new(), 3).await;
    cast.finish().await;
    let text = fs::read_to_string(scratch.0.join("index.m3u8")).unwrap();
    let map = text.split("URI=\"").nth(1).unwrap().split('"').next().unwrap();
    let last = text.lines().rev().find(|line| line.ends_with(".m4s")).unwrap();
    let whole = [map, last].map(|name| fs::read(scratch.0.join(name)).unwrap()).concat();
    let file = scratch.0.join("third.mp4");
    fs::write(&file, whole).unwrap();
    let run = Command::new("ffprobe")
        .args(["-v", "warning", "-of", "csv=p=0", "-count_packets", "-show_entries"])
        .arg("stream=codec_name,sample_rate,channels,start_pts,nb_read_packets")
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&run.stderr), "");
    let told = String::from_utf8_lossy(&run.stdout).trim().to_owned();
    println!("{told}");
    // It begins where the second segment ended, less what is not heard at the very beginning.
    assert_eq!(told, "opus,48000,2,287688,150");
}
