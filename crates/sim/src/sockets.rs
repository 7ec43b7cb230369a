//! Sockets between the clients and the server: in order, with delays, until they break.

use std::time::Duration;

use openstudio_session::SocketId;
use openstudio_units::Timestamp;
use openstudio_wire::ClientMessage;

use crate::client::{Socket, ToClient};
use crate::server::{Conn, LOOK, Peer, SILENCE, Sent};
use crate::world::{Happening, World};

impl World {
    // ----- the client's end

    pub(crate) fn open_socket(&mut self, client: usize, id: SocketId) {
        if self.clients[client].socket.is_some() {
            self.violation(format!("client {client} opens a second socket"));
        }
        let up_after = self.now;
        self.clients[client].socket = Some(Socket { id, conn: None, up_after });
        let life = self.clients[client].life;
        let delay = self.network.signalling_delay(client, &mut self.delays) * 3;
        self.after(delay, Happening::Accept { client, life, socket: id });
    }

    pub(crate) fn send_text(&mut self, client: usize, id: SocketId, text: String) {
        let delay = self.network.signalling_delay(client, &mut self.delays);
        let now = self.now;
        let socket = self.clients[client].socket.as_mut().filter(|socket| socket.id == id);
        let Some((socket, conn)) = socket.and_then(|socket| socket.conn.map(|conn| (socket, conn)))
        else {
            return;
        };
        let at = (now + delay).max(socket.up_after);
        socket.up_after = at;
        // Others may hear of an id before its owner does.
        if text.starts_with("{\"type\":\"register\"")
            && let Ok(ClientMessage::Register { peer_id }) = ClientMessage::parse(&text)
        {
            self.owners.insert(peer_id, client);
        }
        for _ in 0..self.faults.copies(&text) {
            self.queue.push(at, Happening::Text { client, conn, text: text.clone() });
        }
    }

    pub(crate) fn close_socket(&mut self, client: usize, id: SocketId) {
        if let Some(socket) = self.clients[client].socket.take_if(|socket| socket.id == id) {
            self.hang_up(client, socket);
        }
    }

    /// Tells the server that the client's end is closed.
    pub(crate) fn hang_up(&mut self, client: usize, socket: Socket) {
        let delay = self.network.signalling_delay(client, &mut self.delays);
        if let Some(conn) = socket.conn {
            let at = (self.now + delay).max(socket.up_after);
            self.queue.push(at, Happening::Hangup { client, conn });
        }
    }

    // ----- the server's end

    pub(crate) fn accept(&mut self, client: usize, life: u32, id: SocketId) {
        let awaited = |socket: &Socket| socket.id == id;
        let page = &self.clients[client];
        if page.life != life || !page.socket.as_ref().is_some_and(awaited) {
            return;
        }
        let (now, delay) = (self.now, self.network.delay(client));
        let (heard, down_after) = (now, now + delay);
        let peer = Peer { client, client_life: life, socket: id, heard, down_after };
        let Some(conn) = self.server.accept(now, peer) else {
            // Nobody listens: the machine says so at once.
            self.tell(delay, client, ToClient::SocketClosed { socket: id, code: None });
            return;
        };
        if let Some(socket) = &mut self.clients[client].socket {
            socket.conn = Some(conn);
        }
        self.tell(delay, client, ToClient::SocketOpened(id));
        self.after(LOOK, Happening::Look(conn));
        self.drain_server();
    }

    pub(crate) fn text_arrived(&mut self, conn: Conn, text: &str) {
        if conn.life == self.server.life {
            self.server.receive(self.now, conn.id, text);
            self.drain_server();
        }
    }

    pub(crate) fn hung_up(&mut self, conn: Conn) {
        if conn.life == self.server.life {
            self.server.lost(self.now, conn.id);
            self.drain_server();
        }
    }

