//! The programme to a real Icecast server, where there is one.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Scratch, Tone, assert_tone, has, hear};
use openstudio_cast::{Air, Cast, CastConfig, Destination, IcecastConfig, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(30);

/// A server of the test's own, which goes with it.
struct Server {
    folder: Scratch,
    address: SocketAddr,
    process: Option<Child>,
}

impl Server {
    fn new(name: &str) -> Option<Self> {
        // Debian's name for it, and the project's own.
        let program = ["icecast2", "icecast"]
            .into_iter()
            .find(|program| Command::new(program).arg("-v").output().is_ok());
        let Some(program) = program else {
            println!("skipped: there is no Icecast on this machine (icecast2)");
            return None;
        };
        let folder = Scratch::new(name);
        let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        let path = folder.0.display();
        // It refuses to run as root, and is somebody else then.
        let user = Command::new("id").arg("-u").output().unwrap().stdout;
        let owner = if user == b"0\n" {
            "<changeowner><user>nobody</user><group>nogroup</group></changeowner>"
        } else {
            ""
        };
        let config = format!(
            "<icecast>
                <limits><clients>20</clients><sources>2</sources>
                    <queue-size>524288</queue-size><source-timeout>10</source-timeout></limits>
                <authentication><source-password>hackme</source-password>
                    <admin-user>admin</admin-user><admin-password>x</admin-password>
                </authentication>
                <hostname>localhost</hostname>
                <listen-socket><port>{}</port><bind-address>127.0.0.1</bind-address>
                </listen-socket>
                <paths><logdir>{path}</logdir><webroot>{path}</webroot>
                    <adminroot>{path}</adminroot></paths>
                <logging><accesslog>-</accesslog><errorlog>-</errorlog>
                    <loglevel>1</loglevel></logging>
                <security><chroot>0</chroot>{owner}</security>
            </icecast>",
            address.port()
        );
        std::fs::write(folder.0.join("icecast.xml"), config).unwrap();
        std::fs::write(folder.0.join("program"), program).unwrap();
        Some(Self { folder, address, process: None })
    }

    fn start(&mut self) {
        let program = std::fs::read_to_string(self.folder.0.join("program")).unwrap();
        let process = Command::new(program)
            .arg("-c")
            .arg(self.folder.0.join("icecast.xml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(process.unwrap());
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    fn cast(&self, title: &str, password: &str) -> (Cast, Air) {
        let mut config = CastConfig::new("Radio Probe");
        config.title = title.to_owned();
        let url = format!("http://{}/live", self.address);
        config.icecast = Some(IcecastConfig::new(&url, IcecastConfig::USER, password).unwrap());
        let cast = Cast::start(config).unwrap();
        let air = cast.air();
        (cast, air)
    }

    /// What a listener of the server gets: whole pages, of so many bytes at least.
    async fn listen(address: SocketAddr, bytes: usize) -> Vec<u8> {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(b"GET /live HTTP/1.0\r\n\r\n").await.unwrap();
        let mut all = Vec::new();
        while all.len() < bytes {
            assert_ne!(socket.read_buf(&mut all).await.unwrap(), 0, "it ended early");
        }
        let head = all.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        let text = String::from_utf8_lossy(&all[..head]).into_owned();
        assert!(text.contains(" 200 OK") && text.contains("application/ogg"), "{text}");
        assert!(text.contains("icy-name:Radio Probe") && text.contains("icy-pub:0"), "{text}");
        let end = all.windows(4).rposition(|page| page == b"OggS").unwrap();
        all[head..end].to_vec()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn told(air: &Air) -> Destination {
    air.status().destinations.remove(0)
}

#[tokio::test]
async fn a_mount_comes_back_after_the_server_was_away() {
    let Some(mut server) = Server::new("mount") else { return };
    server.start();
    let (mut cast, air) = server.cast("First", "hackme");
    let mut sound = Tone::new();
    let on_air = || told(&air).state == State::OnAir;
    sound.until(&mut cast, LIMIT, on_air).await;
    sound.play(&mut cast, Duration::from_secs(1)).await;

    let ear = tokio::spawn(Server::listen(server.address, 60_000));
    sound.play(&mut cast, Duration::from_secs(2)).await;
    cast.set_title("Second");
    sound.until(&mut cast, LIMIT, || ear.is_finished()).await;
    let streams = hear(&ear.await.unwrap());
    let titles: Vec<_> = streams.iter().map(|heard| heard.title()).collect();
    assert_eq!(titles, ["First", "Second"]);
    let settled = |side: &Vec<f32>| side[9_600..].to_vec();
    assert_tone(&streams[0].sound.each_ref().map(settled));
    assert_tone(&streams[1].sound);

    server.stop();
    sound.until(&mut cast, LIMIT, || told(&air).words.contains("Nothing answers")).await;
    sound.play(&mut cast, Duration::from_secs(4)).await;
    server.start();
    // The server's own start is in this, too.
    let away = sound.until(&mut cast, LIMIT, on_air).await;
    println!("the mount was back {away:?} after the server's start");
    assert!(away < Duration::from_millis(2_500), "{away:?}");

    let ear = tokio::spawn(Server::listen(server.address, 30_000));
    sound.until(&mut cast, LIMIT, || ear.is_finished()).await;
    let streams = hear(&ear.await.unwrap());
    assert_eq!(streams[0].title(), "Second");
    assert_tone(&streams[0].sound.each_ref().map(settled));
}

#[tokio::test]
async fn a_real_server_refuses_in_words_that_are_understood() {
    let Some(mut server) = Server::new("refusals") else { return };
    server.start();
    let (mut first, air) = server.cast("First", "hackme");
    let mut sound = Tone::new();
    sound.until(&mut first, LIMIT, || told(&air).state == State::OnAir).await;

    let (_wrong, wrong_air) = server.cast("Wrong", "guessed");
    sound.until(&mut first, LIMIT, || told(&wrong_air).state == State::Failed).await;
    assert!(told(&wrong_air).words.contains("refuses user or password"));

    let (mut second, second_air) = server.cast("Second", "hackme");
    sound.until(&mut first, LIMIT, || told(&second_air).state == State::Retrying).await;
    let words = told(&second_air).words;
    assert!(words.contains("Somebody else streams to /live"), "{words}");

    // As soon as the mount is free, it is taken.
    first.finish().await;
    let waited = sound.until(&mut second, LIMIT, || told(&second_air).state == State::OnAir).await;
    assert!(waited < Duration::from_secs(3), "{waited:?}");
}

#[tokio::test]
async fn ffmpeg_decodes_from_a_mount() {
    if !has("ffmpeg") {
        return;
    }
    let Some(mut server) = Server::new("ffmpeg-mount") else { return };
    server.start();
    let (mut cast, air) = server.cast("First", "hackme");
    let mut sound = Tone::new();
    sound.until(&mut cast, LIMIT, || told(&air).state == State::OnAir).await;
    sound.play(&mut cast, Duration::from_secs(1)).await;
    let url = format!("http://{}/live", server.address);
    let ear = tokio::task::spawn_blocking(move || common::ffmpeg(&url, Stdio::null()));
    sound.play(&mut cast, Duration::from_secs(4)).await;
    cast.set_title("Second");
    sound.play(&mut cast, Duration::from_secs(3)).await;
    // Its end is the listener's.
    cast.finish().await;
    let (seconds, warnings) = ear.await.unwrap();
    println!("{seconds} s; warnings: {warnings:?}");
    assert!(seconds > 7.0, "{seconds}");
    // HTTP itself may be said to end early: the server says no length.
    assert!(!warnings.contains("[ogg") && !warnings.contains("[opus"), "{warnings}");
}
