//! `openstudio doctor`: is all well with this machine and these settings, and if not, what is
//! to be done?
//!
//! It changes nothing, but for an empty file in the data folder that is removed at once, and a
//! room in a studio that runs, which is left at once. Each
//! check is a module with a function that returns [`Finding`]s; what is checked, and in which
//! order, is in [`findings`].

mod address;
mod certificate;
mod clock;
mod disk;
mod finding;
mod limits;
mod nat;
mod relay;
mod relay_ports;
mod seat;
mod studio;
mod stun;
mod turn;

use std::process::ExitCode;

use clap::Args;

use self::finding::{Finding, Report};
use self::studio::Studio;
use crate::config::Options;
use crate::settings::{self, Settings};

/// What `--help` says at its end.
const EXIT_CODES: &str = "\
Exit codes:
  0  all is well
  1  warnings: the studio works, but not for everybody or not for long
  2  failures: the studio does not start, or not as it should; or wrong usage";

/// The flags of `openstudio doctor`: those of `serve`, and its own.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct DoctorOptions {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: Options,
}

/// Checks, and prints what was found.
pub(crate) fn run(options: &DoctorOptions) -> anyhow::Result<ExitCode> {
    let found = match settings::load(&options.options) {
        Ok(settings) => crate::runtime()?.block_on(findings(&settings)),
        Err(error) => {
            let advice = "correct the flag, the variable or the line that is named";
            vec![Finding::fail("settings", format!("{error:#}"), advice)]
        }
    };
    let report = Report(found);
    say(&if options.json { report.as_json().to_string() } else { report.as_text() });
    Ok(report.exit_code())
}

/// What is checked, in the order in which it is said.
async fn findings(settings: &Settings) -> Vec<Finding> {
    let studio = Studio::look(&settings.server).await;
    let mut found = address::check(&settings.server, studio.as_ref()).await;
    found.extend(certificate::check(&settings.server, studio.as_ref()));
    found.push(clock::check(studio.as_ref()));
    found.extend(disk::check(settings));
    found.extend(limits::check(&settings.server));
    found.extend(stun::check(&settings.server).await);
    found.extend(relay::check(&settings.server, studio.as_ref()).await);
    found
}

#[expect(clippy::print_stdout, reason = "what was found is what the person asked for")]
fn say(text: &str) {
    println!("{text}");
}
