//! Waiting by the clock of a core that is told the time.

use std::time::Instant;

use openstudio_units::Timestamp;

/// Waits until `due`, counted from `started`; without a time, for ever.
pub(crate) async fn reached(started: Instant, due: Option<Timestamp>) {
    match due {
        Some(at) => {
            let at = started + at.since(Timestamp::ZERO);
            tokio::time::sleep_until(at.into()).await;
        }
        None => std::future::pending().await,
    }
}
