//! The loop that owns everything: one session at a time, the microphone, the graph, and
//! what is written to the screen.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use futures_channel::mpsc::{UnboundedReceiver, unbounded};
use futures_util::StreamExt as _;
use openstudio_session::{EndReason, Input, Output, mesh};
use openstudio_units::{PeerId, Timestamp};
use wasm_bindgen_futures::spawn_local;
use web_sys::{Document, MediaDevices, Performance, Window};

use crate::audio::{DeskFiles, Graph, Meters, Microphone};
use crate::driver::browser;
use crate::driver::checking::Checking;
use crate::driver::entering::Departure;
use crate::driver::event::{Event, Sender};
use crate::driver::listener::Listener;
use crate::driver::running::Running;
use crate::driver::surroundings::listen;
use crate::driver::tabs::{TabMessage, Tabs};
use crate::driver::timer::{Alarm, Ticker};
use crate::model::clock::Clock;
use crate::model::pace::{Pace, Ticks};
use crate::view::{Sound, View, put};

/// How often the room is brought to the screen and the sound is looked after, milliseconds.
const TICK_MS: i32 = 100;

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
    /// The meters on the screen, which the graph moves.
    pub(crate) meters: Rc<RefCell<Meters>>,
    /// What the graph needs on the audio thread.
    pub(crate) files: Option<DeskFiles>,
    /// Whether the desk is to be loaded once the page keeps up.
    pub(crate) wanted: bool,
    /// Whom this person hears alone.
    pub(crate) solos: BTreeSet<PeerId>,
    /// Draws the room while in it.
    pub(crate) ticker: Option<Ticker>,
    /// For how many looks the sound was held.
    held: u32,
    ticks: u32,
    /// Whether the page keeps up.
    timely: Ticks,
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
    /// The check in front of the room.
    pub(crate) checking: Checking,
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
    /// Why the session has ended, until the screen says it.
    pub(crate) ended: Option<EndReason>,
    /// Whether cards may have to be drawn anew, with the next tick.
    pub(crate) stale: bool,
    /// Whether they are to be drawn at once: somebody waits for the answer to a press.
    pub(crate) prompt: bool,
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
        let listeners = listen(&window, &document, devices.as_ref(), &sender);
        let desk = Desk {
            microphone: Microphone::new(sender.clone(), devices.clone()),
            graph: None,
            meters: Rc::default(),
            files: DeskFiles::fetch(&window, &document),
            wanted: false,
            solos: BTreeSet::new(),
            ticker: None,
            held: 0,
            ticks: 0,
            timely: Ticks::default(),
        };
        Self {
            tabs: Tabs::new(sender.clone()),
            window,
            document,
            sender,
            devices,
            view,
            desk,
            checking: Checking::default(),
            running: None,
            number: 0,
            departure: Departure::Unexpected,
            shows_details: false,
            performance,
            clock: Clock::new(monotonic, wall),
            alarm,
            ended: None,
            stale: false,
            prompt: false,
            _listeners: listeners,
        }
    }

    /// Returns the time for the core.
    pub(crate) fn now(&mut self) -> Timestamp {
        let (monotonic, wall) = browser::clocks(self.performance.as_ref());
        self.clock.at(monotonic, wall)
    }

    pub(crate) fn performance(&self) -> Option<&Performance> {
        self.performance.as_ref()
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
                    running.relays.on_timeout(now);
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
            Event::DevicesChanged => self.list_devices(true),
            Event::DevicesListed { devices, changed } => self.devices_listed(devices, changed),
            Event::MeterShown { peer, meter } => self.desk.meters.borrow_mut().add(peer, meter),
            Event::ProgrammeMeterShown(meter) => {
                self.desk.meters.borrow_mut().set_programme(meter);
            }
            Event::DeskLoaded(module) => self.install_desk(module.as_ref()),
            Event::CheckOpened { number, result } => self.check_opened(number, result),
            Event::CheckTick => self.check_tick(),
            Event::CheckPlayed => self.check_played(),
            Event::VisibilityChanged => self.follow_pace(),
            Event::Tick => self.tick(),
            Event::AddressChanged => self.address_changed(),
            Event::Online => self.network_changed(Input::Online),
            Event::NetworkChanged => {
                self.network_changed(Input::Mesh(mesh::Input::NetworkChanged));
            }
            Event::NetworkHint => self.input(Input::Mesh(mesh::Input::PathsInDoubt)),
            Event::OtherTab(text) => self.other_tab(&text),
        }
    }

    /// Does everything that the core asks for, then sets the alarm.
    fn settle(&mut self) {
        self.perform_all();
        if let Some(reason) = self.ended.take() {
            self.depart(reason);
        }
        if std::mem::take(&mut self.prompt) {
            self.stale = true;
            self.draw();
        }
        let due = self.running.as_ref().and_then(Running::deadline);
        let now = self.now();
        self.alarm.set(now, due);
    }

    /// Does everything that the core asks for.
    pub(crate) fn perform_all(&mut self) {
        loop {
            let now = self.now();
            let Some(running) = &mut self.running else { return };
            running.follow_relays(now);
            let Some(output) = running.session.poll_output() else { return };
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

    fn network_changed(&mut self, input: Input) {
        let now = self.now();
        if let Some(running) = &mut self.running {
            running.relays.on_network(now);
        }
        self.input(input);
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
            self.list_devices(false);
        }
        put(self.view.microphone, self.desk.microphone.state());
        put(self.view.muted, self.desk.microphone.is_muted());
        self.stale = true;
    }

    /// Starts or ends drawing the room.
    pub(crate) fn tick_while(&mut self, inside: bool) {
        let sender = self.sender.clone();
        self.desk.ticker = inside.then(|| {
            Ticker::new(&self.window, TICK_MS, move || {
                drop(sender.unbounded_send(Event::Tick));
            })
        });
    }

    /// Meters move as often as the page can bear, and not where nobody sees them.
    fn follow_pace(&mut self) {
        let now = self.now();
        let pace = self.desk.timely.tick(now);
        // A page that cannot keep up has to set up its connections first.
        if pace == Pace::Full && std::mem::take(&mut self.desk.wanted) {
            self.load_desk();
        }
        let seen = if self.document.hidden() { Pace::Off } else { pace };
        if let Some(graph) = &mut self.desk.graph {
            graph.set_pace(seen);
        }
    }

    /// Moves the meters where the desk does not.
    fn measure(&mut self) {
        let me = self.running.as_ref().and_then(|running| running.session.me());
        let Some(graph) = self.desk.graph.as_mut().filter(|graph| !graph.has_desk()) else {
            return;
        };
        let mut meters = self.desk.meters.borrow_mut();
        // A graph's own methods that move meters are not called here.
        meters.look_at(|peer| graph.peak(Some(peer).filter(|peer| Some(*peer) != me)));
    }

    fn tick(&mut self) {
        self.draw();
        self.follow_pace();
        let desk = &mut self.desk;
        desk.ticks = desk.ticks.wrapping_add(1);
        let Some(graph) = &desk.graph else { return };
        desk.held = if graph.is_running() { 0 } else { desk.held.saturating_add(1) };
        let held = desk.held >= TICKS_UNTIL_HELD;
        put(self.view.sound, if held { Sound::Held } else { Sound::On });
        if self.document.hidden() {
            return;
        }
        let renews = self.shows_details && desk.ticks.is_multiple_of(TICKS_PER_DETAILS);
        self.measure();
        if renews {
            self.draw_details();
        }
    }
}
