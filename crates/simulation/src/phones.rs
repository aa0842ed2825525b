//! The phones of the synthetic language: vowels by their formants, consonants by their noise.
//!
//! Formants are the means of male speakers in Peterson & Barney 1952; labels are ARPABET, as in the
//! `TextGrids` of ds003020.

/// One phone.
#[derive(Debug)]
pub(crate) struct Phone {
    /// ARPABET label.
    pub(crate) label: &'static str,
    /// How words spell it.
    pub(crate) letters: &'static str,
    pub(crate) sound: Sound,
    /// Root mean square relative to the loudest vowel.
    pub(crate) level: f64,
    /// Duration at the middle rate of speaking, in seconds.
    pub(crate) duration_s: f64,
}

/// What a phone is made of.
#[derive(Debug)]
pub(crate) enum Sound {
    /// A voiced source through these formants, in Hz.
    Vowel([f64; 3]),
    /// Noise around a frequency.
    Fricative(Band),
    /// Silence, then a burst of noise around a frequency.
    Stop(Band),
}

/// A band of noise, in Hz.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Band {
    pub(crate) centre_hz: f64,
    pub(crate) width_hz: f64,
}

pub(crate) const VOWELS: [Phone; 8] = [
    vowel("AA", "A", [730.0, 1090.0, 2440.0], 1.0),
    vowel("IY", "I", [270.0, 2290.0, 3010.0], 0.7),
    vowel("UW", "U", [300.0, 870.0, 2240.0], 0.7),
    vowel("EH", "E", [530.0, 1840.0, 2480.0], 0.9),
    vowel("AO", "O", [570.0, 840.0, 2410.0], 0.95),
    vowel("AE", "AE", [660.0, 1720.0, 2410.0], 0.95),
    vowel("UH", "OO", [440.0, 1020.0, 2240.0], 0.8),
    vowel("ER", "ER", [490.0, 1350.0, 1690.0], 0.85),
];

pub(crate) const CONSONANTS: [Phone; 8] = [
    stop("P", "P", 900.0, 800.0, 0.20),
    stop("T", "T", 4200.0, 1500.0, 0.30),
    stop("K", "K", 2000.0, 700.0, 0.28),
    fricative("S", "S", 5800.0, 1400.0, 0.35, 0.11),
    fricative("SH", "SH", 3000.0, 900.0, 0.40, 0.11),
    fricative("F", "F", 6500.0, 4000.0, 0.12, 0.09),
    fricative("HH", "H", 1500.0, 2000.0, 0.12, 0.06),
    fricative("CH", "CH", 3600.0, 900.0, 0.38, 0.08),
];

const fn vowel(
    label: &'static str,
    letters: &'static str,
    formants_hz: [f64; 3],
    level: f64,
) -> Phone {
    Phone {
        label,
        letters,
        sound: Sound::Vowel(formants_hz),
        level,
        duration_s: 0.14,
    }
}

const fn stop(
    label: &'static str,
    letters: &'static str,
    centre_hz: f64,
    width_hz: f64,
    level: f64,
) -> Phone {
    Phone {
        label,
        letters,
        sound: Sound::Stop(Band {
            centre_hz,
            width_hz,
        }),
        level,
        duration_s: 0.075,
    }
}

const fn fricative(
    label: &'static str,
    letters: &'static str,
    centre_hz: f64,
    width_hz: f64,
    level: f64,
    duration_s: f64,
) -> Phone {
    Phone {
        label,
        letters,
        sound: Sound::Fricative(Band {
            centre_hz,
            width_hz,
        }),
        level,
        duration_s,
    }
}
