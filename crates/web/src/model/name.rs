//! From what a person typed to what they are called.

use openstudio_session::wire::limits::MAX_NAME_CHARS;
use openstudio_session::wire::{DisplayName, NameError};

/// Makes a name of what was typed, cut to its greatest length.
///
/// # Errors
/// A sentence for the person.
pub(crate) fn parse(typed: &str) -> Result<DisplayName, &'static str> {
    let folded = typed.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = folded.chars().take(MAX_NAME_CHARS).collect();
    DisplayName::new(&cut).map_err(|error| match error {
        NameError::Empty => "Enter a name, so that the others know who you are.",
        NameError::TooLong => "This name is too long.",
        NameError::NotPrintable => "This name holds characters that cannot be shown.",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_and_an_empty_one_is_asked_for() {
        assert_eq!(parse(&"ä".repeat(300)).unwrap().as_str(), "ä".repeat(MAX_NAME_CHARS));
        assert!(parse("  ").is_err());
        assert!(parse("a\u{202e}b").is_err());
    }

    #[test]
    fn a_cut_in_a_space_leaves_a_name() {
        let typed = format!("{} b", "a".repeat(MAX_NAME_CHARS - 1));
        assert_eq!(parse(&typed).unwrap().as_str(), "a".repeat(MAX_NAME_CHARS - 1));
    }
}
