//! `[encoding]` of a study file: what `encode` has as flags.

use braintune_backbone::{WindowFeature, Windows};
use braintune_encoding::{Alphas, CvScore, Delays};
use braintune_fmri::Trim;
use serde::Deserialize;

use crate::encode::{BadVoxels, CrossValidation, EncodeConfig};
use crate::error::{BraintuneError, Result};

/// `[encoding]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EncodingPart {
    window_s: f64,
    stride_s: f64,
    window_feature: FeatureName,
    pub(super) share_convolutions: bool,
    delays: Grid,
    alphas: Grid,
    cv: CvName,
    score: ScoreName,
    trim: Option<[usize; 2]>,
    test_trim: Option<[usize; 2]>,
    pub(super) ceiling_threshold: f32,
    pub(super) permutations: usize,
    pub(super) bootstraps: usize,
    bad_voxels: BadName,
}

impl Default for EncodingPart {
    fn default() -> Self {
        Self {
            window_s: Windows::default().length_s(),
            stride_s: Windows::default().stride_s(),
            window_feature: FeatureName::LastFrame,
            share_convolutions: false,
            delays: Grid::Text(EncodeConfig::DELAYS.to_owned()),
            alphas: Grid::Text(EncodeConfig::ALPHAS.to_owned()),
            cv: CvName::Story,
            score: ScoreName::R2,
            trim: None,
            test_trim: None,
            ceiling_threshold: 0.05,
            permutations: 1000,
            bootstraps: 1000,
            bad_voxels: BadName::Stop,
        }
    }
}

/// As on the command line, or a list of numbers.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Grid {
    Text(String),
    Numbers(Vec<f64>),
}

impl Grid {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Numbers(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
                numbers.join(",")
            }
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FeatureName {
    LastFrame,
    StrideMean,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CvName {
    Story,
    Bootstrap,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ScoreName {
    R2,
    NegMse,
    Corr,
    SignedSqrtR2,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BadName {
    Stop,
    Zero,
}

impl EncodingPart {
    pub(super) fn check(&self) -> Result<()> {
        self.delays()?;
        self.alphas()?;
        EncodeConfig::check_numbers(self.permutations, self.bootstraps, self.ceiling_threshold)
            .map_err(BraintuneError::Input)
    }

    pub(super) fn windows(&self) -> Result<Windows> {
        let windows = Windows::new(self.window_s, self.stride_s)?;
        Ok(windows.with_feature(match self.window_feature {
            FeatureName::LastFrame => WindowFeature::LastFrame,
            FeatureName::StrideMean => WindowFeature::StrideMean,
        }))
    }

    pub(super) fn delays(&self) -> Result<Delays> {
        Ok(self.delays.text().parse()?)
    }

    pub(super) fn alphas(&self) -> Result<Alphas> {
        Ok(self.alphas.text().parse()?)
    }

    pub(super) fn cv(&self) -> CrossValidation {
        match self.cv {
            CvName::Story => CrossValidation::Story,
            CvName::Bootstrap => CrossValidation::Bootstrap,
        }
    }

    pub(super) fn score(&self) -> CvScore {
        match self.score {
            ScoreName::R2 => CvScore::R2,
            ScoreName::NegMse => CvScore::NegMse,
            ScoreName::Corr => CvScore::Correlation,
            ScoreName::SignedSqrtR2 => CvScore::SignedSqrtR2,
        }
    }

    /// Trims of training and test stories, where they are not the dataset's.
    pub(super) fn trims(&self, (train, test): (Trim, Trim)) -> (Trim, Trim) {
        let given = |of: Option<[usize; 2]>, or| of.map_or(or, |[a, b]| Trim::new(a, b));
        (given(self.trim, train), given(self.test_trim, test))
    }

    pub(super) fn bad_voxels(&self) -> BadVoxels {
        match self.bad_voxels {
            BadName::Stop => BadVoxels::Stop,
            BadName::Zero => BadVoxels::Zero,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_refused_as_those_of_encode_are() {
        let refused = |part: EncodingPart| {
            let error = part.check().expect_err("it cannot be");
            let own = EncodeConfig::check_numbers(
                part.permutations,
                part.bootstraps,
                part.ceiling_threshold,
            );
            assert_eq!(Err(error.to_string()), own);
            error.to_string()
        };
        let usual = EncodingPart::default;
        assert!(usual().check().is_ok());
        let bootstraps = refused(EncodingPart {
            bootstraps: 1,
            ..usual()
        });
        assert!(bootstraps.contains("bootstraps"), "{bootstraps}");
        let permutations = refused(EncodingPart {
            permutations: EncodeConfig::MAX_DRAWS + 1,
            ..usual()
        });
        assert!(
            permutations.contains("1000001 permutations: at most 1000000"),
            "{permutations}"
        );
        let threshold = refused(EncodingPart {
            ceiling_threshold: 1.0,
            ..usual()
        });
        assert!(threshold.contains("threshold of 1"), "{threshold}");
    }
}
