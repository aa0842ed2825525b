//! What figures, tables and words all need of a study: which measure is shown, which layers are late, and means over
//! participants with their standard errors.

use std::ops::RangeInclusive;

use crate::chart::Ink;
use crate::study::{AlignmentCurve, Condition, ConditionKind, Measure, StudyResults};

/// A study, looked at.
pub(super) struct View<'a> {
    pub(super) results: &'a StudyResults,
    pub(super) measure: Measure,
}

/// A mean over participants.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Summary {
    /// None without any value.
    pub(super) mean: Option<f64>,
    /// One standard error to both sides; of one participant, its 95 % interval.
    pub(super) band: Option<(f64, f64)>,
    pub(super) n: usize,
}

impl Measure {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::MeanR => "mean r",
            Self::Normalized => "mean of r / noise ceiling",
        }
    }

    pub(super) fn axis(self) -> &'static str {
        match self {
            Self::MeanR => "mean r",
            Self::Normalized => "r / noise ceiling",
        }
    }
}

impl Summary {
    /// Mean of values with its standard error.
    pub(super) fn of(values: &[f64]) -> Self {
        let n = values.len();
        if n == 0 {
            return Self::default();
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let error = (squares / (n.max(2) - 1) as f64 / n as f64).sqrt();
        Self {
            mean: Some(mean),
            band: (n > 1).then_some((mean - error, mean + error)),
            n,
        }
    }
}

/// The last third of the layers of a model with `n_states` hidden states; at least the last one.
pub(super) fn late_layers(n_states: usize) -> RangeInclusive<usize> {
    let n_layers = n_states.saturating_sub(1);
    let n_late = ((n_layers + 1) / 3).max(1);
    (n_layers + 1 - n_late.min(n_layers + 1))..=n_layers
}

/// Layer of the highest of means, with that mean.
pub(super) fn peak(summaries: &[Summary]) -> Option<(usize, f64)> {
    let means = summaries
        .iter()
        .enumerate()
        .filter_map(|(layer, summary)| Some((layer, summary.mean?)));
    means.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

/// Names in order of appearance.
pub(super) fn names<'a>(all: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for name in all {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

impl<'a> View<'a> {
    pub(super) fn new(results: &'a StudyResults) -> Self {
        let normalized = |curve: &AlignmentCurve| curve.normalized.iter().any(Option::is_some);
        let has = |participant: &String| {
            let mut of = results.curves.iter();
            of.any(|curve| curve.participant == *participant && normalized(curve))
        };
        let with_curves = |participant: &&String| {
            let mut of = results.curves.iter();
            of.any(|curve| curve.participant == **participant)
        };
        let mut participants = results.participants.iter().filter(with_curves).peekable();
        let measure = if participants.peek().is_some() && participants.all(has) {
            Measure::Normalized
        } else {
            Measure::MeanR
        };
        Self { results, measure }
    }

    /// Values of a curve per layer, in the measure that is shown or another.
    pub(super) fn values(curve: &AlignmentCurve, measure: Measure) -> Vec<Option<f64>> {
        let values = match measure {
            Measure::MeanR => curve.mean_r.iter().map(|r| r.value).collect(),
            Measure::Normalized => curve.normalized.clone(),
        };
        let finite = values.into_iter();
        finite
            .map(|value| value.filter(|value| value.is_finite()))
            .collect()
    }

    pub(super) fn curves(
        &self,
        model: &str,
        condition: &str,
        roi: &str,
    ) -> Vec<&'a AlignmentCurve> {
        let of = self.results.curves.iter().filter(|curve| {
            curve.model == model && curve.condition == condition && curve.roi == roi
        });
        of.collect()
    }

    /// Hidden states of a model.
    pub(super) fn n_states(&self, model: &str) -> usize {
        let curves = self.results.curves.iter();
        let of_model = curves.filter(|curve| curve.model == model);
        of_model
            .map(|curve| curve.mean_r.len().max(curve.normalized.len()))
            .max()
            .unwrap_or(0)
    }

    pub(super) fn late(&self, model: &str) -> RangeInclusive<usize> {
        late_layers(self.n_states(model))
    }

    /// Mean over participants for each layer.
    pub(super) fn summaries(&self, model: &str, condition: &str, roi: &str) -> Vec<Summary> {
        let curves = self.curves(model, condition, roi);
        let values: Vec<_> = curves
            .iter()
            .map(|curve| Self::values(curve, self.measure))
            .collect();
        let n_layers = values.iter().map(Vec::len).max().unwrap_or(0);
        let summary = |layer: usize| {
            let here = values
                .iter()
                .filter_map(|of| of.get(layer).copied().flatten());
            let mut summary = Summary::of(&here.collect::<Vec<_>>());
            if let ([curve], Measure::MeanR) = (&curves[..], self.measure) {
                let interval = curve.mean_r.get(layer);
                summary.band = interval.and_then(|r| r.low.zip(r.high));
            }
            summary
        };
        (0..n_layers).map(summary).collect()
    }

    /// Each participant's mean over the layers asked for.
    pub(super) fn of_layers(
        &self,
        (model, condition, roi): (&str, &str, &str),
        layers: RangeInclusive<usize>,
    ) -> Vec<(&'a str, f64)> {
        let curves = self.curves(model, condition, roi).into_iter();
        let mean = |curve: &'a AlignmentCurve| {
            let values = Self::values(curve, self.measure);
            let here = values.get(*layers.start()..=*layers.end());
            let here: Vec<f64> = here.unwrap_or_default().iter().copied().flatten().collect();
            Some((curve.participant.as_str(), Summary::of(&here).mean?))
        };
        curves.filter_map(mean).collect()
    }

