//! Which way a page takes to its relays: one URL of each server, so that a connection costs one
//! allocation.
//!
//! A *probe* finds out which URLs answer: something outside asks all of them, and tells what it
//! hears. By UDP is best, then by TCP, then by TLS. Until it is known, the way that worked when
//! the page was here last is taken for granted, or UDP: who has it loses no time, and who has
//! not is told within a moment, as the better way would have answered first. What was begun on a
//! way that does not exist has to begin anew ([`Step::BeginAnew`]).
//!
//! Pure: performs nothing, and is told the time.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use openstudio_session::wire::{IceConfig, IceServer};
use openstudio_units::Timestamp;

/// How long a better way may come after a worse one. A relay that sends strangers no more than
/// they sent leaves a browser's first request by UDP unanswered, since that is the shortest there
/// can be, and browsers repeat it after 250 ms. Who has UDP must not end up with TCP for that.
const PATIENCE: Duration = Duration::from_millis(400);

/// How long a probe goes on at most: after two packets that were lost, UDP still wins.
const LIMIT: Duration = Duration::from_secs(4);

/// How long after one probe a link that fails may cause another.
const PAUSE: Duration = Duration::from_secs(10);

/// How a relay is reached, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// By datagrams.
    Udp,
    /// By a stream.
    Tcp,
    /// By a stream that looks like a browser's.
    Tls,
}

impl Way {
    /// Reads the scheme and the `transport` of a URL (RFC 7065).
    pub(crate) fn of_url(url: &str) -> Self {
        let by_tcp = url.split_once('?').is_some_and(|(_, query)| query == "transport=tcp");
        match url.split_once(':') {
            // Without a word on it, it is TLS over TCP.
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("turns") => Self::Tls,
            Some(_) | None if by_tcp => Self::Tcp,
            Some(_) | None => Self::Udp,
        }
    }

    /// Reads `RTCIceCandidate.relayProtocol`, or what [`Way::as_str`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls].into_iter().find(|way| way.as_str() == text)
    }

    /// Returns the name that webrtc-pc has for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask all URLs of [`Relays::named`]; an older probe ends.
    Probe(u32),
    /// The probe has done its work.
    EndProbe,
    /// Connections are to have [`Relays::config`].
    Configure,
    /// What is not connected was begun on a way that does not exist.
    BeginAnew,
    /// Remember this way for the next visit.
    Remember(Way),
}

#[derive(Debug)]
struct Probe {
    number: u32,
    due: Timestamp,
    /// When the first URL had answered; what is missing then is waited for a little.
    first: Option<Timestamp>,
    answered: BTreeSet<String>,
    /// Whether what answered so far is in use.
    judged: bool,
}

/// The relays of a page.
#[derive(Debug, Default)]
pub(crate) struct Relays {
    named: IceConfig,
    /// What the page found when it was here last.
    hint: Option<Way>,
    /// What the latest probe found; none before the first.
    found: Option<BTreeSet<String>>,
    probe: Option<Probe>,
    probes: u32,
    probed_at: Option<Timestamp>,
    steps: VecDeque<Step>,
}

impl Relays {
    /// Begins with what was remembered.
    pub(crate) fn new(hint: Option<Way>) -> Self {
        Self { hint, ..Self::default() }
    }

    /// The server names relays, or renews credentials for those that it named.
    pub(crate) fn on_servers(&mut self, now: Timestamp, named: IceConfig) {
        let urls = |ice: &IceConfig| -> Vec<Vec<String>> {
            ice.turn.iter().map(|server| server.urls.clone()).collect()
        };
        let are_others = urls(&named) != urls(&self.named);
        self.named = named;
        self.steps.push_back(Step::Configure);
        if are_others {
            self.found = None;
            self.begin_probe(now);
        }
    }

    /// The network may be another one.
    pub(crate) fn on_network(&mut self, now: Timestamp) {
        self.begin_probe(now);
    }

    /// A link that was connected is not any more, or one could not be made.
    pub(crate) fn on_link_lost(&mut self, now: Timestamp) {
        let lately = self.probed_at.is_some_and(|at| now.since(at) < PAUSE);
        if self.probe.is_none() && !lately {
            self.begin_probe(now);
        }
    }

    /// A relay answered to the probe. Browsers say by which URL, or at least by which protocol.
    pub(crate) fn on_answer(
        &mut self,
        now: Timestamp,
        number: u32,
        (url, protocol): (Option<&str>, Option<&str>),
    ) {
        let Some(probe) = self.probe.as_mut().filter(|probe| probe.number == number) else {
            return;
        };
        let all = self.named.turn.iter().flat_map(|server| &server.urls);
        let same: Vec<&String> = all.clone().filter(|known| Some(known.as_str()) == url).collect();
        let way = protocol.and_then(Way::parse).or_else(|| url.map(Way::of_url));
        if same.is_empty() {
            probe.answered.extend(all.filter(|url| Some(Way::of_url(url)) == way).cloned());
        } else {
            probe.answered.extend(same.into_iter().cloned());
        }
        probe.first.get_or_insert(now);
        if probe.judged || self.has_best() {
            self.judge();
        }
    }

