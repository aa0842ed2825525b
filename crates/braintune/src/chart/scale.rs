//! From values to places, and the round numbers that an axis shows.

/// A straight map of `[low, high]` to `[from, to]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Scale {
    /// A range that is one number or none maps to the middle.
    pub(super) fn at(&self, value: f64) -> f64 {
        let range = self.high - self.low;
        let share = if range > 0.0 {
            (value - self.low) / range
        } else {
            0.5
        };
        // What lies far out is cut off at a place that SVG can hold.
        self.from + (self.to - self.from) * share.clamp(-10.0, 10.0)
    }
}

/// The range of all finite values, none where there are none.
pub(crate) fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold(None, |range, value| {
        let (low, high) = range.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

/// A range with a margin on both sides; one number gets room around it, nothing becomes 0 to 1.
pub(super) fn widened(range: Option<(f64, f64)>) -> (f64, f64) {
    let (low, high) = range.unwrap_or((0.0, 1.0));
    let margin = (0.05 * (high - low)).max(1e-3).max(1e-6 * high.abs());
    (low - margin, high + margin)
}

/// Round numbers from `low` to `high`, about `n` of them, with the digits that tell them apart.
pub(super) fn ticks(low: f64, high: f64, n: f64) -> Vec<(f64, String)> {
    let rough = ((high - low) / n).max(1e-6);
    let power = 10.0_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let step = step.into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "digits of a number"
    )]
    let digits = (-step.log10()).ceil().max(0.0) as usize;
    let label = |value: f64| match value.abs() {
        ..1e5 => format!("{value:.digits$}").replace('-', "−"),
        _ => format!("{value:.1e}"),
    };
    let first = (low / step - 1e-9).ceil();
    let n_steps = (0..=20).map(f64::from);
    let values = n_steps.map(|i| (first + i) * step + 0.0); // no -0
    let inside = values.take_while(|value| *value <= high + 1e-9 * step);
    inside.map(|value| (value, label(value))).collect()
}

/// Whole numbers from 0 to `last`, not more than there is room for.
pub(super) fn whole_ticks(last: usize, room: usize) -> Vec<usize> {
    let step = [1, 2, 3, 4, 5, 6, 8, 10, 12, 20, 25, 50, 100];
    let step = step.into_iter().find(|step| last / step < room.max(1));
    (0..=last).step_by(step.unwrap_or(last.max(1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        let labels = |low, high| -> Vec<String> {
            let ticks = ticks(low, high, 5.0).into_iter();
            ticks.map(|(_, label)| label).collect()
        };
        assert_eq!(labels(0.055, 1.045), ["0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(-0.03, 0.04), ["−0.02", "0.00", "0.02", "0.04"]);
        assert_eq!(labels(0.5, 0.5).len(), 1);
        assert!(labels(-1e26, 1.0).len() <= 21);
    }

    #[test]
    fn layers_are_thinned_to_the_room_there_is() {
        assert_eq!(whole_ticks(4, 13), [0, 1, 2, 3, 4]);
        assert_eq!(
            whole_ticks(24, 13),
            [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24]
        );
        assert_eq!(whole_ticks(0, 13), [0]);
    }

    #[test]
    fn a_range_of_one_number_or_none_has_room() {
        assert_eq!(range([f64::NAN, f64::INFINITY]), None);
        assert_eq!(range([2.0, f64::NAN, -1.0]), Some((-1.0, 2.0)));
        let (low, high) = widened(Some((0.5, 0.5)));
        assert!(low < 0.5 && high > 0.5);
        assert!(widened(None).0 < 0.0);
    }
}
