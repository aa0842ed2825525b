//! What drives the voxels of a story, ten times a second: its acoustics, its phones, its meanings.
//!
//! A spoken story → `[n_steps, 49]`: 16 mel bands, loudness, 12 MFCC (the bands through a cosine
//! transform), the share of a step in which each of 16 phones is said, and that in which a word of
//! each of 4 meanings is said.

use std::f64::consts::PI;

use braintune_fmri::Interval;
use ndarray::{Array2, ArrayView2, ArrayViewMut1, ArrayViewMut2, s};

use crate::Result;
use crate::acoustics::{self, FIRST_STEP_S, N_BANDS, STEP_S};
use crate::lexicon::MEANINGS;
use crate::phones::{CONSONANTS, Phone, VOWELS};
use crate::speech::SpokenStory;

/// Coefficients of the cosine transform of the bands, the first, which is loudness, left out.
pub(crate) const N_MFCC: usize = 12;
pub(crate) const N_PHONES: usize = VOWELS.len() + CONSONANTS.len();
pub(crate) const LOUDNESS: usize = N_BANDS;
pub(crate) const FIRST_MFCC: usize = LOUDNESS + 1;
pub(crate) const FIRST_PHONE: usize = FIRST_MFCC + N_MFCC;
pub(crate) const FIRST_MEANING: usize = FIRST_PHONE + N_PHONES;
pub(crate) const N_FEATURES: usize = FIRST_MEANING + MEANINGS.len();

/// Names of the columns.
pub(crate) fn names() -> Vec<String> {
    let bands = (0..N_BANDS).map(|band| format!("mel_{band:02}"));
    let mfcc = (1..=N_MFCC).map(|k| format!("mfcc_{k:02}"));
    let phones = phones().map(|phone| format!("phone_{}", phone.label));
    let meanings = MEANINGS.iter().map(|meaning| format!("meaning_{meaning}"));
    bands
        .chain(["loudness".to_owned()])
        .chain(mfcc)
        .chain(phones)
        .chain(meanings)
        .collect()
}

fn phones() -> impl Iterator<Item = &'static Phone> {
    VOWELS.iter().chain(&CONSONANTS)
}

/// The features of a story, `[n_steps, 49]`.
pub(crate) fn features(story: &SpokenStory) -> Result<Array2<f64>> {
    let sound = acoustics::features(&story.waveform)?;
    let mut all = Array2::zeros((sound.nrows(), N_FEATURES));
    all.slice_mut(s![.., ..FIRST_MFCC]).assign(&sound);
    all.slice_mut(s![.., FIRST_MFCC..FIRST_PHONE])
        .assign(&cosine_transform(sound.slice(s![.., ..N_BANDS])));
    let said = story.textgrid.tiers.first();
    for (k, phone) in phones().enumerate() {
        let column = all.column_mut(FIRST_PHONE + k);
        let of_phone = said.iter().flat_map(|tier| &tier.intervals);
        let of_phone = of_phone.filter(|interval| interval.text == phone.label);
        add_shares(
            column,
            of_phone.map(|&Interval { start_s, end_s, .. }| (start_s, end_s)),
        );
    }
    let mut meanings: ArrayViewMut2<'_, f64> = all.slice_mut(s![.., FIRST_MEANING..]);
    for (k, column) in meanings.columns_mut().into_iter().enumerate() {
        let of_meaning = story.meanings.iter().filter(|(.., meaning)| *meaning == k);
        add_shares(
            column,
            of_meaning.map(|&(start_s, end_s, _)| (start_s, end_s)),
        );
    }
    Ok(all)
}

/// Coefficients 1 to 12 of the orthonormal DCT-II of each row.
fn cosine_transform(bands: ArrayView2<'_, f64>) -> Array2<f64> {
    let n = bands.ncols() as f64;
    let basis = Array2::from_shape_fn((bands.ncols(), N_MFCC), |(band, k)| {
        (2.0 / n).sqrt() * (PI / n * (band as f64 + 0.5) * (k as f64 + 1.0)).cos()
    });
    bands.dot(&basis)
}

/// Adds to each step the share of it that lies in the intervals; a step lies around its time.
fn add_shares(mut column: ArrayViewMut1<'_, f64>, intervals: impl Iterator<Item = (f64, f64)>) {
    let start = |step: usize| FIRST_STEP_S - 0.5 * STEP_S + step as f64 * STEP_S;
    let step_of = |time_s: f64| {
        let step = ((time_s - start(0)) / STEP_S).floor().max(0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 0, and stories are at most an hour"
        )]
        let step = step as usize;
        step
    };
    for (start_s, end_s) in intervals {
        for step in step_of(start_s)..=step_of(end_s) {
            let from = start_s.max(start(step));
            let to = end_s.min(start(step + 1));
            if let Some(share) = column.get_mut(step) {
                *share += (to - from).max(0.0) / STEP_S;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, array};

    use super::*;

    #[test]
    fn shares_of_an_interval_add_up_to_its_length() {
        let mut column = Array1::zeros(20);
        add_shares(column.view_mut(), [(0.25, 0.52), (1.0, 1.01)].into_iter());
        assert!((column.sum() * STEP_S - 0.28).abs() < 1e-12);
        // Steps are -0.01 to 0.09 s, 0.09 to 0.19 s and so on.
        assert!((column[2] - 0.4).abs() < 1e-9 && (column[3] - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_cosine_transform_is_scipys() {
        // scipy.fft.dct(np.arange(16.0) ** 2, norm="ortho")[1:4]
        let bands = Array2::from_shape_fn((1, 16), |(_, band)| (band as f64).powi(2));
        let found = cosine_transform(bands.view());
        let expected = array![-274.672_965_647, 72.886_564_735, -30.112_922_505];
        for (found, expected) in found.row(0).iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn every_column_has_a_name() {
        assert_eq!(names().len(), N_FEATURES);
    }
}