    /// All URLs have answered or failed.
    pub(crate) fn on_gathered(&mut self, number: u32) {
        if self.probe.as_ref().is_some_and(|probe| probe.number == number) {
            self.judge();
            self.end_probe();
        }
    }

    /// Does what is due. Calling early or twice is harmless.
    pub(crate) fn on_timeout(&mut self, now: Timestamp) {
        let Some(probe) = &self.probe else { return };
        let patient = probe.first.is_some_and(|first| now < first + PATIENCE);
        if now >= probe.due {
            self.judge();
            self.end_probe();
        } else if !probe.judged && probe.first.is_some() && !patient {
            self.judge();
        }
    }

    /// Returns when to call [`Relays::on_timeout`].
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        let probe = self.probe.as_ref()?;
        let patience = probe.first.filter(|_| !probe.judged).map(|first| first + PATIENCE);
        Some(patience.map_or(probe.due, |at| at.min(probe.due)))
    }

    /// Returns the next thing to do.
    pub(crate) fn poll_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// Returns the servers as they were named, for the probe.
    pub(crate) fn named(&self) -> &IceConfig {
        &self.named
    }

    /// Returns the servers for connections: one URL of each relay.
    pub(crate) fn config(&self) -> IceConfig {
        let turn = self.named.turn.iter().map(|server| IceServer {
            urls: self.chosen(server),
            username: server.username.clone(),
            credential: server.credential.clone(),
        });
        let turn = turn.filter(|server| !server.urls.is_empty()).collect();
        IceConfig { stun: self.named.stun.clone(), turn }
    }

    fn chosen(&self, server: &IceServer) -> Vec<String> {
        let found = self.found.as_ref();
        // Nothing answered anywhere: a network that lets nothing through, or a browser that does
        // not tell. Everything is tried.
        if found.is_some_and(BTreeSet::is_empty) {
            return server.urls.clone();
        }
        let known =
            found.and_then(|found| best(server.urls.iter().filter(|url| found.contains(*url))));
        let hinted = || server.urls.iter().find(|url| Some(Way::of_url(url)) == self.hint);
        known.or_else(hinted).or_else(|| best(&server.urls)).cloned().into_iter().collect()
    }

    fn begin_probe(&mut self, now: Timestamp) {
        if self.named.turn.iter().all(|server| server.urls.len() < 2) {
            self.end_probe();
            return;
        }
        self.probes = self.probes.wrapping_add(1);
        self.probed_at = Some(now);
        let (number, due) = (self.probes, now + LIMIT);
        let (first, answered) = (None, BTreeSet::new());
        self.probe = Some(Probe { number, due, first, answered, judged: false });
        self.steps.push_back(Step::Probe(number));
    }

    fn end_probe(&mut self) {
        if self.probe.take().is_some() {
            self.steps.push_back(Step::EndProbe);
        }
    }

    /// Whether every relay has answered on the best way that it has.
    fn has_best(&self) -> bool {
        let Some(probe) = &self.probe else { return false };
        self.named.turn.iter().all(|server| {
            let answered = server.urls.iter().filter(|url| probe.answered.contains(*url));
            answered.map(|url| Way::of_url(url)).min()
                == server.urls.iter().map(|url| Way::of_url(url)).min()
        })
    }

    /// Takes what answered so far into use.
    fn judge(&mut self) {
        let before = self.config();
        let complete = self.has_best();
        let Some(probe) = &mut self.probe else { return };
        probe.judged = true;
        let answered = probe.answered.clone();
        if answered.is_empty() && self.found.as_ref().is_some_and(|found| !found.is_empty()) {
            // Nothing is reached at all: that says nothing about which way is better.
            return;
        }
        let way = answered.iter().map(|url| Way::of_url(url)).min();
        self.found = Some(answered.clone());
        if complete {
            self.end_probe();
        }
        let after = self.config();
        if before != after {
            self.steps.push_back(Step::Configure);
            // Where nothing is known, what is under way goes on.
            if !answered.is_empty() && !uses(&before).all(|url| answered.contains(url)) {
                self.steps.push_back(Step::BeginAnew);
            }
        }
        if let Some(way) = way.filter(|way| Some(*way) != self.hint) {
            self.hint = Some(way);
            self.steps.push_back(Step::Remember(way));
        }
    }
}

fn uses(ice: &IceConfig) -> impl Iterator<Item = &String> {
    ice.turn.iter().flat_map(|server| &server.urls)
}

