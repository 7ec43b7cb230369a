//! One order, from its beginning to the certificate (RFC 8555 §7.4).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, AuthorizedIdentifier, ChallengeType, Identifier,
    KeyAuthorization, NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::CertifiedKey;

use super::error::AcmeError;
use crate::error::TlsError;
use crate::identity::Identity;
use crate::names::Name;

/// How often the authority is asked how far it is.
const POLLING: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_mins(2));

/// Orders a certificate; returns its chain and its new key as PEM.
pub(super) async fn certificate(
    account: &Account,
    names: &BTreeSet<Name>,
    identity: &Arc<Identity>,
) -> Result<String, AcmeError> {
    let texts: Vec<String> = names.iter().map(Name::to_string).collect();
    let identifiers: Vec<Identifier> = texts.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
    prove(&mut order, identity).await?;
    if order.state().status == OrderStatus::Pending {
        wait_until_ready(&mut order).await?;
    }
    let key = KeyPair::generate().map_err(not_made)?;
    let mut params = CertificateParams::new(texts).map_err(not_made)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(not_made)?;
    order.finalize_csr(request.der()).await?;
    let chain = order.poll_certificate(&POLLING).await?;
    Ok(format!("{}\n{}", key.serialize_pem().trim_end(), chain))
}

fn not_made(error: rcgen::Error) -> TlsError {
    TlsError::Make(error.to_string())
}

/// Puts the proofs where the authority looks for them, and tells it to look.
async fn prove(order: &mut Order, identity: &Identity) -> Result<(), AcmeError> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let name = name_of(&authorization.identifier());
        let Some(mut challenge) = authorization.challenge(ChallengeType::TlsAlpn01) else {
            return Err(AcmeError::NoChallenge { name });
        };
        let host = name.to_string();
        let proof = proof(&host, &challenge.key_authorization())?;
        identity.set_challenge(host, proof);
        // An authority that looks at once says at once what it did not see.
        if let Err(error) = challenge.set_ready().await {
            let instant_acme::Error::Api(problem) = error else { return Err(error.into()) };
            return Err(unproven(name, &problem));
        }
    }
    Ok(())
}

fn name_of(identifier: &AuthorizedIdentifier<'_>) -> Name {
    let text = identifier.to_string();
    text.parse().unwrap_or(Name::Host(text))
}

/// Makes the certificate that is the proof (RFC 8737 §3). That it belongs to its key needs no
/// check, and could not be checked: its extension is a critical one that nobody else knows.
fn proof(host: &str, authorization: &KeyAuthorization) -> Result<Arc<CertifiedKey>, TlsError> {
    let mut params = CertificateParams::new(vec![host.to_owned()]).map_err(not_made)?;
    let digest = authorization.digest();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest.as_ref())];
    let key = KeyPair::generate().map_err(not_made)?;
    let certificate = params.self_signed(&key).map_err(not_made)?;
    let der = PrivatePkcs8KeyDer::from(key.serialize_der());
    let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der.into())
        .map_err(|error| TlsError::Make(error.to_string()))?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signing)))
}

fn unproven(name: Name, problem: &Problem) -> AcmeError {
    let problem = problem.detail.clone().unwrap_or_else(|| problem.to_string());
    AcmeError::Unproven { name, problem }
}

async fn wait_until_ready(order: &mut Order) -> Result<(), AcmeError> {
    let outcome = order.poll_ready(&POLLING).await;
    if matches!(outcome, Ok(OrderStatus::Ready)) {
        return Ok(());
    }
    // The order says little; its authorizations say what was not seen.
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let name = name_of(&authorization.identifier());
        let state = authorization.refresh().await?;
        let problem = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = problem {
            return Err(unproven(name, problem));
        }
    }
    let refused = instant_acme::Error::Str("the order was refused without a reason");
    Err(outcome.err().unwrap_or(refused).into())
}
