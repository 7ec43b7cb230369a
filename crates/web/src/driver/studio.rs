//! The loop that owns everything: one session at a time, the microphone, the graph, and
//! what is written to the screen.

use futures_channel::mpsc::{UnboundedReceiver, unbounded};
use futures_util::StreamExt as _;
use openstudio_session::mesh;
use openstudio_session::{self as session, EndReason, Input, Output, SignallingState};
use openstudio_units::{Role, Timestamp};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Document, EventTarget, MediaDevices, Performance, Window};

use crate::audio::{Graph, Meters, Microphone, TICK_MS};
use crate::driver::browser;
use crate::driver::entering::Departure;
use crate::driver::event::{Event, Sender};
use crate::driver::listener::Listener;
use crate::driver::running::Running;
use crate::driver::tabs::{TabMessage, Tabs};
use crate::driver::timer::{Alarm, Ticker};
use crate::model::address::{caller_link, invite_link};
use crate::model::clock::Clock;
use crate::view::{Entering, Sound, View, put};

/// How many looks in a row must find the sound held before that is said: two thirds of
/// a second, since a context that may run takes a moment to begin.
const TICKS_UNTIL_HELD: u32 = 7;

/// Every how many looks *Connection details* are renewed: once a second.
const TICKS_PER_DETAILS: u32 = 10;

/// What is heard and measured while there is a session.
#[derive(Debug)]
pub(crate) struct Desk {
    /// The local microphone.
    pub(crate) microphone: Microphone,
    /// The graph, from entering to leaving.
    pub(crate) graph: Option<Graph>,
    /// The meters on the screen.
    pub(crate) meters: Meters,
    /// Drives them while in a room.
    pub(crate) ticker: Option<Ticker>,
    /// For how many looks the sound was held.
    held: u32,
    ticks: u32,
}

/// Everything. See the module.
#[derive(Debug)]
pub(crate) struct Studio {
    pub(crate) window: Window,
    pub(crate) document: Document,
    pub(crate) sender: Sender,
    pub(crate) devices: Option<MediaDevices>,
    pub(crate) view: View,
    pub(crate) tabs: Tabs,
    pub(crate) desk: Desk,
    /// The session, from pressing a button to its end.
    pub(crate) running: Option<Running>,
    /// The number of the newest session.
    pub(crate) number: u32,
    /// How the person is leaving, while they are.
    pub(crate) departure: Departure,
    pub(crate) shows_details: bool,
    performance: Option<Performance>,
    clock: Clock,
    alarm: Alarm,
    ended: Option<EndReason>,
    /// Whether cards may have to be drawn anew.
    pub(crate) stale: bool,
    _listeners: Vec<Listener>,
}

/// Starts the loop, and returns the way into it.
pub(crate) fn start(window: Window, document: Document, view: View) -> Sender {
    let (sender, receiver) = unbounded();
    let studio = Studio::new(window, document, view, sender.clone());
    spawn_local(run(studio, receiver));
    sender
}

async fn run(mut studio: Studio, mut receiver: UnboundedReceiver<Event>) {
    studio.arrive();
    studio.settle();
    while let Some(event) = receiver.next().await {
        studio.handle(event);
        while let Ok(event) = receiver.try_recv() {
            studio.handle(event);
        }
        studio.settle();
    }
}

impl Studio {
    fn new(window: Window, document: Document, view: View, sender: Sender) -> Self {
        let performance = window.performance();
        let (monotonic, wall) = browser::clocks(performance.as_ref());
        let devices = browser::navigator(&window).media_devices();
        let rings = sender.clone();
        let alarm = Alarm::new(&window, move || drop(rings.unbounded_send(Event::Alarm)));
        let listeners = listen(&window, devices.as_ref(), &sender);
        let desk = Desk {
            microphone: Microphone::new(sender.clone(), devices.clone()),
            graph: None,
            meters: Meters::default(),
            ticker: None,
            held: 0,
            ticks: 0,
        };
        Self {
            tabs: Tabs::new(sender.clone()),
            window,
            document,
            sender,
            devices,
            view,
            desk,
            running: None,
            number: 0,
            departure: Departure::Unexpected,
            shows_details: false,
            performance,
            clock: Clock::new(monotonic, wall),
            alarm,
            ended: None,
            stale: false,
            _listeners: listeners,
        }
    }

    /// Returns the time for the core.
    pub(crate) fn now(&mut self) -> Timestamp {
        let (monotonic, wall) = browser::clocks(self.performance.as_ref());
        self.clock.at(monotonic, wall)
    }

