//! What `openstudio join` prints.

#[expect(clippy::print_stdout, reason = "what was heard is what the person asked for")]
pub(super) fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "progress must not mix with what is printed at the end")]
pub(super) fn warn(text: &str) {
    eprintln!("{text}");
}

/// On a terminal, the line takes the place of the one before.
#[expect(clippy::print_stderr, reason = "progress must not mix with what is printed at the end")]
pub(super) fn warn_over(text: &str, terminal: bool) {
    if terminal {
        eprint!("\r\x1b[K{text}");
    } else {
        eprintln!("{text}");
    }
}
