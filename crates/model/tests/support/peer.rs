//! One peer connection of a script: it writes the trace, and negotiates perfectly
//! (webrtc-pc §10.7) where the script wants that. Line by line as `Peer` of
//! `e2e/page/peer-scripts.js`.

use std::collections::{BTreeMap, VecDeque};

use openstudio_model::{
    Call, CallId, Credentials, Description, DomError, Event, PeerConnection, SdpType,
    SignalingState, Value,
};

/// What follows when a call is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Nothing: a step of the script.
    Nothing,
    /// A step of the script: what was made is kept.
    Keep,
    /// The offer is sent.
    SendOffer,
    /// The remote offer is answered.
    Answer,
    /// The answer is sent.
    SendAnswer,
    /// The remote answer is applied.
    Answered,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) pc: PeerConnection,
    pub(crate) trace: Vec<String>,
    /// None where the script does without perfect negotiation.
    pub(crate) polite: Option<bool>,
    pub(crate) created: Option<Description>,
    /// The credentials of its local descriptions, in the order of appearance.
    pub(crate) credentials: Vec<Credentials>,
    pub(crate) outbox: VecDeque<Description>,
    calls: u32,
    pending: BTreeMap<CallId, (u32, Then)>,
    making: bool,
    answering: bool,
}

impl Peer {
    pub(crate) fn new(name: u64, polite: Option<bool>) -> Self {
        Self {
            pc: PeerConnection::new(name),
            trace: Vec::new(),
            polite,
            created: None,
            credentials: Vec::new(),
            outbox: VecDeque::new(),
            calls: 0,
            pending: BTreeMap::new(),
            making: false,
            answering: false,
        }
    }

    pub(crate) fn log(&mut self, line: impl Into<String>) {
        self.trace.push(line.into());
    }

    /// A call of the script.
    pub(crate) fn call(&mut self, text: &str, call: Call) {
        let then = match call {
            Call::CreateOffer | Call::CreateAnswer => Then::Keep,
            Call::SetLocal
            | Call::SetLocalTo(_)
            | Call::RollbackLocal
            | Call::SetRemote(_)
            | Call::RollbackRemote
            | Call::AddCandidate(_) => Then::Nothing,
        };
        self.invoke(text, call, then);
    }

    /// A method that gives a promise, but is no operation of the model.
    pub(crate) fn call_at_once(&mut self, text: &str, result: Result<(), DomError>) {
        self.calls += 1;
        let number = self.calls;
        self.log(format!("call {number} {text}"));
        self.log(match result {
            Ok(()) => format!("resolved {number}"),
            Err(error) => format!("rejected {number} {}", error.as_str()),
        });
    }

    /// A method or attribute that throws.
    pub(crate) fn attempt(&mut self, text: &str, result: Result<(), DomError>) {
        self.log(text);
        if let Err(error) = result {
            self.log(format!("threw {}", error.as_str()));
        }
    }

    fn invoke(&mut self, text: &str, call: Call, then: Then) {
        self.calls += 1;
        self.log(format!("call {} {text}", self.calls));
        let id = self.pc.call(call);
        self.pending.insert(id, (self.calls, then));
    }

    // ----- running

    /// Takes one event, or ends one operation. Tells whether there was any.
    pub(crate) fn run(&mut self) -> bool {
        if let Some(event) = self.pc.poll_event() {
            self.take(event);
            return true;
        }
        let busy = self.pc.under_way().is_some();
        self.pc.finish();
        busy
    }

    /// Whether a call of the script is not settled.
    pub(crate) fn awaits(&self) -> bool {
        self.pending.values().any(|(_, then)| matches!(then, Then::Nothing | Then::Keep))
    }

    pub(crate) fn end(&mut self) {
        if !self.pending.is_empty() {
            let numbers: Vec<String> =
                self.pending.values().map(|(number, _)| number.to_string()).collect();
            self.log(format!("never settled {}", numbers.join(" ")));
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Settled(id, result) => self.settled(id, result),
            Event::NegotiationNeeded => {
                self.log("negotiationneeded");
                if self.polite.is_some() {
                    self.making = true;
                    self.invoke("setLocalDescription", Call::SetLocal, Then::SendOffer);
                }
            }
            Event::SignalingStateChange(state) => {
                self.log(format!("signalingstatechange {}", state.as_str()));
            }
            // The interpreter names the stream.
            Event::Track(mid) => self.log(format!("track {mid}")),
            Event::Gather(_) => {}
        }
    }

    fn settled(&mut self, id: CallId, result: Result<Value, DomError>) {
        let (number, then) = self.pending.remove(&id).expect("a call that nobody made");
        self.log(match &result {
            Ok(_) => format!("resolved {number}"),
            Err(error) => format!("rejected {number} {}", error.as_str()),
        });
        let kept = result.is_ok();
        if then == Then::SendOffer {
            self.making = false;
        } else if then == Then::Answered {
            self.answering = false;
        }
        match (then, result) {
            (Then::Keep, Ok(Value::Made(made))) => self.created = Some(made),
            (Then::SendOffer | Then::SendAnswer, _) if kept => self.send(),
            (Then::Answer, _) if kept => {
                self.invoke("setLocalDescription", Call::SetLocal, Then::SendAnswer);
            }
            _ => {}
        }
    }

    // ----- perfect negotiation

    fn send(&mut self) {
        let description = self.pc.local_description().expect("just set").clone();
        self.log(format!("send {}", description.kind.as_str()));
        self.outbox.push_back(description);
    }

    pub(crate) fn receive(&mut self, description: &Description) {
        let stable = self.pc.signaling_state() == SignalingState::Stable;
        let ready = !self.making && (stable || self.answering);
        let offer = description.kind == SdpType::Offer;
        if offer && !ready && self.polite == Some(false) {
            return self.log("ignore offer");
        }
        self.answering = !offer;
        let text = format!("setRemoteDescription received {}", description.kind.as_str());
        let then = if offer { Then::Answer } else { Then::Answered };
        self.invoke(&text, Call::SetRemote(description.to_string()), then);
    }
}
