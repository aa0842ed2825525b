//! Units of the frames of stories, made elsewhere: k-means over features, as `HuBERT` is pretrained with.
//!
//! `STORY.npy`, integers `[n_frames]`, frame `j` of the whole story beginning at sample `j · stride` (50 Hz) →
//! units of clips, `[batch, n_frames]`. Held by the tests below and `tests/it/stimulus.rs`.

use std::collections::BTreeMap;
use std::path::Path;

use braintune_backbone::Wav2Vec2Config;
use braintune_fmri::{FmriError, npy_shape};
use ndarray::{Array1, Array2};
use ndarray_npy::ReadNpyError;
use sha2::{Digest, Sha256};

use crate::error::{Result, TuningError};

/// Frames that may be missing or too many: rounding at the end, and one for each part of 100 s in which a
/// story was put through a model.
const SLACK: (usize, usize) = (2, 5_000);
/// More units would be no k-means' any more.
const MOST: u32 = 1 << 16;

/// Units of the frames of stories.
#[derive(Debug, Clone)]
pub struct StoryUnits {
    stories: BTreeMap<String, Vec<u32>>,
    config: Wav2Vec2Config,
}

impl StoryUnits {
    /// Reads `STORY.npy` of each story, for a model of this architecture.
    ///
    /// # Errors
    /// [`TuningError::Units`] for a file that is missing, holds no vector of integers, or numbers that are no
    /// units.
    pub fn from_folder(dir: &Path, stories: &[String], config: &Wav2Vec2Config) -> Result<Self> {
        let read = |story: &String| Ok((story.clone(), read(&dir.join(format!("{story}.npy")))?));
        let stories: Result<_> = stories.iter().map(read).collect();
        Ok(Self {
            stories: stories?,
            config: config.clone(),
        })
    }

    /// One more than the largest unit.
    #[must_use]
    pub fn n_units(&self) -> usize {
        let all = self.stories.values().flatten();
        all.max().map_or(0, |&largest| largest as usize + 1)
    }

    /// Says so if a story has not about as many units as frames.
    pub(crate) fn check(&self, story: &str, n_samples: usize) -> Result<()> {
        let (found, expected) = (self.of(story).len(), self.config.n_frames(n_samples));
        if found.abs_diff(expected) <= SLACK.0 + expected / SLACK.1 {
            return Ok(());
        }
        Err(TuningError::Units {
            of: story.to_owned(),
            problem: format!(
                "expected one for each of its {expected} frames (every {} samples), found {found}",
                self.config.stride()
            ),
        })
    }

    /// Units of clips of `clip_len` samples that end with the samples `ends`, `[n_clips, n_frames]`; none
    /// where the story has no frame.
    pub(crate) fn of_clips(
        &self,
        story: &str,
        ends: &[i64],
        clip_len: usize,
    ) -> Array2<Option<u32>> {
        let units = self.of(story);
        let stride = i64::try_from(self.config.stride()).unwrap_or(i64::MAX);
        let length = i64::try_from(clip_len).unwrap_or(i64::MAX);
        // The nearest frame of the story, for clips that begin between two.
        let first = |end: i64| (end - length + stride / 2).div_euclid(stride);
        let shape = (ends.len(), self.config.n_frames(clip_len));
        Array2::from_shape_fn(shape, |(clip, frame)| {
            let frame = first(ends[clip]) + i64::try_from(frame).ok()?;
            units.get(usize::try_from(frame).ok()?).copied()
        })
    }

    /// SHA-256 of all units, for the record of a run.
    pub(crate) fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for (story, units) in &self.stories {
            digest.update(story);
            digest.update(units.len().to_le_bytes());
            for unit in units {
                digest.update(unit.to_le_bytes());
            }
        }
        hex::encode(digest.finalize())
    }

    fn of(&self, story: &str) -> &[u32] {
        self.stories.get(story).map_or(&[], Vec::as_slice)
    }
}

