//! Gathering from a server in this process, over sockets of this machine, on a clock of its own.

use openstudio_session::wire::IceServer;
use openstudio_turn::{Client, Output, SharedSecret, Transport, TurnConfig, TurnServer};
use str0m::CandidateKind;
use tokio::net::UdpSocket;

use super::*;

/// How long a busy machine may take.
const LIMIT: Duration = Duration::from_secs(20);

const EXPIRY: u64 = 1_000_000;

struct World {
    gathering: Gathering,
    sockets: Sockets,
    arrivals: mpsc::Receiver<Arrival>,
    socket: UdpSocket,
    server: TurnServer,
    secret: SharedSecret,
    /// The address that the server sees.
    seen: SocketAddr,
    now: Timestamp,
    changes: Vec<String>,
    /// How many datagrams of the server were taken.
    taken: usize,
}

impl World {
    async fn new() -> Self {
        let (sender, arrivals) = mpsc::channel(64);
        let secret = SharedSecret::new("secret");
        Self {
            gathering: Gathering::new(Seed::from_number(1)),
            sockets: Sockets::open(sender, None).unwrap(),
            arrivals,
            socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(),
            server: TurnServer::new(TurnConfig::new(secret.clone()), Seed::from_number(2)),
            secret,
            seen: "192.0.2.7:5000".parse().unwrap(),
            now: Timestamp::from_millis(1),
            changes: Vec::new(),
            taken: 0,
        }
    }

    fn config(&self, user: &str) -> IceConfig {
        let place = self.socket.local_addr().unwrap();
        let made = self.secret.credentials(user, EXPIRY);
        let urls = vec![format!("turn:{place}?transport=udp")];
        let turn = IceServer { urls, username: made.username, credential: made.password };
        IceConfig { stun: vec![format!("stun:{place}")], turn: vec![turn] }
    }

    fn set(&mut self, config: IceConfig) {
        self.gathering.set_servers(self.now, &self.sockets, config);
    }

    /// Carries messages until it is as it should be. The clock stands.
    async fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        let mut buffer = [0; 2_000];
        let end = tokio::time::Instant::now() + LIMIT;
        loop {
            self.note();
            if holds(self) {
                return;
            }
            tokio::select! {
                Ok((length, from)) = self.socket.recv_from(&mut buffer) => {
                    let local = self.socket.local_addr().unwrap();
                    let client = Client { transport: Transport::Udp, address: self.seen, local };
                    self.server.handle(self.now, client, &buffer[..length]);
                    self.serve(from).await;
                }
                Some(Arrival(arrived)) = self.arrivals.recv() => match arrived {
                    Arrived::Datagram(datagram) => {
                        let rest = self.gathering.take(self.now, &self.sockets, datagram);
                        assert!(rest.is_none(), "{rest:?}");
                        self.taken += 1;
                    }
                    Arrived::Resolved(resolved) => {
                        self.gathering.resolved(self.now, &self.sockets, resolved);
                    }
                    Arrived::Stream(id, said) => {
                        self.gathering.stream_said(self.now, &self.sockets, (id, said));
                    }
                    Arrived::Addresses(_) => {}
                },
                () = tokio::time::sleep_until(end) => {
                    panic!("{:?} {:?}", self.changes, self.gathering);
                }
            }
        }
    }

    async fn until_told(&mut self, change: &str) {
        self.until(|world| world.changes.iter().any(|told| told == change)).await;
    }

    async fn serve(&mut self, to: SocketAddr) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Reply { bytes, .. } => {
                    self.socket.send_to(&bytes, to).await.unwrap();
                }
                Output::OpenRelay { id, .. } => {
                    let port = 50_000 + u16::try_from(id.0).unwrap();
                    let address = SocketAddr::new([198, 51, 100, 1].into(), port);
                    self.server.relay_opened(self.now, id, Ok(address));
                }
                Output::SendFromRelay { .. } | Output::CloseRelay { .. } => {}
            }
        }
    }

    fn note(&mut self) {
        while let Some(change) = self.gathering.next_change() {
            self.changes.push(match change {
                Change::Added(one) => format!("+ {}", one.addr()),
                Change::Removed(one) => format!("- {}", one.addr()),
                Change::Complete => "complete".to_owned(),
                Change::Moved => panic!("nothing moves"),
            });
        }
    }

    /// Lets so much time pass, with nobody answering.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.gathering.due().filter(|due| *due <= end) {
            self.now = due;
            self.gathering.wake(due, &self.sockets);
            self.note();
        }
        self.now = end;
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.changes)
    }
}

