//! `openstudio`: the command line around `openstudio-server`, `openstudio-engine`,
//! `openstudio-peer` and `openstudio-sim`.
//!
//! Decides nothing about rooms or sockets. It puts the settings together, starts the
//! server, says where it is, and stops it on a signal.

mod config;
mod doctor;
mod join;
mod logs;
mod relay;
mod settings;
mod sim;
mod tls;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use openstudio_engine::Engine;
use openstudio_server::Server;
use tokio::runtime::Runtime;

use crate::config::{Cli, Command, Options};
use crate::join::JoinOptions;

fn main() -> ExitCode {
    let Cli { command, options } = Cli::parse();
    let outcome = match command.unwrap_or(Command::Serve(Box::default())) {
        Command::Serve(served) => serve(&served.over(options)).map(|()| ExitCode::SUCCESS),
        Command::Join(options) => join(&options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Sim(options) => sim::run(&options),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "what went wrong is told to whoever started the program")]
fn complain(error: &anyhow::Error) {
    eprintln!("openstudio: {error:#}");
}

fn serve(options: &Options) -> anyhow::Result<()> {
    let settings = settings::load(options)?;
    logs::start(settings.log_format, &settings.log_level)?;
    runtime()?.block_on(async {
        let mut server = Server::bind(settings.server).await?;
        let port = server.engine();
        let engine = port.map(|port| Engine::start(settings.engine, port)).transpose()?;
        if let Some(engine) = &engine {
            server = server.with_routes(engine.routes());
        }
        announce(&server);
        let hangups = server.tls().map(|tls| tls::follow_hangups(tls.reload())).transpose()?;
        server.run(stop_signal()?).await;
        drop(hangups);
        if let Some(engine) = engine {
            engine.stop().await;
        }
        Ok(())
    })
}

fn join(options: &JoinOptions) -> anyhow::Result<ExitCode> {
    let level = std::env::var("OPENSTUDIO_LOG_LEVEL").unwrap_or_else(|_| "error".to_owned());
    logs::start(logs::LogFormat::default(), &level)?;
    runtime()?.block_on(async { join::run(options, stop_signal()?).await })
}

fn runtime() -> anyhow::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().context("cannot start the runtime")
}

/// Says where the studio is, for a person to click, and in the log what to know about it.
#[expect(clippy::print_stdout, reason = "the one line that a person who starts it wants to see")]
fn announce(server: &Server) {
    let address = server.local_addr();
    println!("The studio is open at {}", tls::place(address, server.tls()));
    tls::explain(address, server.tls());
}

/// Returns a future that completes when somebody asks the program to stop.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let terminate = {
        use tokio::signal::unix::{SignalKind, signal};
        let mut signal = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        async move {
            signal.recv().await;
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    Ok(async move {
        tokio::select! {
            () = terminate => {}
            result = tokio::signal::ctrl_c() => {
                if result.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    })
}
