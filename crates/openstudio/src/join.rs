//! `openstudio join`: native participants in a room, and what they hear.
//!
//! Decides nothing about connections: that is in `openstudio-peer`.

mod print;
mod questions;
mod report;
mod trust;

use std::cell::{Cell, OnceCell};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use openstudio_peer::session::EndReason;
use openstudio_peer::session::mesh::ConnectionState;
use openstudio_peer::{Cue, Link, Options, Participant, Snapshot, SoundFile, Source};
use openstudio_units::Role;
use openstudio_wire::DisplayName;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::print::{say, warn, warn_over};
use self::questions::Questions;
use self::report::{Milestones, Report};
use self::trust::TrustOptions;

/// How far apart the tones of several participants are, Hz: no tone of a dozen that begin at
/// 600 Hz is a harmonic of another.
const TONE_STEP: u32 = 350;

/// How long making a room may take.
const START_LIMIT: Duration = Duration::from_secs(15);

/// How often the progress is said.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// What `--help` says at its end.
const EXIT_CODES: &str = "\
Exit codes:
  0  at the end everybody heard everybody
  1  not all heard all, or something failed: a sentence says what
  2  wrong usage

Those who play a tone are heard by their frequency, who plays a file or is silent by the packets
that come, everybody else by their level. On SIGUSR1 all that is printed at the end is printed as it
is now.";

/// The flags of `openstudio join`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct JoinOptions {
    /// The room's link, as the page shows it: https://HOST/#ROOM. Without #ROOM, a new room is
    /// made.
    link: Link,
    #[command(flatten)]
    trust: TrustOptions,
    /// What the participant is called; may stand once for each of several, else each gets a
    /// number [default: Native].
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// Play a tone of this many hertz. Of several participants, each is 350 Hz higher than the
    /// one before.
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(20..=20_000))]
    tone: Option<u32>,
    /// Play a click at each full second of the clock: of all participants on a machine at the
    /// same moment.
    #[arg(long, conflicts_with = "tone")]
    clicks: bool,
    /// Play this sound file, again and again: WAV, FLAC, or Ogg with Vorbis or Opus. It begins
    /// when the first of the others is connected.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tone", "clicks"])]
    file: Option<PathBuf>,
    /// Play the file once, and be silent then.
    #[arg(long, requires = "file")]
    once: bool,
    /// Take part only in this role: host, ops or caller. Which one it is, the link decides.
    #[arg(long, value_name = "ROLE")]
    role: Option<Role>,
    /// Send and take sound through the studio's relay alone, which shows whether it works for
    /// those who need it.
    #[arg(long)]
    relay_only: bool,
    /// Lose so many percent of all packets, each way, as a bad network would.
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    lose: u8,
    /// Send no redundancy to those who miss packets: to measure what it is worth.
    #[arg(long)]
    no_redundancy: bool,
    /// How many participants.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=48))]
    count: u32,
    /// Record what is heard into a new folder below this one: each voice as it came, and the
    /// programme. Of several participants, the first records.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Say whom each of them hears, how loud, and at which frequency.
    #[arg(long)]
    hear: bool,
    /// Leave after this many seconds; without it, when interrupted.
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Count packets only after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    settle: f64,
    /// Print one JSON object, on a line.
    #[arg(long)]
    json: bool,
}

/// A participant, and the tone that it plays.
struct Member {
    name: String,
    hertz: Option<u32>,
    /// Lets its file begin.
    cue: Cue,
    participant: Participant,
}