#[tokio::test]
async fn one_candidate_of_each_kind_then_the_end() {
    let mut world = World::new().await;
    world.set(world.config("a"));
    assert!(world.gathering.is_gathering());
    world.until_told("complete").await;
    let mut told = world.told();
    assert_eq!(told.pop().unwrap(), "complete");
    told.sort();
    assert_eq!(told, ["+ 192.0.2.7:5000", "+ 198.51.100.1:50000"]);
    assert!(!world.gathering.is_gathering());
    let kinds: Vec<_> = world.gathering.candidates().map(|one| one.kind()).collect();
    assert_eq!(kinds, [CandidateKind::ServerReflexive, CandidateKind::Relayed]);
    let now = world.now;
    world.gathering.end(now, &world.sockets);
    world.until(|world| !world.gathering.holds()).await;
    assert_eq!(world.server.allocations(), 0);
}

#[tokio::test]
async fn without_servers_there_is_nothing_to_wait_for() {
    let mut world = World::new().await;
    assert!(!world.gathering.is_gathering());
    world.set(IceConfig::default());
    assert!(!world.gathering.is_gathering());
}

#[tokio::test]
async fn silent_servers_are_waited_for_no_longer_than_the_patience() {
    let mut world = World::new().await;
    world.set(world.config("a"));
    let Some(Arrival(Arrived::Resolved(first))) = world.arrivals.recv().await else { panic!() };
    let Some(Arrival(Arrived::Resolved(second))) = world.arrivals.recv().await else { panic!() };
    for resolved in [first, second] {
        world.gathering.resolved(world.now, &world.sockets, resolved);
    }
    world.pass(PATIENCE - Duration::from_millis(1));
    assert!(world.told().is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.told(), ["complete"]);
    assert_eq!(world.gathering.candidates().count(), 0);
}

#[tokio::test]
async fn new_credentials_leave_the_allocation_alone_for_as_long_as_the_server_has_it() {
    let mut world = World::new().await;
    world.set(world.config("a"));
    world.until_told("complete").await;
    world.told();
    let taken = world.taken;
    world.set(world.config("b"));
    world.until(|world| world.taken > taken).await;
    assert_eq!(world.told(), [] as [&str; 0]);
    assert_eq!(world.server.allocations(), 1);
    // A server that was started again knows nothing of it.
    world.server = TurnServer::new(TurnConfig::new(world.secret.clone()), Seed::from_number(3));
    world.set(world.config("c"));
    world.until_told("- 198.51.100.1:50000").await;
    assert_eq!(world.told(), ["- 198.51.100.1:50000"]);
    world.pass(Duration::ZERO);
    world.until_told("complete").await;
    assert_eq!(world.told(), ["+ 198.51.100.1:50000", "complete"]);
}

#[tokio::test]
async fn another_mapping_of_a_nat_replaces_both_candidates() {
    let mut world = World::new().await;
    world.set(world.config("a"));
    world.until_told("complete").await;
    world.told();
    world.seen = "192.0.2.8:6000".parse().unwrap();
    world.pass(Duration::from_secs(15));
    world.until_told("- 198.51.100.1:50000").await;
    world.pass(Duration::ZERO);
    world.until_told("complete").await;
    let mut told = world.told();
    told.sort();
    assert_eq!(
        told,
        [
            "+ 192.0.2.8:6000",
            "+ 198.51.100.1:50001",
            "- 192.0.2.7:5000",
            "- 198.51.100.1:50000",
            "complete"
        ]
    );
}
