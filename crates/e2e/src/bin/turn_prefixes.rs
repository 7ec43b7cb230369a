//! Which addresses that are no public internet a TURN server lets its clients reach: ours, and
//! coturn if it is installed.
//!
//! Runs in a network namespace of its own, where every address is this machine's: a packet that
//! a server lets out arrives, whatever it was sent to, and none leaves the machine. Each address
//! is asked for with CreatePermission, alone and behind a public one, and with ChannelBind; then
//! a packet is sent to it both ways, whatever the answers were.
//!
//!     cargo xtask bench prefixes [--json]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use openstudio_e2e::{TurnServer, coturn_version, print};
use openstudio_turn::{Credentials, special_addresses};
use serde_json::{Value, json};
use socket2::{Domain, Protocol, Socket, Type};
use stun_types::AddressFamily;
use stun_types::attribute::{ErrorCode, Nonce, Realm, Username};
use stun_types::message::{
    IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials, Message, MessageClass, MessageType,
    MessageWrite as _, MessageWriteExt as _, MessageWriteVec, Method, TransactionId,
};
use stun_types::prelude::AttributeWrite;
use tokio::net::UdpSocket;
use tokio::process::Command;
use tokio::time::timeout;
use turn_types::attribute::{
    ChannelNumber, Data, RequestedAddressFamily, RequestedTransport, XorPeerAddress,
};
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, SEND};

/// The server's addresses, and public peers.
const OWN_V4: Ipv4Addr = Ipv4Addr::new(5, 5, 5, 5);
const OWN_V6: &str = "2600::5";
const PUBLIC: [&str; 2] = ["8.8.8.8", "2600::8"];

/// How long an answer may take before the request is sent again, and how often it is sent.
const PATIENCE: Duration = Duration::from_millis(500);
const SENDS: usize = 6;

/// How long is waited for what a server lets through.
const ARRIVAL: Duration = Duration::from_millis(150);

const CHANNEL: u16 = 0x4000;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let is_inside = args.iter().any(|arg| arg == "--inside");
    if !is_inside {
        return runtime.block_on(go_inside(&args));
    }
    let report = runtime.block_on(measure())?;
    print(&report, as_text);
    Ok(())
}

