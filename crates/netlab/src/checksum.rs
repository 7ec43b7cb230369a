//! The Internet checksum (RFC 1071), brought up to date where a word changes (RFC 1624).

/// Returns a checksum after one of the words it covers went from `old` to `new`.
pub(crate) fn update(sum: u16, old: u16, new: u16) -> u16 {
    // RFC 1624 §3, equation 3. Of the other equations, one is wrong where a sum becomes zero.
    !fold(u32::from(!sum) + u32::from(!old) + u32::from(new))
}

/// Folds the carries of a sum of up to 65,536 words.
fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    let twice = (once & 0xffff) + (once >> 16);
    u16::try_from(twice & 0xffff).unwrap_or(u16::MAX)
}

/// Returns the checksum of a text, begun with the words of a pseudo-header.
#[cfg(test)]
pub(crate) fn of(pseudo: &[u16], bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
    let words = bytes.chunks(2).map(word).chain(pseudo.iter().copied());
    !fold(words.map(u32::from).fold(0, |sum, word| {
        let sum = sum + word;
        (sum & 0xffff) + (sum >> 16)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_1624_comes_out() {
        // RFC 1624 §4: a header whose word 0x5555 becomes 0x3285.
        assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    proptest! {
        #[test]
        fn an_update_is_as_good_as_a_new_sum(
            mut words in proptest::collection::vec(any::<u16>(), 2..40),
            index in any::<usize>(),
            new in any::<u16>(),
        ) {
            // Headers are never all zero: their zero has two forms.
            words[0] |= 1;
            let index = 1 + index % (words.len() - 1);
            let bytes = |words: &[u16]| -> Vec<u8> {
                words.iter().flat_map(|word| word.to_be_bytes()).collect()
            };
            let updated = update(of(&[], &bytes(&words)), words[index], new);
            words[index] = new;
            prop_assert_eq!(updated, of(&[], &bytes(&words)));
        }
    }
}
