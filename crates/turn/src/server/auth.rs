//! Messages to requests: who sent it, and may they (RFC 8489 §9.2.4)?

use std::net::IpAddr;

use openstudio_units::Timestamp;
use stun_types::attribute::{
    AttributeStaticType as _, AttributeType, ErrorCode, Fingerprint, MessageIntegrity, Nonce,
    Realm, UnknownAttributes, Username,
};
use stun_types::message::{BINDING, IntegrityKey, Message, MessageClass, Method};
use stun_types::prelude::AttributeWrite;
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH, SEND};

use super::{Client, Output, TurnServer};
use crate::binding;
use crate::limiter::Answer;
use crate::stun::{self, Writer, attribute};

/// A request whose sender has proved to know a credential.
pub(super) struct Request<'a> {
    pub(super) client: Client,
    pub(super) message: &'a Message<'a>,
    pub(super) username: String,
    pub(super) key: IntegrityKey,
}

/// Why a sender is still a stranger.
enum Stranger {
    BadRequest,
    Unknown,
    StaleNonce,
}

impl TurnServer {
    pub(super) fn handle_stun(&mut self, now: Timestamp, client: Client, bytes: &[u8]) {
        let Some(message) = stun::parse(bytes) else { return };
        match (message.class(), message.method()) {
            (MessageClass::Request, BINDING) => {
                self.hear(now, client);
                self.bind(now, client, &message);
            }
            (MessageClass::Indication, BINDING) => self.hear(now, client),
            (MessageClass::Indication, SEND) => self.handle_send(now, client, &message),
            (MessageClass::Request, ALLOCATE | REFRESH | CREATE_PERMISSION | CHANNEL_BIND) => {
                match self.authenticate(now, client, &message) {
                    Ok(request) => self.handle_request(now, &request),
                    Err(stranger) => self.refuse_stranger(now, client, &message, &stranger),
                }
            }
            _ => {}
        }
    }

    /// Answers a Binding request (RFC 8489 §12).
    fn bind(&mut self, now: Timestamp, client: Client, message: &Message<'_>) {
        // Who checks with credentials is an ICE agent that took the server for another.
        let known = [Fingerprint::TYPE, Username::TYPE, MessageIntegrity::TYPE];
        let unknown = stun::unknown(message, &known);
        let transaction = message.transaction_id();
        let writer = if unknown.is_empty() {
            binding::success(transaction, client.address)
        } else {
            let writer = Writer::new(MessageClass::Error, BINDING, transaction);
            with_error(writer, 420).add(&UnknownAttributes::new(&unknown))
        };
        let bytes = writer.fingerprint(message.has_attribute(Fingerprint::TYPE)).finish();
        self.answer_stranger(now, message, Answer { client, bytes, challenges: false });
    }