/// Takes part until the time is over, all have been put out, or somebody interrupts. The exit
/// code is 0 if at the end everybody heard everybody, 1 if not.
pub(crate) async fn run(
    options: &JoinOptions,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<ExitCode> {
    let seconds = options.seconds.map(Duration::try_from_secs_f64).transpose();
    let length = seconds.context("`--for` wants seconds, as in `--for 10`")?;
    let mut questions = Questions::listen()?;
    let settle = Duration::try_from_secs_f64(options.settle);
    let settle = settle.context("`--settle` wants seconds, as in `--settle 10`")?;
    let (members, begun) = everybody(options).await?;
    let end = async {
        match length {
            Some(length) => tokio::time::sleep(length).await,
            None => std::future::pending().await,
        }
    };
    let settled = OnceCell::new();
    let settling = async {
        tokio::time::sleep(settle).await;
        settled.get_or_init(|| snapshots(&members));
        std::future::pending::<()>().await;
    };
    let milestones = Cell::new(Milestones::default());
    let tones = tones(&members);
    let answering = async {
        loop {
            questions.next().await;
            let now = snapshots_since(settled.get(), &members);
            let report = Report { tones: &tones, snapshots: &now, milestones: milestones.get() };
            tell(options, &report);
        }
    };
    tokio::select! {
        () = follow(&members, begun, &milestones) => {}
        () = settling => {}
        () = answering => {}
        () = misplaced(options, &members) => {}
        () = end => {}
        () = stop => {}
    }
    if std::io::stderr().is_terminal() {
        warn("");
    }
    let snapshots = snapshots_since(settled.get(), &members);
    leave(members).await;
    check_roles(options, &snapshots)?;
    let report = Report { tones: &tones, snapshots: &snapshots, milestones: milestones.get() };
    tell(options, &report);
    refused(&snapshots)?;
    if let Some(alarm) = report.alarm() {
        bail!("recording: {alarm}");
    }
    Ok(if report.all_hear() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Lets all join, and returns when they began to.
async fn everybody(options: &JoinOptions) -> anyhow::Result<(Vec<Member>, Instant)> {
    options.trust.check(&options.link).await?;
    let (link, mut members) = first(options).await?;
    if options.link.room.is_none() {
        warn(&format!("the session is at {link}"));
    }
    let begun = Instant::now();
    for number in members.len()..usize::try_from(options.count)? {
        members.push(member(options, &link, number).await?);
    }
    Ok((members, begun))
}

async fn leave(members: Vec<Member>) {
    let mut leaving = JoinSet::new();
    members.into_iter().for_each(|member| drop(leaving.spawn(member.participant.leave())));
    leaving.join_all().await;
}

fn tell(options: &JoinOptions, report: &Report<'_>) {
    if options.json {
        say(&report.as_json().to_string());
    } else {
        say(&report.as_text(options.hear));
    }
}

/// Returns what each knows, with packets counted from when they had settled.
fn snapshots_since(settled: Option<&Vec<Snapshot>>, members: &[Member]) -> Vec<Snapshot> {
    let mut snapshots = snapshots(members);
    for (snapshot, earlier) in snapshots.iter_mut().zip(settled.into_iter().flatten()) {
        snapshot.count_from(earlier);
    }
    snapshots
}

fn snapshots(members: &[Member]) -> Vec<Snapshot> {
    members.iter().map(|member| member.participant.snapshot().borrow().clone()).collect()
}

fn tones(members: &[Member]) -> Vec<(String, Option<u32>)> {
    members.iter().map(|member| (member.name.clone(), member.hertz)).collect()
}

/// Makes the room, where the link names none.
async fn first(options: &JoinOptions) -> anyhow::Result<(Link, Vec<Member>)> {
    if options.link.room.is_some() {
        return Ok((options.link.clone(), Vec::new()));
    }
    let host = member(options, &options.link, 0).await?;
    let mut snapshot = host.participant.snapshot();
    let seated = snapshot.wait_for(|now| now.seat.is_some() || now.ended.is_some());
    let Ok(seated) = tokio::time::timeout(START_LIMIT, seated).await else {
        bail!("no studio answers at {}: is it running?", options.link);
    };
    let seated = seated.context("the participant ended")?.clone();
    refused(std::slice::from_ref(&seated))?;
    let (room, ..) = seated.seat.context("the room was left at once")?;
    Ok((options.link.to_room(room), vec![host]))
}

async fn member(options: &JoinOptions, link: &Link, number: usize) -> anyhow::Result<Member> {
    let name = name_of(options, number);
    let hertz = options.tone.map(|hertz| hertz + TONE_STEP * u32::try_from(number).unwrap_or(0));
    let cue = Cue::default();
    let participant = Participant::start(Options {
        link: link.clone(),
        trust: options.trust.trust(),
        name: Some(DisplayName::new(&name).context("`--name` cannot be shown")?),
        listens_only: false,
        sends_redundancy: !options.no_redundancy,
        relay_only: options.relay_only,
        record: options.record.clone().filter(|_| number == 0),
        source: source(options, hertz, &cue)?,
        lose: options.lose,
    })
    .await?;
    Ok(Member { name, hertz, cue, participant })
}

fn source(options: &JoinOptions, hertz: Option<u32>, cue: &Cue) -> anyhow::Result<Source> {
    Ok(match (hertz, &options.file) {
        (Some(hertz), _) => Source::tone(hertz),
        (None, Some(path)) => {
            let file = SoundFile::open(path)?.on(cue.clone());
            Source::File(if options.once { file.once() } else { file })
        }
        (None, None) if options.clicks => Source::Clicks,
        (None, None) => Source::Silence,
    })
}

/// Whoever wants a role that the link does not give is told how to get it.
fn check_roles(options: &JoinOptions, snapshots: &[Snapshot]) -> anyhow::Result<()> {
    let Some(wanted) = options.role else { return Ok(()) };
    for (_, _, given) in snapshots.iter().filter_map(|snapshot| snapshot.seat) {
        if given != wanted {
            bail!(
                "the link gives the role {given}, not {wanted}; ask a host for an invite link \
                 for that role"
            );
        }
    }
    Ok(())
}

fn name_of(options: &JoinOptions, number: usize) -> String {
    // Everybody is to see that they are being recorded.
    let usual = if options.record.is_some() && number == 0 { "Recording" } else { "Native" };
    let shared = options.names.first().map_or(usual, String::as_str);
    match options.names.get(number) {
        Some(own) if options.names.len() > 1 => own.clone(),
        _ if options.count == 1 => shared.to_owned(),
        _ => format!("{shared} {}", number + 1),
    }
}

/// Waits until somebody has another role than is wanted.
async fn misplaced(options: &JoinOptions, members: &[Member]) {
    let mut watched: Vec<_> = members.iter().map(|m| m.participant.snapshot()).collect();
    while check_roles(options, &snapshots(members)).is_ok() {
        changed(&mut watched).await;
    }
}

/// Returns whether somebody can hear this participant.
fn has_company(snapshot: &Snapshot) -> bool {
    snapshot.others.iter().any(|other| other.state == Some(ConnectionState::Connected))
}

/// Says how it goes, and notes when it is reached. Returns when all were put out.
async fn follow(members: &[Member], begun: Instant, milestones: &Cell<Milestones>) {
    let terminal = std::io::stderr().is_terminal();
    let mut watched: Vec<_> = members.iter().map(|m| m.participant.snapshot()).collect();
    let mut said = String::new();
    let mut next = begun;
    loop {
        changed(&mut watched).await;
        let (now, tones) = (snapshots(members), tones(members));
        members
            .iter()
            .zip(&now)
            .filter(|(_, now)| has_company(now))
            .for_each(|(m, _)| m.cue.give());
        let mut reached = milestones.get();
        let report = Report { tones: &tones, snapshots: &now, milestones: reached };
        if report.all_connected() {
            reached.connected.get_or_insert_with(|| begun.elapsed());
        }
        if report.all_hear() {
            reached.heard.get_or_insert_with(|| begun.elapsed());
        }
        milestones.set(reached);
        if now.iter().all(|snapshot| snapshot.ended.is_some()) {
            return;
        }
        let line = report.progress();
        if Instant::now() >= next && line != said {
            warn_over(&line, terminal);
            next = Instant::now() + PROGRESS_INTERVAL;
            said = line;
        }
    }
}

/// Waits until one of some participants shows something else. Each receiver remembers what it
/// has seen: a fresh one would find a change at once. Those that have ended are taken out.
async fn changed(watched: &mut Vec<watch::Receiver<Snapshot>>) {
    if watched.is_empty() {
        return std::future::pending().await;
    }
    let changes = watched.iter_mut().map(|snapshot| Box::pin(snapshot.changed()));
    let (outcome, index, _) = futures_util::future::select_all(changes).await;
    if outcome.is_err() {
        watched.swap_remove(index);
    }
}

/// A session that the studio ended for good is an error, with the studio's words.
fn refused(snapshots: &[Snapshot]) -> anyhow::Result<()> {
    for snapshot in snapshots {
        match &snapshot.ended {
            Some(EndReason::Refused { message, .. }) => bail!("{message}"),
            Some(EndReason::TakenOver) => bail!("another participant has taken the seat"),
            Some(EndReason::Left | EndReason::RoomEnded) | None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn a_change_is_seen_once() {
        let (sender, receiver) = watch::channel(Snapshot::default());
        let (other, second) = watch::channel(Snapshot::default());
        let mut watched = vec![receiver, second];
        assert!(changed(&mut watched).now_or_never().is_none(), "nothing has changed");
        sender.send_replace(Snapshot::default());
        assert!(changed(&mut watched).now_or_never().is_some());
        assert!(changed(&mut watched).now_or_never().is_none(), "it was seen");
        drop(other);
        assert!(changed(&mut watched).now_or_never().is_some(), "one has ended");
        assert!(changed(&mut watched).now_or_never().is_none(), "and is forgotten");
        drop(sender);
        assert!(changed(&mut watched).now_or_never().is_some());
        assert!(changed(&mut watched).now_or_never().is_none());
    }

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: JoinOptions,
    }

    fn parsed(flags: &[&str]) -> Result<JoinOptions, clap::Error> {
        let line = ["join", "http://localhost/"].iter().chain(flags);
        <Line as clap::Parser>::try_parse_from(line).map(|line| line.options)
    }

    #[test]
    fn a_role_that_the_link_does_not_give_is_told_and_how_to_get_it() {
        let room = "f3b0c1de-0000-4000-8000-000000000001".parse().unwrap();
        let peer = "f3b0c1de-0000-4000-8000-000000000002".parse().unwrap();
        let seated = Snapshot { seat: Some((room, peer, Role::Caller)), ..Snapshot::default() };
        let wanting =
            |flags: &[&str]| check_roles(&parsed(flags).unwrap(), std::slice::from_ref(&seated));
        assert!(wanting(&[]).is_ok());
        assert!(wanting(&["--role", "caller"]).is_ok());
        let words = wanting(&["--role", "host"]).unwrap_err().to_string();
        assert!(words.contains("gives the role caller, not host"), "{words}");
        assert!(words.contains("ask a host for an invite link"), "{words}");
        let host = parsed(&["--role", "host"]).unwrap();
        assert!(check_roles(&host, &[Snapshot::default()]).is_ok(), "nothing is known yet");
    }

    #[test]
    fn flags_that_do_not_go_together_are_refused() {
        assert!(parsed(&["--file", "a.wav", "--once"]).is_ok());
        let refused = [
            &["--once"][..],
            &["--file", "a.wav", "--tone", "600"],
            &["--file", "a.wav", "--clicks"],
            &["--ca", "a.pem", "--insecure"],
            &["--role", "king"],
        ];
        for flags in refused {
            assert_eq!(parsed(flags).unwrap_err().exit_code(), 2, "{flags:?}");
        }
    }

    #[test]
    fn each_of_several_gets_a_name() {
        let options = |names: &[&str], count| JoinOptions {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            count,
            ..parsed(&[]).unwrap()
        };
        assert_eq!(name_of(&options(&[], 1), 0), "Native");
        assert_eq!(name_of(&options(&[], 3), 2), "Native 3");
        assert_eq!(name_of(&options(&["Ada"], 1), 0), "Ada");
        assert_eq!(name_of(&options(&["Ada"], 2), 1), "Ada 2");
        assert_eq!(name_of(&options(&["Ada", "Boris"], 2), 1), "Boris");
        assert_eq!(name_of(&options(&["Ada", "Boris"], 3), 2), "Ada 3");
    }
}