/// Starts this program again, in a network namespace.
async fn go_inside(args: &[String]) -> anyhow::Result<()> {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net"]).arg(std::env::current_exe()?);
    let status = command.args(args).arg("--inside").status().await;
    let status = status.context("this needs Linux, and unshare of util-linux")?;
    if !status.success() {
        bail!(
            "the part in the network namespace failed; it needs ip of iproute2, and leave to make namespaces"
        );
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is its output")]
fn as_text(report: &Value) {
    println!("addresses that are not public: refused, permitted, reached");
    for row in report["groups"].as_array().into_iter().flatten() {
        let said = |key: &str| {
            let part = &row[key];
            if part.is_null() {
                return "-".to_owned();
            }
            format!("{} / {} / {}", part["refused"], part["permitted"], part["reached"])
        };
        let name = row["group"].as_str().unwrap_or_default();
        println!("  {name:30} ours {:>14}   coturn {:>14}", said("ours"), said("coturn"));
    }
    if let Some(reached) = report["reachedByCoturn"].as_array().filter(|list| !list.is_empty()) {
        let list: Vec<&str> = reached.iter().filter_map(Value::as_str).collect();
        println!("  coturn lets through: {}", list.join(" "));
    }
}

/// What came of one address.
struct Outcome {
    address: IpAddr,
    is_permitted: bool,
    is_reached: bool,
}

/// What came of a group of them.
type Group = (&'static str, Vec<Outcome>);

async fn measure() -> anyhow::Result<Value> {
    make_all_addresses_local().await?;
    let at = |ip: IpAddr| SocketAddr::new(ip, 3478);
    let (v4, v6) = (at(OWN_V4.into()), at(OWN_V6.parse()?));
    // The machine has both addresses, and a server that listens on one cannot know of the other.
    let other = format!("--turn-public-ip={OWN_V4}");
    let own = [
        TurnServer::own(v4, &["--turn-allocations=1000"]).await?,
        TurnServer::own(v6, &["--turn-allocations=1000", &other]).await?,
    ];
    let ours = probe(&own).await?;
    drop(own);
    let coturn = [TurnServer::coturn(v4, &[]).await?, TurnServer::coturn(v6, &[]).await?];
    let theirs = match coturn {
        [Some(v4), Some(v6)] => Some(probe(&[v4, v6]).await?),
        _ => None,
    };
    let groups: Vec<Value> = ours
        .iter()
        .enumerate()
        .map(|(at, (group, outcomes))| {
            let theirs = theirs.as_ref().and_then(|groups| groups.get(at));
            let theirs = theirs.map(|(_, outcomes)| figures(outcomes));
            json!({ "group": group, "ours": figures(outcomes), "coturn": theirs })
        })
        .collect();
    let reached = |groups: &[Group]| -> Vec<String> {
        let all = groups.iter().flat_map(|(_, outcomes)| outcomes);
        all.filter(|outcome| outcome.is_reached)
            .map(|outcome| outcome.address.to_string())
            .collect()
    };
    Ok(json!({
        "coturnVersion": coturn_version().await,
        "groups": groups,
        "reachedByOurs": reached(&ours),
        "reachedByCoturn": theirs.as_deref().map(reached),
    }))
}

fn figures(outcomes: &[Outcome]) -> Value {
    let count = |holds: fn(&Outcome) -> bool| outcomes.iter().filter(|one| holds(one)).count();
    json!({
        "refused": count(|outcome| !outcome.is_permitted && !outcome.is_reached),
        "permitted": count(|outcome| outcome.is_permitted),
        "reached": count(|outcome| outcome.is_reached),
    })
}

async fn make_all_addresses_local() -> anyhow::Result<()> {
    for args in [
        "link set lo up".to_owned(),
        format!("addr add {OWN_V4}/32 dev lo"),
        format!("addr add {OWN_V6}/128 dev lo"),
        "-4 route add local 0.0.0.0/0 dev lo".to_owned(),
        "-6 route add local ::/0 dev lo".to_owned(),
    ] {
        let status = Command::new("ip").args(args.split(' ')).status().await.context("no ip")?;
        if !status.success() {
            bail!("ip {args} failed");
        }
    }
    Ok(())
}

/// Tries all addresses, on a server of each family.
async fn probe([v4, v6]: &[TurnServer; 2]) -> anyhow::Result<Vec<Group>> {
    let sink = Sink::open()?;
    let mut groups = Vec::new();
    // Its allocation outlives a client, and another must not come from the same port.
    let mut clients = Vec::new();
    let mut number = 0;
    for (name, addresses) in special_addresses(OWN_V4) {
        let mut outcomes = Vec::new();
        for address in addresses {
            number += 1;
            let server = if address.is_ipv4() { v4 } else { v6 };
            let mut client = Client::allocate(server, (number, address.is_ipv6())).await?;
            outcomes.push(try_address(&mut client, &sink, address).await?);
            clients.push(client);
        }
        groups.push((name, outcomes));
    }
    // What a server refuses is worth nothing if it lets nothing out at all.
    for (server, public) in [v4, v6].into_iter().zip(PUBLIC) {
        let address: IpAddr = public.parse()?;
        number += 1;
        let mut client = Client::allocate(server, (number, address.is_ipv6())).await?;
        if !try_address(&mut client, &sink, address).await?.is_reached {
            bail!("{}: nothing reaches {public}, which is public", server.address());
        }
    }
    Ok(groups)
}

async fn try_address(client: &mut Client, sink: &Sink, address: IpAddr) -> anyhow::Result<Outcome> {
    let peer = SocketAddr::new(address, sink.port);
    let public: IpAddr = PUBLIC[usize::from(address.is_ipv6())].parse()?;
    let hidden = [SocketAddr::new(public, sink.port), peer];
    let answers =
        [client.permit(&[peer]).await?, client.permit(&hidden).await?, client.bind(peer).await?];
    let payload = client.number.to_be_bytes();
    client.send(peer, &payload).await?;
    Ok(Outcome {
        address,
        is_permitted: answers.contains(&0),
        is_reached: sink.hears(&payload).await?,
    })
}

/// Takes what servers let through.
struct Sink {
    sockets: [UdpSocket; 2],
    port: u16,
}

impl Sink {
    fn open() -> anyhow::Result<Self> {
        let open = |address: SocketAddr| -> anyhow::Result<UdpSocket> {
            let kind = Domain::for_address(address);
            let socket = Socket::new(kind, Type::DGRAM, Some(Protocol::UDP))?;
            if address.is_ipv6() {
                socket.set_only_v6(true)?;
            }
            socket.set_nonblocking(true)?;
            socket.bind(&address.into())?;
            Ok(UdpSocket::from_std(socket.into())?)
        };
        let v4 = open("0.0.0.0:0".parse()?)?;
        let port = v4.local_addr()?.port();
        Ok(Self { sockets: [v4, open(format!("[::]:{port}").parse()?)?], port })
    }

    /// Whether this packet comes, and not only the rest of another.
    async fn hears(&self, payload: &[u8]) -> anyhow::Result<bool> {
        let (mut first, mut second) = ([0; 64], [0; 64]);
        let [v4, v6] = &self.sockets;
        loop {
            let received = async {
                tokio::select! {
                    length = v4.recv(&mut first) => length.map(|length| first[..length].to_vec()),
                    length = v6.recv(&mut second) => length.map(|length| second[..length].to_vec()),
                }
            };
            match timeout(ARRIVAL, received).await {
                Ok(bytes) => {
                    if bytes? == payload {
                        return Ok(true);
                    }
                }
                Err(_) => return Ok(false),
            }
        }
    }
}

/// A client that sends what no decent client would.
struct Client {
    socket: UdpSocket,
    credentials: Credentials,
    challenge: Option<(String, String, IntegrityKey)>,
    number: u64,
}

impl Client {
    /// Allocates an address. `number` is one that no other has.
    async fn allocate(server: &TurnServer, (number, is_v6): (u64, bool)) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((server.address().ip(), 0)).await?;
        socket.connect(server.address()).await?;
        let credentials = server.credentials();
        let mut client = Self { socket, credentials, challenge: None, number };
        let attributes = |_| {
            let mut list: Attributes = vec![Box::new(RequestedTransport::new(17))];
            if is_v6 {
                list.push(Box::new(RequestedAddressFamily::new(AddressFamily::IPV6)));
            }
            list
        };
        match client.ask(ALLOCATE, attributes).await? {
            0 => Ok(client),
            code => bail!("{}: no allocation: {code}", server.address()),
        }
    }

    async fn permit(&mut self, peers: &[SocketAddr]) -> anyhow::Result<u16> {
        let peer = |id, peer: &SocketAddr| -> Box<dyn AttributeWrite> {
            Box::new(XorPeerAddress::new(*peer, id))
        };
        self.ask(CREATE_PERMISSION, |id| peers.iter().map(|one| peer(id, one)).collect()).await
    }

    async fn bind(&mut self, peer: SocketAddr) -> anyhow::Result<u16> {
        let attributes = |id| -> Attributes {
            vec![Box::new(ChannelNumber::new(CHANNEL)), Box::new(XorPeerAddress::new(peer, id))]
        };
        self.ask(CHANNEL_BIND, attributes).await
    }

    /// Sends a packet to a peer by an indication and by the channel.
    async fn send(&self, peer: SocketAddr, payload: &[u8]) -> anyhow::Result<()> {
        let id = TransactionId::generate();
        let kind = MessageType::from_class_method(MessageClass::Indication, SEND);
        let mut message = Message::builder(kind, id, MessageWriteVec::new());
        message.push_attribute_unchecked(&XorPeerAddress::new(peer, id));
        message.push_attribute_unchecked(&Data::new(payload));
        self.socket.send(&message.finish()).await?;
        let length = u16::try_from(payload.len())?;
        let head = [CHANNEL.to_be_bytes(), length.to_be_bytes()].concat();
        self.socket.send(&[&head, payload].concat()).await?;
        Ok(())
    }

    /// Makes a request; returns the code of an error, or 0.
    async fn ask(
        &mut self,
        method: Method,
        attributes: impl Fn(TransactionId) -> Attributes,
    ) -> anyhow::Result<u16> {
        let mut id = TransactionId::generate();
        for _ in 0..SENDS {
            let request = self.write(method, id, &attributes(id))?;
            self.socket.send(&request).await?;
            // The same request goes again, so that a late answer counts.
            let Ok(answer) = timeout(PATIENCE, self.answer(id)).await else { continue };
            match answer? {
                (401 | 438, Some(challenge)) => self.challenge = Some(challenge),
                (code, _) => return Ok(code),
            }
            id = TransactionId::generate();
        }
        bail!("{method:?}: no answer")
    }

    fn write(
        &self,
        method: Method,
        id: TransactionId,
        attributes: &[Box<dyn AttributeWrite>],
    ) -> anyhow::Result<Vec<u8>> {
        let kind = MessageType::from_class_method(MessageClass::Request, method);
        let mut message = Message::builder(kind, id, MessageWriteVec::new());
        attributes.iter().for_each(|one| message.push_attribute_unchecked(one.as_ref()));
        match &self.challenge {
            Some((realm, nonce, key)) => {
                message.push_attribute_unchecked(&Username::new(&self.credentials.username)?);
                message.push_attribute_unchecked(&Realm::new(realm)?);
                message.push_attribute_unchecked(&Nonce::new(nonce)?);
                message.add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1)?;
            }
            None => {
                // A server may send no more than it got.
                let software =
                    stun_types::attribute::Software::new("a probe of prefixes, long enough")?;
                message.push_attribute_unchecked(&software);
            }
        }
        Ok(message.finish())
    }

    /// Waits for the answer to a request: its code, and the challenge in it.
    async fn answer(
        &self,
        id: TransactionId,
    ) -> anyhow::Result<(u16, Option<(String, String, IntegrityKey)>)> {
        let mut buffer = [0; 2_048];
        loop {
            // A server that is not there yet is asked again.
            let Ok(length) = self.socket.recv(&mut buffer).await else { continue };
            let Ok(message) = Message::from_bytes(&buffer[..length]) else { continue };
            if message.transaction_id() != id {
                continue;
            }
            if message.class() == MessageClass::Success {
                return Ok((0, None));
            }
            let code = message.attribute::<ErrorCode>().map_or(500, |error| error.code());
            let challenge =
                message.attribute::<Realm>().ok().zip(message.attribute::<Nonce>().ok());
            let challenge = challenge.map(|(realm, nonce)| {
                let Credentials { username, password } = self.credentials.clone();
                let realm = realm.realm().to_owned();
                let key = LongTermKeyCredentials::new(username, password, realm.clone())
                    .make_key(IntegrityAlgorithm::Sha1);
                (realm, nonce.nonce().to_owned(), key)
            });
            return Ok((code, challenge));
        }
    }
}

type Attributes = Vec<Box<dyn AttributeWrite>>;
