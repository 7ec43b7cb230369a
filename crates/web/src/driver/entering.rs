//! Coming and going: what the person wishes, the seat that the tab keeps, the address.

use leptos::prelude::{GetUntracked as _, WithUntracked as _};
use openstudio_session::mesh;
use openstudio_session::wire::{DisplayName, ErrorCode, Token};
use openstudio_session::{EndReason, Input, Session, SessionConfig};
use openstudio_units::{Role, RoomId};
use web_sys::MediaStream;

use crate::audio::{Graph, Listening};
use crate::driver::browser;
use crate::driver::event::{Port, Wish};
use crate::driver::running::Running;
use crate::driver::studio::Studio;
use crate::driver::tabs::TabMessage;
use crate::model::address::Address;
use crate::model::seat::KeptSeat;
use crate::model::words::{self, Notice, Tone};
use crate::view::{CheckStage, Entering, Screen, Sound, put};

/// How the person is leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Departure {
    /// They are not.
    Unexpected,
    /// They pressed *Leave*: nothing is kept.
    Pressed,
    /// They changed the address: the seat is kept.
    ByAddress,
    /// They gave up entering.
    Cancelled,
}

impl Studio {
    /// The page was loaded: takes the kept seat again if this is a reload.
    pub(crate) fn arrive(&mut self) {
        self.show_address();
        self.remember_devices();
        self.remember_volume();
        if let Some(seat) = browser::kept_seat_here(&self.window).filter(|seat| seat.inside) {
            self.resume(seat);
            put(self.view.entering, Entering::Returning);
        }
    }

    /// Does what the person wants.
    pub(crate) fn wish(&mut self, wish: Wish) {
        match wish {
            Wish::Start(name) => self.begin(Input::Start { name: Some(name) }),
            Wish::Join(name) => self.join(name),
            Wish::Resume => {
                if let Some(seat) = browser::kept_seat(&self.window) {
                    self.resume(seat);
                }
            }
            Wish::Cancel => self.leave(Departure::Cancelled),
            Wish::Leave => self.leave(Departure::Pressed),
            Wish::EndSession => self.input(Input::EndRoom),
            Wish::SetMuted(muted) => self.set_muted(muted),
            Wish::SetStrip(peer, change) => self.input(Input::SetStrip { peer, change }),
            Wish::ToggleMute(peer) => self.toggle_mute(peer),
            Wish::ToggleSolo(peer) => self.toggle_solo(peer),
            Wish::Cough(coughs) => self.cough(coughs),
            Wish::SetVolume(volume) => self.set_volume(volume),
            Wish::ListenTo(listening) => self.listen_to(listening),
            Wish::ResetLoudness => {
                if let Some(graph) = &self.desk.graph {
                    graph.reset_loudness();
                }
            }
            Wish::Order(order) => self.input(Input::Order(order)),
            Wish::TryMicrophone => self.ask_for_microphone(),
            Wish::ChooseMicrophone(device) => self.choose_microphone(device),
            Wish::ChooseProcessing(processing) => self.choose_processing(processing),
            Wish::ChooseOutput(device) => self.choose_output(device),
            Wish::Check(wanted) => self.set_checking(wanted),
            Wish::RecordCheck => self.begin_check(CheckStage::Recording),
            Wish::Beep => self.begin_check(CheckStage::Beeping),
            Wish::TurnSoundOn => {
                if let Some(graph) = &self.desk.graph {
                    graph.resume();
                }
            }
            Wish::InviteHost => {
                put(self.view.host_link, String::new());
                self.input(Input::RequestInvite(Role::Host));
            }
            Wish::Retry(peer) => self.input(Input::Mesh(mesh::Input::RetryRequested { peer })),
            Wish::ShowDetails(shown) => {
                self.shows_details = shown;
                self.draw_details();
            }
            Wish::DismissRefusal => put(self.view.refusal, None),
            Wish::StartAnew => {
                browser::clear_address(&self.window);
                self.show_address();
            }
        }
    }

