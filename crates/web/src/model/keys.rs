//! What a key on the keyboard does, and where it does nothing.

/// Where the focus is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere in particular.
    Page,
    /// On something that space presses.
    Control,
    /// Where letters are typed, or choose something.
    Field,
    /// In a dialog.
    Dialog,
}

/// A key with a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// Held: nobody hears the person.
    Cough,
    /// Mutes the person, or opens their microphone again.
    MuteMyself,
    /// Mutes the strip at this place, from 0.
    MuteStrip(usize),
    /// Shows the keys, or hides them.
    Help,
}

impl Key {
    /// Reads `KeyboardEvent.key`; none where the key belongs to the control in focus.
    pub(crate) fn of(key: &str, place: Place) -> Option<Self> {
        let meant = match key {
            " " => Self::Cough,
            "m" | "M" => Self::MuteMyself,
            "?" => Self::Help,
            _ => {
                let digit = key.parse::<usize>().ok().filter(|digit| (1..=9).contains(digit))?;
                Self::MuteStrip(digit - 1)
            }
        };
        match place {
            Place::Page => Some(meant),
            Place::Control => (meant != Self::Cough).then_some(meant),
            Place::Dialog => (meant == Self::Help).then_some(meant),
            Place::Field => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_meaning_on_the_page() {
        let on_page = |key| Key::of(key, Place::Page);
        assert_eq!(on_page(" "), Some(Key::Cough));
        assert_eq!((on_page("m"), on_page("M")), (Some(Key::MuteMyself), Some(Key::MuteMyself)));
        assert_eq!(
            (on_page("1"), on_page("9")),
            (Some(Key::MuteStrip(0)), Some(Key::MuteStrip(8)))
        );
        assert_eq!(on_page("?"), Some(Key::Help));
        for nothing in ["0", "10", "a", "Enter", "ArrowUp", ""] {
            assert_eq!(on_page(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn whoever_types_a_name_mutes_nobody() {
        for key in [" ", "m", "3", "?"] {
            assert_eq!(Key::of(key, Place::Field), None);
        }
        assert_eq!(Key::of(" ", Place::Control), None);
        assert_eq!(Key::of("3", Place::Control), Some(Key::MuteStrip(2)));
        assert_eq!(Key::of("3", Place::Dialog), None);
        assert_eq!(Key::of("?", Place::Dialog), Some(Key::Help));
    }
}
