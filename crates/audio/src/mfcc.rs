//! Mel-frequency cepstral coefficients.
//!
//! `[n_samples]` → `[n_frames, n_mfcc]`: the first coefficients of the orthonormal DCT-II of
//! [`Fbank`]'s energies in dB, without liftering. Equal to `librosa.feature.mfcc` (0.11,
//! `dct_type=2, norm="ortho", lifter=0`). Held by `tests/it/acoustic.rs`.

use std::f64::consts::PI;
use std::fmt;

use ndarray::Array2;

use crate::{AudioError, Fbank, Frames, Result};

/// Mel-frequency cepstral coefficients.
///
/// ```
/// use braintune_audio::Mfcc;
///
/// let mfcc = Mfcc::speech()?;
/// let tone: Vec<f32> = (0..64_000).map(|i| (i as f32 * 0.4).sin()).collect();
/// assert_eq!(mfcc.compute(&tone)?.dim(), (398, 40));
/// assert_eq!(mfcc.frames().times(64_000).len(), 398);
/// assert!(mfcc.to_string().starts_with("MFCC: 40 coefficients"));
/// # Ok::<(), braintune_audio::AudioError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Mfcc {
    fbank: Fbank,
    /// `[n_mels, n_mfcc]`.
    dct: Array2<f64>,
}

impl Mfcc {
    /// 40 coefficients of 128 bands up to 8 kHz, librosa's number, on [`Frames::SPEECH`].
    ///
    /// # Errors
    /// None: these settings are valid.
    pub fn speech() -> Result<Self> {
        Self::new(Fbank::new(Frames::SPEECH, 128, 0.0..8000.0)?, 40)
    }

    /// Plans the first `n_mfcc` coefficients of energies.
    ///
    /// # Errors
    /// [`AudioError::InvalidMfcc`] for none, or more than there are bands.
    pub fn new(fbank: Fbank, n_mfcc: usize) -> Result<Self> {
        let n_mels = fbank.n_mels();
        if !(1..=n_mels).contains(&n_mfcc) {
            return Err(AudioError::InvalidMfcc { n_mfcc, n_mels });
        }
        let dct = Array2::from_shape_fn((n_mels, n_mfcc), |(m, k)| {
            let norm = if k == 0 { 1.0 } else { 2.0 } / n_mels as f64;
            norm.sqrt() * (PI * k as f64 * (2 * m + 1) as f64 / (2 * n_mels) as f64).cos()
        });
        Ok(Self { fbank, dct })
    }

    /// The frames, which give [times](Frames::times).
    #[must_use]
    pub fn frames(&self) -> &Frames {
        self.fbank.frames()
    }

    /// Coefficients per frame.
    #[must_use]
    pub fn n_mfcc(&self) -> usize {
        self.dct.ncols()
    }

    /// The coefficients `[n_frames, n_mfcc]` of mono audio at the frames' rate.
    ///
    /// # Errors
    /// Those of [`Fbank::compute`].
    pub fn compute(&self, samples: &[f32]) -> Result<Array2<f32>> {
        #[expect(clippy::cast_possible_truncation, reason = "features are f32")]
        let single = |x: f64| x as f32;
        Ok(self.fbank.decibels(samples)?.dot(&self.dct).mapv(single))
    }
}

impl fmt::Display for Mfcc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_mfcc = self.n_mfcc();
        write!(
            f,
            "MFCC: {n_mfcc} coefficients (orthonormal DCT-II, not liftered) of {}",
            self.fbank
        )
    }
}
