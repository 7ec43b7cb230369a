//! `openstudio doctor` on machines that are well and on those that are not.
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

use std::fs;
use std::path::Path;

use anyhow::Result;
use openstudio_e2e::{PATIENCE, Server, TempDir, binary, free_port};
use openstudio_turn::answer_binding;
use serde_json::Value;
use tokio::net::{TcpListener, UdpSocket};
use tokio::process::Command;
use tokio::time::timeout;

/// What it says, and the exit code.
struct Said {
    code: i32,
    json: Value,
}

impl Said {
    /// Returns the levels of a check, worst last.
    fn levels(&self, check: &str) -> Vec<&str> {
        let checks = self.json["checks"].as_array().unwrap().iter();
        let of = checks.filter(|finding| finding["check"] == check);
        of.map(|finding| finding["level"].as_str().unwrap()).collect()
    }

    fn words(&self, check: &str) -> String {
        let checks = self.json["checks"].as_array().unwrap().iter();
        let of = checks.filter(|finding| finding["check"] == check);
        of.map(|finding| format!("{}: {}\n", finding["words"], finding["advice"])).collect()
    }
}

async fn doctor(data: &Path, args: &[&str]) -> Result<Said> {
    let mut command = Command::new(binary()?);
    command.args(["doctor", "--json", "--data-dir"]).arg(data).args(args);
    command.env_remove("OPENSTUDIO_CONFIG").kill_on_drop(true);
    let output = timeout(2 * PATIENCE, command.output()).await??;
    let text = String::from_utf8(output.stdout)?;
    assert_eq!(text.lines().count(), 1, "{text}");
    let json: Value = serde_json::from_str(&text)?;
    for finding in json["checks"].as_array().unwrap() {
        let is_well = finding["level"] == "ok";
        assert_eq!(finding["advice"] == "", is_well, "what to do: {finding}");
    }
    Ok(Said { code: output.status.code().unwrap_or(-1), json })
}

#[tokio::test]
async fn it_looks_at_everything_and_leaves_nothing_behind() -> Result<()> {
    let data = TempDir::new()?;
    let said = doctor(data.path(), &["--listen=127.0.0.1:0"]).await?;
    for check in ["address", "certificate", "clock", "data folder", "ports", "stun", "relay"] {
        assert_eq!(said.levels(check), ["ok"], "{}", said.words(check));
    }
    assert!(fs::read_dir(data.path())?.next().is_none(), "the folder is as it was");

    let mut command = Command::new(binary()?);
    command.args(["doctor", "--listen=127.0.0.1:0", "--data-dir"]).arg(data.path());
    let output = command.kill_on_drop(true).output().await?;
    let text = String::from_utf8(output.stdout)?;
    assert_eq!(text.lines().count(), said.json["checks"].as_array().unwrap().len());
    assert!(text.lines().all(|line| ["ok ", "warn", "fail"].iter().any(|l| line.starts_with(l))));
    Ok(())
}

