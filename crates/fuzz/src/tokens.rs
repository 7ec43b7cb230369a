//! Tokens that are their own index into a list: unforgeable within one run, and kept across a
//! restart of the server, as a key on disk is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openstudio_room::{Claims, SignError, TokenError, Tokens};
use openstudio_wire::Token;

/// The list, shared by all who clone it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListedTokens(Arc<Mutex<Vec<Claims>>>);

impl ListedTokens {
    /// How many were signed.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The `n`th.
    pub(crate) fn token(n: usize) -> Token {
        Token(format!("token {n}"))
    }

    /// What the `n`th says.
    pub(crate) fn claims(&self, n: usize) -> Option<Claims> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(n).cloned()
    }
}

impl Tokens for ListedTokens {
    fn sign(&self, claims: &Claims, _: Duration) -> Result<Token, SignError> {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // As a server whose clock is wrong: rare, but it happens in the midst of a request.
        if list.len() % 64 == 63 {
            list.push(claims.clone());
            return Err(SignError);
        }
        list.push(claims.clone());
        Ok(Self::token(list.len() - 1))
    }

    fn verify(&self, token: &Token) -> Result<Claims, TokenError> {
        if token.0 == "expired" {
            return Err(TokenError::Expired);
        }
        let index = token.0.strip_prefix("token ").and_then(|n| n.parse::<usize>().ok());
        index.and_then(|n| self.claims(n)).ok_or(TokenError::Invalid)
    }
}