    fn join(&mut self, name: DisplayName) {
        let Address::Room { room, invite } = browser::address(&self.window) else { return };
        let kept = browser::kept_seat_here(&self.window);
        match (invite, kept) {
            (None, Some(seat)) => {
                self.resume(seat);
                if let Some(running) = &mut self.running {
                    running.name = Some(name);
                }
            }
            (invite, _) => {
                self.begin(Input::Join { room, invite: invite.map(Token), name: Some(name) });
            }
        }
    }

    fn resume(&mut self, seat: KeptSeat) {
        let muted = seat.muted;
        self.begin(Input::Resume { token: seat.token });
        if let Some(running) = &mut self.running {
            running.resumes = true;
        }
        if muted {
            self.set_muted(true);
        }
    }

    /// Begins a session, and asks for the microphone beside it: neither waits.
    fn begin(&mut self, how: Input) {
        if self.running.is_some() {
            return;
        }
        let Ok(stream) = MediaStream::new() else { return };
        self.close_check();
        self.number = self.number.wrapping_add(1);
        let now = self.now();
        let mut session = Session::new(SessionConfig::default(), browser::seed(&self.window), now);
        session.handle_input(now, how);
        let port = Port::new(self.sender.clone(), self.number);
        let url = browser::socket_url(&self.window);
        let mut running = Running::new(session, self.number, port, url, stream);
        running.set_processing(self.view.processing.get_untracked());
        self.running = Some(running);
        self.departure = Departure::Unexpected;
        // The socket opens while the rest is made.
        self.perform_all();
        self.desk.graph = Graph::new(&self.document, self.desk.meters.clone()).ok();
        self.follow_monitor();
        self.follow_output();
        let silent = self.desk.graph.is_none();
        put(self.view.sound, if silent { Sound::Impossible } else { Sound::On });
        put(self.view.entering, Entering::Busy);
        put(self.view.notice, None);
        self.ask_for_microphone();
    }

    /// Whoever mixes needs the programme; for all others it would be work in vain.
    pub(crate) fn load_desk(&self) {
        let Some(graph) = &self.desk.graph else { return };
        match &self.desk.files {
            Some(files) => files.load(graph.context(), self.sender.clone()),
            None => put(self.view.desk_missing, true),
        }
    }

    pub(crate) fn set_muted(&mut self, muted: bool) {
        self.desk.microphone.set_muted(muted);
        self.input(Input::SetMuted(muted));
        self.follow_microphone(false);
        self.prompt = true;
        if let Some(seat) = browser::kept_seat(&self.window) {
            browser::keep_seat(&self.window, Some(&KeptSeat { muted, ..seat }));
        }
    }

    fn leave(&mut self, departure: Departure) {
        self.departure = departure;
        self.input(Input::Leave);
    }

    /// The seat is there, for the first time or again.
    pub(crate) fn entered(&mut self, room: RoomId) {
        let Some(running) = &mut self.running else { return };
        let first = !std::mem::replace(&mut running.entered, true);
        put(self.view.reconnecting, false);
        if !first {
            return;
        }
        let me = running.session.me();
        let known = running.session.participants().find(|seat| Some(seat.peer_id) == me);
        let known = known.and_then(|seat| seat.name.clone());
        let wanted = running.name.take().filter(|name| Some(name) != known.as_ref());
        if let Some(name) = wanted {
            self.input(Input::Rename(name));
        }
        browser::enter_address(&self.window, room);
        self.tabs.say(TabMessage::Here(room));
        self.tick_while(true);
    }

    /// Keeps the newest token for a reload.
    pub(crate) fn keep_token(&self, token: Token) {
        let Some(session) = self.running.as_ref().map(|running| &running.session) else { return };
        if let (Some(room), Some(role)) = (session.room(), session.role()) {
            let muted = self.desk.microphone.is_muted();
            let seat = KeptSeat { room, role, token, inside: true, muted };
            browser::keep_seat(&self.window, Some(&seat));
        }
    }

