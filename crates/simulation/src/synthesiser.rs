//! Phones to samples: a voiced source through formants, or noise through a band.
//!
//! A source-filter synthesiser in the manner of Klatt 1980 (JASA 67, 971), much reduced: second-order
//! resonators in cascade, formants that glide from vowel to vowel. Each phone is scaled to its level,
//! so that how loud speech is follows from its [`Voice`] and not from its formants. 16 kHz.

use std::f64::consts::{PI, TAU};
use std::ops::Range;

use rand::Rng;

use crate::phones::{Band, Phone, Sound};

pub(crate) const RATE_HZ: f64 = 16_000.0;

/// Widths of the formants, in Hz.
const FORMANT_WIDTHS_HZ: [f64; 3] = [80.0, 100.0, 140.0];
/// Time in which a formant comes within 37% of its target, in seconds.
const GLIDE_S: f64 = 0.02;
/// Samples between two updates of the formants.
const UPDATE_SAMPLES: usize = 32;
/// Rise and fall of a phone, in seconds.
const RAMP_S: f64 = 0.015;
/// The silent part of a stop.
const CLOSURE: f64 = 0.6;
/// Aspiration noise in the voiced source, next to pulses of height 1.
const ASPIRATION: f64 = 0.004;

/// Who speaks, and how.
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    /// Fundamental frequency in the middle of a sentence, in Hz.
    pub(crate) f0_hz: f64,
    /// Formants over those of the phone table: above 1 for a short vocal tract.
    pub(crate) formant_scale: f64,
    /// Coefficient of the low-pass on the pulses, 0 to 1: the larger the softer the voice.
    pub(crate) softness: f64,
    /// Root mean square of the loudest vowel, full scale 1.
    pub(crate) level: f64,
    /// Phones per time over the middle rate.
    pub(crate) rate: f64,
}

/// A phone and the number of samples it takes.
pub(crate) type TimedPhone = (&'static Phone, usize);

/// The samples of a sentence of `phones` spoken by `voice`.
pub(crate) fn render(phones: &[TimedPhone], voice: &Voice, rng: &mut impl Rng) -> Vec<f64> {
    let n_samples = phones.iter().map(|(_, n)| n).sum::<usize>();
    let mut source = Source::new(voice, n_samples);
    let mut formants_hz: Option<[f64; 3]> = None;
    let mut samples = Vec::with_capacity(n_samples);
    for &(phone, n) in phones {
        let span = samples.len()..samples.len() + n;
        let mut sound = match phone.sound {
            Sound::Vowel(targets) => {
                let targets = targets.map(|hz| hz * voice.formant_scale);
                vowel(
                    &mut source,
                    formants_hz.get_or_insert(targets),
                    targets,
                    span,
                    rng,
                )
            }
            Sound::Fricative(band) => noise(band, n, rng),
            Sound::Stop(band) => {
                let n_silent = samples_in(CLOSURE * n as f64 / RATE_HZ).min(n);
                let mut sound = vec![0.0; n_silent];
                sound.extend(noise(band, n - n_silent, rng));
                sound
            }
        };
        set_level(&mut sound, phone.level * voice.level);
        samples.extend(sound);
    }
    samples
}

/// The number of samples in `seconds`, rounded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "durations are checked by the configuration, at most an hour"
)]
pub(crate) fn samples_in(seconds: f64) -> usize {
    (seconds * RATE_HZ).round() as usize
}

/// The voiced source: soft pulses at a pitch that falls over the sentence, with a slight vibrato.
struct Source<'a> {
    voice: &'a Voice,
    n_samples: usize,
    phase: f64,
    smoothed: f64,
}

impl<'a> Source<'a> {
    fn new(voice: &'a Voice, n_samples: usize) -> Self {
        Self {
            voice,
            n_samples,
            phase: 0.0,
            smoothed: 0.0,
        }
    }

    fn f0_hz(&self, at: usize) -> f64 {
        let fall = 1.12 - 0.25 * at as f64 / self.n_samples as f64;
        let vibrato = 1.0 + 0.02 * (TAU * 5.0 * at as f64 / RATE_HZ).sin();
        self.voice.f0_hz * fall * vibrato
    }