    /// A socket that says nothing is pinged; a browser that is awake answers by itself.
    pub(crate) fn look_at_socket(&mut self, conn: Conn) {
        let (now, network) = (self.now, &self.network);
        let peer = self.server.conns.get_mut(&conn.id).filter(|_| conn.life == self.server.life);
        let Some(peer) = peer else { return };
        let page = &self.clients[peer.client];
        let is_there = page.life == peer.client_life
            && page.socket.as_ref().is_some_and(|socket| socket.conn == Some(conn));
        if is_there && !page.asleep && !network.is_isolated(peer.client) {
            peer.heard = now;
        }
        let is_dead = now.since(peer.heard) >= SILENCE;
        if !is_dead {
            return self.after(LOOK, Happening::Look(conn));
        }
        let peer = *peer;
        self.server.lost(now, conn.id);
        self.deliver(peer, now, ToClient::SocketClosed { socket: peer.socket, code: None });
        self.drain_server();
    }

    pub(crate) fn server_alarm(&mut self, life: u32) {
        if life != self.server.life || self.server.armed != Some(self.now) {
            return;
        }
        self.server.armed = None;
        self.server.handle_timeout(self.now);
        self.drain_server();
    }

    /// Sends what the rooms want to be sent, and sets their alarm.
    pub(crate) fn drain_server(&mut self) {
        if !self.server.is_consistent() {
            self.violation("the server's books do not balance");
        }
        for sent in self.server.drain() {
            match sent {
                Sent::Message(conn, peer, text) => {
                    let delay = self.network.signalling_delay(peer.client, &mut self.delays);
                    // A socket that was closed meanwhile got its last words before.
                    let open = self.server.conns.get_mut(&conn);
                    let after = open.as_ref().map_or(peer.down_after, |open| open.down_after);
                    let at = (self.now + delay).max(after);
                    if let Some(open) = open {
                        open.down_after = at;
                    }
                    self.deliver(peer, at, ToClient::Message { socket: peer.socket, text });
                }
                Sent::Closed(peer, code) => {
                    let closed = ToClient::SocketClosed { socket: peer.socket, code: Some(code) };
                    let at = (self.now + self.network.delay(peer.client)).max(peer.down_after);
                    self.deliver(peer, at, closed);
                }
            }
        }
        let due = self.server.deadline();
        if let Some(due) = due.filter(|due| self.server.armed.is_none_or(|armed| *due < armed)) {
            let at = due.max(self.now);
            self.server.armed = Some(at);
            self.queue.push(at, Happening::ServerAlarm(self.server.life));
        }
    }

    fn deliver(&mut self, peer: Peer, at: Timestamp, what: ToClient) {
        let Peer { client, client_life: life, .. } = peer;
        self.queue.push(at, Happening::ToClient { client, life, what });
    }

    // ----- restarts

    /// The server is gone from one moment to the next.
    pub(crate) fn kill_server(&mut self) {
        for peer in self.server.kill() {
            let at = (self.now + self.network.delay(peer.client)).max(peer.down_after);
            self.deliver(peer, at, ToClient::SocketClosed { socket: peer.socket, code: None });
        }
        self.network.end_relay();
        self.look_at_everybody();
    }

    /// The server asks everybody to come back, then goes.
    pub(crate) fn stop_server(&mut self) {
        self.server.shut_down();
        self.drain_server();
        self.kill_server();
    }

    /// The server is there again.
    pub(crate) fn start_server(&mut self) {
        if !self.server.is_up() {
            self.server.start(self.now);
            self.network.begin_relay();
            self.drain_server();
        }
    }

    /// The network of a client is back. What was sent meanwhile is sent again after a moment,
    /// and until then nothing overtakes it.
    pub(crate) fn release_later(&mut self, client: usize) {
        let delay = self.delays.duration_between(Duration::ZERO, Duration::from_millis(800));
        self.clients[client].holds_until = Some(self.now + delay);
        self.after(delay, Happening::Release(client));
    }

    /// What waited arrives, in its order.
    pub(crate) fn release(&mut self, client: usize) {
        let due = self.clients[client].holds_until.take_if(|until| *until <= self.now);
        if due.is_none() || self.network.is_isolated(client) {
            return;
        }
        for happening in std::mem::take(&mut self.clients[client].held) {
            self.handle(happening);
        }
    }
}