    /// Back, forward, or a link to another session.
    pub(crate) fn address_changed(&mut self) {
        let address = browser::address(&self.window);
        let Some(running) = &self.running else {
            // Going back fires two events; the second must not wipe the sentence away.
            if self.view.address.with_untracked(|shown| *shown != address) {
                self.show_address();
            }
            return;
        };
        let stays = address.room() == running.session.room()
            && matches!(address, Address::Room { invite: None, .. })
            && browser::is_inside_entry(&self.window);
        if !(running.entered && stays) {
            self.leave(Departure::ByAddress);
        }
    }

    /// The session is over: closes everything and shows the entry page.
    pub(crate) fn depart(&mut self, reason: EndReason) {
        let Some(running) = self.running.take() else { return };
        let kept = browser::kept_seat(&self.window);
        if let Some(seat) = kept.as_ref().filter(|_| running.entered) {
            self.tabs.say(TabMessage::Gone(seat.room));
        }
        let notice = self.notice_of(&reason, running.resumes && !running.entered);
        let keeps = match &reason {
            EndReason::Left => self.departure != Departure::Pressed,
            EndReason::TakenOver => true,
            EndReason::RoomEnded => false,
            // A full room or server may have a place for the same seat later.
            EndReason::Refused { code, .. } => {
                matches!(code, ErrorCode::RoomFull | ErrorCode::ServerFull | ErrorCode::RateLimited)
            }
        };
        let kept = kept.filter(|_| keeps).map(|seat| KeptSeat { inside: false, ..seat });
        browser::keep_seat(&self.window, kept.as_ref());
        drop(running);
        self.close_desk();
        self.show_address();
        if let Some(notice) = notice {
            put(self.view.notice, Some(notice));
        }
    }

    fn notice_of(&self, reason: &EndReason, resumed: bool) -> Option<Notice> {
        match (reason, self.departure) {
            (EndReason::Left, Departure::Cancelled) => None,
            (EndReason::Left, Departure::ByAddress) => {
                let kept = browser::kept_seat(&self.window).map(|seat| seat.room);
                match browser::address(&self.window) {
                    Address::Start => kept.map(|_| Notice::went_back()),
                    Address::Room { room, invite: None } if kept == Some(room) => {
                        Some(Notice::went_back())
                    }
                    Address::Room { .. } | Address::Broken => None,
                }
            }
            (EndReason::Refused { code, .. }, _) if words::spends_token(*code) => {
                browser::drop_invite(&self.window);
                let lost =
                    Notice { tone: Tone::Warning, text: words::SEAT_LOST.into(), remedy: None };
                Some(if resumed { lost } else { Notice::ended(reason) })
            }
            _ => Some(Notice::ended(reason)),
        }
    }

    fn close_desk(&mut self) {
        self.desk.microphone.close();
        self.desk.graph = None;
        self.desk.meters.take();
        self.desk.solos.clear();
        self.desk.wanted = false;
        self.tick_while(false);
        self.shows_details = false;
        put(self.view.cards, Vec::new());
        put(self.view.links, Vec::new());
        put(self.view.host_link, String::new());
        put(self.view.engine, None);
        put(self.view.engine_news, String::new());
        put(self.view.recordings, None);
        put(self.view.refusal, None);
        put(self.view.reconnecting, false);
        put(self.view.muted, false);
        put(self.view.held, false);
        put(self.view.coughing, false);
        put(self.view.listening, Listening::default());
        put(self.view.microphone, self.desk.microphone.state());
    }

    /// Shows the entry page for the address as it is.
    fn show_address(&self) {
        let address = browser::address(&self.window);
        let broken = (address == Address::Broken).then(Notice::broken_link);
        put(self.view.notice, broken);
        put(self.view.elsewhere, false);
        if let Some(room) = address.room() {
            self.tabs.say(TabMessage::Ask(room));
        }
        put(self.view.kept_role, browser::kept_seat_here(&self.window).map(|seat| seat.role));
        put(self.view.address, address);
        put(self.view.entering, Entering::Idle);
        self.show(Screen::Entry);
    }
}