    fn next(&mut self, f0_hz: f64, rng: &mut impl Rng) -> f64 {
        self.phase += f0_hz / RATE_HZ;
        let pulse = if self.phase >= 1.0 {
            self.phase -= 1.0;
            1.0
        } else {
            0.0
        };
        let excitation = pulse + ASPIRATION * rng.random_range(-1.0..1.0);
        let softness = self.voice.softness;
        self.smoothed = softness * self.smoothed + (1.0 - softness) * excitation;
        self.smoothed
    }
}

/// A vowel at the samples `span` of the sentence; `formants_hz` glide from where they are to
/// `targets` and stay there for the next vowel.
fn vowel(
    source: &mut Source<'_>,
    formants_hz: &mut [f64; 3],
    targets: [f64; 3],
    span: Range<usize>,
    rng: &mut impl Rng,
) -> Vec<f64> {
    let step = 1.0 - (-(UPDATE_SAMPLES as f64) / (GLIDE_S * RATE_HZ)).exp();
    let mut resonators = [Resonator::default(); 3];
    let mut sound = Vec::with_capacity(span.len());
    let mut f0_hz = source.f0_hz(span.start);
    for at in span.clone() {
        if (at - span.start).is_multiple_of(UPDATE_SAMPLES) {
            f0_hz = source.f0_hz(at);
            for k in 0..3 {
                formants_hz[k] += step * (targets[k] - formants_hz[k]);
                resonators[k].tune(formants_hz[k], FORMANT_WIDTHS_HZ[k]);
            }
        }
        let excitation = source.next(f0_hz, rng);
        sound.push(resonators.iter_mut().fold(excitation, |x, r| r.next(x)));
    }
    ramp(&mut sound);
    sound
}

/// Noise in a band.
fn noise(band: Band, n_samples: usize, rng: &mut impl Rng) -> Vec<f64> {
    let mut resonators = [Resonator::default(); 2];
    for resonator in &mut resonators {
        resonator.tune(band.centre_hz, band.width_hz);
    }
    let mut before = 0.0;
    let mut sound = Vec::with_capacity(n_samples);
    for _ in 0..n_samples {
        let white: f64 = rng.random_range(-1.0..1.0);
        // The difference takes away what the resonators leave below the band.
        sound.push(resonators.iter_mut().fold(white - before, |x, r| r.next(x)));
        before = white;
    }
    ramp(&mut sound);
    sound
}

/// Lets a sound rise and fall softly.
fn ramp(sound: &mut [f64]) {
    let n = sound.len();
    let n_ramp = samples_in(RAMP_S).min(n / 2);
    for k in 0..n_ramp {
        let gain = 0.5 - 0.5 * (PI * (k as f64 + 0.5) / n_ramp as f64).cos();
        sound[k] *= gain;
        sound[n - 1 - k] *= gain;
    }
}

fn set_level(sound: &mut [f64], level: f64) {
    let power = sound.iter().map(|x| x * x).sum::<f64>() / sound.len().max(1) as f64;
    if power > 0.0 {
        let gain = level / power.sqrt();
        for x in sound {
            *x *= gain;
        }
    }
}

/// A second-order resonator with gain 1 at 0 Hz.
#[derive(Clone, Copy, Default)]
struct Resonator {
    a: f64,
    b: f64,
    c: f64,
    y1: f64,
    y2: f64,
}

impl Resonator {
    fn tune(&mut self, centre_hz: f64, width_hz: f64) {
        let r = (-PI * width_hz / RATE_HZ).exp();
        self.c = -r * r;
        self.b = 2.0 * r * (TAU * centre_hz / RATE_HZ).cos();
        self.a = 1.0 - self.b - self.c;
    }

    fn next(&mut self, x: f64) -> f64 {
        let y = self.a * x + self.b * self.y1 + self.c * self.y2;
        self.y2 = self.y1;
        self.y1 = y;
        y
    }
}
