//! Curves over layers out of the lines of `alignment.csv` and `probes.csv`.
//!
//! A value stands at the number of its layer; layers that are not in a table are holes.

use super::results::{AlignmentCurve, Estimate, ProbeCurve};
use crate::encode::AlignmentLine;
use crate::probe::ProbeLine;

/// A curve for each participant, model and region, in the order in which they come, all under one `condition`.
pub(crate) fn alignment_curves(lines: &[AlignmentLine], condition: &str) -> Vec<AlignmentCurve> {
    let mut curves: Vec<AlignmentCurve> = Vec::new();
    for line in lines {
        let is_own = |curve: &AlignmentCurve| {
            curve.participant == line.subject && curve.model == line.model && curve.roi == line.roi
        };
        let place = curves.iter().position(is_own).unwrap_or_else(|| {
            curves.push(AlignmentCurve {
                model: line.model.clone(),
                condition: condition.to_owned(),
                participant: line.subject.clone(),
                roi: line.roi.clone(),
                n_voxels: line.n_voxels,
                mean_r: Vec::new(),
                normalized: Vec::new(),
                q_value: Vec::new(),
            });
            curves.len() - 1
        });
        let curve = &mut curves[place];
        set(&mut curve.mean_r, line.layer, of_alignment(line), NONE);
        set(
            &mut curve.normalized,
            line.layer,
            line.mean_r_normalized,
            None,
        );
        set(&mut curve.q_value, line.layer, line.q_value, None);
    }
    curves
}

/// Of each task and model the first score, with its baseline and peak, all under one `condition`.
pub(crate) fn probe_curves(lines: &[ProbeLine], condition: &str) -> Vec<ProbeCurve> {
    let mut curves: Vec<ProbeCurve> = Vec::new();
    for line in lines {
        let is_own = |curve: &ProbeCurve| curve.task == line.task && curve.model == line.model;
        let place = match curves.iter().position(is_own) {
            Some(place) => place,
            None if !line.is_score() => continue,
            None => {
                curves.push(ProbeCurve {
                    task: line.task.clone(),
                    model: line.model.clone(),
                    condition: condition.to_owned(),
                    participant: None,
                    metric: line.metric.clone(),
                    scores: Vec::new(),
                    baseline: None,
                    peak: None,
                    n_test: line.n_test,
                });
                curves.len() - 1
            }
        };
        let curve = &mut curves[place];
        let value = of_probe(line);
        match line.metric.as_str() {
            "baseline" => curve.baseline = value.value,
            "peak_layer" => curve.peak = Some(value),
            metric if metric == curve.metric => set(&mut curve.scores, line.layer, value, NONE),
            _ => {}
        }
    }
    curves
}

const NONE: Estimate = Estimate {
    value: None,
    low: None,
    high: None,
};

/// Mean r with its interval.
pub(super) fn of_alignment(line: &AlignmentLine) -> Estimate {
    Estimate {
        value: line.mean_r,
        low: line.ci_low,
        high: line.ci_high,
    }
}

fn of_probe(line: &ProbeLine) -> Estimate {
    Estimate {
        value: line.value,
        low: line.ci_low,
        high: line.ci_high,
    }
}

/// Sets a place behind the end too.
fn set<T: Copy>(values: &mut Vec<T>, at: usize, value: T, none: T) {
    if values.len() <= at {
        values.resize(at + 1, none);
    }
    values[at] = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_is_missing_is_a_hole_and_moves_no_other() {
        let lines = [3, 0, 1].map(|layer| AlignmentLine {
            subject: "S1".to_owned(),
            model: "m".to_owned(),
            layer,
            roi: "all".to_owned(),
            n_voxels: 4,
            mean_r: Some(0.1 * layer as f64),
            mean_r_normalized: Some(0.2),
            ci_low: None,
            ci_high: None,
            q_value: None,
        });
        let curves = alignment_curves(&lines, "pretrained");
        assert_eq!(curves.len(), 1);
        let r: Vec<_> = curves[0].mean_r.iter().map(|r| r.value).collect();
        assert_eq!(r, [Some(0.0), Some(0.1), None, Some(0.1 * 3.0)]);
        assert_eq!(curves[0].normalized[2], None);

        let probe = |layer, metric: &str, value| ProbeLine {
            task: "words".to_owned(),
            model: "m".to_owned(),
            layer,
            metric: metric.to_owned(),
            value: Some(value),
            ci_low: None,
            ci_high: None,
            n_test: 9,
        };
        let lines = [
            probe(0, "c", 1.0),
            probe(2, "accuracy", 0.8),
            probe(2, "f1", 0.7),
            probe(0, "accuracy", 0.5),
            probe(0, "baseline", 0.3),
            probe(2, "peak_layer", 2.0),
        ];
        let curves = probe_curves(&lines, "pretrained");
        assert_eq!(curves.len(), 1);
        let scores: Vec<_> = curves[0].scores.iter().map(|score| score.value).collect();
        assert_eq!(scores, [Some(0.5), None, Some(0.8)]);
        assert_eq!((curves[0].baseline, curves[0].n_test), (Some(0.3), 9));
        assert_eq!(curves[0].peak.and_then(|peak| peak.value), Some(2.0));
    }
}
