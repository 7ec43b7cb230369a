//! Tokens of the simulated server: numbers into a list that outlives its restarts, as a
//! key on disk does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openstudio_room::{Claims, SignError, TokenError, Tokens};
use openstudio_wire::Token;

/// The list.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListedTokens(Arc<Mutex<Vec<Claims>>>);

impl Tokens for ListedTokens {
    fn sign(&self, claims: &Claims, _: Duration) -> Result<Token, SignError> {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.push(claims.clone());
        Ok(Token(list.len().to_string()))
    }

    fn verify(&self, token: &Token) -> Result<Claims, TokenError> {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = token.0.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        number.and_then(|number| list.get(number).cloned()).ok_or(TokenError::Invalid)
    }
}
