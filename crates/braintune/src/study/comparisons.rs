//! Paired tests of conditions: every layer and region, over participants or participant x story.
//!
//! The test is Wilcoxon's signed rank test, exact up to 50 units, two-sided. With fewer than six units no difference could
//! have p < 0.05, so that none is given. q values are Benjamini & Hochberg's over all comparisons of one measure.

use braintune_encoding::{benjamini_hochberg, wilcoxon_signed_rank};
use ndarray::Array1;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::gather::Encoded;
use super::results::{Comparison, Estimate, Measure, Unit};
use crate::error::Result;

/// Fewest units for which the smallest two-sided p, 2 / 2^n, is below 0.05; as many participants are units by themselves.
pub(super) const FEWEST_UNITS: usize = 6;

impl Measure {
    fn of(self, mean_r: Option<f64>, normalized: Option<f64>) -> Option<f64> {
        match self {
            Self::MeanR => mean_r,
            Self::Normalized => normalized,
        }
    }
}

impl Unit {
    /// Participants where there is one test story, or where they are enough; otherwise each with each test story.
    pub(super) fn of(n_participants: usize, n_stories: usize) -> Self {
        if n_stories < 2 || n_participants >= FEWEST_UNITS {
            Self::Participants
        } else {
            Self::ParticipantByStory
        }
    }
}

/// One condition against another, both encoded for the same participants in the same order.
pub(super) struct Pair<'a> {
    pub(super) model: &'a str,
    pub(super) condition: &'a str,
    pub(super) reference: &'a str,
    pub(super) encoded: Vec<(&'a Encoded, &'a Encoded)>,
}

impl Pair<'_> {
    /// Tests of all layers and regions, without q values.
    pub(super) fn compare(&self, rois: &[String], unit: Unit) -> Result<Vec<Comparison>> {
        let layers = self.encoded.iter().map(|(of, _)| of.n_layers()).max();
        let mut found = Vec::new();
        for &measure in Measure::ALL {
            for roi in rois {
                for layer in 0..layers.unwrap_or(0) {
                    let differences = self.differences(layer, roi, measure, unit);
                    if !differences.is_empty() {
                        found.push(self.judge((layer, roi), measure, unit, &differences)?);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Condition less reference, unit by unit; units of which one is not known are left out.
    fn differences(&self, layer: usize, roi: &str, measure: Measure, unit: Unit) -> Vec<f64> {
        let pairs = self.encoded.iter().flat_map(|(of, reference)| {
            let (a, b) = (
                values(of, layer, roi, measure, unit),
                values(reference, layer, roi, measure, unit),
            );
            a.into_iter().zip(b).collect::<Vec<_>>()
        });
        pairs.filter_map(|(a, b)| Some(a? - b?)).collect()
    }

    fn judge(
        &self,
        (layer, roi): (usize, &str),
        measure: Measure,
        unit: Unit,
        differences: &[f64],
    ) -> Result<Comparison> {
        let n_units = differences.len();
        let p_value = if n_units < FEWEST_UNITS {
            None
        } else {
            Some(wilcoxon_signed_rank(differences)?.p_two_sided)
        };
        Ok(Comparison {
            model: self.model.to_owned(),
            layer,
            roi: roi.to_owned(),
            condition: self.condition.to_owned(),
            reference: self.reference.to_owned(),
            measure,
            difference: mean_with_interval(differences),
            unit,
            n_units,
            n_positive: differences.iter().filter(|d| **d > 0.0).count(),
            p_value,
            q_value: None,
        })
    }
}

/// Of each unit of a participant, in the order of the test stories.
fn values(
    encoded: &Encoded,
    layer: usize,
    roi: &str,
    measure: Measure,
    unit: Unit,
) -> Vec<Option<f64>> {
    match unit {
        Unit::Participants => {
            let rows = encoded.of_roi(roi).filter(|row| row.layer == layer);
            rows.map(|row| measure.of(row.mean_r, row.mean_r_normalized))
                .collect()
        }
        Unit::ParticipantByStory => {
            let rows = encoded.stories.iter();
            let rows = rows.filter(|row| row.layer == layer && row.roi == roi);
            rows.map(|row| measure.of(Some(row.mean_r), row.mean_r_normalized))
                .collect()
        }
    }
}

/// Mean with Student's 95 % interval; none of less than two values.
fn mean_with_interval(values: &[f64]) -> Estimate {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let student = StudentsT::new(0.0, 1.0, n - 1.0).ok();
    let half = student.filter(|_| values.len() > 1).map(|student| {
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        student.inverse_cdf(0.975) * (variance / n).sqrt()
    });
    Estimate {
        value: Some(mean),
        low: half.map(|half| mean - half),
        high: half.map(|half| mean + half),
    }
}

/// Puts q values beside the p values, over all comparisons of one measure.
pub(super) fn add_q_values(comparisons: &mut [Comparison]) {
    for &measure in Measure::ALL {
        let mut of_measure: Vec<&mut Comparison> = comparisons
            .iter_mut()
            .filter(|comparison| comparison.measure == measure)
            .collect();
        let p: Array1<f64> = of_measure
            .iter()
            .map(|c| c.p_value.unwrap_or(f64::NAN))
            .collect();
        for (comparison, q) in of_measure.iter_mut().zip(benjamini_hochberg(p.view())) {
            comparison.q_value = (!q.is_nan()).then_some(q);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_of_a_mean_is_students() {
        // t(0.975, 3) = 3.1824, standard error 0.6455.
        let found = mean_with_interval(&[1.0, 2.0, 3.0, 4.0]);
        assert!(
            (found.low.unwrap_or_default() - (2.5 - 2.0542)).abs() < 1e-3,
            "{found:?}"
        );
        assert!(
            (found.high.unwrap_or_default() - (2.5 + 2.0542)).abs() < 1e-3,
            "{found:?}"
        );
        assert_eq!(mean_with_interval(&[1.5]).low, None);
    }

    #[test]
    fn stories_are_units_where_participants_are_few() {
        assert_eq!(Unit::of(2, 1), Unit::Participants);
        assert_eq!(Unit::of(2, 3), Unit::ParticipantByStory);
        assert_eq!(Unit::of(6, 3), Unit::Participants);
    }
}