#[tokio::test]
async fn a_studio_that_runs_is_recognised_and_another_program_is_not() -> Result<()> {
    let data = TempDir::new()?;
    let server = Server::start(data.path(), &["--tls=self-signed"]).await?;
    let listen = format!("--listen=127.0.0.1:{}", server.port());
    let said = doctor(data.path(), &[&listen, "--tls=self-signed"]).await?;
    assert_eq!(said.levels("address"), ["ok"], "{}", said.words("address"));
    assert!(said.words("address").contains("https://"));
    assert_eq!(said.levels("certificate"), ["ok"], "{}", said.words("certificate"));
    assert_eq!(said.levels("clock"), ["ok"]);
    assert!(said.words("clock").contains("agrees with the studio's"));

    let said = doctor(data.path(), &[&listen]).await?;
    assert_eq!(said.levels("address"), ["warn"], "it runs with other settings");
    assert_eq!(said.code, 1);
    let tls = data.path().join("tls");
    fs::remove_dir_all(&tls)?;
    let other = Server::start(data.path(), &["--tls=self-signed"]).await?;
    drop(other);
    let said = doctor(data.path(), &[&listen, "--tls=self-signed"]).await?;
    assert_eq!(said.levels("certificate"), ["ok", "warn"], "another is in the files");
    server.kill().await?;
    let said = doctor(data.path(), &[&listen]).await?;
    assert_eq!(said.levels("address"), ["ok"], "the studio is gone");

    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let listen = format!("--listen={}", taken.local_addr()?);
    // It is no studio: it hangs up.
    let accepting = tokio::spawn(async move { while taken.accept().await.is_ok() {} });
    let said = doctor(data.path(), &[&listen]).await?;
    accepting.abort();
    assert_eq!((said.levels("address"), said.code), (vec!["fail"], 2));
    assert!(said.words("address").contains("--listen"));
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_a_failure_with_what_to_do() -> Result<()> {
    let data = TempDir::new()?;
    let said =
        doctor(data.path(), &["--tls=files", "--tls-cert=/nowhere.pem", "--listen=127.0.0.1:0"])
            .await?;
    assert_eq!((said.levels("certificate"), said.code), (vec!["fail"], 2));
    assert!(said.words("certificate").contains("/nowhere.pem"));

    let said = doctor(data.path(), &["--stun=nonsense"]).await?;
    assert_eq!((said.levels("settings"), said.code), (vec!["fail"], 2));
    assert!(said.words("settings").contains("nonsense"));

    let said = doctor(Path::new("/dev/null/data"), &["--listen=127.0.0.1:0"]).await?;
    assert_eq!((said.levels("data folder"), said.code), (vec!["fail"], 2));

    let said = doctor(data.path(), &["--listen=0.0.0.0:0", "--turn-server=false"]).await?;
    assert_eq!((said.levels("certificate"), said.code), (vec!["warn"], 1));
    assert!(said.words("certificate").contains("--tls self-signed"));
    Ok(())
}

#[tokio::test]
async fn a_studio_that_waits_for_its_certificate_is_one() -> Result<()> {
    let data = TempDir::new()?;
    // Nobody is there whom it could ask.
    let ca = data.path().join("ca.pem");
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
    fs::write(&ca, made.cert.pem())?;
    let directory = format!("--tls-directory=https://127.0.0.1:{}/directory", free_port()?);
    let ca = format!("--tls-directory-ca={}", ca.display());
    let flags = ["--tls=acme", "--tls-name=studio.radio.example", &directory, &ca];
    let server = Server::start(data.path(), &flags).await?;
    let at = format!("--listen=127.0.0.1:{}", server.port());
    let said = doctor(data.path(), &[&flags[..], &[&at]].concat()).await?;
    let words = said.words("address");
    assert_eq!((said.levels("address"), said.code), (vec!["warn"], 1), "{words}");
    assert!(words.contains("a studio answers") && words.contains("no certificate yet"), "{words}");
    assert_eq!(said.levels("certificate"), ["warn"]);
    assert!(said.words("certificate").contains("port 443"), "{}", said.words("certificate"));
    assert!(said.words("clock").contains("agrees with the studio's"), "{}", said.words("clock"));
    assert!(said.words("relay").contains("no certificate yet"), "{}", said.words("relay"));
    Ok(())
}

/// Returns what it says of each URL, and of what has none.
fn of_relays(said: &Said) -> Vec<(&str, &str)> {
    let checks = said.json["checks"].as_array().unwrap().iter();
    let of = checks.filter(|finding| finding["check"] == "relay");
    let parts = of.map(|finding| {
        let words = finding["words"].as_str().unwrap();
        (words.split([' ', ';']).next().unwrap(), finding["level"].as_str().unwrap())
    });
    parts.collect()
}

#[tokio::test]
async fn packets_go_through_the_relay_and_back_in_every_way() -> Result<()> {
    let data = TempDir::new()?;
    let (port, tls_port) = (free_port()?, free_port()?);
    let listen = format!("--turn-listen=127.0.0.1:{port}");
    let tls_listen = format!("--turn-tls-listen=127.0.0.1:{tls_port}");
    let flags = ["--turn-server=true", &listen, "--tls=self-signed", &tls_listen];
    let server = Server::start(data.path(), &flags).await?;
    let at = format!("--listen=127.0.0.1:{}", server.port());
    let said = doctor(data.path(), &[&at, &listen, "--tls=self-signed", &tls_listen]).await?;
    let [udp, tcp, tls] = [
        format!("turn:127.0.0.1:{port}?transport=udp:"),
        format!("turn:127.0.0.1:{port}?transport=tcp:"),
        format!("turns:127.0.0.1:{tls_port}?transport=tcp:"),
    ];
    let wanted = [(&udp[..], "ok"), (&tcp[..], "ok"), (&tls[..], "ok")];
    assert_eq!(of_relays(&said), wanted, "{}", said.words("relay"));
    assert!(said.words("relay").contains("through it and back"));

    // The settings have another than the one that runs.
    let other = format!("--turn-listen=127.0.0.2:{port}");
    let said = doctor(data.path(), &[&at, &other, "--tls=self-signed", &tls_listen]).await?;
    assert!(said.levels("relay").contains(&"fail"), "{}", said.words("relay"));
    assert_eq!(said.code, 2);

    server.kill().await?;
    let said = doctor(data.path(), &[&at, &listen]).await?;
    assert_eq!(said.levels("relay"), ["ok"]);
    assert!(said.words("relay").contains("no studio runs"), "{}", said.words("relay"));

    let _taken = UdpSocket::bind(("127.0.0.1", port)).await?;
    let said = doctor(data.path(), &[&at, &listen]).await?;
    assert_eq!((said.levels("relay"), said.code), (vec!["fail"], 2));
    assert!(said.words("relay").contains(&port.to_string()), "{}", said.words("relay"));
    Ok(())
}

#[tokio::test]
async fn a_relay_that_is_not_there_or_does_not_answer_is_told() -> Result<()> {
    let data = TempDir::new()?;
    let taken = UdpSocket::bind("127.0.0.1:0").await?;
    let silent = UdpSocket::bind("127.0.0.1:0").await?;
    let config =
        format!("[[turn-shared]]\nurls = ['turn:{}']\nsecret = 'north'\n", silent.local_addr()?);
    fs::write(data.path().join("openstudio.toml"), config)?;
    let listen = format!("--turn-listen={}", taken.local_addr()?);
    let server = Server::start(data.path(), &["--turn-server=true", &listen]).await?;
    let at = format!("--listen=127.0.0.1:{}", server.port());
    let said = doctor(data.path(), &[&at, &listen]).await?;
    assert_eq!((said.levels("relay"), said.code), (vec!["warn", "fail"], 2));
    let words = said.words("relay");
    assert!(words.contains("--turn-listen") && words.contains("does not answer"), "{words}");
    Ok(())
}

/// Answers Binding requests, as if they came from this port.
async fn stun_server(shown_port: u16) -> Result<String> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    let url = format!("stun:{}", socket.local_addr()?);
    tokio::spawn(async move {
        let mut request = [0; 1_500];
        while let Ok((length, from)) = socket.recv_from(&mut request).await {
            let shown = ([198, 51, 100, 7], shown_port).into();
            let answer = answer_binding(&request[..length], shown).unwrap();
            let _ = socket.send_to(&answer, from).await;
        }
    });
    Ok(url)
}

