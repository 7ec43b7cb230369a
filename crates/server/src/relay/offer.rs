//! What participants are told about relays: URLs, and credentials of their own.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openstudio_room::RoomConfig;
use openstudio_turn::SharedSecret;
use openstudio_units::{PeerId, RoomId};
use openstudio_wire::{IceConfig, IceServer, SeatGrant, ServerMessage};

use super::RelayClock;

/// A TURN server of somebody else's that shares a secret with this one (coturn's
/// `use-auth-secret`).
#[derive(Clone)]
pub struct SharedTurn {
    /// Its `turn:` and `turns:` URLs.
    pub urls: Vec<String>,
    /// The secret.
    pub secret: String,
}

impl fmt::Debug for SharedTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTurn").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// Whose socket a message goes to, as far as relays are concerned.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Where the client reached the server.
    host: Option<String>,
    /// Its user name for relays, once it has a seat.
    user: String,
}

impl Line {
    /// A client that reached the server by `host`.
    pub(crate) fn new(host: Option<String>) -> Self {
        Self { host, user: String::new() }
    }
}

/// The relay in this server.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) secret: SharedSecret,
    /// By which it judges credentials.
    pub(crate) clock: RelayClock,
    pub(crate) port: u16,
    /// Where it is reached by TLS, if it is.
    pub(crate) tls_port: Option<u16>,
    pub(crate) host: Option<String>,
    /// Where it listens.
    pub(crate) ip: IpAddr,
}

impl Own {
    /// Returns how a client that reached the server by `host` reaches the relay. One that came
    /// by loopback, as the studio's engine does, finds nothing there if the relay listens at
    /// another address alone.
    fn host_for(&self, host: Option<&str>) -> Option<String> {
        if let Some(host) = &self.host {
            return Some(host.clone());
        }
        let host = host?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let came_by_loopback = bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        Some(match self.ip {
            ip if !came_by_loopback || ip.is_unspecified() || ip.is_loopback() => host.to_owned(),
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        })
    }
}

/// Gives credentials out with each seat, and renews them.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) own: Option<Own>,
    pub(crate) shared: Vec<SharedTurn>,
    pub(crate) lifetime: Duration,
    /// Makes user names of participants: they go over the network in the clear, and who knows
    /// the id of a room can join it.
    pub(crate) names: SharedSecret,
}

impl Offer {
    /// When participants are to get newer credentials; none where there are none that run out.
    pub(crate) fn renewal(&self) -> Option<Duration> {
        let runs_out = self.own.is_some() || !self.shared.is_empty();
        runs_out.then(|| RoomConfig::ice_renewal_of(self.lifetime))
    }

    /// Adds relays to a message that gives a seat or renews credentials. `line` is whose socket
    /// it goes to, which this remembers with each seat.
    pub(crate) fn add_to(&self, message: &mut ServerMessage, line: &mut Line) {
        if let Some((room, peer, seat)) = seat_of(message) {
            line.user = self.user(room, peer);
            self.add_for(&mut seat.ice, line);
        } else if let ServerMessage::IceServers { ice } = message {
            self.add_for(ice, line);
        }
    }

    fn add_for(&self, ice: &mut IceConfig, line: &Line) {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.add(ice, (&line.user, wall), line.host.as_deref());
    }

    /// Adds them for a user at a time since 1970, which other servers know as well as this one.
    fn add(&self, ice: &mut IceConfig, (user, wall): (&str, Duration), host: Option<&str>) {
        let expiry = |now: Duration| now.saturating_add(self.lifetime).as_secs();
        if let Some(own) = &self.own
            && let Some(host) = own.host_for(host)
        {
            let place = format!("{host}:{}", own.port);
            ice.stun.push(format!("stun:{place}"));
            let plain = ["udp", "tcp"].map(|by| format!("turn:{place}?transport={by}"));
            let encrypted = own.tls_port.map(|port| format!("turns:{host}:{port}?transport=tcp"));
            let urls = plain.into_iter().chain(encrypted).collect();
            ice.turn.push(server(urls, &own.secret, user, expiry(own.clock.unix_time())));
        }
        for shared in &self.shared {
            let secret = SharedSecret::new(shared.secret.as_bytes());
            ice.turn.push(server(shared.urls.clone(), &secret, user, expiry(wall)));
        }
    }

    /// A name that is a participant's in a room, and tells nothing of either.
    fn user(&self, room: RoomId, peer: PeerId) -> String {
        let name = self.names.credentials(&format!("{room} {peer}"), 0).password;
        name.chars().filter(char::is_ascii_alphanumeric).take(16).collect()
    }
}

/// The seat that a message gives: in which room, to whom.
fn seat_of(message: &mut ServerMessage) -> Option<(RoomId, PeerId, &mut SeatGrant)> {
    if let ServerMessage::RoomCreated { room_id, host_id, seat, .. } = message {
        return Some((*room_id, *host_id, seat));
    }
    if let ServerMessage::Resumed { room_id, peer_id, seat } = message {
        return Some((*room_id, *peer_id, seat));
    }
    if let ServerMessage::RoomJoined { room_id, seat, participants, .. } = message {
        // An incarnation is one seat's of its room.
        let own = participants.iter().find(|one| one.incarnation == seat.incarnation)?;
        return Some((*room_id, own.peer_id, seat));
    }
    None
}

fn server(urls: Vec<String>, secret: &SharedSecret, user: &str, expiry: u64) -> IceServer {
    let made = secret.credentials(user, expiry);
    IceServer { urls, username: made.username, credential: made.password }
}