    fn authenticate<'a>(
        &self,
        now: Timestamp,
        client: Client,
        message: &'a Message<'a>,
    ) -> Result<Request<'a>, Stranger> {
        if !message.has_attribute(MessageIntegrity::TYPE) {
            return Err(Stranger::Unknown);
        }
        let (Some(username), Some(realm), Some(nonce)) = (
            attribute::<Username>(message),
            attribute::<Realm>(message),
            attribute::<Nonce>(message),
        ) else {
            return Err(Stranger::BadRequest);
        };
        if !self.nonces.is_good(now, client.address, nonce.nonce()) {
            return Err(Stranger::StaleNonce);
        }
        let username = username.username();
        if realm.realm() != self.config.realm || crate::secret::parse_username(username).is_none() {
            return Err(Stranger::Unknown);
        }
        let password = self.config.secret.password(username);
        let key = stun::key(username, &self.config.realm, &password);
        // Compares in constant time.
        message.validate_integrity_with_key(&key).map_err(|_| Stranger::Unknown)?;
        Ok(Request { client, message, username: username.to_owned(), key })
    }

    fn refuse_stranger(
        &mut self,
        now: Timestamp,
        client: Client,
        message: &Message<'_>,
        stranger: &Stranger,
    ) {
        let writer = Writer::new(MessageClass::Error, message.method(), message.transaction_id());
        let code = match stranger {
            Stranger::BadRequest => 400,
            Stranger::Unknown => 401,
            Stranger::StaleNonce => 438,
        };
        // Who did not sign at all only wants to be challenged.
        if code == 400 || (code == 401 && message.has_attribute(MessageIntegrity::TYPE)) {
            self.counts.refused.count(code);
        }
        let mut writer = with_error(writer, code);
        let challenges = code != 400;
        if challenges {
            writer = self.challenge(now, client, writer);
        }
        let answer = Answer { client, bytes: writer.finish(), challenges };
        self.answer_stranger(now, message, answer);
    }

    /// Asks for credentials.
    pub(super) fn challenge(&self, now: Timestamp, client: Client, writer: Writer) -> Writer {
        let realm = Realm::new(&self.config.realm).ok();
        let nonce = Nonce::new(&self.nonces.issue(now, client.address)).ok();
        writer
            .add_some(realm.as_ref().map(|realm| -> &dyn AttributeWrite { realm }))
            .add_some(nonce.as_ref().map(|nonce| -> &dyn AttributeWrite { nonce }))
    }

    /// Answers somebody who may not be who it says. A stream proves its address, so only its
    /// rate is limited.
    fn answer_stranger(&mut self, now: Timestamp, message: &Message<'_>, answer: Answer) {
        let Client { transport, address, .. } = answer.client;
        let address = address.ip();
        if !self.limiter.admit(now, address, message.as_bytes().len()) {
            self.counts.limited = self.counts.limited.saturating_add(1);
            return;
        }
        if transport.is_stream() || self.limiter.may_answer(now, &answer) {
            self.tell_stranger(answer);
        } else {
            self.counts.limited = self.counts.limited.saturating_add(1);
            self.limiter.keep(now, answer);
        }
        self.answer_waiting(now, address);
    }

    fn tell_stranger(&mut self, Answer { client, bytes, .. }: Answer) {
        self.outputs.push_back(Output::Reply { client, bytes });
    }

    /// Answers strangers of an address, as far as what it has earned suffices by now.
    fn answer_waiting(&mut self, now: Timestamp, address: IpAddr) {
        while let Some(answer) = self.limiter.due(now, address) {
            self.tell_stranger(answer);
        }
    }

    /// Sends the signed answer to a request of `asked` bytes. Strangers of the same address come
    /// first: a browser that is told of its relay before it knows its own address may do without
    /// the latter, and stay with the relay.
    pub(super) fn send_signed(
        &mut self,
        now: Timestamp,
        client: Client,
        asked: usize,
        bytes: Vec<u8>,
    ) {
        if !client.transport.is_stream() {
            let address = client.address.ip();
            self.limiter.earn(now, address, (asked, bytes.len()));
            self.answer_waiting(now, address);
        }
        self.outputs.push_back(Output::Reply { client, bytes });
    }

    /// Answers a request with success or an error, signed.
    pub(super) fn answer(&mut self, now: Timestamp, request: &Request<'_>, writer: Writer) {
        let bytes = writer.sign(Some(&request.key)).finish();
        self.send_signed(now, request.client, request.len(), bytes);
    }

    pub(super) fn refuse(&mut self, now: Timestamp, request: &Request<'_>, code: u16) {
        self.counts.refused.count(code);
        let writer = request.writer(MessageClass::Error);
        self.answer(now, request, with_error(writer, code));
    }

    /// Refuses a request with attributes that must be understood and are not.
    pub(super) fn refuse_unknown(
        &mut self,
        now: Timestamp,
        request: &Request<'_>,
        unknown: &[AttributeType],
    ) {
        self.counts.refused.count(420);
        let writer = with_error(request.writer(MessageClass::Error), 420);
        self.answer(now, request, writer.add(&UnknownAttributes::new(unknown)));
    }
}

impl Request<'_> {
    pub(super) fn writer(&self, class: MessageClass) -> Writer {
        Writer::new(class, self.method(), self.message.transaction_id())
    }

    pub(super) fn method(&self) -> Method {
        self.message.method()
    }

    /// Its bytes.
    pub(super) fn len(&self) -> usize {
        self.message.as_bytes().len()
    }
}

/// Adds an error without a phrase: the code says all, and bytes are counted.
pub(super) fn with_error(writer: Writer, code: u16) -> Writer {
    let error = ErrorCode::new(code, "").ok();
    writer.add_some(error.as_ref().map(|error| -> &dyn AttributeWrite { error }))
}
