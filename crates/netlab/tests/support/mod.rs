//! Starting the program, giving it orders, and being in its namespaces.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsFd as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::{Value, json};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_openstudio-netlab");

/// What a test waits for at most, where something is to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running netlab; ended with its owner.
#[derive(Debug)]
pub(crate) struct Netlab {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pub(crate) public: String,
}

impl Netlab {
    /// Starts one; `None` where that is impossible, after saying why.
    pub(crate) fn start() -> Option<Self> {
        let mut child = Command::new(BINARY)
            .args(["--seed", "1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            let status = child.wait().unwrap();
            assert_eq!(status.code(), Some(3), "{said}");
            eprintln!("skipped: {said}");
            return None;
        }
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["seed"], 1);
        let public = ready["public"]["namespace"].as_str().unwrap().to_owned();
        let orders = child.stdin.take();
        Some(Self { child, orders, answers, public })
    }

    /// Gives an order, and returns its answer, good or bad.
    pub(crate) fn ask(&mut self, order: &Value) -> Value {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Gives an order that must be obeyed.
    pub(crate) fn order(&mut self, order: &Value) -> Value {
        let answer = self.ask(order);
        assert_eq!(answer["ok"], true, "{order}: {answer}");
        answer
    }

    /// Makes a home that lets everybody in, and returns its namespace.
    pub(crate) fn home(&mut self, name: &str) -> String {
        let answer = self.order(&json!({ "do": "home", "name": name }));
        answer["namespace"].as_str().unwrap().to_owned()
    }

    pub(crate) fn counters(&mut self, home: &str) -> Value {
        self.order(&json!({ "do": "counters" }))["homes"][home].take()
    }

    /// Closes its standard input, and waits.
    pub(crate) fn close(mut self) -> ExitStatus {
        self.orders = None;
        self.child.wait().unwrap()
    }

    /// Sends it SIGTERM, and waits.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }

    /// Ends it as a crash would, and waits.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its namespaces that there are.
    pub(crate) fn namespaces(pid: u32) -> Vec<String> {
        let entries = std::fs::read_dir("/run/netns").into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(&format!("osnet-{pid}-"))).collect()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Netlab {
    fn drop(&mut self) {
        self.orders = None;
        drop(self.child.wait());
    }
}

/// Does something in a namespace. Sockets that are made in it stay in it.
pub(crate) fn within<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let space = File::open(format!("/run/netns/{namespace}")).unwrap();
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        });
        worker.join().unwrap()
    })
}

/// A UDP socket in a namespace.
pub(crate) fn socket(namespace: &str, address: &str) -> UdpSocket {
    let socket = within(namespace, || UdpSocket::bind(address).unwrap());
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Receives a text, and from whom.
pub(crate) fn receive(socket: &UdpSocket) -> (String, SocketAddrV4) {
    let mut buffer = [0; 1500];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    let SocketAddr::V4(from) = from else { panic!("{from} is no address of IPv4") };
    (String::from_utf8(buffer[..length].to_vec()).unwrap(), from)
}