    /// Feeds the session, if there is one.
    pub(crate) fn input(&mut self, input: Input) {
        let now = self.now();
        if let Some(running) = &mut self.running {
            running.session.handle_input(now, input);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Wish(wish) => self.wish(wish),
            Event::Session(number, report) => {
                let now = self.now();
                let track = self.desk.microphone.track();
                if let Some(running) = self.running.as_mut().filter(|r| r.number == number) {
                    running.take(now, report, track);
                }
            }
            Event::Alarm => {
                self.alarm.rang();
                let now = self.now();
                if let Some(running) = &mut self.running {
                    running.session.handle_timeout(now);
                }
            }
            Event::Microphone { request, result } => {
                let changed = self.desk.microphone.answered(request, result);
                self.follow_microphone(changed);
            }
            Event::MicrophoneEnded { request } => {
                let changed = self.desk.microphone.ended(request);
                self.follow_microphone(changed);
            }
            Event::DevicesChanged => self.list_devices(),
            Event::DevicesListed(devices) => put(self.view.devices, devices),
            Event::MeterShown { peer, meter } => self.desk.meters.add(peer, meter),
            Event::MeterTick => self.tick(),
            Event::AddressChanged => self.address_changed(),
            Event::Online => self.input(Input::Online),
            Event::NetworkChanged => self.input(Input::Mesh(mesh::Input::NetworkChanged)),
            Event::OtherTab(text) => self.other_tab(&text),
        }
    }

    /// Does everything that the core asks for, then sets the alarm.
    fn settle(&mut self) {
        self.perform_all();
        if let Some(reason) = self.ended.take() {
            self.depart(reason);
        }
        let due = self.running.as_ref().and_then(|r| r.session.poll_timeout());
        let now = self.now();
        self.alarm.set(now, due.map(|deadline| deadline.at));
    }

