//! Texts from people, made fit for headers and tags.

/// Characters of a text at most.
const LIMIT: usize = 200;

/// Returns the text on one line, without control characters, and of 200 characters at most.
pub(crate) fn one_line(text: &str) -> String {
    let spaced = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let spaced: String = spaced.take(4 * LIMIT).collect();
    let words: Vec<_> = spaced.split_whitespace().collect();
    words.join(" ").chars().take(LIMIT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_begin_a_line_of_its_own() {
        assert_eq!(one_line(" A\r\nIce-Public: 1\0\u{7f}\u{85}b "), "A Ice-Public: 1 b");
    }

    #[test]
    fn a_text_has_an_end() {
        assert_eq!(one_line(&"ä".repeat(100_000)).chars().count(), LIMIT);
        assert_eq!(one_line(&" ".repeat(100_000)), "");
    }
}