    /// The layer where the mean over participants is highest, with that mean.
    pub(super) fn peak(&self, model: &str, condition: &str, roi: &str) -> Option<(usize, f64)> {
        peak(&self.summaries(model, condition, roi))
    }

    /// What the others are compared with.
    pub(super) fn reference(&self) -> Option<&'a Condition> {
        let conditions = &self.results.conditions;
        let pretrained = conditions
            .iter()
            .find(|condition| condition.kind == ConditionKind::Pretrained);
        pretrained.or_else(|| conditions.first())
    }

    /// How a condition is drawn: the same in every figure.
    pub(super) fn ink(&self, condition: &str) -> Ink {
        let conditions = &self.results.conditions;
        let Some(at) = conditions.iter().position(|c| c.name == condition) else {
            return Ink::LEVEL;
        };
        let kind = conditions[at].kind;
        let earlier = conditions[..at].iter().filter(|c| c.kind == kind).count();
        match (kind, earlier) {
            (ConditionKind::Pretrained, 0) => Ink::REFERENCE,
            (ConditionKind::Tuned, 0) => Ink::TUNED,
            (ConditionKind::Random, _) => Ink::RANDOM,
            _ => Ink::of_control(earlier),
        }
    }

    /// Whether a model has any curve under a condition.
    pub(super) fn has(&self, model: &str, condition: &str) -> bool {
        let mut curves = self.results.curves.iter();
        curves.any(|curve| curve.model == model && curve.condition == condition)
    }

    /// Names of baselines, in order of appearance.
    pub(super) fn baselines(&self) -> Vec<&'a str> {
        names(self.results.baselines.iter().map(|of| &of.baseline))
    }

    /// A baseline in a region: mean over participants.
    pub(super) fn baseline(&self, name: &str, roi: &str) -> Summary {
        let of = self.results.baselines.iter();
        let of = of.filter(|baseline| baseline.baseline == name && baseline.roi == roi);
        let values = of.filter_map(|baseline| match self.measure {
            Measure::MeanR => baseline.mean_r.value,
            Measure::Normalized => baseline.normalized,
        });
        let finite = values.filter(|value| value.is_finite());
        Summary::of(&finite.collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_layers_are_the_last_third() {
        assert_eq!(late_layers(13), 9..=12);
        assert_eq!(late_layers(25), 17..=24);
        assert_eq!(late_layers(7), 5..=6);
        assert_eq!(late_layers(5), 4..=4);
        assert_eq!(late_layers(1), 0..=0);
        assert_eq!(late_layers(0), 0..=0);
    }

    #[test]
    fn a_mean_has_its_standard_error() {
        let summary = Summary::of(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!((summary.mean, summary.n), (Some(2.5), 4));
        let (low, high) = summary.band.expect("a band");
        // sd 1.290994 / 2
        assert!((high - low - 2.0 * 0.645_497).abs() < 1e-5);
        assert_eq!(Summary::of(&[1.0]).band, None);
        assert_eq!(Summary::of(&[]), Summary::default());
    }
}