/// Returns the host in a `Host` header, without its port; none if it could not stand in a URL.
pub(crate) fn host_of(header: &str) -> Option<String> {
    let host = match header.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => host,
        Some(_) | None => header,
    };
    let bare = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    let is_v6 = bare.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
    let is_name = !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    (host.len() <= 255 && (is_v6 || is_name)).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that shows so many seconds since 1970.
    fn clock(zero_unix_seconds: u64) -> RelayClock {
        RelayClock { started: std::time::Instant::now(), zero_unix_seconds }
    }

    #[test]
    fn a_host_is_taken_from_the_header_and_nonsense_is_not() {
        for (header, host) in [
            ("studio.example", Some("studio.example")),
            ("studio.example:6736", Some("studio.example")),
            ("192.0.2.1:80", Some("192.0.2.1")),
            ("[2001:db8::1]:80", Some("[2001:db8::1]")),
            ("[2001:db8::1]", Some("[2001:db8::1]")),
            ("", None),
            (":80", None),
            ("a b", None),
            ("a/b", None),
            ("a?x:80", None),
            ("2001:db8::1:80", None),
        ] {
            assert_eq!(host_of(header).as_deref(), host, "{header}");
        }
    }

    #[test]
    fn each_participant_has_credentials_of_its_own() {
        let shared = SharedTurn { urls: vec!["turn:b".to_owned()], secret: "north".to_owned() };
        assert!(!format!("{shared:?}").contains("north"));
        let ip = "192.0.2.1".parse().unwrap();
        let secret = SharedSecret::new("own");
        let clock = clock(1_000);
        let own = Own { secret, clock, port: 3478, tls_port: Some(5349), host: None, ip };
        let names = SharedSecret::new("names");
        let lifetime = Duration::from_secs(300);
        let offer = Offer { own: Some(own), shared: vec![shared], lifetime, names };
        let room = |n| RoomId::from_random_bytes([n; 16]);
        let peer = |n| PeerId::from_random_bytes([n; 16]);
        let user = offer.user(room(1), peer(1));
        assert_eq!(user, offer.user(room(1), peer(1)));
        assert_ne!(user, offer.user(room(2), peer(1)));
        assert_ne!(user, offer.user(room(1), peer(2)));
        let wall = Duration::from_secs(7_000);
        let mut ice = IceConfig::default();
        offer.add(&mut ice, (&user, wall), Some("studio.example"));
        assert_eq!(ice.stun, ["stun:studio.example:3478"]);
        assert_eq!(
            ice.turn[0].urls,
            [
                "turn:studio.example:3478?transport=udp",
                "turn:studio.example:3478?transport=tcp",
                "turns:studio.example:5349?transport=tcp",
            ]
        );
        assert_eq!(ice.turn[0].username, format!("1300:{user}"), "by the relay's clock");
        let wanted = SharedSecret::new("north").credentials(&user, 7_300).password;
        assert_eq!((&ice.turn[1].urls[0][..], &ice.turn[1].credential), ("turn:b", &wanted));
        let mut engine = IceConfig::default();
        offer.add(&mut engine, (&user, wall), Some("127.0.0.1"));
        assert_eq!(engine.stun, ["stun:192.0.2.1:3478"], "the relay is not on loopback");
        let mut unknown = IceConfig::default();
        offer.add(&mut unknown, (&user, wall), None);
        assert_eq!((unknown.stun.len(), unknown.turn.len()), (0, 1), "nobody knows the host");
    }

    #[test]
    fn credentials_are_renewed_for_the_same_user_before_they_run_out() {
        let ip = "192.0.2.1".parse().unwrap();
        let secret = SharedSecret::new("own");
        let clock = clock(1_000);
        let own = Own { secret, clock, port: 3478, tls_port: None, host: None, ip };
        let names = SharedSecret::new("names");
        let lifetime = Duration::from_secs(300);
        let offer = Offer { own: Some(own), shared: Vec::new(), lifetime, names };
        assert_eq!(offer.renewal(), Some(Duration::from_secs(225)));
        let (room_id, peer_id) =
            (RoomId::from_random_bytes([1; 16]), PeerId::from_random_bytes([2; 16]));
        let seat = SeatGrant {
            role: openstudio_units::Role::Caller,
            token: openstudio_wire::Token("token".to_owned()),
            incarnation: openstudio_units::Incarnation(1),
            ice: IceConfig::default(),
        };
        let mut line = Line::new(Some("studio.example".to_owned()));
        let mut given = ServerMessage::Resumed { peer_id, room_id, seat };
        offer.add_to(&mut given, &mut line);
        let mut renewed = ServerMessage::IceServers { ice: IceConfig::default() };
        offer.add_to(&mut renewed, &mut line);
        let (ServerMessage::Resumed { seat, .. }, ServerMessage::IceServers { ice }) =
            (given, renewed)
        else {
            panic!("the messages are what they were");
        };
        let user = |ice: &IceConfig| ice.turn[0].username.split_once(':').unwrap().1.to_owned();
        assert_eq!(user(&ice), offer.user(room_id, peer_id));
        assert_eq!((user(&ice), &ice.turn[0].urls), (user(&seat.ice), &seat.ice.turn[0].urls));

        let without = Offer { own: None, ..offer };
        assert_eq!(without.renewal(), None, "nothing runs out");
        let urls = vec!["turn:b".to_owned()];
        let shared = vec![SharedTurn { urls, secret: "north".to_owned() }];
        assert!(Offer { shared, ..without }.renewal().is_some());
    }
}
