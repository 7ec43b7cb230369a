//! Two channels in a session description: the Opus parameters `stereo` and `sprop-stereo` of
//! RFC 7587 §6.1.
//!
//! A browser sends and plays two channels only where the descriptions say so, and has no
//! other way to ask for it. Whoever sends them says `sprop-stereo=1`; whoever hears of that
//! answers with `stereo=1`. Between people who speak nothing is added.

/// What one side's description says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stereo {
    /// It is likely to send two channels: `sprop-stereo`.
    pub(crate) sends: bool,
    /// It prefers to receive two channels: `stereo`.
    pub(crate) receives: bool,
}

/// Reads a description.
pub(crate) fn stereo_of(sdp: &str) -> Stereo {
    let types = payload_types(sdp);
    let mut stereo = Stereo::default();
    for (_, parameters) in sdp.lines().filter_map(|line| format_of(line, &types)) {
        for parameter in parameters.split(';').map(str::trim) {
            stereo.sends |= parameter == "sprop-stereo=1";
            stereo.receives |= parameter == "stereo=1";
        }
    }
    stereo
}

/// Returns a description that says `stereo` and is the same otherwise.
pub(crate) fn with_stereo(sdp: &str, stereo: Stereo) -> String {
    let types = payload_types(sdp);
    let mut written = String::with_capacity(sdp.len() + 64);
    for line in sdp.split_inclusive('\n') {
        let text = line.trim_end_matches(['\r', '\n']);
        let Some((head, parameters)) = format_of(text, &types) else {
            written.push_str(line);
            continue;
        };
        let others = parameters.split(';').map(str::trim).filter(|parameter| {
            !parameter.is_empty()
                && !parameter.starts_with("stereo=")
                && !parameter.starts_with("sprop-stereo=")
        });
        let added = [("stereo=1", stereo.receives), ("sprop-stereo=1", stereo.sends)];
        let added = added.into_iter().filter(|(_, said)| *said).map(|(parameter, _)| parameter);
        let all: Vec<&str> = others.chain(added).collect();
        written.push_str(head);
        written.push(' ');
        written.push_str(&all.join(";"));
        written.push_str(&line[text.len()..]);
    }
    written
}

/// The payload types of Opus.
fn payload_types(sdp: &str) -> Vec<&str> {
    sdp.lines()
        .filter_map(|line| line.trim_end().strip_prefix("a=rtpmap:"))
        .filter_map(|map| map.split_once(' '))
        .filter(|(_, encoding)| encoding.eq_ignore_ascii_case("opus/48000/2"))
        .map(|(payload_type, _)| payload_type)
        .collect()
}

/// Splits an `a=fmtp` line of one of `types` in front of its parameters.
fn format_of<'a>(line: &'a str, types: &[&str]) -> Option<(&'a str, &'a str)> {
    let (head, parameters) = line.split_once(' ')?;
    let payload_type = head.strip_prefix("a=fmtp:")?;
    types.contains(&payload_type).then_some((head, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63 9\r\na=rtpmap:111 opus/48000/2\r\n\
        a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n\
        a=rtpmap:9 G722/8000\r\n";

    #[test]
    fn only_the_parameters_of_opus_are_touched() {
        let both = Stereo { sends: true, receives: true };
        let written = with_stereo(OFFER, both);
        let expected = OFFER.replace(
            "a=fmtp:111 minptime=10;useinbandfec=1",
            "a=fmtp:111 minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1",
        );
        assert_eq!(written, expected);
        assert_eq!(stereo_of(&written), both);
    }

    #[test]
    fn what_was_said_before_is_replaced() {
        let sends = Stereo { sends: true, receives: false };
        let both = with_stereo(OFFER, Stereo { sends: true, receives: true });
        assert_eq!(stereo_of(&with_stereo(&both, sends)), sends);
        assert_eq!(with_stereo(&both, Stereo::default()), OFFER);
    }

    #[test]
    fn a_description_without_opus_stays_as_it_is() {
        let other = OFFER.replace("opus", "OPUX");
        assert_eq!(with_stereo(&other, Stereo { sends: true, receives: true }), other);
        assert_eq!(stereo_of(&other), Stereo::default());
    }

    #[test]
    fn the_names_of_browsers_differ_in_case_and_number() {
        let firefox =
            "a=rtpmap:109 OPUS/48000/2\na=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1\n";
        assert_eq!(stereo_of(firefox), Stereo { sends: false, receives: true });
        let sends = with_stereo(firefox, Stereo { sends: true, receives: true });
        assert!(sends.ends_with("useinbandfec=1;stereo=1;sprop-stereo=1\n"), "{sends}");
    }
}