/// The first of those that are best.
fn best<'a>(urls: impl IntoIterator<Item = &'a String>) -> Option<&'a String> {
    urls.into_iter().min_by_key(|url| Way::of_url(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: &str = "turn:a:3478?transport=udp";
    const TCP: &str = "turn:a:3478?transport=tcp";
    const TLS: &str = "turns:a:443?transport=tcp";

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn server(urls: &[&str], credential: &str) -> IceServer {
        let urls = urls.iter().map(|url| (*url).to_owned()).collect();
        IceServer { urls, username: "u".to_owned(), credential: credential.to_owned() }
    }

    fn named(servers: &[IceServer]) -> IceConfig {
        IceConfig { stun: vec!["stun:a".to_owned()], turn: servers.to_vec() }
    }

    fn steps(relays: &mut Relays) -> Vec<Step> {
        std::iter::from_fn(|| relays.poll_step()).collect()
    }

    /// Relays of a page that has just been told of them, at 0 ms.
    fn told(hint: Option<Way>, urls: &[&str]) -> Relays {
        let mut relays = Relays::new(hint);
        relays.on_servers(at(0), named(&[server(urls, "c")]));
        assert_eq!(steps(&mut relays), [Step::Configure, Step::Probe(1)]);
        relays
    }

    fn used(relays: &Relays) -> Vec<String> {
        uses(&relays.config()).cloned().collect()
    }

    fn answer(relays: &mut Relays, millis: u64, number: u32, url: &str) {
        relays.on_answer(at(millis), number, (Some(url), None));
    }

    #[test]
    fn a_url_says_how_its_relay_is_reached() {
        for (url, way) in [
            (UDP, Way::Udp),
            (TCP, Way::Tcp),
            (TLS, Way::Tls),
            ("turn:a", Way::Udp),
            ("TURNS:a:443", Way::Tls),
            ("turn:[2001:db8::1]:3478?transport=tcp", Way::Tcp),
        ] {
            assert_eq!(Way::of_url(url), way, "{url}");
            assert_eq!(Way::parse(way.as_str()), Some(way));
        }
        assert_eq!(Way::parse("pigeon"), None);
    }

    #[test]
    fn udp_is_taken_for_granted_and_nothing_changes_once_it_is_known() {
        let mut relays = told(None, &[UDP, TCP, TLS]);
        assert_eq!(used(&relays), [UDP]);
        assert_eq!(relays.config().stun, ["stun:a"]);
        answer(&mut relays, 60, 1, UDP);
        assert_eq!(steps(&mut relays), [Step::EndProbe, Step::Remember(Way::Udp)]);
        assert_eq!((used(&relays), relays.poll_timeout()), (vec![UDP.to_owned()], None));
    }

    #[test]
    fn who_has_no_udp_begins_anew_by_tcp_within_a_moment() {
        let mut relays = told(None, &[UDP, TCP, TLS]);
        answer(&mut relays, 80, 1, TCP);
        assert_eq!(steps(&mut relays), []);
        assert_eq!(relays.poll_timeout(), Some(at(480)));
        relays.on_timeout(at(479));
        assert_eq!(used(&relays), [UDP]);
        relays.on_timeout(at(480));
        let wanted = [Step::Configure, Step::BeginAnew, Step::Remember(Way::Tcp)];
        assert_eq!(steps(&mut relays), wanted);
        assert_eq!(used(&relays), [TCP]);
        answer(&mut relays, 500, 1, TLS);
        assert_eq!(steps(&mut relays), [], "worse than what there is");
        relays.on_timeout(at(4_000));
        assert_eq!(steps(&mut relays), [Step::EndProbe]);
        assert_eq!(used(&relays), [TCP]);
    }

    #[test]
    fn a_better_way_that_comes_late_is_taken_and_disturbs_nobody() {
        let mut relays = told(None, &[UDP, TCP]);
        answer(&mut relays, 80, 1, TCP);
        relays.on_timeout(at(480));
        steps(&mut relays);
        answer(&mut relays, 600, 1, UDP);
        let wanted = [Step::EndProbe, Step::Configure, Step::Remember(Way::Udp)];
        assert_eq!(steps(&mut relays), wanted);
        assert_eq!(used(&relays), [UDP]);
    }

    #[test]
    fn what_worked_last_time_is_taken_for_granted() {
        let mut relays = told(Some(Way::Tls), &[UDP, TCP, TLS]);
        assert_eq!(used(&relays), [TLS]);
        answer(&mut relays, 90, 1, TLS);
        relays.on_timeout(at(490));
        assert_eq!(steps(&mut relays), [], "as it was");
        let other = told(Some(Way::Tls), &[UDP, TCP]);
        assert_eq!(used(&other), [UDP], "this server has no such way");
    }

    #[test]
    fn where_nothing_answers_everything_is_tried() {
        let mut relays = told(None, &[UDP, TCP]);
        assert_eq!(relays.poll_timeout(), Some(at(4_000)));
        relays.on_timeout(at(4_000));
        let wanted = [Step::Configure, Step::EndProbe];
        assert_eq!(steps(&mut relays), wanted);
        assert_eq!(used(&relays), [UDP, TCP]);
        let mut relays = told(None, &[UDP, TCP]);
        relays.on_gathered(1);
        assert_eq!(steps(&mut relays), wanted, "sooner, if that is known sooner");
    }

    #[test]
    fn each_server_has_a_way_of_its_own() {
        let (b, c) = ("turn:b?transport=udp", "turn:b?transport=tcp");
        let mut relays = Relays::new(None);
        relays.on_servers(at(0), named(&[server(&[UDP, TCP], "1"), server(&[b, c], "2")]));
        answer(&mut relays, 50, 1, UDP);
        answer(&mut relays, 60, 1, c);
        steps(&mut relays);
        relays.on_timeout(at(460));
        assert_eq!(used(&relays), [UDP, c]);
        let config = relays.config();
        let secrets: Vec<_> = config.turn.iter().map(|s| s.credential.as_str()).collect();
        assert_eq!(secrets, ["1", "2"]);
    }

    #[test]
    fn a_browser_that_spells_urls_otherwise_tells_by_the_protocol() {
        let mut relays = told(None, &[UDP, TCP]);
        relays.on_answer(at(50), 1, (Some("turn:192.0.2.1:3478?transport=udp"), Some("udp")));
        assert_eq!(used(&relays), [UDP]);
        assert_eq!(relays.poll_timeout(), None);
        // One that says nothing leaves it at everything, as if there were no probe.
        let mut relays = told(None, &[UDP, TCP]);
        relays.on_answer(at(50), 1, (None, None));
        relays.on_timeout(at(460));
        assert_eq!(steps(&mut relays), [Step::Configure], "what is under way goes on");
        assert_eq!(used(&relays), [UDP, TCP]);
    }

    #[test]
    fn newer_credentials_are_no_reason_to_look_again() {
        let mut relays = told(None, &[UDP, TCP]);
        answer(&mut relays, 50, 1, TCP);
        relays.on_timeout(at(460));
        relays.on_timeout(at(4_000));
        steps(&mut relays);
        relays.on_servers(at(9_000), named(&[server(&[UDP, TCP], "newer")]));
        assert_eq!(steps(&mut relays), [Step::Configure]);
        let config = relays.config();
        assert_eq!((&config.turn[0].urls[0][..], &config.turn[0].credential[..]), (TCP, "newer"));
        relays.on_servers(at(9_000), named(&[server(&[TLS, TCP], "newer")]));
        assert_eq!(steps(&mut relays), [Step::Configure, Step::Probe(2)], "other servers are");
    }

    #[test]
    fn another_network_is_looked_at_and_the_old_way_kept_until_it_is_known() {
        let mut relays = told(None, &[UDP, TCP]);
        answer(&mut relays, 50, 1, UDP);
        steps(&mut relays);
        relays.on_network(at(20_000));
        assert_eq!(steps(&mut relays), [Step::Probe(2)]);
        assert_eq!(used(&relays), [UDP]);
        relays.on_answer(at(20_050), 1, (Some(UDP), None));
        assert_eq!(relays.poll_timeout(), Some(at(24_000)), "an older probe says nothing");
        answer(&mut relays, 20_080, 2, TCP);
        relays.on_timeout(at(20_480));
        assert_eq!(used(&relays), [TCP]);
        // Offline altogether: nothing is learnt.
        relays.on_network(at(30_000));
        relays.on_timeout(at(34_000));
        assert_eq!(used(&relays), [TCP]);
    }

    #[test]
    fn links_that_fail_cause_a_probe_now_and_then() {
        let mut relays = told(None, &[UDP, TCP]);
        relays.on_link_lost(at(10));
        assert_eq!(steps(&mut relays), [], "one is under way");
        answer(&mut relays, 50, 1, UDP);
        steps(&mut relays);
        relays.on_link_lost(at(9_999));
        assert_eq!(steps(&mut relays), []);
        relays.on_link_lost(at(10_000));
        assert_eq!(steps(&mut relays), [Step::Probe(2)]);
    }

    #[test]
    fn where_there_is_no_choice_nothing_is_asked() {
        let mut relays = Relays::new(None);
        relays.on_servers(at(0), named(&[server(&["turn:a"], "c")]));
        relays.on_network(at(1));
        relays.on_link_lost(at(20_000));
        assert_eq!(steps(&mut relays), [Step::Configure]);
        assert_eq!(used(&relays), ["turn:a"]);
        relays.on_servers(at(2), IceConfig::default());
        assert_eq!((relays.config(), relays.poll_timeout()), (IceConfig::default(), None));
    }
}