    /// Does everything that the core asks for.
    pub(crate) fn perform_all(&mut self) {
        while let Some(output) = self.running.as_mut().and_then(|r| r.session.poll_output()) {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        let Some(running) = &mut self.running else { return };
        match output {
            Output::OpenSocket(id) => running.open_socket(id),
            Output::SendText { socket, text } => running.send_text(socket, &text),
            Output::CloseSocket(id) => running.close_socket(id),
            Output::Mesh(command) => {
                if let (mesh::Command::ClosePeerConnection { pc }, Some(graph)) =
                    (&command, &mut self.desk.graph)
                {
                    graph.stop(*pc);
                }
                running.perform(command, self.desk.microphone.track());
            }
            Output::Event(event) => self.event(event),
        }
    }

    fn event(&mut self, event: session::Event) {
        match event {
            session::Event::SignallingChanged(state) => self.signalling_changed(state),
            session::Event::Entered { room, me: _, role } => {
                put(self.view.role, role);
                put(self.view.caller_link, caller_link(&browser::origin(), room));
                self.entered(room);
                self.stale = true;
            }
            session::Event::SeatToken(token) => self.keep_token(token),
            session::Event::IceServers(ice) => {
                if let Some(running) = &mut self.running {
                    running.ice = ice;
                }
            }
            session::Event::ParticipantChanged(_) => self.stale = true,
            session::Event::ParticipantLeft { peer, .. } => {
                self.desk.meters.remove(peer);
                self.stale = true;
            }
            session::Event::Invite { role, token } => self.invited(role, &token.0),
            session::Event::Refused { message, .. } => put(self.view.refusal, Some(message)),
            session::Event::Mesh(event) => self.mesh_event(event),
            session::Event::Ended(reason) => self.ended = Some(reason),
        }
    }

    fn mesh_event(&mut self, event: mesh::Event) {
        match event {
            mesh::Event::RemoteTrackAdded { peer, pc } => {
                let track = self.running.as_ref().and_then(|running| running.remote_track(pc));
                if let (Some(track), Some(graph)) = (track, &mut self.desk.graph)
                    && graph.play(peer, pc, track).is_err()
                {
                    tracing::warn!(%peer, "a track could not be played");
                }
            }
            mesh::Event::ConnectionStateChanged { .. }
            | mesh::Event::ConnectionFailed { .. }
            | mesh::Event::QualityChanged { .. } => self.stale = true,
        }
    }

    fn signalling_changed(&self, state: SignallingState) {
        let entered = self.running.as_ref().is_some_and(|running| running.entered);
        let lost = state == SignallingState::Reconnecting;
        put(self.view.reconnecting, lost && entered);
        if lost && !entered {
            put(self.view.entering, Entering::Unreachable);
        }
    }

    fn invited(&self, role: Role, token: &str) {
        let room = self.running.as_ref().and_then(|running| running.session.room());
        if let Some(room) = room.filter(|_| role == Role::Host) {
            put(self.view.host_link, invite_link(&browser::origin(), room, token));
        }
    }

    fn other_tab(&self, text: &str) {
        let here = self.running.as_ref().and_then(|running| running.session.room());
        let shown = browser::address(&self.window).room();
        match TabMessage::parse(text) {
            Some(TabMessage::Ask(room)) if here == Some(room) => {
                self.tabs.say(TabMessage::Here(room));
            }
            Some(TabMessage::Here(room)) if shown == Some(room) => put(self.view.elsewhere, true),
            Some(TabMessage::Gone(room)) if shown == Some(room) => put(self.view.elsewhere, false),
            Some(TabMessage::Ask(_) | TabMessage::Here(_) | TabMessage::Gone(_)) | None => {}
        }
    }

    // ----- microphone and sound

    /// Shows where the microphone stands; sends and measures its track if it is another.
    pub(crate) fn follow_microphone(&mut self, changed: bool) {
        if changed {
            let now = self.now();
            let microphone = &self.desk.microphone;
            if let Some(running) = &mut self.running {
                running.replace_track(now, microphone.track());
            }
            if let Some(graph) = &mut self.desk.graph {
                graph.measure_own(microphone.stream());
            }
            // Names of devices are known once one of them is open.
            self.list_devices();
        }
        put(self.view.microphone, self.desk.microphone.state());
        put(self.view.muted, self.desk.microphone.is_muted());
        self.stale = true;
    }

    fn list_devices(&self) {
        crate::audio::list_devices(&self.sender, self.devices.as_ref());
    }

    /// Starts or ends looking at the levels.
    pub(crate) fn tick_while(&mut self, inside: bool) {
        let sender = self.sender.clone();
        self.desk.ticker = inside.then(|| {
            Ticker::new(&self.window, TICK_MS, move || {
                drop(sender.unbounded_send(Event::MeterTick));
            })
        });
    }

    fn tick(&mut self) {
        self.draw();
        let desk = &mut self.desk;
        desk.ticks = desk.ticks.wrapping_add(1);
        let Some(graph) = &mut desk.graph else { return };
        desk.held = if graph.is_running() { 0 } else { desk.held.saturating_add(1) };
        let held = desk.held >= TICKS_UNTIL_HELD;
        put(self.view.sound, if held { Sound::Held } else { Sound::On });
        if self.document.hidden() {
            return;
        }
        let me = self.running.as_ref().and_then(|running| running.session.me());
        desk.meters.tick(|peer| graph.level(Some(peer).filter(|peer| Some(*peer) != me)));
        if self.shows_details && desk.ticks.is_multiple_of(TICKS_PER_DETAILS) {
            self.draw_details();
        }
    }
}

fn listen(window: &Window, devices: Option<&MediaDevices>, sender: &Sender) -> Vec<Listener> {
    let on = |target: &EventTarget, kind, make: fn() -> Event| {
        let sender = sender.clone();
        Listener::new(target, kind, move |_: web_sys::Event| {
            drop(sender.unbounded_send(make()));
        })
    };
    let mut listeners = vec![
        on(window, "popstate", || Event::AddressChanged),
        on(window, "hashchange", || Event::AddressChanged),
        on(window, "online", || Event::Online),
    ];
    listeners.extend(devices.map(|devices| on(devices, "devicechange", || Event::DevicesChanged)));
    let connection = browser::navigator(window).connection();
    listeners.extend(connection.map(|connection| listen_to_network(connection, sender.clone())));
    listeners
}

/// `change` also fires for new estimates of speed; only another kind of network counts.
fn listen_to_network(connection: EventTarget, sender: Sender) -> Listener {
    let kind = |connection: &EventTarget| {
        js_sys::Reflect::get(connection, &"type".into()).ok().and_then(|kind| kind.as_string())
    };
    let watched = connection.clone();
    let mut before = kind(&connection);
    Listener::new(connection.unchecked_ref(), "change", move |_: web_sys::Event| {
        let after = kind(&watched);
        if after != before {
            before = after;
            drop(sender.unbounded_send(Event::NetworkChanged));
        }
    })
}
