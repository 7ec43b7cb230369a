//! A double of an ACME authority: what RFC 8555 asks of one as far as the studio's client goes.
//!
//! It checks nonces (each is good once), the account's signatures (ES256), that requests name
//! their own address, that the CSR is for the names of the order, and the proof itself: it
//! connects with `acme-tls/1` and compares the extension (RFC 8737 §3). It does not check CAA
//! records, rate limits, account bindings, wildcards, or that an order is of the account that
//! asks for it; there is no HTTP-01, no DNS-01, no revocation and no key change.
#![allow(clippy::unwrap_in_result, reason = "a test fails by panicking")]

mod look;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::{CertificateSigningRequestDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use self::look::seen;

/// How it treats those who ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// As it should; but the first nonce that it sees is refused, as happens to nonces that
    /// are old.
    Fair,
    /// It reaches nobody.
    Blind,
}

/// What is asked for: names, which of them are proved, and the certificate.
#[derive(Default)]
struct Order {
    names: Vec<String>,
    proved: BTreeSet<usize>,
    problem: Option<String>,
    chain: Option<String>,
}

#[derive(Default)]
struct State {
    nonces: BTreeSet<String>,
    next: u64,
    refused_one: bool,
    /// Keys by the address of the account: the point (uncompressed), and the thumbprint.
    accounts: BTreeMap<String, (Vec<u8>, String)>,
    contacts: Vec<String>,
    orders: Vec<Order>,
}

struct Shared {
    base: String,
    studio: SocketAddr,
    mood: Mood,
    issuer: Issuer<'static, KeyPair>,
    ca_pem: String,
    state: Mutex<State>,
    issued: watch::Sender<usize>,
}

/// A running double. It ends with the test's runtime.
pub(super) struct Double(Arc<Shared>);

struct Request {
    method: String,
    path: String,
    body: Vec<u8>,
}

struct Reply {
    status: u16,
    location: Option<String>,
    body: String,
}

impl Reply {
    fn ok(body: &Value) -> Self {
        Self { status: 200, location: None, body: body.to_string() }
    }

    fn created(location: String, body: &Value) -> Self {
        Self { status: 201, location: Some(location), body: body.to_string() }
    }

    fn problem(kind: &str, detail: &str) -> Self {
        let body = json!({"type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail});
        Self { status: 400, location: None, body: body.to_string() }
    }
}

impl Double {
    pub(super) async fn start(studio: SocketAddr, mood: Mood) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca_pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let own_key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let own = own.signed_by(&own_key, &issuer).unwrap();
        let key = PrivateKeyDer::try_from(own_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://{}", listener.local_addr().unwrap());
        let (issued, _) = watch::channel(0);
        let state = Mutex::default();
        let shared = Arc::new(Shared { base, studio, mood, issuer, ca_pem, state, issued });
        let own = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&own));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        shared.serve(stream).await;
                    }
                });
            }
        });
        Self(shared)
    }

    pub(super) fn directory(&self) -> String {
        format!("{}/directory", self.0.base)
    }

    pub(super) fn ca_pem(&self) -> &str {
        &self.0.ca_pem
    }

    pub(super) fn accounts(&self) -> usize {
        self.0.state.lock().unwrap().accounts.len()
    }

    pub(super) fn contacts(&self) -> Vec<String> {
        self.0.state.lock().unwrap().contacts.clone()
    }

    pub(super) fn issued_count(&self) -> usize {
        *self.0.issued.borrow()
    }

    /// Waits until so many certificates were given.
    pub(super) async fn issued(&self, count: usize) {
        let mut issued = self.0.issued.subscribe();
        issued.wait_for(|issued| *issued >= count).await.unwrap();
    }
}

impl Shared {
    async fn serve(&self, mut stream: tokio_rustls::server::TlsStream<TcpStream>) {
        let Some(request) = read(&mut stream).await else { return };
        let reply = self.answer(&request).await;
        let nonce = self.new_nonce();
        let location = reply.location.map_or_else(String::new, |at| format!("Location: {at}\r\n"));
        let head = format!(
            "HTTP/1.1 {} X\r\nReplay-Nonce: {nonce}\r\n{location}Content-Length: {}\r\n\
             Connection: close\r\n\r\n",
            reply.status,
            reply.body.len()
        );
        let body = if request.method == "HEAD" { "" } else { &reply.body };
        let _ = stream.write_all((head + body).as_bytes()).await;
        let _ = stream.shutdown().await;
    }