fn read(path: &Path) -> Result<Vec<u32>> {
    let wrong = |problem: String| TuningError::Units {
        of: path.display().to_string(),
        problem,
    };
    let expected = "expected integers [n_frames], one for each frame of the story";
    // Before anything is allocated by what the header says.
    npy_shape(path).map_err(|error| match error {
        FmriError::Numpy { reason, .. } => wrong(format!("{expected}: {reason}")),
        FmriError::Missing { .. } => wrong(format!("{expected}: there is no such file")),
        other => TuningError::Fmri(other),
    })?;
    macro_rules! first_that_reads {
        ($($t:ty),+) => {
            $(match ndarray_npy::read_npy::<_, Array1<$t>>(path) {
                Ok(units) => return units.iter().map(|&unit| u32::try_from(i128::from(unit)).ok().filter(|&unit| unit < MOST).ok_or_else(|| {
                    wrong(format!("expected units from 0 to {}, found {unit}", MOST - 1))
                })).collect(),
                Err(ReadNpyError::WrongDescriptor(_)) => {}
                Err(e) => return Err(wrong(format!("{expected}: {e}"))),
            })+
        };
    }
    first_that_reads!(i64, i32, u16, i16, u8, i8, u32, u64);
    Err(wrong(
        "expected integers [n_frames], found another type".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units() -> StoryUnits {
        StoryUnits {
            stories: BTreeMap::from([("tale".to_owned(), (0..100).collect())]),
            config: Wav2Vec2Config::default(),
        }
    }

    #[test]
    fn clips_have_the_units_of_their_time() {
        // 1 s has 49 frames.
        let found = units().of_clips("tale", &[16_000, 24_000, 8_000, 40_000], 16_000);
        assert_eq!(found.dim(), (4, 49));
        let row = |clip: usize| found.row(clip).to_vec();
        assert_eq!(row(0), (0..49).map(Some).collect::<Vec<_>>());
        assert_eq!(row(1)[0], Some(25));
        assert_eq!(
            (row(2)[24], row(2)[25], row(2)[26]),
            (None, Some(0), Some(1))
        );
        assert_eq!((row(3)[24], row(3)[25]), (Some(99), None));
        // Between two frames: the nearer one.
        let between = |end| units().of_clips("tale", &[end], 16_000)[[0, 0]];
        assert_eq!((between(16_159), between(16_160)), (Some(0), Some(1)));
    }

    #[test]
    fn a_header_that_claims_more_than_the_file_holds_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let read = |n_claimed: &str| {
            let path = dir.path().join("tale.npy");
            let text =
                format!("{{'descr': '<i8', 'fortran_order': False, 'shape': ({n_claimed},), }}\n");
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend(u16::try_from(text.len()).expect("short").to_le_bytes());
            bytes.extend(text.bytes());
            bytes.extend([3_i64, 1].iter().flat_map(|unit| unit.to_le_bytes()));
            std::fs::write(&path, bytes).expect("it is written");
            let config = Wav2Vec2Config::default();
            StoryUnits::from_folder(dir.path(), &["tale".to_owned()], &config)
        };
        assert_eq!(read("2").expect("units").of("tale"), [3, 1]);
        for n_claimed in ["3", "1152921504606846975", "1000000000000"] {
            let error = read(n_claimed).expect_err("it lies").to_string();
            assert!(
                error.contains("tale.npy") && error.contains("truncated"),
                "{error}"
            );
        }
        let missing = ["other".to_owned()];
        let missing = StoryUnits::from_folder(dir.path(), &missing, &Wav2Vec2Config::default());
        let error = missing.expect_err("it is not there").to_string();
        assert!(error.contains("other.npy"), "{error}");
    }

    #[test]
    fn as_many_units_as_frames() {
        let n_samples = |n_frames: usize| 80 + 320 * n_frames;
        assert!(units().check("tale", n_samples(102)).is_ok());
        let error = units().check("tale", n_samples(103)).expect_err("too few");
        let error = error.to_string();
        assert!(
            error.contains("tale") && error.contains("103") && error.contains("100"),
            "{error}"
        );
    }
}
