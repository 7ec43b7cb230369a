//! What a listener got, as sound.

/// Decodes Ogg Opus to mono. What was cut off at the end is left out.
pub(crate) fn decode(ogg: &[u8]) -> Vec<f32> {
    let mut reader = ogg::PacketReader::new(std::io::Cursor::new(ogg));
    let mut decoder = opus::Decoder::new(48_000, opus::Channels::Mono).unwrap();
    let mut samples = Vec::new();
    while let Ok(Some(packet)) = reader.read_packet() {
        if packet.data.starts_with(b"Opus") {
            continue;
        }
        let mut block = [0.0; 5_760];
        let frames = decoder.decode_float(&packet.data, &mut block, false).unwrap();
        samples.extend_from_slice(&block[..frames]);
    }
    samples
}

/// The amplitude of a tone, dB of full scale, over all of it.
pub(crate) fn level(samples: &[f32], hertz: u32) -> f32 {
    let step = std::f64::consts::TAU * f64::from(hertz) / 48_000.0;
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (index, sample) in samples.iter().enumerate() {
        let (s, c) = (step * index as f64).sin_cos();
        sine += f64::from(*sample) * s;
        cosine += f64::from(*sample) * c;
    }
    let amplitude = 2.0 * f64::hypot(sine, cosine) / samples.len() as f64;
    (20.0 * amplitude.max(1e-9).log10()) as f32
}

/// The body of an answer in chunks (RFC 9112 §7.1), as far as it came.
pub(crate) fn unchunked(answer: &[u8]) -> Vec<u8> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Vec::new();
    };
    let mut rest = &answer[head + 4..];
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let chunk = &rest[line + 2..];
        if chunk.len() < size + 2 {
            break;
        }
        body.extend_from_slice(&chunk[..size]);
        rest = &chunk[size + 2..];
    }
    body
}

#[test]
fn levels_are_measured_right() {
    let mut tone = openstudio_mix::Tone::new(48_000, 950, 0.1);
    let mut samples = vec![0.0; 48_000];
    tone.fill(&mut samples);
    assert!((level(&samples, 950) + 20.0).abs() < 0.1);
    assert!(level(&samples, 600) < -60.0);
}