#[tokio::test]
async fn stun_servers_say_what_the_router_does() -> Result<()> {
    let data = TempDir::new()?;
    let (first, same, other) =
        (stun_server(4_000).await?, stun_server(4_000).await?, stun_server(4_001).await?);
    let asked = |a: &str, b: &str| format!("--stun={a},{b}");
    let said = doctor(data.path(), &["--listen=127.0.0.1:0", &asked(&first, &same)]).await?;
    assert_eq!(said.levels("stun"), ["ok", "ok"]);
    assert!(said.words("stun").contains("198.51.100.7:4000"), "{}", said.words("stun"));
    assert_eq!(said.levels("nat"), ["ok"]);
    let said = doctor(data.path(), &["--listen=127.0.0.1:0", &asked(&first, &other)]).await?;
    assert_eq!(said.levels("nat"), ["warn"]);
    let said = doctor(data.path(), &["--listen=127.0.0.1:0", &format!("--stun={first}")]).await?;
    let words = said.words("nat");
    assert_eq!(said.levels("nat"), ["ok"]);
    assert!(words.contains("seen from outside as 198.51.100.7"), "{words}");
    let silent = UdpSocket::bind("127.0.0.1:0").await?;
    let silent = format!("--stun=stun:{}", silent.local_addr()?);
    let said = doctor(data.path(), &["--listen=127.0.0.1:0", &silent]).await?;
    assert_eq!((said.levels("stun"), said.code), (vec!["fail"], 2));
    Ok(())
}
