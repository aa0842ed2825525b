//! Curves of tuning runs: a panel per model and condition, two lines per participant.

use super::alignment::panel_width;
use super::files::slug;
use super::view::{View, names};
use crate::chart::{Figure, Ink, Key, Line, LineChart, Point};
use crate::study::TrainingCurve;

/// Points of a line at most: a curve of thousands of steps is drawn from means of as many.
const MOST_POINTS: usize = 120;

/// One figure per model.
pub(super) fn figures(view: &View<'_>) -> Vec<Figure> {
    let models = view.results.models.iter();
    models.filter_map(|model| figure(view, model)).collect()
}

/// Means of neighbouring points, so many that at most [`MOST_POINTS`] are left.
fn thinned(points: &[(f64, f64)]) -> Vec<Point> {
    let each = points.len().div_ceil(MOST_POINTS).max(1);
    let mean = |chunk: &[(f64, f64)]| {
        let (x, y) = chunk
            .iter()
            .fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        let n = chunk.len() as f64;
        Point {
            x: x / n,
            y: Some(y / n),
            band: None,
        }
    };
    points.chunks(each).map(mean).collect()
}

fn lines(curve: &TrainingCurve, i: usize) -> [Line; 2] {
    let finite = |loss: Option<f64>| loss.filter(|loss| loss.is_finite());
    let points = curve.points.iter();
    let train = points.clone();
    let train = train.filter_map(|&(step, train, _)| Some((step as f64, finite(train)?)));
    let validation = points.filter_map(|&(step, _, loss)| Some((step as f64, finite(loss)?)));
    let kept = curve.kept_step.map(|step| format!(", kept step {step}"));
    [
        Line {
            name: format!("{} training", curve.participant),
            ink: Ink::of(i),
            thin: true,
            points: thinned(&train.collect::<Vec<_>>()),
        },
        Line {
            name: format!(
                "{} validation{}",
                curve.participant,
                kept.unwrap_or_default()
            ),
            ink: Ink::of(i),
            thin: false,
            points: thinned(&validation.collect::<Vec<_>>()),
        },
    ]
}

fn figure(view: &View<'_>, model: &str) -> Option<Figure> {
    let of_model = || {
        let training = view.results.training.iter();
        training.filter(|curve| curve.model == model)
    };
    let participants = names(of_model().map(|curve| &curve.participant));
    let conditions = names(of_model().map(|curve| &curve.condition));
    let ink = |name: &str| participants.iter().position(|p| *p == name).unwrap_or(0);
    let (width, columns) = panel_width(conditions.len());
    let panels = conditions.iter().map(|condition| {
        let of = of_model().filter(|curve| curve.condition == *condition);
        let lines = of.flat_map(|curve| lines(curve, ink(&curve.participant)));
        LineChart {
            title: condition,
            aside: "",
            x_label: "step",
            y_label: "loss",
            size: (width, 220.0),
            y_range: None,
            lines: &lines.collect::<Vec<_>>(),
            levels: &[],
        }
        .panel()
    });
    let panels: Vec<_> = panels.collect();
    let names = participants.iter().enumerate();
    (!panels.is_empty()).then(|| Figure {
        name: format!("training-{}", slug(model)),
        title: format!("{model}: training"),
        note: String::from(
            "Thin lines: training loss, a mean over neighbouring steps where there are many. Thick lines with markers: validation loss, by which the weights that are kept were chosen.",
        ),
        keys: names
            .map(|(i, name)| (Key::Line(Ink::of(i)), (*name).to_owned()))
            .collect(),
        columns,
        panels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_is_thinned_to_means_and_a_short_one_is_not() {
        let points: Vec<_> = (0..1000)
            .map(|i| (f64::from(i), 2.0 * f64::from(i)))
            .collect();
        let thin = thinned(&points);
        assert!(thin.len() <= MOST_POINTS && thin.len() > MOST_POINTS / 2);
        assert!(
            thin.iter()
                .all(|p| (p.y.unwrap_or(f64::NAN) - 2.0 * p.x).abs() < 1e-9)
        );
        assert_eq!(thinned(&points[..50]).len(), 50);
    }
}
