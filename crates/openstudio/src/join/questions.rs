//! How somebody asks a program that runs how it goes: by a signal.

use anyhow::Context as _;

/// The questions since this was made; where there is no such signal, none.
pub(super) struct Questions {
    #[cfg(unix)]
    signals: tokio::signal::unix::Signal,
}

impl Questions {
    /// Listens for SIGUSR1, which ends a program that does not.
    pub(super) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            signals: {
                use tokio::signal::unix::{SignalKind, signal};
                signal(SignalKind::user_defined1()).context("cannot listen for SIGUSR1")?
            },
        })
    }

    /// Waits until somebody asks. Questions that came since the last answer are one.
    pub(super) async fn next(&mut self) {
        #[cfg(unix)]
        if self.signals.recv().await.is_some() {
            return;
        }
        std::future::pending().await
    }
}
