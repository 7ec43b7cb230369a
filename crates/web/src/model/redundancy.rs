//! Redundant audio (RED, RFC 2198) in a session description.
//!
//! Chromium sends Opus in RED if in the other side's description RED stands before Opus, and
//! plain Opus if it stands behind it. What `setParameters()` says of codecs makes no difference
//! between the two. So each side puts the other's description in the order that it sends by;
//! what the other side sends follows from its own.

/// Where the payload types of Opus and of the RED around it stand in an `m=audio` line.
struct Formats<'a> {
    /// All payload types, in order.
    all: Vec<&'a str>,
    red: usize,
    opus: usize,
}

/// Returns whether a description offers redundancy of Opus.
pub(crate) fn is_offered(sdp: &str) -> bool {
    sections(sdp).any(|section| formats(section).is_some())
}

/// Returns a description by which Opus is sent with redundancy or without. Without redundancy
/// in it, it stays as it is.
pub(crate) fn ordered(sdp: &str, redundant: bool) -> String {
    sections(sdp).map(|section| order(section, redundant)).collect()
}

/// The session's own section, then each medium's.
fn sections(sdp: &str) -> impl Iterator<Item = &str> {
    let begins = sdp.match_indices("\nm=").map(|(at, _)| at + 1);
    let ends = begins.clone().chain([sdp.len()]);
    [0].into_iter().chain(begins).zip(ends).filter_map(|(begin, end)| sdp.get(begin..end))
}

fn order(section: &str, redundant: bool) -> String {
    let Some(Formats { mut all, red, opus }) = formats(section) else {
        return section.to_owned();
    };
    if (red < opus) != redundant {
        let moved = all.remove(red);
        all.insert(opus, moved);
    }
    let (line, rest) = section.split_at(section.find(['\r', '\n']).unwrap_or(section.len()));
    let fixed: Vec<&str> = line.splitn(4, ' ').take(3).collect();
    format!("{} {}{rest}", fixed.join(" "), all.join(" "))
}

fn formats(section: &str) -> Option<Formats<'_>> {
    let line = section.lines().next()?;
    let all: Vec<&str> = line.strip_prefix("m=audio ")?.split_whitespace().skip(2).collect();
    let mapped = |encoding: &str| {
        section.lines().find_map(|line| {
            let (payload_type, of) = line.trim_end().strip_prefix("a=rtpmap:")?.split_once(' ')?;
            of.eq_ignore_ascii_case(encoding).then_some(payload_type)
        })
    };
    let place = |payload_type: &str| all.iter().position(|one| *one == payload_type);
    let (red, opus) = (mapped("red/48000/2")?, mapped("opus/48000/2")?);
    let wraps = format!("a=fmtp:{red} {opus}/");
    let wraps_opus = section.lines().any(|line| line.starts_with(&wraps));
    let (red, opus) = (place(red)?, place(opus)?);
    wraps_opus.then_some(Formats { all, red, opus })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63 9\r\n\
        a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
        a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:9 G722/8000\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 63 111\r\na=rtpmap:111 opus/48000/2\r\n";

    #[test]
    fn red_is_put_before_opus_and_behind_it_and_nothing_else_changes() {
        let with = OFFER.replace("SAVPF 111 63 9", "SAVPF 63 111 9");
        assert_eq!(ordered(OFFER, true), with);
        assert_eq!(ordered(&with, true), with);
        assert_eq!(ordered(&with, false), OFFER);
        assert_eq!(ordered(OFFER, false), OFFER);
        assert!(is_offered(OFFER) && is_offered(&with));
    }

    #[test]
    fn others_keep_their_places() {
        let far = OFFER.replace("SAVPF 111 63 9", "SAVPF 0 111 9 63 8");
        let with = OFFER.replace("SAVPF 111 63 9", "SAVPF 0 63 111 9 8");
        assert_eq!(ordered(&far, true), with);
        let without = OFFER.replace("SAVPF 111 63 9", "SAVPF 0 111 63 9 8");
        assert_eq!(ordered(&with, false), without);
    }

    #[test]
    fn a_description_without_redundancy_of_opus_stays_as_it_is() {
        for (what, other) in [
            ("a=rtpmap:63 red/48000/2\r\n", ""),
            ("a=fmtp:63 111/111", "a=fmtp:63 9/9"),
            ("SAVPF 111 63 9", "SAVPF 111 9"),
            ("SAVPF 111 63 9\r\n", "SAVPF\r\n"),
            ("m=audio", "m=text"),
        ] {
            let sdp = OFFER.replacen(what, other, 1);
            assert_ne!(sdp, OFFER);
            assert!(!is_offered(&sdp), "{sdp}");
            assert_eq!(ordered(&sdp, true), sdp);
        }
    }

    #[test]
    fn whatever_comes_is_kept() {
        for sdp in ["", "m=audio", "\nm=", "\r\nm=audio 9 x 1\n", "m=audio ä ü ö\n\nm=\nm="] {
            assert_eq!(ordered(sdp, true), sdp);
        }
    }

    #[test]
    fn in_band_fec_stays_agreed_on_in_both_modes() {
        use crate::model::opus::{Stereo, with_stereo};
        for (sends, receives) in [(false, false), (true, true)] {
            let sdp = ordered(&with_stereo(OFFER, Stereo { sends, receives }), true);
            let opus = sdp.lines().find(|line| line.starts_with("a=fmtp:111 "));
            assert!(opus.is_some_and(|line| line.contains("useinbandfec=1")), "{sdp}");
            assert!(is_offered(&sdp));
        }
    }
}