    fn new_nonce(&self) -> String {
        let mut state = self.state.lock().unwrap();
        state.next += 1;
        let nonce = BASE64.encode(format!("nonce {}", state.next));
        state.nonces.insert(nonce.clone());
        nonce
    }

    async fn answer(&self, request: &Request) -> Reply {
        let base = &self.base;
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/directory") => Reply::ok(&json!({
                "newNonce": format!("{base}/nonce"),
                "newAccount": format!("{base}/account"),
                "newOrder": format!("{base}/order"),
            })),
            ("HEAD", "/nonce") => Reply::ok(&json!({})),
            ("POST", path) => match self.open(request) {
                Ok((payload, thumbprint)) => self.post(path, &payload, &thumbprint).await,
                Err(refusal) => refusal,
            },
            _ => Reply::problem("malformed", "there is nothing here"),
        }
    }

    /// Checks a signed request (RFC 8555 §6.2); returns its payload and the key's thumbprint.
    fn open(&self, request: &Request) -> Result<(Value, String), Reply> {
        let malformed = || Reply::problem("malformed", "that is no signed request");
        let jws: Value = serde_json::from_slice(&request.body).map_err(|_| malformed())?;
        let part = |name: &str| jws[name].as_str().unwrap_or_default().to_owned();
        let (protected, payload) = (part("protected"), part("payload"));
        let decode = |text: &str| BASE64.decode(text).map_err(|_| malformed());
        let header: Value =
            serde_json::from_slice(&decode(&protected)?).map_err(|_| malformed())?;
        let mut state = self.state.lock().unwrap();
        let nonce = header["nonce"].as_str().unwrap_or_default();
        let is_good = state.nonces.remove(nonce);
        if !is_good || (self.mood == Mood::Fair && !std::mem::replace(&mut state.refused_one, true))
        {
            return Err(Reply::problem("badNonce", "that nonce is not good"));
        }
        if header["url"] != format!("{}{}", self.base, request.path) {
            return Err(Reply::problem("unauthorized", "that was signed for another address"));
        }
        let (point, thumbprint) = match header["kid"].as_str() {
            Some(kid) => state.accounts.get(kid).cloned().ok_or_else(malformed)?,
            None => key_of(&header["jwk"]).ok_or_else(malformed)?,
        };
        let signed = format!("{protected}.{payload}");
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)
            .verify(signed.as_bytes(), &decode(&part("signature"))?)
            .map_err(|_| Reply::problem("malformed", "the signature is wrong"))?;
        let payload = serde_json::from_slice(&decode(&payload)?).unwrap_or(Value::Null);
        if request.path == "/account" {
            let account = format!("{}/account/{thumbprint}", self.base);
            state.accounts.insert(account, (point, thumbprint.clone()));
        }
        Ok((payload, thumbprint))
    }

    async fn post(&self, path: &str, payload: &Value, thumbprint: &str) -> Reply {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let number = |at: usize| parts.get(at).and_then(|part| part.parse::<usize>().ok());
        match (parts[0], number(1), number(2)) {
            ("account", ..) => {
                let contacts = payload["contact"].as_array().cloned().unwrap_or_default();
                let texts = contacts.iter().filter_map(|text| text.as_str().map(str::to_owned));
                self.state.lock().unwrap().contacts = texts.collect();
                let location = format!("{}/account/{thumbprint}", self.base);
                Reply::created(location, &json!({"status": "valid"}))
            }
            ("order", None, _) => {
                let identifiers = payload["identifiers"].as_array().cloned().unwrap_or_default();
                let names = identifiers.iter().filter_map(|id| id["value"].as_str());
                let names = names.map(str::to_owned).collect();
                let mut state = self.state.lock().unwrap();
                state.orders.push(Order { names, ..Order::default() });
                let id = state.orders.len() - 1;
                Reply::created(format!("{}/order/{id}", self.base), &self.order(&state, id))
            }
            ("order", Some(id), _) => Reply::ok(&self.order(&self.state.lock().unwrap(), id)),
            ("authz", Some(id), Some(at)) => Reply::ok(&self.authorization((id, at), thumbprint)),
            ("challenge", Some(id), Some(at)) => {
                self.validate((id, at), thumbprint).await;
                Reply::ok(&self.authorization((id, at), thumbprint)["challenges"][0])
            }
            ("finalize", Some(id), _) => self.finalize(id, payload),
            ("certificate", Some(id), _) => {
                let chain = self.state.lock().unwrap().orders[id].chain.clone();
                Reply { status: 200, location: None, body: chain.unwrap_or_default() }
            }
            _ => Reply::problem("malformed", "there is nothing here"),
        }
    }

    fn order(&self, state: &State, id: usize) -> Value {
        let order = &state.orders[id];
        let status = match order {
            Order { problem: Some(_), .. } => "invalid",
            Order { chain: Some(_), .. } => "valid",
            order if order.proved.len() == order.names.len() => "ready",
            _ => "pending",
        };
        let authorizations: Vec<String> =
            (0..order.names.len()).map(|at| format!("{}/authz/{id}/{at}", self.base)).collect();
        let certificate = order.chain.as_ref().map(|_| format!("{}/certificate/{id}", self.base));
        json!({
            "status": status,
            "authorizations": authorizations,
            "finalize": format!("{}/finalize/{id}", self.base),
            "certificate": certificate,
        })
    }

    fn authorization(&self, (id, at): (usize, usize), thumbprint: &str) -> Value {
        let state = self.state.lock().unwrap();
        let order = &state.orders[id];
        let status = match &order.problem {
            Some(_) => "invalid",
            None if order.proved.contains(&at) => "valid",
            None => "pending",
        };
        let error = order.problem.as_ref().map(|detail| json!({"detail": detail}));
        json!({
            "status": status,
            "identifier": {"type": "dns", "value": order.names[at]},
            "challenges": [{
                "type": "tls-alpn-01",
                "url": format!("{}/challenge/{id}/{at}", self.base),
                "token": token((id, at), thumbprint),
                "status": status,
                "error": error,
            }],
        })
    }

    async fn validate(&self, (id, at): (usize, usize), thumbprint: &str) {
        let name = self.state.lock().unwrap().orders[id].names[at].clone();
        let authorization = format!("{}.{thumbprint}", token((id, at), thumbprint));
        let seen = match self.mood {
            Mood::Fair => seen(self.studio, &name).await,
            Mood::Blind => Err("connection refused".to_owned()),
        };
        let expected = digest(&SHA256, authorization.as_bytes());
        let mut state = self.state.lock().unwrap();
        match seen {
            // An OCTET STRING of 32 bytes.
            Ok(seen) if seen == [&[4, 32], expected.as_ref()].concat() => {
                state.orders[id].proved.insert(at);
            }
            Ok(_) => state.orders[id].problem = Some("the proof is wrong".to_owned()),
            Err(problem) => state.orders[id].problem = Some(problem),
        }
    }

    fn finalize(&self, id: usize, payload: &Value) -> Reply {
        let der = BASE64.decode(payload["csr"].as_str().unwrap_or_default()).unwrap_or_default();
        let der = CertificateSigningRequestDer::from(der);
        let Ok(mut csr) = CertificateSigningRequestParams::from_der(&der) else {
            return Reply::problem("badCSR", "that is no request");
        };
        let mut state = self.state.lock().unwrap();
        let wanted = CertificateParams::new(state.orders[id].names.clone()).unwrap();
        if csr.params.subject_alt_names != wanted.subject_alt_names
            || state.orders[id].proved.len() != state.orders[id].names.len()
        {
            return Reply::problem("badCSR", "it is for other names than the order");
        }
        csr.params.not_before = time::OffsetDateTime::now_utc() - time::Duration::hours(1);
        csr.params.not_after = csr.params.not_before + time::Duration::days(90);
        let certificate = csr.signed_by(&self.issuer).unwrap();
        state.orders[id].chain = Some(certificate.pem() + &self.ca_pem);
        self.issued.send_modify(|issued| *issued += 1);
        Reply::ok(&self.order(&state, id))
    }
}

fn token((id, at): (usize, usize), thumbprint: &str) -> String {
    let digest = digest(&SHA256, format!("{id} {at} {thumbprint}").as_bytes());
    BASE64.encode(digest.as_ref())
}

/// Returns a key's point and thumbprint (RFC 7638).
fn key_of(jwk: &Value) -> Option<(Vec<u8>, String)> {
    let (x, y) = (jwk["x"].as_str()?, jwk["y"].as_str()?);
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let thumbprint = BASE64.encode(digest(&SHA256, canonical.as_bytes()).as_ref());
    let point = [&[4][..], &BASE64.decode(x).ok()?, &BASE64.decode(y).ok()?].concat();
    Some((point, thumbprint))
}

async fn read(stream: &mut tokio_rustls::server::TlsStream<TcpStream>) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut words = head.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.parse().unwrap());
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request { method, path, body: bytes[end..end + length].to_vec() })
}
