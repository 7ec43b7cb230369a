//! The programme's loudness as the desk reports it, and as words.

/// What was measured of the programme, EBU R 128. None where nothing was loud enough yet.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Loudness {
    /// Over 0.4 s, LUFS.
    pub(crate) momentary: Option<f32>,
    /// Over 3 s, LUFS.
    pub(crate) short_term: Option<f32>,
    /// Since the measurement began, LUFS.
    pub(crate) integrated: Option<f32>,
    /// Loudness range, LU.
    pub(crate) range: Option<f32>,
    /// The highest true peak since the measurement began, dBTP.
    pub(crate) true_peak: Option<f32>,
    /// Samples that were above full scale before the limiter.
    pub(crate) overs: u32,
    /// How often the audio thread came too late.
    pub(crate) underruns: u32,
}

impl Loudness {
    /// Reads the numbers of the audio thread: momentary, short-term, integrated, range, true
    /// peak, overs, limited, non-finite, underruns.
    pub(crate) fn read(numbers: &[f32]) -> Self {
        let number = |index: usize| numbers.get(index).copied().filter(|n| n.is_finite());
        // Below that it is digital silence, and no loudness.
        let level = |index| number(index).filter(|level| *level > -100.0);
        let count = |index| number(index).unwrap_or_default().max(0.0) as u32;
        Self {
            momentary: level(0),
            short_term: level(1),
            integrated: level(2),
            range: number(3),
            true_peak: level(4),
            overs: count(5),
            underruns: count(8),
        }
    }
}

/// Returns a level with one decimal and a proper minus; a dash for none.
pub(crate) fn shown(level: Option<f32>) -> String {
    level.map_or_else(|| "–".to_owned(), |level| format!("{level:.1}").replace('-', "−"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_has_no_loudness() {
        let silent = [f32::NEG_INFINITY, f32::NAN, -120.0, f32::NAN, f32::NEG_INFINITY, 0.0];
        assert_eq!(Loudness::read(&silent), Loudness::default());
        assert_eq!(Loudness::read(&[]), Loudness::default());
    }

    #[test]
    fn levels_are_read_in_their_order() {
        let read = Loudness::read(&[-20.04, -21.0, -23.0, 6.5, -1.0, 3.0, 9.0, 0.0, 2.0, 256.0]);
        assert_eq!(shown(read.momentary), "−20.0");
        assert_eq!((read.integrated, read.range), (Some(-23.0), Some(6.5)));
        assert_eq!((read.true_peak, read.overs, read.underruns), (Some(-1.0), 3, 2));
        assert_eq!(shown(None), "–");
    }
}
